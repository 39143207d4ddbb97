"""A consumer at the broker: one thread owns the connection, others handle the messages.

A cast is acknowledged after its handler has finished: a killed node's messages are delivered again. A call
is acknowledged before, as in 2012.1: nobody waits for its answer twice. The connection's thread sleeps until
the broker or a finished handler has something for it.
"""

import logging
import secrets
import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any

from nova_api.rpc import broker, envelope
from nova_api.rpc.broker import Broker, Publisher
from nova_api.rpc.delivery import Delivery, Outcome, backoff
from nova_api.rpc.envelope import Message
from nova_api.rpc.transport import Counters, Handler, NoConsumer, TransportError
from nova_api.rpc.workers import Closed, Workers

log = logging.getLogger(__name__)

#: Calls one consumer handles at a time, in threads of their own: a cast may wait for a call to its service.
MAX_CALLS = 256
#: The rest of a message whose first bytes are there.
FRAME_SECONDS = 0.1


class AmqpSubscription:
    """See :meth:`Transport.consume`."""

    def __init__(
        self,
        place: Broker,
        publisher: Publisher,
        counters: Counters,
        topics: Sequence[str],
        host: str,
        handle: Handler,
        workers: int,
    ) -> None:
        self._broker = place
        self._publisher = publisher
        self._topics = tuple(topics)
        self._host = host
        self._prefetch = workers
        self._stopping = threading.Event()
        self._delivery = Delivery(handle, self._stopping, counters)
        self._ended = threading.Event()
        self._session: _Session | None = None
        name = f"rpc-{','.join(topics)}"
        self._casts = Workers(name, workers)
        self._calls = Workers(f"{name}-call", MAX_CALLS)
        self._thread = threading.Thread(target=self._run, name=f"{name}-amqp", daemon=True)

    def start(self) -> None:
        """Connect and consume, now or as soon as the broker is there."""
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Finish what was begun; the broker delivers the rest to others. See :class:`Subscription`."""
        until = time.monotonic() + timeout
        self._stopping.set()
        self._wake()
        finished = self._casts.stop(timeout)
        finished = self._calls.stop(max(0.0, until - time.monotonic())) and finished
        self._ended.set()
        self._wake()
        self._thread.join(max(1.0, until - time.monotonic()))
        return finished

    def _wake(self) -> None:
        session = self._session
        if session is not None:
            session.wake()

    # -- the connection's thread

    def _run(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                with self._connected() as session:
                    if failures:
                        log.info("broker %s: consuming again", self._broker.place)
                    failures = 0
                    self._serve(session)
            except broker.ERRORS as error:
                failures += 1
                pause = backoff(failures)
                log.warning("broker %s: %s; next try in %.0f s", self._broker.place, error, pause)
                self._stopping.wait(pause)
            except Exception:
                failures += 1
                log.exception("broker %s: consumer failed", self._broker.place)
                self._stopping.wait(backoff(failures))

    @contextmanager
    def _connected(self) -> Iterator["_Session"]:
        connection = self._broker.connect(broker.HEARTBEAT_SECONDS)
        try:
            with _waker() as waker, selectors.DefaultSelector() as selector:
                session = _Session(connection, waker, selector)
                session.consume(self._queues(), self._broker.dead, self._prefetch, self._received)
                self._session = session
                try:
                    yield session
                finally:
                    self._session = None
                    session.closed = True
        except BaseException:
            broker.discard(connection)
            raise
        broker.hang_up(connection)

    def _queues(self) -> list[Any]:
        queues = []
        for topic in self._topics:
            queues.append(self._broker.topic_queue(topic))
            queues.append(self._broker.topic_queue(f"{topic}.{self._host}"))
            queues.append(self._broker.fanout_queue(topic, secrets.token_hex(16)))
        return queues

    def _serve(self, session: "_Session") -> None:
        while not self._ended.is_set():
            if self._stopping.is_set():
                session.cancel()
            session.settle()
            session.step()
        session.settle()

    def _received(self, session: "_Session", message: Any) -> None:
        work: Callable[[], None]
        tag, body = message.delivery_tag, message.body
        read = self._delivery.read(body)
        if read is None:
            workers, work = self._casts, partial(self._bury, session, tag, message)
        elif read.msg_id is not None:
            workers, work = self._calls, partial(self._call, session, tag, read, read.msg_id)
        else:
            workers, work = self._casts, partial(self._cast, session, tag, read, message)
        with suppress(Closed):  # stopping: what is not acknowledged, the broker delivers to others
            workers.submit(work)

    # -- the workers' threads

    def _cast(self, session: "_Session", tag: int, message: Message, raw: Any) -> None:
        if session.closed or self._stopping.is_set():
            session.finished(tag, requeue=True)
            return
        outcome = self._delivery.cast(message)
        if outcome is Outcome.DEAD:
            self._bury(session, tag, raw)
        else:
            session.finished(tag, requeue=outcome is Outcome.AGAIN)

    def _bury(self, session: "_Session", tag: int, raw: Any) -> None:
        """Move a message to the dead letter queue, where an operator can look at it."""
        queue, came_by = self._broker.dead.name, str(raw.delivery_info.get("routing_key", ""))
        body = raw.body if isinstance(raw.body, str) else bytes(raw.body).decode("utf-8", "replace")
        try:
            self._publisher.publish("", queue, body, headers={"x-nova-topic": came_by})
        except TransportError:
            self._stopping.wait(backoff(1))
            session.finished(tag, requeue=True)
        else:
            log.error("a message for %s was given up; it is in the queue %s", came_by, queue)
            session.finished(tag)

    def _call(self, session: "_Session", tag: int, message: Message, msg_id: str) -> None:
        session.finished(tag)
        self._delivery.call(message, partial(self._reply, message.context.request_id, msg_id))

    def _reply(self, request_id: str, msg_id: str, reply: dict[str, Any]) -> None:
        try:
            self._publisher.publish(msg_id, msg_id, envelope.encode(reply))
        except NoConsumer:
            log.info("%s: the caller does not wait any more", request_id)
        except TransportError as error:
            log.warning("%s: the reply is lost: %s", request_id, error)


class _Session:
    """One connection and what was delivered over it; acknowledgements belong to where the message came from.

    :ivar closed: the broker delivers again what was not acknowledged by now
    """

    def __init__(
        self,
        connection: Any,
        waker: tuple[socket.socket, socket.socket],
        selector: selectors.BaseSelector,
    ) -> None:
        self.closed = False
        self._connection = connection
        self._wire = connection.connection.sock
        self._reader, self._writer = waker
        self._selector = selector
        for readable in (self._wire, self._reader):
            selector.register(readable, selectors.EVENT_READ)
        self._finished: deque[tuple[int, bool]] = deque()
        self._consumer: Any = None
        self._channel: Any = None

    def consume(
        self, queues: Sequence[Any], dead: Any, prefetch: int, received: Callable[["_Session", Any], None]
    ) -> None:
        """Declare the queues and have their messages delivered to ``received(session, message)``."""
        self._channel = self._connection.channel()
        dead(self._channel).declare()
        self._channel.basic_qos(0, prefetch, False)
        self._consumer = broker.amqp.Consumer(self._channel, queues, on_message=partial(received, self))
        self._consumer.consume()

    def cancel(self) -> None:
        """Have nothing more delivered."""
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            consumer.cancel()

    def finished(self, tag: int, requeue: bool = False) -> None:
        """Tell the connection's thread that a message is done with; any thread may call this."""
        if not self.closed:
            self._finished.append((tag, requeue))
            self.wake()

    def settle(self) -> None:
        """Acknowledge what the handlers have finished."""
        while self._finished:
            tag, requeue = self._finished.popleft()
            if requeue:
                self._channel.basic_reject(tag, True)
            else:
                self._channel.basic_ack(tag)

    def wake(self) -> None:
        """End the sleep of ``step``."""
        with suppress(OSError):  # full: it is about to wake; closed: it has ended
            self._writer.send(b"w")

    def step(self) -> None:
        """Wait for the broker, a finished handler or the time of the next heartbeat, and deal with it."""
        self._connection.heartbeat_check(rate=2)
        if not _buffered(self._wire):
            ready = [key.fileobj for key, _ in self._selector.select(broker.HEARTBEAT_SECONDS / 4)]
            if self._reader in ready:
                with suppress(BlockingIOError):
                    self._reader.recv(4096)
            if self._wire not in ready:
                return
        with suppress(TimeoutError):  # a heartbeat, or half a message
            self._connection.drain_events(timeout=FRAME_SECONDS)


@contextmanager
def _waker() -> Iterator[tuple[socket.socket, socket.socket]]:
    reader, writer = socket.socketpair()
    with reader, writer:
        reader.setblocking(False)
        writer.setblocking(False)
        yield reader, writer


def _buffered(wire: Any) -> bool:
    """Decrypted bytes wait in a TLS socket, where ``select`` does not see them."""
    pending = getattr(wire, "pending", None)
    return pending is not None and pending() > 0
