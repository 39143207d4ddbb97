"""Receiving: from the method that a message names to the method of a manager, through an explicit table."""

import inspect
from collections.abc import Callable, Iterable
from typing import Any

from nova_api.rpc.delivery import NoSuchMethod
from nova_api.rpc.envelope import Message
from nova_api.rpc.transport import Subscription, Transport


class Dispatcher:
    """Calls the methods of a manager as ``method(context, **args)``; only those it is given by name.

    :param manager: has the methods
    :param methods: their names
    :raises TypeError: the manager lacks one of them
    """

    def __init__(self, manager: object, methods: Iterable[str]) -> None:
        self._methods: dict[str, tuple[Callable[..., object], inspect.Signature]] = {}
        for name in methods:
            method = getattr(manager, name, None)
            if not callable(method):
                raise TypeError(f"{type(manager).__name__} has no method {name}")
            self._methods[name] = (method, inspect.signature(method))

    def __call__(self, message: Message) -> object:
        """Run the method and return what it returns; its exceptions pass.

        :raises NoSuchMethod: it is not in the table, or does not take these arguments
        """
        entry = self._methods.get(message.method)
        if entry is None:
            raise NoSuchMethod(f"no method {message.method!r} here")
        method, signature = entry
        arguments: dict[str, Any] = message.args
        try:
            signature.bind(message.context, **arguments)
        except TypeError as error:
            raise NoSuchMethod(f"{message.method}: {error}") from None
        return method(message.context, **arguments)


class ServiceRunner:
    """A service: a manager that consumes ``topic``, ``topic.host`` and what is fanned out to the topic.

    :param transport: brings the messages
    :param topic: such as ``compute``
    :param host: the name of this node
    :param manager: has the methods
    :param methods: names of those that messages may call
    :param workers: casts handled at a time
    """

    def __init__(
        self,
        transport: Transport,
        topic: str,
        host: str,
        manager: object,
        methods: Iterable[str],
        workers: int = 64,
    ) -> None:
        self.topic = topic
        self.host = host
        self._transport = transport
        self._dispatcher = Dispatcher(manager, methods)
        self._workers = workers
        self._subscription: Subscription | None = None

    def start(self) -> None:
        """Begin to take messages; returns at once, even while the broker is away."""
        if self._subscription is None:
            self._subscription = self._transport.consume([self.topic], self.host, self._dispatcher, self._workers)

    def stop(self, timeout: float = 10.0) -> bool:
        """Take no more messages and finish those in hand.

        :param timeout: seconds
        :returns: everything was finished; what was not is delivered again later
        """
        subscription, self._subscription = self._subscription, None
        return subscription is None or subscription.stop(timeout)
