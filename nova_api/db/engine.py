"""Connections and transactions: the one place where the three databases differ.

SQLite (the embedded default) runs in WAL mode; writers take the lock at BEGIN, one at a time, so a transaction never
fails half way for the lock's sake. PostgreSQL and MariaDB run at READ COMMITTED with explicit row locks.
"""

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection, CursorResult
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.sql import Executable

from nova_api import errors
from nova_api.db.patterns import sqlite_regexp

T = TypeVar("T")
Parameters = Mapping[str, Any] | Sequence[Mapping[str, Any]]

log = logging.getLogger(__name__)

#: How often a transaction that lost a deadlock is tried again before the caller is told to come back.
ATTEMPTS = 8
#: SQLSTATE of PostgreSQL and error numbers of MariaDB that mean "the transaction was fine, try it again".
_RETRY_SQLSTATE = {"40001", "40P01", "55P03"}
_RETRY_ERRNO = {1205, 1213}


class Transaction:
    """A write transaction in progress.

    :ivar conn: the connection it runs on
    """

    __slots__ = ("_callbacks", "conn")

    def __init__(self, conn: Connection) -> None:
        self.conn = conn
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
    :param pool_size: connections kept open
    :param sqlite_synchronous: ``NORMAL`` survives the death of the process, ``FULL`` that of the machine
    :param busy_timeout: seconds a SQLite writer waits for another process
    """

    def __init__(
        self, url: str, *, pool_size: int = 10, sqlite_synchronous: str = "NORMAL", busy_timeout: float = 30.0
    ) -> None:
        self.url = sa.make_url(url)
        self.dialect = self.url.get_backend_name()
        self.is_sqlite = self.dialect == "sqlite"
        options: dict[str, Any] = {"pool_size": pool_size, "max_overflow": pool_size, "pool_timeout": 30}
        if self.is_sqlite:
            options["connect_args"] = {"check_same_thread": False, "timeout": busy_timeout}
        else:
            options |= {"pool_pre_ping": True, "pool_recycle": 3600, "isolation_level": "READ COMMITTED"}
        self.engine = sa.create_engine(self.url, **options)
        # Writers of one process queue here instead of polling SQLite's file lock; a green lock under eventlet.
        self._writers: AbstractContextManager[Any] = threading.Lock() if self.is_sqlite else nullcontext()
        if self.is_sqlite:
            self._tune_sqlite(sqlite_synchronous)

    def _tune_sqlite(self, synchronous: str) -> None:
        @event.listens_for(self.engine, "connect")
        def on_connect(connection: Any, _record: Any) -> None:
            connection.isolation_level = None  # BEGIN is ours to send, below
            cursor = connection.cursor()
            cursor.execute("PRAGMA journal_mode=WAL")
            cursor.execute(f"PRAGMA synchronous={synchronous}")
            cursor.execute("PRAGMA foreign_keys=ON")
            cursor.execute("PRAGMA temp_store=MEMORY")
            cursor.close()
            connection.create_function("regexp", 2, sqlite_regexp, deterministic=True)

        @event.listens_for(self.engine, "begin")
        def on_begin(conn: Connection) -> None:
            # Straight to the driver: this runs for every transaction, and needs none of what a statement needs.
            raw: Any = conn.connection.dbapi_connection
            raw.execute(conn.get_execution_options().get("begin_with", "BEGIN"))

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A connection for reading; everything read on it is of one moment.

        :raises ServiceUnavailable: the database does not answer
        """
        try:
            with self.engine.connect() as conn:
                yield conn
        except (OperationalError, InterfaceError, sa.exc.TimeoutError) as error:
            raise self._translated(error) from error

    def write(self, work: Callable[[Transaction], T]) -> T:
        """Run ``work`` in one transaction, again when it loses a deadlock, then its after-commit callbacks.

        :param work: called with the transaction; called anew for every attempt, so it must not change anything else
        :returns: what ``work`` returned
        :raises ServiceUnavailable: the database does not answer, or is too contended
        """
        for attempt in range(ATTEMPTS):
            try:
                with self._writers, self.engine.connect() as conn:
                    if self.is_sqlite:
                        conn = conn.execution_options(begin_with="BEGIN IMMEDIATE")
                    with conn.begin():
                        transaction = Transaction(conn)
                        result = work(transaction)
            except (OperationalError, InterfaceError, DBAPIError, sa.exc.TimeoutError) as error:
                if not _worth_another_try(error):
                    raise self._translated(error) from error
                log.info("transaction lost a conflict, attempt %d of %d", attempt + 1, ATTEMPTS)
                time.sleep(random.uniform(0, 0.01 * 2**attempt))  # noqa: S311 -- jitter, no secret
                continue
            transaction.committed()
            return result
        raise errors.ServiceUnavailable("The datastore is busy. Please try your request again.")

    def _translated(self, error: Exception) -> Exception:
        """The error as the layers above know it; constraint violations and defects pass unchanged."""
        broken = isinstance(error, (OperationalError, InterfaceError, sa.exc.TimeoutError))
        if broken or (isinstance(error, DBAPIError) and error.connection_invalidated):
            log.error("database: %s", str(error).split("\n", 1)[0])
            return errors.ServiceUnavailable("The datastore does not answer. Please try your request again.")
        return error

    def close(self) -> None:
        """Close every connection."""
        self.engine.dispose()


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
