"""Where alembic gets its connection from: the datastore that called it."""

from collections.abc import Iterator
from contextlib import contextmanager

from alembic import context
from sqlalchemy.engine import Connection
from sqlalchemy.exc import IntegrityError

from nova_api.db.models import metadata


@contextmanager
def _committed(connection: Connection) -> Iterator[None]:
    """Commit in the end; meanwhile tables of SQLite are made anew without the rows that refer to them.

    Dropping the old table would delete those, or fail because of them.

    :raises IntegrityError: a row is left that refers to nothing
    """
    if connection.dialect.name != "sqlite":
        yield
        connection.commit()
        return
    # Straight to the driver, and outside of a transaction, where SQLite takes no notice of it.
    raw = connection.connection
    raw.cursor().execute("PRAGMA foreign_keys=OFF")
    try:
        yield
        lost = connection.exec_driver_sql("PRAGMA foreign_key_check").fetchall()
        if lost:
            raise IntegrityError("PRAGMA foreign_key_check", None, ValueError(f"rows refer to nothing: {lost[:5]}"))
        connection.commit()
    finally:
        connection.rollback()
        raw.cursor().execute("PRAGMA foreign_keys=ON")


with context.config.attributes["engine"].connect() as connection, _committed(connection):
    context.configure(connection=connection, target_metadata=metadata, transactional_ddl=None)
    with context.begin_transaction():
        context.run_migrations()
