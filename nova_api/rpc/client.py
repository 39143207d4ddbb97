"""Sending: casts that nobody waits for, calls that return a value."""

from typing import Any

from nova_api.context import RequestContext
from nova_api.rpc import envelope
from nova_api.rpc.transport import Transport


class Rpc:
    """Messages outside of a transaction. What must follow a commit goes through the outbox instead.

    The leading parameters are positional only: methods have arguments called ``topic`` (spec ec2.md 6.2).

    :param transport: takes the messages
    :param default_timeout: seconds a call may take
    """

    def __init__(self, transport: Transport, default_timeout: float) -> None:
        self._transport = transport
        self._default_timeout = default_timeout

    def cast(self, context: RequestContext, topic: str, method: str, /, **args: Any) -> None:
        """Have one consumer of ``topic`` run ``method``; do not wait.

        :raises NoConsumer: nobody consumes the topic
        :raises TransportError: the broker does not answer
        """
        self._transport.send(topic, envelope.encode(envelope.pack(context, method, args)))

    def fanout_cast(self, context: RequestContext, topic: str, method: str, /, **args: Any) -> None:
        """Have every consumer of ``topic`` run ``method``; do not wait.

        :raises TransportError: the broker does not answer
        """
        self._transport.fanout(topic, envelope.encode(envelope.pack(context, method, args)))

    def call(
        self,
        context: RequestContext,
        topic: str,
        method: str,
        /,
        *,
        timeout: float | None = None,
        **args: Any,
    ) -> Any:
        """Have one consumer of ``topic`` run ``method`` and return what it returns.

        :param timeout: seconds; the default of this client unless given
        :raises RemoteError: the method raised
        :raises RpcTimeout: no answer in time; it may still be carried out
        :raises NoConsumer: nobody consumes the topic
        :raises TransportError: the broker does not answer
        """
        msg_id = envelope.new_msg_id()
        body = envelope.encode(envelope.pack(context, method, args, msg_id))
        return self._transport.call(topic, msg_id, body, self._default_timeout if timeout is None else timeout)
