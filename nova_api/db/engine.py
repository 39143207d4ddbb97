"""Connections and transactions: the one place where the three databases differ.

SQLite (the embedded default) runs in WAL mode; writers take the lock at BEGIN, one at a time, so a transaction never
fails half way for the lock's sake. PostgreSQL and MariaDB run at READ COMMITTED with explicit row locks.

What a caller of :meth:`Database.write` may rely on: it returns only after the COMMIT was confirmed, and runs the work
again only when the database has said that it was rolled back. A connection that is lost between the COMMIT and its
answer leaves the outcome unknown: that is :class:`OutcomeUnknown`, a 503 which says so, and nothing is tried again. If
the COMMIT did arrive, the messages of the transaction are in the outbox and its work is carried out, once.
"""

import logging
import random
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.sql import Executable

from nova_api import errors
from nova_api.context import CURRENT_REQUEST
from nova_api.db.patterns import sqlite_regexp

T = TypeVar("T")
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]

log = logging.getLogger(__name__)


def _brief(record: logging.LogRecord) -> bool:
    """Say in one line that a connection was lost while nothing was asked on it: that is no defect."""
    if record.exc_info and record.exc_info[1] is not None:
        record.msg, record.args = "%s: %s", (record.getMessage(), str(record.exc_info[1]).split("\n", 1)[0])
        record.exc_info = None
    return True


logging.getLogger("sqlalchemy.pool.impl.QueuePool").addFilter(_brief)

_KNOWN = "known are sqlite:///PATH, postgresql+psycopg://… and mysql+pymysql://…"
#: How often a transaction that lost a deadlock is tried again before the caller is told to come back.
ATTEMPTS = 8
#: Seconds after which it is not tried again, however few attempts there were: somebody waits for the answer.
WRITE_SECONDS = 30.0
#: Seconds one waits for a connection of the pool; then too much is going on, which is better said than waited for.
POOL_SECONDS = 10.0
#: Seconds one waits for a row that another transaction has locked; the transaction is tried again then.
LOCK_SECONDS = 10
#: Seconds until a database that does not answer a connection is given up.
CONNECT_SECONDS = 5
#: Seconds until a host that has vanished from the network is given up.
SILENT_SECONDS = 30
#: SQLSTATE of PostgreSQL and error numbers of MariaDB that mean "the transaction was fine, try it again": serialization
#: failure, deadlock, lock not available; record changed since it was read, lock wait timeout, deadlock.
_RETRY_SQLSTATE = {"40001", "40P01", "55P03"}
_RETRY_ERRNO = {1020, 1205, 1213}


#: The request that has committed something here: it has had an effect, whatever fails after that.
_COMMITTED: ContextVar[str] = ContextVar("nova_committed_request", default="")


class OutcomeUnknown(errors.ServiceUnavailable):
    """The connection was lost after the COMMIT was sent and before it was confirmed, or after the request had committed
    something.
    """

    def __init__(self) -> None:
        super().__init__(
            "The datastore did not confirm the request, which may have been carried out."
            " Please look before you send it again."
        )


class Transaction:
    """A write transaction in progress.

    :ivar conn: the connection it runs on
    :ivar worked: everything is done but the COMMIT
    """

    __slots__ = ("_callbacks", "conn", "worked")

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
        self.worked = False
        self._callbacks: list[Callable[[], None]] = []

    def execute(self, statement: Executable, parameters: Parameters | None = None) -> CursorResult[Any]:
        """Run one statement in the transaction."""
        return self.conn.execute(statement, parameters)

    def after_commit(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` once the transaction is committed; never when it is rolled back."""
        self._callbacks.append(callback)

    def committed(self) -> None:
        """Run the callbacks: called by the database after the commit."""
        for callback in self._callbacks:
            callback()


class Database:
    """The datastore.

    :param url: SQLAlchemy URL; ``sqlite:///path``, ``postgresql+psycopg://…``, ``mysql+pymysql://…``
    :param pool_size: connections kept open; as many more are made when they are all in use
    :param pool_seconds: how long one waits for a connection when those are in use too
    :param sqlite_synchronous: ``NORMAL`` survives the death of the process, ``FULL`` that of the machine
    :param busy_timeout: seconds a SQLite writer waits for another process
    :raises ConfigError: the URL is none, or its driver is not there
    """

    def __init__(
        self,
        url: str,
        *,
        pool_size: int = 10,
        pool_seconds: float = POOL_SECONDS,
        sqlite_synchronous: str = "NORMAL",
        busy_timeout: float = 30.0,
    ) -> None:
        try:
            self.url = sa.make_url(url)
        except ArgumentError as error:  # it may hold a password, and cannot be shown without
            raise errors.ConfigError(f"sql_connection is no URL; {_KNOWN}") from error
        self.dialect = self.url.get_backend_name()
        self.is_sqlite = self.dialect == "sqlite"
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": pool_size, "pool_timeout": pool_seconds}
        options["hide_parameters"] = True  # they hold secrets, and errors that show them reach the log
        if self.is_sqlite:
            options["connect_args"] = {"check_same_thread": False, "timeout": busy_timeout}
        else:
            # The ping finds connections that the database has ended, before anything is asked on them.
            options |= {"pool_pre_ping": True, "pool_recycle": 3600, "isolation_level": "READ COMMITTED"}
            options["connect_args"] = _bounded(self.url)
        try:
            self.engine = sa.create_engine(self.url, **options)
        except (ArgumentError, ImportError, TypeError) as error:
            reason = f"{self.url.render_as_string()}: {str(error).splitlines()[0]}"
            raise errors.ConfigError(f"sql_connection {reason}; {_KNOWN}") from error
        # Writers of one process queue here instead of polling SQLite's file lock; a green lock under eventlet.
        self._writers = threading.Lock() if self.is_sqlite else None
        self._busy_timeout = busy_timeout
        if self.is_sqlite:
            self._tune_sqlite(sqlite_synchronous)
        elif self.dialect == "postgresql":
            self._tune_postgresql()

    def _tune_postgresql(self) -> None:
        @event.listens_for(self.engine, "connect")
        def on_connect(connection: Any, _record: Any) -> None:
            # Not among the options of the connection: poolers in front of PostgreSQL refuse those.
            connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
            connection.commit()

    def _tune_sqlite(self, synchronous: str) -> None:
        @event.listens_for(self.engine, "connect")
        def on_connect(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # BEGIN is ours to send, below
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute(f"PRAGMA synchronous={synchronous}")
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.execute("PRAGMA temp_store=MEMORY")
            cursor.execute("PRAGMA case_sensitive_like=ON")  # as the other databases compare
            cursor.close()
            connection.create_function("regexp", 2, sqlite_regexp, deterministic=True)

        @event.listens_for(self.engine, "begin")
        def on_begin(conn: Connection) -> None:
            # Straight to the driver: this runs for every transaction, and needs none of what a statement needs.
            raw: Any = conn.connection.dbapi_connection
            if conn.get_execution_options().get("writes"):
                self._begin_writing(raw)
            else:
                raw.execute("BEGIN")

    def _begin_writing(self, raw: Any) -> None:
        """Take SQLite's lock, which a writer of another process may have.

        SQLite itself would wait in C, and with it every other request of this process.

        :raises OperationalError: it cannot be had
        """
        until, pause = time.monotonic() + self._busy_timeout, 0.001
        raw.execute("PRAGMA busy_timeout=0")
        try:
            while True:
                try:
                    raw.execute("BEGIN IMMEDIATE")
                    return
                except sqlite3.OperationalError as error:
                    if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or time.monotonic() >= until:
                        raise OperationalError("BEGIN IMMEDIATE", None, error) from error
                time.sleep(pause)
                pause = min(0.02, pause * 2)
        finally:
            raw.execute(f"PRAGMA busy_timeout={int(self._busy_timeout * 1000)}")

    @contextmanager
    def _turn(self, until: float) -> Iterator[None]:
        """One's turn among the writers of this process, where they have to queue.

        :param until: on the monotonic clock
        :raises ServiceUnavailable: it does not come by then
        """
        if self._writers is None:
            yield
            return
        if not self._writers.acquire(timeout=max(0.0, until - time.monotonic())):
            raise _busy()
        try:
            yield
        finally:
            self._writers.release()

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading.

        With SQLite everything read on it is of one moment; with the servers each statement reads at its own, so that
        the second one may miss a row that was there in the first.

        :raises ServiceUnavailable: the database does not answer
        """
        try:
            with self.engine.connect() as conn:
                yield conn
        except (DBAPIError, sa.exc.TimeoutError) as error:
            raise _translated(error) from error

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` in one transaction, again when it loses a deadlock, then its after-commit callbacks.

        :param work: called with the transaction; called anew for every attempt, so it must not change anything else
        :returns: what ``work`` returned, after the commit
        :raises OutcomeUnknown: the database was lost while it committed
        :raises ServiceUnavailable: the database does not answer, or is too contended; nothing was changed
        """
        until = time.monotonic() + WRITE_SECONDS
        for attempt in range(1, ATTEMPTS + 1):
            transaction = None
            try:
                with self._turn(until), self.engine.connect() as conn:
                    if self.is_sqlite:
                        conn = conn.execution_options(writes=True)
                    with conn.begin():
                        transaction = Transaction(conn)
                        result = work(transaction)
                        transaction.worked = True
            except (DBAPIError, sa.exc.TimeoutError) as error:
                if not _worth_another_try(error):
                    raise _translated(error, at_commit=transaction is not None and transaction.worked) from error
                log.info("transaction lost a conflict, attempt %d of %d", attempt, ATTEMPTS)
                if time.monotonic() > until:
                    break
                time.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 -- jitter, no secret
                continue
            _COMMITTED.set(CURRENT_REQUEST.get())
            transaction.committed()
            return result
        raise _busy()

    def write_racing(self, work: Callable[[Transaction], T]) -> T:
        """:meth:`write`, once more when another request has made or ended one of its rows meanwhile.

        The second time ``work`` sees what the other one has done.
        """
        try:
            return self.write(work)
        except IntegrityError:
            return self.write(work)

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


def _has_committed() -> bool:
    """Whether the request at work has had an effect already."""
    return bool(CURRENT_REQUEST.get()) and _COMMITTED.get() == CURRENT_REQUEST.get()


def _busy() -> errors.ServiceUnavailable:
    if _has_committed():
        return OutcomeUnknown()
    return errors.ServiceUnavailable("The datastore is busy. Please try your request again.")


def _translated(error: Exception, *, at_commit: bool = False) -> Exception:
    """The error as the layers above know it; constraint violations and defects pass unchanged.

    :param at_commit: the COMMIT had been sent
    """
    broken = isinstance(error, (OperationalError, InterfaceError, sa.exc.TimeoutError))
    lost = isinstance(error, DBAPIError) and error.connection_invalidated
    if not broken and not lost:
        return error
    log.error("database: %s", str(error).split("\n", 1)[0])
    if lost and at_commit:
        log.error("the connection was lost at the commit: whether the transaction was carried out is not known")
        return OutcomeUnknown()
    if _has_committed():
        return OutcomeUnknown()
    return errors.ServiceUnavailable("The datastore does not answer. Please try your request again.")


def _bounded(url: sa.URL) -> dict[str, Any]:
    """What keeps a connection to a database server from waiting for ever; what the URL says itself has precedence."""
    if url.get_backend_name() == "postgresql":
        bounds: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "keepalives_idle": SILENT_SECONDS,
            "keepalives_interval": 5,
            "keepalives_count": 3,
            "tcp_user_timeout": SILENT_SECONDS * 1000,
        }
    else:
        bounds = {
            "connect_timeout": CONNECT_SECONDS,
            "write_timeout": SILENT_SECONDS,
            "read_timeout": SILENT_SECONDS * 10,  # a migration of a large table is one statement
            "init_command": f"SET innodb_lock_wait_timeout = {LOCK_SECONDS}",
        }
    return {name: value for name, value in bounds.items() if name not in url.query}


def new_id(result: CursorResult[Any]) -> int:
    """The number that an insert gave its row."""
    key = result.inserted_primary_key
    if key is None:
        raise LookupError("the statement was no insert of one row")
    return int(key[0])


def follow_ids(tx: Transaction, *tables: sa.Table) -> None:
    """Have new rows numbered after those that were inserted with numbers of their own.

    SQLite and MariaDB do so by themselves; a sequence of PostgreSQL knows nothing of them.
    """
    if tx.conn.dialect.name != "postgresql":
        return
    for table in tables:
        sequence = sa.func.pg_get_serial_sequence(table.name, "id")
        greatest = tx.execute(sa.select(sa.func.max(table.c.id))).scalar()
        if greatest is not None:  # numbers that were given out and are free again stay unused
            used = sa.func.greatest(greatest, sa.func.nextval(sequence) - 1)
            tx.execute(sa.select(sa.func.setval(sequence, used)))


def _worth_another_try(error: Exception) -> bool:
    original = getattr(error, "orig", None)
    if original is None:
        return False
    if getattr(original, "sqlstate", None) in _RETRY_SQLSTATE:
        return True
    arguments = getattr(original, "args", ())
    if arguments and arguments[0] in _RETRY_ERRNO:
        return True
    return "database is locked" in str(original)
