"""The tables: made at once, or by the migrations, they are the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from nova_api.db import schema
from nova_api.db.engine import Database
from nova_api.db.models import metadata
from nova_api.errors import ConfigError
from tests.services.test_whole_cloud import database


@contextmanager
def empty(kind: str, folder: Path) -> Iterator[Database]:
    if kind == "sqlite":
        db = Database(f"sqlite:///{folder}/x.sqlite")
        yield db
        db.close()
        return
    with database(kind) as url:
        db = Database(url)
        try:
            yield db
        finally:
            db.close()


def test_head_is_the_newest_revision() -> None:
    assert ScriptDirectory(str(schema.FOLDER)).get_current_head() == schema.HEAD


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mysql"])
def test_up_and_down(kind: str, tmp_path: Path) -> None:
    with empty(kind, tmp_path) as db:
        assert schema.version(db) is None
        schema.upgrade(db)
        assert schema.version(db) == schema.HEAD
        with db.engine.connect() as conn:
            differences = compare_metadata(MigrationContext.configure(conn), metadata)
        assert differences == []
        schema.ensure(db)
        schema.downgrade(db, "base")
        with db.engine.connect() as conn:
            assert set(sa.inspect(conn).get_table_names()) == {"alembic_version"}
        schema.ensure(db)
        assert schema.version(db) == schema.HEAD


def test_made_at_once_the_tables_are_those_of_the_migrations(tmp_path: Path) -> None:
    made = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        db = Database(f"sqlite:///{tmp_path}/{name}/x.sqlite")
        (schema.ensure if name == "a" else schema.upgrade)(db)
        with db.engine.connect() as conn:
            query = "SELECT name FROM sqlite_master WHERE name NOT LIKE 'sqlite_%' ORDER BY name"
            made.append([row[0] for row in conn.exec_driver_sql(query)])
        db.close()
    assert made[0] == made[1]


def test_a_newer_datastore_is_not_touched(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/x.sqlite")
    schema.ensure(db)
    with db.engine.begin() as conn:
        conn.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    with pytest.raises(ConfigError, match="9999"):
        schema.ensure(db)
    db.close()
