"""The embedded transport: nodes are threads of this process; a message is a text handed from one to another.

Bodies are encoded and decoded as for a broker, so that a message that works here works there. What is in
hand dies with the process: the outbox keeps its row until the handler has finished.
"""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from nova_api.rpc import envelope
from nova_api.rpc.delivery import Delivery, Outcome
from nova_api.rpc.envelope import MalformedMessage, Replies, RpcTimeout
from nova_api.rpc.transport import Handler, NoConsumer, Subscription, Transport, TransportError
from nova_api.rpc.workers import Closed, Workers

log = logging.getLogger(__name__)

#: Casts that wait at one consumer before it takes no more; their rows stay in the outbox and come back.
MAX_WAITING = 10_000
#: Calls one consumer handles at a time, in threads of their own: a cast may wait for a call to its service.
MAX_CALLS = 256


class InProcessTransport(Transport):
    """Queues in memory, threads that come and go."""

    survives_process = False

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._turn: Iterator[int] = itertools.count()
        #: Queue name -> who consumes it. Replaced, never changed, so that senders need no lock.
        self._consumers: dict[str, tuple[_Consumer, ...]] = {}
        self._fanouts: dict[str, tuple[_Consumer, ...]] = {}

    def send(self, topic: str, body: str, on_done: Callable[[], None] | None = None) -> None:
        self._consumer(topic).cast(topic, body, on_done)

    def fanout(self, topic: str, body: str) -> None:
        for consumer in self._fanouts.get(topic, ()):
            try:
                consumer.cast(topic, body, None)
            except TransportError as error:
                log.warning("a message fanned out to %s is not heard by all: %s", topic, error)

    def call(self, topic: str, msg_id: str, body: str, timeout: float) -> Any:
        replies, done = Replies(), threading.Event()

        def take(message: dict[str, Any]) -> None:
            replies.add(envelope.decode(envelope.encode(message)))
            if replies.done:
                done.set()

        self._consumer(topic).call(topic, body, take)
        if not done.wait(timeout):
            raise RpcTimeout()
        return replies.value()

    def consume(self, topics: Sequence[str], host: str, handle: Handler, workers: int) -> Subscription:
        consumer = _Consumer(self, handle, workers, ",".join(topics))
        with self._lock:
            for topic in topics:
                for name in (topic, f"{topic}.{host}"):
                    self._consumers = _with(self._consumers, name, consumer)
                self._fanouts = _with(self._fanouts, topic, consumer)
        return consumer

    def forget(self, consumer: "_Consumer") -> None:
        """Send nothing more to a consumer."""
        with self._lock:
            self._consumers = _without(self._consumers, consumer)
            self._fanouts = _without(self._fanouts, consumer)

    def close(self) -> None:
        for consumer in {c for group in self._consumers.values() for c in group}:
            consumer.stop(0)

    def _consumer(self, topic: str) -> "_Consumer":
        group = self._consumers.get(topic, ())
        if not group:
            raise NoConsumer(topic)
        return group[next(self._turn) % len(group)] if len(group) > 1 else group[0]


class _Consumer:
    """One subscription."""

    def __init__(self, transport: InProcessTransport, handle: Handler, workers: int, name: str) -> None:
        self._transport = transport
        self._stopping = threading.Event()
        self._delivery = Delivery(handle, self._stopping, transport.counters)
        self._casts = Workers(f"rpc-{name}", workers)
        self._calls = Workers(f"rpc-{name}-call", MAX_CALLS)

    def cast(self, topic: str, body: str, on_done: Callable[[], None] | None) -> None:
        """Queue a cast."""
        if self._casts.waiting >= MAX_WAITING:
            raise TransportError(f"{MAX_WAITING} messages wait for {topic}. Please try your request again.")
        self._submit(self._casts, topic, partial(self._handle, body, on_done))

    def call(self, topic: str, body: str, reply: Callable[[dict[str, Any]], None]) -> None:
        """Queue a call."""
        try:
            message = envelope.unpack(envelope.decode(body))
        except MalformedMessage as error:
            reply(envelope.failure(error))
            return
        self._submit(self._calls, topic, partial(self._delivery.call, message, reply))

    def stop(self, timeout: float) -> bool:
        """Finish what was taken; see :class:`Subscription`."""
        until = time.monotonic() + timeout
        self._transport.forget(self)
        self._stopping.set()
        finished = self._casts.stop(timeout)
        return self._calls.stop(max(0.0, until - time.monotonic())) and finished

    def _submit(self, workers: Workers, topic: str, job: Callable[[], None]) -> None:
        try:
            workers.submit(job)
        except Closed:
            raise NoConsumer(topic) from None

    def _handle(self, body: str, on_done: Callable[[], None] | None) -> None:
        message = self._delivery.read(body)
        if message is not None and self._delivery.cast(message) is Outcome.AGAIN:
            # With the workers stopped it stays with its sender: the outbox sends it after the next start.
            with suppress(Closed):
                self._casts.submit(partial(self._handle, body, on_done))
        elif on_done is not None:
            on_done()


_Table = dict[str, tuple[_Consumer, ...]]


def _with(table: _Table, name: str, consumer: _Consumer) -> _Table:
    return {**table, name: (*table.get(name, ()), consumer)}


def _without(table: _Table, consumer: _Consumer) -> _Table:
    kept = {name: tuple(c for c in group if c is not consumer) for name, group in table.items()}
    return {name: group for name, group in kept.items() if group}
