"""Empty databases of the three kinds, one per test, gone afterwards."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from nova_api.db import models, schema
from nova_api.db.engine import Database
from tests.servers import service

KINDS = ("sqlite", "postgresql", "mysql")


@contextmanager
def database(kind: str, folder: Path, *, empty: bool = False) -> Iterator[Database]:
    """A database with the tables of nova_api and nothing in them.

    :param kind: of :data:`KINDS`; a server that does not answer skips the test
    :param folder: for the file of SQLite
    :param empty: without the tables: whoever uses it makes them by migration
    """
    metadata = sa.MetaData() if empty else models.metadata
    if kind == "sqlite":
        db = Database(f"sqlite:///{folder}/test.sqlite")
        try:
            _make(db, metadata)
            yield db
        finally:
            db.close()
        return
    url = sa.make_url(service(kind))
    name = f"nova_api_{os.getpid()}_{secrets.token_hex(4)}"
    admin = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with admin.connect() as conn:
        conn.exec_driver_sql(f"CREATE DATABASE {name}")
    db = Database(url.set(database=name).render_as_string(hide_password=False))
    try:
        _make(db, metadata)
        yield db
    finally:
        db.close()
        with admin.connect() as conn:
            conn.exec_driver_sql(f"DROP DATABASE {name}")
        admin.dispose()


def _make(db: Database, metadata: sa.MetaData) -> None:
    """Make tables at once, which is quicker than by migrations; they are marked as what the migrations make."""
    metadata.create_all(db.engine)
    if metadata.tables:
        with db.engine.begin() as conn:
            conn.exec_driver_sql("CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)")
            conn.exec_driver_sql(f"INSERT INTO alembic_version VALUES ('{schema.HEAD}')")


def wipe(db: Database) -> None:
    """Leave nothing in the tables; much quicker than other tables, of which a server makes a file each."""
    with db.engine.begin() as conn:
        for table in reversed(models.metadata.sorted_tables):
            conn.execute(table.delete())


def add(db: Database, table: sa.Table, **values: Any) -> int:
    """Insert a row.

    :returns: its id
    """
    return int(db.write(lambda tx: tx.execute(sa.insert(table).values(**values)).inserted_primary_key[0]))  # type: ignore[index]
