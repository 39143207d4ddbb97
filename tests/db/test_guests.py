from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api.context import new_uuid
from nova_api.db import guests, placing
from nova_api.db.engine import Database
from nova_api.db.models import flavors, instances, now
from tests.databases import add


@pytest.fixture
def flavor(any_db: Database) -> int:
    return add(any_db, flavors, name="f", flavorid="f", memory_mb=1, vcpus=1)


def add_instance(db: Database, flavor: int, **values: Any) -> Any:
    given = {"uuid": new_uuid(), "reservation_id": "r-1", "instance_type_id": flavor, "memory_mb": 1, "vcpus": 1}
    number = add(db, instances, **given, **{"vm_state": "active", "host": "h1", **values})
    return read(db, number)


def read(db: Database, number: int) -> Any:
    with db.read() as conn:
        return conn.execute(sa.select(instances).where(instances.c.id == number)).one()


def test_what_nobody_restored_is_ended_a_few_at_a_time(any_db: Database, flavor: int) -> None:
    gone = {"vm_state": "soft-delete", "deleted_at": now() - timedelta(seconds=60)}
    rows = [add_instance(any_db, flavor, **gone) for _ in range(3)]
    add_instance(any_db, flavor, **gone, task_state="deleting")
    add_instance(any_db, flavor, **{**gone, "host": "h2"})
    add_instance(any_db, flavor, **{**gone, "deleted_at": now()})
    before = now() - timedelta(seconds=30)
    found = [any_db.write(lambda tx: guests.start_reclaiming(tx, "h1", before, 2)) for _ in range(3)]
    assert found == [[rows[0].uuid, rows[1].uuid], [rows[2].uuid], []]
    assert {read(any_db, row.id).task_state for row in rows} == {"deleting"}


@pytest.mark.parametrize("before", ["building", "rebuilding"])
def test_only_what_is_spawning_gets_active(any_db: Database, flavor: int, before: str) -> None:
    row = add_instance(any_db, flavor, vm_state=before, task_state="spawning")
    other = {"building": "rebuilding", "rebuilding": "building"}[before]
    assert not any_db.write(lambda tx: guests.finish_spawning(tx, row.id, 1, "h1", before=other))
    assert not any_db.write(lambda tx: guests.finish_spawning(tx, row.id, 1, "h2", before=before))
    assert any_db.write(lambda tx: guests.finish_spawning(tx, row.id, 1, "h1", before=before))
    after = read(any_db, row.id)
    assert (after.vm_state, after.task_state, after.progress) == ("active", None, 100) and after.launched_at


def test_what_has_left_and_not_arrived_is_on_no_host(any_db: Database, flavor: int) -> None:
    row = add_instance(any_db, flavor, launched_at=now())
    add_instance(any_db, flavor, launched_at=now(), vm_state="resizing", task_state="resize_migrated")
    with any_db.read() as conn:
        assert [one.id for one in guests.on_host(conn, "h1")] == [row.id]


def test_faults_are_dated(any_db: Database, flavor: int) -> None:
    one, many = add_instance(any_db, flavor, task_state="spawning"), add_instance(any_db, flavor)
    assert any_db.write(lambda tx: guests.fail(tx, one.id, ("spawning",), "x" * 300))
    any_db.write(lambda tx: placing.fail_many(tx, [many.id], "y"))
    for number, text in ((one.id, "x" * 255), (many.id, "y")):
        row = read(any_db, number)
        assert (row.vm_state, row.fault_code, row.fault_message) == ("error", 500, text)
        assert row.fault_at >= one.created_at


def test_ended_instances_are_found_by_who_asks_for_them(any_db: Database, flavor: int) -> None:
    row = add_instance(any_db, flavor, deleted=1)
    with any_db.read() as conn:
        assert guests.get(conn, row.uuid) is None
        found = guests.get_ever(conn, row.uuid)
    assert found is not None and found.deleted == 1
