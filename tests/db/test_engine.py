"""Transactions on the three databases: what is tried again, what is not, and how lost connections are told."""

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from nova_api import errors
from nova_api.context import CURRENT_REQUEST
from nova_api.db import engine
from nova_api.db.engine import Database, OutcomeUnknown, Transaction
from tests.databases import database
from tests.proxy import Proxy

SERVERS = ("postgresql", "mysql")
ATTENDANCE = {"postgresql": "SELECT pg_backend_pid()", "mysql": "SELECT CONNECTION_ID()"}
END = {"postgresql": "SELECT pg_terminate_backend({})", "mysql": "KILL {}"}

things = sa.Table(
    "things",
    sa.MetaData(),
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("value", sa.Integer, nullable=False),
)


@pytest.fixture(params=SERVERS)
def server_db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database of a server, with two things in it."""
    with database(request.param, tmp_path, empty=True) as db:
        things.create(db.engine)
        put(db, 1)
        put(db, 2)
        yield db


@pytest.fixture
def far(server_db: Database) -> Iterator[tuple[Database, Proxy]]:
    """The same database over a wire that can be cut."""
    proxy = Proxy((str(server_db.url.host), int(server_db.url.port or 0)))
    url = server_db.url.set(host="127.0.0.1", port=proxy.port)
    if server_db.dialect == "postgresql":
        url = url.update_query_dict({"sslmode": "disable", "gssencmode": "disable"})
    db = Database(url.render_as_string(hide_password=False), pool_size=2, pool_seconds=0.2)
    try:
        yield db, proxy
    finally:
        db.close()
        proxy.down()


def put(db: Database, number: int) -> None:
    db.write(lambda tx: tx.execute(things.insert().values(id=number, value=0)))


def count(tx: Transaction, number: int) -> None:
    tx.execute(things.update().where(things.c.id == number).values(value=things.c.value + 1))


def values(db: Database) -> dict[int, int]:
    with db.read() as conn:
        return {row.id: row.value for row in conn.execute(sa.select(things))}


def at_once(*works: Callable[[], object]) -> None:
    """Run each in a thread of its own, and raise what one of them raises."""
    failed: list[BaseException] = []

    def run(work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=run, args=(work,)) for work in works]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    if failed:
        raise failed[0]
    assert not any(thread.is_alive() for thread in threads)


def test_a_deadlock_is_tried_again(server_db: Database) -> None:
    both = threading.Barrier(2)
    tries: list[int] = []
    committed: list[int] = []

    def crosswise(first: int, second: int) -> None:
        def work(tx: Transaction) -> None:
            tries.append(first)
            tx.after_commit(lambda: committed.append(first))
            count(tx, first)
            if tries.count(first) == 1:
                both.wait(30)  # each holds what the other wants
            count(tx, second)

        server_db.write(work)

    at_once(lambda: crosswise(1, 2), lambda: crosswise(2, 1))
    assert len(tries) > 2
    assert sorted(committed) == [1, 2]
    assert values(server_db) == {1: 2, 2: 2}


@pytest.mark.parametrize("server_db", ["postgresql"], indirect=True)
def test_a_serialization_failure_is_tried_again(server_db: Database) -> None:
    both = threading.Barrier(2)
    tries: list[int] = []

    def turn(number: int) -> None:
        """Count a thing by what the other one says: two at once would both go by what was."""

        def work(tx: Transaction) -> None:
            tx.execute(sa.text("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"))
            other = tx.execute(sa.select(things.c.value).where(things.c.id == 3 - number)).scalar_one()
            tries.append(number)
            if tries.count(number) == 1:
                both.wait(30)
            tx.execute(things.update().where(things.c.id == number).values(value=other + 1))

        server_db.write(work)

    at_once(lambda: turn(1), lambda: turn(2))
    assert len(tries) > 2
    assert sorted(values(server_db).values()) == [1, 2]


def test_a_lock_that_is_held_for_long_is_waited_for_again(server_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    held, free = threading.Event(), threading.Event()
    tries: list[int] = []

    def hold(tx: Transaction) -> None:
        count(tx, 1)
        held.set()
        free.wait(30)

    def wait(tx: Transaction) -> None:
        tries.append(1)
        if len(tries) == 2:
            free.set()
        lock = "SET lock_timeout = '1s'" if server_db.dialect == "postgresql" else "SET innodb_lock_wait_timeout = 1"
        tx.execute(sa.text(lock))
        count(tx, 1)

    def second() -> None:
        held.wait(30)
        server_db.write(wait)

    at_once(lambda: server_db.write(hold), second)
    assert len(tries) >= 2
    assert values(server_db)[1] == 2


def test_every_connection_has_a_bound_on_locks(server_db: Database) -> None:
    name = "lock_timeout" if server_db.dialect == "postgresql" else "@@innodb_lock_wait_timeout"
    with server_db.read() as conn:
        shown = conn.execute(sa.text(f"{'SHOW' if name[0] == 'l' else 'SELECT'} {name}")).scalar_one()
    assert str(shown).rstrip("s") == str(engine.LOCK_SECONDS)


def test_who_never_wins_is_told_to_come_back(server_db: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WRITE_SECONDS", 0.0)
    tries: list[int] = []

    def work(tx: Transaction) -> None:
        tries.append(1)
        if server_db.dialect == "postgresql":
            tx.conn.exec_driver_sql("DO $$ BEGIN RAISE SQLSTATE '40001'; END $$")
        tx.conn.exec_driver_sql("SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213")

    with pytest.raises(errors.ServiceUnavailable, match="busy"):
        server_db.write(work)
    assert tries == [1]


def test_a_constraint_is_no_conflict(server_db: Database) -> None:
    with pytest.raises(IntegrityError):
        put(server_db, 1)


def test_a_connection_that_is_ended_in_a_transaction_is_a_503_and_nothing_is_done(server_db: Database) -> None:
    def work(tx: Transaction) -> None:
        count(tx, 1)
        number = tx.execute(sa.text(ATTENDANCE[server_db.dialect])).scalar_one()
        with server_db.engine.connect() as other:
            other.exec_driver_sql(END[server_db.dialect].format(number))
        count(tx, 2)

    with pytest.raises(errors.ServiceUnavailable) as caught:
        server_db.write(work)
    assert (caught.value.status, caught.value.ec2_code) == (503, "Unavailable")
    assert not isinstance(caught.value, OutcomeUnknown)
    assert values(server_db) == {1: 0, 2: 0}


def test_a_database_that_was_started_anew_is_found_again(far: tuple[Database, Proxy]) -> None:
    db, proxy = far
    for _ in range(2):
        proxy.cut()  # connections of the pool are stale: nobody notices
        assert values(db)[1] == 0
        proxy.cut()
        db.write(lambda tx: count(tx, 2))
    proxy.down()
    for _ in range(3):
        with pytest.raises(errors.ServiceUnavailable, match="does not answer"):
            values(db)
        with pytest.raises(errors.ServiceUnavailable, match="does not answer"):
            db.write(lambda tx: count(tx, 1))
    proxy.up()
    assert values(db) == {1: 0, 2: 2}
    db.write(lambda tx: count(tx, 1))
    assert values(db) == {1: 1, 2: 2}


def test_a_read_that_is_cut_off_is_a_503(far: tuple[Database, Proxy]) -> None:
    db, proxy = far
    with pytest.raises(errors.ServiceUnavailable), db.read() as conn:
        conn.execute(sa.select(things)).all()
        proxy.cut()
        conn.execute(sa.select(things)).all()
    assert values(db)[1] == 0


def test_a_commit_without_an_answer_is_neither_success_nor_tried_again(
    far: tuple[Database, Proxy], server_db: Database, caplog: pytest.LogCaptureFixture
) -> None:
    db, proxy = far
    tries: list[int] = []
    committed: list[int] = []

    def work(tx: Transaction) -> None:
        tries.append(1)
        tx.after_commit(lambda: committed.append(1))
        count(tx, 1)
        proxy.cut_before_the_answer(b"COMMIT")

    with caplog.at_level(logging.ERROR), pytest.raises(OutcomeUnknown) as caught:
        db.write(work)
    assert caught.value.status == 503
    assert "may have been carried out" in str(caught.value)
    assert "not known" in caplog.text
    assert proxy.cut_at.is_set()
    assert (tries, committed) == ([1], [])
    until = time.monotonic() + 30  # the database had it: it is done, once
    while values(server_db)[1] != 1:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_commit_that_did_not_arrive_is_not_taken_for_done(far: tuple[Database, Proxy], server_db: Database) -> None:
    db, proxy = far

    def work(tx: Transaction) -> None:
        count(tx, 1)
        proxy.down()

    with pytest.raises(errors.ServiceUnavailable):
        db.write(work)
    proxy.up()
    db.write(lambda tx: count(tx, 2))
    assert values(server_db) == {1: 0, 2: 1}


def test_an_exhausted_pool_is_a_503_in_bounded_time(far: tuple[Database, Proxy]) -> None:
    db, _ = far
    release = threading.Event()
    taken = threading.Semaphore(0)

    def hold() -> None:
        with db.read():
            taken.release()
            release.wait(30)

    threads = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert taken.acquire(timeout=30)
    with pytest.raises(errors.ServiceUnavailable):
        values(db)
    with pytest.raises(errors.ServiceUnavailable):
        db.write(lambda tx: count(tx, 1))
    release.set()
    for thread in threads:
        thread.join(30)
    assert values(db)[1] == 0


@pytest.mark.parametrize("kind", SERVERS)
def test_what_the_url_says_has_precedence(kind: str) -> None:
    url = {"postgresql": "postgresql+psycopg", "mysql": "mysql+pymysql"}[kind]
    asked: dict[str, Any] = engine._bounded(sa.make_url(f"{url}://u@h/d?connect_timeout=77"))
    assert "connect_timeout" not in asked
    assert len(asked) >= 3
    assert engine._bounded(sa.make_url(f"{url}://u@h/d"))["connect_timeout"] == engine.CONNECT_SECONDS


def test_a_request_that_has_changed_something_is_not_told_to_try_again(tmp_path: Path) -> None:
    def look() -> None:
        with db.read():
            raise sa.exc.OperationalError("SELECT 1", {}, Exception("lost"))

    with database("sqlite", tmp_path, empty=True) as db:
        things.create(db.engine)
        for request, kind in (("req-1", errors.ServiceUnavailable), ("req-2", OutcomeUnknown)):
            token = CURRENT_REQUEST.set(request)
            try:
                if kind is OutcomeUnknown:
                    put(db, 1)
                with pytest.raises(errors.ServiceUnavailable) as caught:
                    look()
            finally:
                CURRENT_REQUEST.reset(token)
            assert type(caught.value) is kind
        with pytest.raises(errors.ServiceUnavailable) as caught:
            look()
        assert type(caught.value) is errors.ServiceUnavailable


def test_who_cannot_have_the_lock_of_sqlite_is_told_so(tmp_path: Path) -> None:
    path = tmp_path / "busy.sqlite"
    db = Database(f"sqlite:///{path}", busy_timeout=0.1)
    things.create(db.engine)
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(errors.ServiceUnavailable, match="busy"):
            put(db, 1)
        threading.Timer(0.3, lambda: other.execute("ROLLBACK")).start()
        put(db, 1)
    finally:
        other.close()
        db.close()


def test_nobody_waits_for_ever_for_his_turn_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine, "WRITE_SECONDS", 0.2)
    with database("sqlite", tmp_path, empty=True) as db:
        things.create(db.engine)
        begun, end = threading.Event(), threading.Event()

        def slow(tx: Transaction) -> None:
            begun.set()
            end.wait(20)

        thread = threading.Thread(target=db.write, args=(slow,))
        thread.start()
        try:
            assert begun.wait(20)
            with pytest.raises(errors.ServiceUnavailable, match="busy"):
                put(db, 1)
        finally:
            end.set()
            thread.join()
        put(db, 1)
