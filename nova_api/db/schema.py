"""The state of the tables: made at the first start, brought up to date by alembic afterwards."""

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import OperationalError

from nova_api.db.engine import Database
from nova_api.db.models import metadata
from nova_api.errors import ConfigError, ServiceUnavailable

#: The newest revision under ``migrations/versions``; a test compares.
HEAD = "0009"
FOLDER = Path(__file__).parent / "migrations"
_VERSION = sa.Table("alembic_version", sa.MetaData(), sa.Column("version_num", sa.String(32), primary_key=True))


def version(db: Database) -> str | None:
    """The revision that the datastore is at; None for an empty one.

    :raises ServiceUnavailable: it does not answer
    """
    with db.read() as conn:
        if not sa.inspect(conn).has_table(_VERSION.name):
            return None
        return conn.execute(sa.select(_VERSION.c.version_num)).scalar()


def ensure(db: Database) -> None:
    """Make the tables, or bring them up to date.

    :raises ConfigError: the datastore does not answer, or was written by a newer release
    """
    try:
        found = version(db)
    except ServiceUnavailable as error:
        raise ConfigError(f"the datastore {db.url.render_as_string()} does not answer") from error
    if found == HEAD:
        return
    if found is None and db.is_sqlite:
        _create(db)
    else:
        upgrade(db)


def _create(db: Database) -> None:
    """All tables at once: what the migrations would make, without loading them. Another process may do the same."""

    def work(tx: Any) -> None:
        _VERSION.create(tx.conn, checkfirst=True)
        if tx.execute(sa.select(_VERSION.c.version_num)).first() is not None:
            return
        metadata.create_all(tx.conn)
        tx.execute(sa.insert(_VERSION).values(version_num=HEAD))

    try:
        db.write(work)
    except OperationalError as error:
        raise ConfigError(f"the datastore cannot be made: {error.orig}") from error


def upgrade(db: Database, revision: str = "head") -> None:
    """Run the migrations up to a revision.

    :raises ConfigError: the datastore is at a revision that this release does not know
    """
    from alembic import command
    from alembic.util import CommandError

    try:
        command.upgrade(_alembic(db), revision)
    except CommandError as error:
        raise ConfigError(f"the datastore cannot be brought to revision {revision}: {error}") from error


def downgrade(db: Database, revision: str) -> None:
    """Run the migrations back to a revision; ``base`` removes every table.

    :raises ConfigError: there is no such revision
    """
    from alembic import command
    from alembic.util import CommandError

    try:
        command.downgrade(_alembic(db), revision)
    except CommandError as error:
        raise ConfigError(f"the datastore cannot be brought to revision {revision}: {error}") from error


def _alembic(db: Database) -> Any:
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.attributes["engine"] = db.engine
    return config
