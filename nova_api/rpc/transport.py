"""What every message transport does, and how it fails."""

import logging
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from nova_api import errors
from nova_api.rpc.envelope import Message

Handler = Callable[[Message], object]
#: Ending of the name of the queue where messages of another one wait that several processes have died with.
SUSPECTS = ".suspects"

log = logging.getLogger(__name__)


class TransportError(errors.ServiceUnavailable):
    """The message was not taken over: whoever sends it still has to."""

    def __init__(self, message: str = "The message broker does not answer. Please try your request again.") -> None:
        super().__init__(message)


class NoConsumer(TransportError):
    """Nobody consumes the topic yet; the broker itself is well."""

    def __init__(self, topic: str) -> None:
        self.topic = topic
        super().__init__(f"No service takes messages for {topic}. Please try your request again.")


class Counters:
    """How many messages were handled, refused, and given up for dead, for the metrics of an operator."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.handled = 0
        self.dead = 0

    def count(self, *, dead: bool) -> None:
        """Count one message that needs no further delivery."""
        with self._lock:
            self.handled += 1
            self.dead += dead


class Subscription(Protocol):
    """A running consumer."""

    def stop(self, timeout: float) -> bool:
        """Take no more messages and finish those in hand.

        :param timeout: seconds; what is not finished by then stays with its sender or broker
        :returns: everything was finished
        """


class Transport(ABC):
    """The way from those who send messages to those who handle them; delivers each at least once.

    :cvar survives_process: a message that ``send`` took over outlives this process. Where it does not,
        ``on_done`` comes only after the handler has finished.
    :ivar counters: what was consumed here
    """

    survives_process: bool

    def __init__(self) -> None:
        self.counters = Counters()

    @abstractmethod
    def send(self, topic: str, body: str, on_done: Callable[[], None] | None = None) -> None:
        """Hand a message to one consumer of ``topic``.

        :param topic: ``topic`` for any consumer, ``topic.host`` for the one on that host
        :param body: encoded message
        :param on_done: called once when nothing is left to do for the sender; possibly in another thread
        :raises NoConsumer: nobody consumes the topic
        :raises TransportError: the message was not taken over, or it is not known whether it was
        """

    @abstractmethod
    def fanout(self, topic: str, body: str) -> None:
        """Hand a message to every consumer of ``topic`` that is there now; none is no error.

        :raises TransportError: the broker does not answer
        """

    @abstractmethod
    def call(self, topic: str, msg_id: str, body: str, timeout: float) -> Any:
        """Hand a message to one consumer and wait for its result.

        :param msg_id: the ``_msg_id`` in the body
        :param timeout: seconds for everything together
        :raises RemoteError: the method raised
        :raises RpcTimeout: no result in time
        :raises NoConsumer: nobody consumes the topic
        :raises TransportError: the broker does not answer
        """

    @abstractmethod
    def consume(self, topics: Sequence[str], host: str, handle: Handler, workers: int) -> Subscription:
        """Handle the messages of each topic, of ``topic.host``, and those fanned out to it.

        :param handle: called in a thread of its own with each message; what it returns answers a call
        :param workers: casts handled at a time
        """

    @abstractmethod
    def close(self) -> None:
        """Stop every consumer at once and let go of the broker."""
