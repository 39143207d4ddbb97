"""Questions to the broker: does it answer, and what waits in its queues."""

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from nova_api.rpc import broker
from nova_api.rpc.broker import Broker
from nova_api.rpc.transport import SUSPECTS, TransportError

T = TypeVar("T")
_NOT_FOUND = 404


class BrokerProbe:
    """A connection of its own, for one question at a time; made when needed and again when it broke.

    :param place: where to connect
    """

    def __init__(self, place: Broker) -> None:
        self._broker = place
        self._turn = threading.Lock()
        self._connection: Any = None

    @property
    def place(self) -> str:
        """The broker's URL without its password."""
        return self._broker.place

    @property
    def dead_letters(self) -> str:
        """The queue of messages that were given up."""
        return str(self._broker.dead.name)

    def queues(self, services: Iterable[tuple[str, str]]) -> Iterable[str]:
        """The queues that services take their messages from, after that of the dead letters; each once.

        :param services: topic and host of each
        """
        names = (name for topic, host in services for name in (topic, f"{topic}.{host}"))
        return dict.fromkeys([self.dead_letters, *(one for name in names for one in (name, f"{name}{SUSPECTS}"))])

    def ping(self) -> None:
        """Have the broker answer the smallest question.

        :raises TransportError: it does not
        """
        self._ask(lambda connection: connection.channel().close())

    def depths(self, queues: Iterable[str]) -> dict[str, int]:
        """Messages that wait in each queue; a queue that is not there is left out.

        :raises TransportError: the broker does not answer
        """
        return self._ask(lambda connection: _depths(connection, queues))

    def _ask(self, question: Callable[[Any], T]) -> T:
        if not self._turn.acquire(timeout=broker.IO_SECONDS):
            raise TransportError()
        try:
            if self._connection is not None:
                try:
                    return question(self._connection)
                except broker.ERRORS:
                    self._drop()  # it may have been idle while the broker was started anew
            try:
                self._connection = self._broker.connect()
                return question(self._connection)
            except broker.ERRORS as error:
                self._drop()
                raise TransportError(f"The broker {self.place} does not answer: {error}") from error
        finally:
            self._turn.release()

    def _drop(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            broker.discard(connection)

    def close(self) -> None:
        """Let go of the connection."""
        if self._turn.acquire(timeout=broker.IO_SECONDS):
            try:
                self._drop()
            finally:
                self._turn.release()


def _depths(connection: Any, queues: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    channel = connection.channel()
    for name in queues:
        try:
            found[name] = int(channel.queue_declare(queue=name, passive=True).message_count)
        except connection.channel_errors as error:
            if getattr(error, "reply_code", None) != _NOT_FOUND:
                raise
            channel = connection.channel()  # the broker has closed the other one
    channel.close()
    return found
