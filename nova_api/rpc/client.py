"""Sending: casts that nobody waits for, calls that return a value."""

from collections.abc import Callable
from typing import Any

from nova_api.context import RequestContext
from nova_api.rpc import envelope
from nova_api.rpc.transport import Transport

#: Seconds a call may take whose services are down: they may be about to start again, or their clock may be wrong.
DOWN_SECONDS = 5.0


class Rpc:
    """Messages outside of a transaction. What must follow a commit goes through the outbox instead.

    The leading parameters are positional only: methods have arguments called ``topic`` (spec ec2.md 6.2).

    :param transport: takes the messages
    :param default_timeout: seconds a call may take
    :param is_down: whether all that take the messages of a topic, or of a ``topic.host``, are known to be down: their
        queues are there all the same, and nobody has to wait long for them
    """

    def __init__(
        self, transport: Transport, default_timeout: float, is_down: Callable[[str], bool] | None = None
    ) -> None:
        self._transport = transport
        self._default_timeout = default_timeout
        self._is_down = is_down

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

        :param timeout: seconds; the default of this client unless given, ``DOWN_SECONDS`` at most when nobody is up
        :raises RemoteError: the method raised
        :raises RpcTimeout: no answer in time; it may still be carried out
        :raises NoConsumer: nobody consumes the topic
        :raises TransportError: the broker does not answer
        :raises ServiceUnavailable: the datastore does not, which knows who is up
        """
        seconds = self._default_timeout if timeout is None else timeout
        if self._is_down is not None and self._is_down(topic):
            seconds = min(seconds, DOWN_SECONDS)
        msg_id = envelope.new_msg_id()
        body = envelope.encode(envelope.pack(context, method, args, msg_id))
        return self._transport.call(topic, msg_id, body, seconds)
