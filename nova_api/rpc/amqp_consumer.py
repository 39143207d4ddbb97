"""A consumer at the broker: one thread owns the connection, others handle the messages.

A cast is acknowledged after its handler has finished: a killed node's messages are delivered again. A call
is acknowledged before, as in 2012.1: nobody waits for its answer twice. The connection's thread sleeps until
the broker or a finished handler has something for it.

A message may kill the process that handles it, and would kill one after the other: the broker keeps no count. So a
message that comes back from a process which did not let go of it is published anew with the count in a header before
it is handled. After ``SUSPECT_DEATHS`` it goes to a queue of its own, from which a process takes one message at a time
-- what was merely in the same hands is sorted out there -- and after ``MAX_DEATHS`` to the dead letter queue.
"""

import hashlib
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
from nova_api.rpc.in_hand import InHand
from nova_api.rpc.transport import SUSPECTS, Counters, Handler, NoConsumer, TransportError
from nova_api.rpc.workers import Closed, Workers

log = logging.getLogger(__name__)

#: Calls one consumer handles at a time, in threads of their own: a cast may wait for a call to its service.
MAX_CALLS = 256
#: Processes that a message may be in the hands of when they end, before it is handled apart from others, and before it
#: is given up.
SUSPECT_DEATHS, MAX_DEATHS = 3, 8
_DEATHS = "x-nova-deaths"
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
        self._counters = counters
        self._hand = InHand()
        self._quiet = threading.Event()  # stopping, and nothing more is delivered
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
        self._quiet.wait(min(timeout, broker.IO_SECONDS))
        finished = self._casts.stop(max(0.0, until - time.monotonic()))
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
        self._quiet.set()

    @contextmanager
    def _connected(self) -> Iterator["_Session"]:
        connection = self._broker.connect(broker.HEARTBEAT_SECONDS)
        try:
            with _waker() as waker, selectors.DefaultSelector() as selector:
                session = _Session(connection, waker, selector)
                session.consume(self._queues(), self._prefetch, self._received)
                session.consume(self._suspects(), 1, self._received)
                session.declare(self._broker.dead)
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

    def _suspects(self) -> list[Any]:
        names = [name for topic in self._topics for name in (topic, f"{topic}.{self._host}")]
        return [self._broker.suspect_queue(name) for name in names]

    def _serve(self, session: "_Session") -> None:
        while not self._ended.is_set():
            if self._stopping.is_set():
                session.cancel()
                self._quiet.set()
            session.settle()
            session.step()
        session.settle()

    def _received(self, receipt: "_Receipt", message: Any) -> None:
        read = self._delivery.read(message.body)
        if read is not None and read.msg_id is not None:
            self._submit(self._calls, partial(self._call, receipt, read, read.msg_id))
            return
        key = _id_of(message)
        returned = bool(message.delivery_info.get("redelivered")) and not self._hand.knows(key)
        if not self._hand.take(key, receipt):
            return
        if read is None:
            work = partial(self._bury, key, message)
        elif returned:
            work = partial(self._came_back, key, message)
        else:
            work = partial(self._cast, receipt, key, read, message)
        if not self._submit(self._casts, work):
            self._hand.forget(key)

    @staticmethod
    def _submit(workers: Workers, work: Callable[[], None]) -> bool:
        with suppress(Closed):  # stopping: what is not acknowledged, the broker delivers to others
            workers.submit(work)
            return True
        return False

    # -- the workers' threads

    def _cast(self, receipt: "_Receipt", key: str, message: Message, raw: Any) -> None:
        begun = not receipt.void and not self._stopping.is_set()
        outcome = self._delivery.cast(message) if begun else Outcome.AGAIN
        if outcome is Outcome.DEAD:
            self._bury(key, raw)
        elif outcome is Outcome.DONE:
            self._hand.leave(key)
        else:
            self._give_back(receipt, key, raw)

    def _give_back(self, receipt: "_Receipt", key: str, raw: Any) -> None:
        """Leave a message to a later time, or to another process.

        As a new one at the end of its queue: what is rejected comes back marked as redelivered, and looks to another
        process as if this one had died of it.
        """
        queue, deaths = _queue_of(raw), _deaths_of(raw)
        if receipt.void or not queue:  # the broker delivers it again by itself; or it was fanned out to this process
            self._hand.leave(key, requeue=True)
            return
        if self._stopping.is_set():  # else it would come back here, where nobody works any more
            self._quiet.wait(broker.IO_SECONDS)
        self._move(self._place_of(queue, deaths), key, raw, {_DEATHS: deaths} if deaths else {})

    def _place_of(self, queue: str, deaths: int) -> str:
        """Where a message for ``queue`` waits."""
        return str(self._broker.suspect_queue(queue).name) if deaths >= SUSPECT_DEATHS else queue

    def _came_back(self, key: str, raw: Any) -> None:
        """Count one more process that did not live to acknowledge a message; the broker delivers the copy."""
        deaths, queue = _deaths_of(raw) + 1, _queue_of(raw)
        if deaths > MAX_DEATHS:
            log.error("a message for %s was in the hands of %d processes when they ended", queue, deaths)
            self._counters.count(dead=True)
            self._bury(key, raw)
            return
        log.warning("a message for %s comes back unfinished from another process, for the %d. time", queue, deaths)
        self._move(self._place_of(queue, deaths), key, raw, {_DEATHS: deaths})

    def _bury(self, key: str, raw: Any) -> None:
        """Move a message to the dead letter queue, where an operator can look at it."""
        target, came_by = self._broker.dead.name, _queue_of(raw)
        if self._move(target, key, raw, {"x-nova-topic": came_by, _DEATHS: _deaths_of(raw)}):
            log.error("a message for %s was given up; it is in the queue %s", came_by, target)

    def _move(self, queue: str, key: str, raw: Any, headers: dict[str, Any]) -> bool:
        """Publish a message to another queue, under another id: here this one is finished; or keep it for now."""
        body = raw.body if isinstance(raw.body, str) else bytes(raw.body).decode("utf-8", "replace")
        try:
            self._publisher.publish("", queue, body, headers=headers, message_id=envelope.new_msg_id())
        except TransportError:
            self._stopping.wait(backoff(1))
            self._hand.forget(key, requeue=True)
            return False
        self._hand.leave(key)
        return True

    def _call(self, receipt: "_Receipt", message: Message, msg_id: str) -> None:
        receipt.settle(False)
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
        self._finished: deque[tuple[Any, int, bool]] = deque()
        self._consumers: list[Any] = []

    def declare(self, queue: Any) -> None:
        """Have a queue exist from which nothing is delivered."""
        queue(self._connection.default_channel).declare()

    def consume(self, queues: Sequence[Any], prefetch: int, received: Callable[["_Receipt", Any], None]) -> None:
        """Declare queues and have their messages delivered to ``received(receipt, message)``.

        :param prefetch: messages of each queue that are delivered before one of them is acknowledged
        """
        channel = self._connection.channel()
        channel.basic_qos(0, prefetch, False)

        def on_message(message: Any) -> None:
            received(_Receipt(self, channel, message.delivery_tag), message)

        consumer = broker.amqp.Consumer(channel, queues, on_message=on_message)
        consumer.consume()
        self._consumers.append(consumer)

    def cancel(self) -> None:
        """Have nothing more delivered."""
        consumers, self._consumers = self._consumers, []
        for consumer in consumers:
            consumer.cancel()

    def finished(self, channel: Any, tag: int, requeue: bool) -> None:
        """Tell the connection's thread that a message is done with; any thread may call this."""
        if not self.closed:
            self._finished.append((channel, tag, requeue))
            self.wake()

    def settle(self) -> None:
        """Acknowledge what the handlers have finished."""
        while self._finished:
            channel, tag, requeue = self._finished.popleft()
            if requeue:
                channel.basic_reject(tag, True)
            else:
                channel.basic_ack(tag)

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


class _Receipt:
    """What the broker waits for: the acknowledgement of a message, over the channel that the message came by."""

    __slots__ = ("_channel", "_session", "_tag")

    def __init__(self, session: _Session, channel: Any, tag: int) -> None:
        self._session, self._channel, self._tag = session, channel, tag

    @property
    def void(self) -> bool:
        """The connection is gone: the broker delivers the message again."""
        return self._session.closed

    def settle(self, requeue: bool) -> None:
        """See :class:`Receipt`."""
        self._session.finished(self._channel, self._tag, requeue)


def _id_of(raw: Any) -> str:
    """What a message has in common with itself; nodes of others give theirs no id."""
    given = raw.properties.get("message_id")
    if given:
        return str(given)
    body = raw.body.encode() if isinstance(raw.body, str) else bytes(raw.body)
    return hashlib.sha256(_queue_of(raw).encode() + b"\0" + body).hexdigest()


def _deaths_of(raw: Any) -> int:
    """How many processes have died with a message in their hands, as far as is known."""
    found = (raw.headers or {}).get(_DEATHS)
    return found if isinstance(found, int) and found > 0 else 0


def _queue_of(raw: Any) -> str:
    """The topic that a message was sent to."""
    return str(raw.delivery_info.get("routing_key", "")).removesuffix(SUSPECTS)


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
