"""The outbox on real database servers: what the three databases do differently is how rows are claimed."""

import threading
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from nova_api.db import models
from nova_api.db.engine import Database
from nova_api.rpc.outbox import Outbox
from tests.rpc.test_outbox import CONTEXT, Mailbox, cast, orphan, rows, until
from tests.servers import service


@pytest.fixture(params=["postgresql", "mysql"])
def db(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database of this test's own."""
    url = sa.make_url(service(request.param))
    name = f"outbox_{uuid.uuid4().hex[:12]}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as conn:
        conn.exec_driver_sql(f"CREATE DATABASE {name}")
    made = Database(url.set(database=name).render_as_string(hide_password=False))
    try:
        models.outbox.create(made.engine)
        yield made
    finally:
        made.close()
        with engine.connect() as conn:
            conn.exec_driver_sql(f"DROP DATABASE {name}")
        engine.dispose()


def test_a_committed_message_is_sent_and_its_row_deleted(db: Database) -> None:
    broker = Mailbox()
    box = Outbox(db, broker, "p1")
    box.start()
    cast(db, box, 1, 2, 3)
    messages = [("compute", "note", {"value": value}) for value in range(4, 40)]
    db.write(lambda tx: box.cast_many(tx, CONTEXT, messages))
    until(lambda: box.depth() == 0)
    box.stop()
    assert sorted(broker.taken) == list(range(1, 40))
    assert box.oldest_age() == 0.0


def test_many_relays_send_each_row_once(db: Database) -> None:
    for value in range(100):
        orphan(db, value, None)
    orphan(db, 100, "alive")
    orphan(db, 101, "dead", lease=-1)
    brokers = [Mailbox() for _ in range(3)]
    boxes = [Outbox(db, broker, f"p{n}") for n, broker in enumerate(brokers)]
    for box in boxes:
        box.start()
    until(lambda: boxes[0].depth() == 1)
    for box in boxes:
        box.stop()
    assert sorted(value for broker in brokers for value in broker.taken) == [*range(100), 101]
    assert [row.claimed_by for row in rows(db)] == ["alive"]


def test_requests_and_relays_at_once(db: Database) -> None:
    brokers = [Mailbox() for _ in range(2)]
    boxes = [Outbox(db, broker, f"p{n}") for n, broker in enumerate(brokers)]
    for box in boxes:
        box.start()

    def work(number: int) -> None:
        for value in range(number * 100, number * 100 + 20):
            cast(db, boxes[number % 2], value)

    threads = [threading.Thread(target=work, args=(n,)) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    until(lambda: boxes[0].depth() == 0)
    for box in boxes:
        box.stop()
    taken = sorted(value for broker in brokers for value in broker.taken)
    assert taken == sorted(n * 100 + k for n in range(4) for k in range(20))
