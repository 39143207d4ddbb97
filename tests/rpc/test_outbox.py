import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api import errors
from nova_api.context import RequestContext
from nova_api.db import models
from nova_api.db.engine import Database, Transaction
from nova_api.rpc import envelope, outbox
from nova_api.rpc.inprocess import InProcessTransport
from nova_api.rpc.outbox import Outbox
from nova_api.rpc.transport import Handler, NoConsumer, Subscription, Transport, TransportError

CONTEXT = RequestContext(user_id="alice", project_id="acme")


class Recorder:
    """A handler that notes the values it gets, and can be held up."""

    def __init__(self) -> None:
        self.seen: list[int] = []
        self.changed = threading.Condition()
        self.gate = threading.Event()
        self.gate.set()

    def __call__(self, message: envelope.Message) -> None:
        with self.changed:
            self.seen.append(message.args["value"])
            self.changed.notify_all()
        self.gate.wait(30)

    def until(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.seen) >= count, 30), self.seen


class Mailbox(Transport):
    """A broker that can be away: what it takes, it keeps."""

    survives_process = True

    def __init__(self) -> None:
        super().__init__()
        self.taken: list[int] = []
        self.unknown: set[str] = set()
        self.away = False
        self.tries = threading.Semaphore(0)

    def send(self, topic: str, body: str, on_done: Callable[[], None] | None = None) -> None:
        try:
            if self.away:
                raise TransportError()
            if topic in self.unknown:
                raise NoConsumer(topic)
            self.taken.append(envelope.decode(body)["args"]["value"])
        finally:
            self.tries.release()
        if on_done is not None:
            on_done()

    def fanout(self, topic: str, body: str) -> None:
        raise NotImplementedError

    def call(self, topic: str, msg_id: str, body: str, timeout: float) -> Any:
        raise NotImplementedError

    def consume(self, topics: Any, host: str, handle: Handler, workers: int) -> Subscription:
        raise NotImplementedError

    def close(self) -> None:
        pass


@pytest.fixture
def db(tmp_path: Path) -> Iterator[Database]:
    database = Database(f"sqlite:///{tmp_path}/x.sqlite")
    models.metadata.create_all(database.engine)
    yield database
    database.close()


@pytest.fixture
def transport() -> Iterator[InProcessTransport]:
    made = InProcessTransport()
    yield made
    made.close()


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "backoff", lambda tries: 0.0)


def cast(db: Database, box: Outbox, *values: int, topic: str = "compute") -> None:
    def work(tx: Transaction) -> None:
        for value in values:
            box.cast(tx, CONTEXT, topic, "note", value=value)

    db.write(work)


def rows(db: Database) -> list[Any]:
    with db.read() as conn:
        return list(conn.execute(sa.select(models.outbox).order_by(models.outbox.c.id)))


def end_leases(db: Database) -> None:
    past = models.now() - timedelta(seconds=1)
    db.write(lambda tx: tx.execute(models.outbox.update().values(claimed_until=past)) and None)


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread is about to do."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.002)


# -- what a transaction decides ------------------------------------------------------------------------


def test_a_message_is_sent_after_the_commit_and_not_before(db: Database, transport: InProcessTransport) -> None:
    recorder = Recorder()
    transport.consume(["compute"], "h1", recorder, 1)
    box = Outbox(db, transport, "p1")

    def work(tx: Transaction) -> None:
        box.cast(tx, CONTEXT, "compute", "note", value=1)
        assert recorder.seen == []

    db.write(work)
    recorder.until(1)
    until(lambda: box.depth() == 0)


def test_a_rollback_sends_nothing(db: Database, transport: InProcessTransport) -> None:
    recorder = Recorder()
    transport.consume(["compute"], "h1", recorder, 1)
    box = Outbox(db, transport, "p1")

    def work(tx: Transaction) -> None:
        box.cast(tx, CONTEXT, "compute", "note", value=1)
        raise errors.InstanceNotFound("i-1")

    with pytest.raises(errors.InstanceNotFound):
        db.write(work)
    box.start()
    cast(db, box, 2)
    recorder.until(1)
    box.stop()
    assert recorder.seen == [2]
    assert rows(db) == []


def test_the_row_holds_the_message(db: Database, transport: InProcessTransport) -> None:
    box = Outbox(db, transport, "p1")
    db.write(lambda tx: box.cast(tx, CONTEXT, "scheduler", "create_volume", topic="volume", volume_id=7))
    (row,) = rows(db)
    assert row.topic == "scheduler"
    message = envelope.unpack(envelope.decode(row.body))
    assert message == envelope.Message("create_volume", {"topic": "volume", "volume_id": 7}, CONTEXT, None)


def test_many_casts_are_one_statement(db: Database, transport: InProcessTransport) -> None:
    recorder = Recorder()
    transport.consume(["compute"], "h1", recorder, 1)
    box = Outbox(db, transport, "p1")
    statements: list[str] = []
    sa.event.listen(db.engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    messages = [("compute", "note", {"value": value}) for value in range(20)]
    recorder.gate.clear()
    db.write(lambda tx: box.cast_many(tx, CONTEXT, messages))
    assert sum(s.startswith("INSERT") for s in statements) == 1
    recorder.gate.set()
    recorder.until(20)
    until(lambda: box.depth() == 0)
    assert sorted(recorder.seen) == list(range(20))
    db.write(lambda tx: box.cast_many(tx, CONTEXT, []))
    assert box.depth() == 0


def test_a_request_does_not_fail_for_a_message_that_cannot_be_sent(db: Database) -> None:
    class Broken(Mailbox):
        def send(self, *args: Any) -> None:
            raise RuntimeError("a defect")

    box = Outbox(db, Broken(), "p1")
    cast(db, box, 1)
    assert box.depth() == 1


# -- in process ----------------------------------------------------------------------------------------


def test_the_row_stays_until_the_handler_has_finished(db: Database, transport: InProcessTransport) -> None:
    recorder = Recorder()
    recorder.gate.clear()
    transport.consume(["compute"], "h1", recorder, 1)
    box = Outbox(db, transport, "p1")
    box.start()
    cast(db, box, 1)
    recorder.until(1)
    end_leases(db)
    assert box.depth() == 1
    recorder.gate.set()
    until(lambda: box.depth() == 0)
    box.stop()
    assert recorder.seen == [1]


def test_rows_in_flight_are_not_sent_again(
    db: Database, transport: InProcessTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "SCAN_SECONDS", 0.005)
    monkeypatch.setattr(outbox, "BATCH", 2)
    recorder = Recorder()
    recorder.gate.clear()
    transport.consume(["compute"], "h1", recorder, 8)
    transport.consume(["volume"], "h1", recorder, 1)
    box = Outbox(db, transport, "p1")
    box.start()
    cast(db, box, 1, 2, 3, 4, 5)
    recorder.until(5)
    end_leases(db)
    orphan(db, 6, "dead", topic="volume")  # behind more rows in flight than one batch holds
    recorder.until(6)
    recorder.gate.set()
    until(lambda: box.depth() == 0)
    box.stop()
    assert sorted(recorder.seen) == [1, 2, 3, 4, 5, 6]


def orphan(db: Database, value: int, process: str | None, topic: str = "compute", lease: float = 3600.0) -> None:
    """A row of another process."""
    body = envelope.encode(envelope.pack(CONTEXT, "note", {"value": value}))
    until_when = models.now() + timedelta(seconds=lease)
    statement = models.outbox.insert().values(
        topic=topic, body=body, claimed_by=process, claimed_until=until_when if process else None
    )
    db.write(lambda tx: tx.execute(statement) and None)


def test_what_a_killed_process_left_is_sent_once_in_order(db: Database, transport: InProcessTransport) -> None:
    killed = Outbox(db, InProcessTransport(), "dead")  # nobody consumes there, and it is never heard of again
    cast(db, killed, 1, 2, 3)
    orphan(db, 4, "dead")
    recorder = Recorder()
    transport.consume(["compute"], "h1", recorder, 1)
    box = Outbox(db, transport, "p2")
    box.start()
    recorder.until(4)
    cast(db, box, 5)
    until(lambda: box.depth() == 0)
    box.stop()
    assert recorder.seen == [1, 2, 3, 4, 5]


def test_a_message_waits_for_its_consumer(
    db: Database, transport: InProcessTransport, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "backoff", lambda tries: 0.01)
    box = Outbox(db, transport, "p1")
    box.start()
    cast(db, box, 1, 2)
    until(lambda: any(row.attempts > 1 for row in rows(db)))
    recorder = Recorder()
    transport.consume(["compute"], "h1", recorder, 1)
    recorder.until(2)
    until(lambda: box.depth() == 0)
    box.stop()
    assert sorted(recorder.seen) == [1, 2]


def test_stop_deletes_the_rows_of_finished_messages(db: Database, transport: InProcessTransport) -> None:
    recorder = Recorder()
    subscription = transport.consume(["compute"], "h1", recorder, 4)
    box = Outbox(db, transport, "p1")
    box.start()
    cast(db, box, *range(50))
    assert subscription.stop(30)
    box.stop()
    assert sorted(recorder.seen) == list(range(50))
    assert rows(db) == []


def test_after_stop_messages_are_still_sent(db: Database, transport: InProcessTransport) -> None:
    recorder = Recorder()
    transport.consume(["compute"], "h1", recorder, 1)
    box = Outbox(db, transport, "p1")
    box.start()
    box.stop()
    cast(db, box, 1)
    recorder.until(1)
    until(lambda: box.depth() == 0)


def test_an_unfinished_message_is_sent_after_the_next_start(db: Database, transport: InProcessTransport) -> None:
    def unavailable(message: envelope.Message) -> None:
        begun.set()
        raise errors.ServiceUnavailable("the datastore is away")

    begun = threading.Event()
    subscription = transport.consume(["compute"], "h1", unavailable, 1)
    box = Outbox(db, transport, "p1")
    box.start()
    cast(db, box, 1)
    assert begun.wait(30)
    assert subscription.stop(30)
    box.stop()
    recorder, again = Recorder(), InProcessTransport()
    again.consume(["compute"], "h1", recorder, 1)
    second = Outbox(db, again, "p2")
    second.start()
    recorder.until(1)
    until(lambda: second.depth() == 0)
    second.stop()
    again.close()


def test_depth_and_age(db: Database, transport: InProcessTransport) -> None:
    box = Outbox(db, transport, "p1")
    assert (box.depth(), box.oldest_age()) == (0, 0.0)
    cast(db, box, 1, 2)
    old = models.now() - timedelta(seconds=60)
    db.write(lambda tx: tx.execute(models.outbox.update().values(created_at=old)) and None)
    assert box.depth() == 2
    assert box.oldest_age() >= 60


# -- with a broker -------------------------------------------------------------------------------------


def test_what_the_broker_confirmed_is_deleted(db: Database) -> None:
    broker = Mailbox()
    box = Outbox(db, broker, "p1")
    box.start()
    cast(db, box, *range(5))
    until(lambda: len(broker.taken) == 5)
    box.stop()
    assert broker.taken == list(range(5))
    assert rows(db) == []


def test_messages_wait_while_the_broker_is_away(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "backoff", lambda tries: 0.02)
    broker = Mailbox()
    broker.away = True
    box = Outbox(db, broker, "p1")
    box.start()
    cast(db, box, *range(10))
    assert broker.tries.acquire(timeout=30)
    cast(db, box, *range(10, 20))
    until(lambda: all(row.claimed_by is None for row in rows(db)))
    broker.away = False
    until(lambda: box.depth() == 0)
    box.stop()
    assert sorted(broker.taken) == list(range(20))


def test_a_topic_without_a_queue_does_not_hold_up_the_others(db: Database) -> None:
    broker = Mailbox()
    broker.unknown = {"compute.gone"}
    box = Outbox(db, broker, "p1")
    box.start()
    cast(db, box, 1, topic="compute.gone")
    cast(db, box, 2)
    until(lambda: broker.taken == [2])
    broker.unknown = set()
    until(lambda: sorted(broker.taken) == [1, 2])
    box.stop()
    assert rows(db) == []


def test_a_lease_protects_the_rows_of_a_live_process(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "SCAN_SECONDS", 0.01)
    orphan(db, 1, "alive", lease=3600)
    orphan(db, 2, "dead", lease=-1)
    orphan(db, 3, None)
    broker = Mailbox()
    box = Outbox(db, broker, "p1")
    box.start()
    until(lambda: len(broker.taken) == 2)
    box.stop()
    assert broker.taken == [2, 3]
    assert [row.claimed_by for row in rows(db)] == ["alive"]


def test_two_relays_send_each_row_once(db: Database) -> None:
    for value in range(300):
        orphan(db, value, None)
    brokers = [Mailbox(), Mailbox()]
    boxes = [Outbox(db, broker, f"p{n}") for n, broker in enumerate(brokers)]
    for box in boxes:
        box.start()
    until(lambda: boxes[0].depth() == 0)
    for box in boxes:
        box.stop()
    assert sorted(brokers[0].taken + brokers[1].taken) == list(range(300))


def test_more_messages_than_memory_holds_wait_in_their_rows(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox, "MAX_QUEUED", 2)
    monkeypatch.setattr(outbox, "SCAN_SECONDS", 0.01)
    broker = Mailbox()
    box = Outbox(db, broker, "p1", lease_seconds=0.05)
    box.start()
    cast(db, box, *range(30))
    until(lambda: box.depth() == 0)
    box.stop()
    assert sorted(set(broker.taken)) == list(range(30))


def test_a_database_that_is_away_does_not_end_the_relay(db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    broker = Mailbox()
    box = Outbox(db, broker, "p1")
    cast_first, write = threading.Event(), db.write

    def failing(work: Any) -> Any:
        if cast_first.is_set() and threading.current_thread().name == "outbox":
            cast_first.clear()
            raise errors.ServiceUnavailable("away")
        return write(work)

    monkeypatch.setattr(db, "write", failing)
    box.start()
    cast_first.set()
    cast(db, box, 1)
    until(lambda: box.depth() == 0)
    box.stop()
    assert broker.taken == [1]
