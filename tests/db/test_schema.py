"""The tables: made at once, or by the migrations, they are the same."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.exc import IntegrityError

from nova_api.db import models, schema
from nova_api.db.engine import Database
from nova_api.db.models import fixed_ips, floating_ips, metadata, networks, snapshots, volume_metadata, volumes
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


@pytest.mark.parametrize("kind", ["sqlite", "postgresql", "mysql"])
def test_a_step_down_and_up_loses_no_row(kind: str, tmp_path: Path) -> None:
    with empty(kind, tmp_path) as db:
        schema.upgrade(db)
        server = _server(db)
        for revision in ("0008", "0007", "0006", "0005", "0003", "0002") if kind == "sqlite" else ("0002",):
            schema.downgrade(db, revision)
            schema.upgrade(db)
            assert _count(db, models.instances) == _count(db, models.instance_groups) == 1, revision
        with pytest.raises(IntegrityError):
            db.write(
                lambda tx: tx.execute(models.instance_groups.insert().values(instance_id=server, security_group_id=9))
            )


def _server(db: Database) -> int:
    """A server in a group, which is gone with it."""

    def add(table: sa.Table, **values: object) -> int:
        key = db.write(lambda tx: tx.execute(table.insert().values(**values)).inserted_primary_key)
        return int(key[0])  # type: ignore[index]

    flavor = add(models.flavors, name="f", flavorid="f", memory_mb=1, vcpus=1)
    given = {"uuid": "a", "reservation_id": "r-1", "instance_type_id": flavor, "memory_mb": 1, "vcpus": 1}
    server = add(models.instances, **given, vm_state="active")
    group = add(models.security_groups, name="g", description="g", project_id="acme", user_id="alice")
    add(models.instance_groups, instance_id=server, security_group_id=group)
    return server


def _count(db: Database, table: sa.Table) -> int:
    with db.read() as conn:
        return int(conn.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())


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


def test_the_release_before_several_floating_addresses_keeps_the_first(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/x.sqlite")
    schema.upgrade(db)
    with db.engine.begin() as conn:
        conn.execute(sa.insert(networks).values(uuid="n", label="n", cidr="10.0.0.0/29"))
        conn.execute(sa.insert(fixed_ips).values(address="10.0.0.2", network_id=1))
        for end, fixed in ((1, None), (2, 1), (3, 1), (4, None)):
            conn.execute(sa.insert(floating_ips).values(address=f"192.0.2.{end}", pool="nova", fixed_ip_id=fixed))
    schema.downgrade(db, "0007")
    with db.engine.connect() as conn:
        held = conn.exec_driver_sql("SELECT fixed_ip_id FROM floating_ips ORDER BY id").scalars().all()
    assert held == [None, 1, None, None]


def test_names_of_volumes_that_were_never_given_survive_both_ways(tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/x.sqlite")
    schema.upgrade(db)
    shared = {"size": 1, "availability_zone": "nova", "status": "available"}
    with db.engine.begin() as conn:
        for uuid, name in enumerate((None, "", "named")):
            conn.execute(sa.insert(volumes).values(**shared, uuid=str(uuid), display_name=name))
        conn.execute(sa.insert(volume_metadata).values(volume_id=3, key="a", value="b"))
        conn.execute(sa.insert(snapshots).values(uuid="s", volume_id=3, volume_size=1, status="available"))
    read = "SELECT display_name FROM volumes ORDER BY id"
    for move, names in ((schema.downgrade, ["", "", "named"]), (schema.upgrade, [None, None, "named"])):
        move(db, "0007" if move is schema.downgrade else "head")
        with db.engine.connect() as conn:
            assert conn.exec_driver_sql(read).scalars().all() == names
            for table in ("volume_metadata", "snapshots"):
                assert conn.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() == 1
    with db.engine.connect() as conn:
        assert compare_metadata(MigrationContext.configure(conn), metadata) == []
    db.close()
