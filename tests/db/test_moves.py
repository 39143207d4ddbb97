from typing import Any

import pytest
import sqlalchemy as sa

from nova_api.context import new_uuid
from nova_api.db import disks, moves
from nova_api.db.engine import Database
from nova_api.db.models import block_devices, flavors, instances, migrations, volumes
from nova_api.db.moves import Sizes
from tests.databases import add


@pytest.fixture
def flavor(any_db: Database) -> int:
    return add(any_db, flavors, name="f", flavorid="f", memory_mb=64, vcpus=2, root_gb=3, ephemeral_gb=4)


def add_instance(db: Database, flavor: int, **values: Any) -> Any:
    given = {
        "uuid": new_uuid(),
        "reservation_id": "r-1",
        "vm_state": "resizing",
        "task_state": "resize_prep",
        "instance_type_id": flavor,
        "memory_mb": 1,
        "vcpus": 1,
        "host": "h1",
        **values,
    }
    number = add(db, instances, **given)
    with db.read() as conn:
        return conn.execute(sa.select(instances).where(instances.c.id == number)).one()


def test_a_move_is_made_and_changed_once(any_db: Database, flavor: int) -> None:
    row = add_instance(any_db, flavor)
    first = any_db.write(lambda tx: moves.insert(tx, row, "h2", flavor))
    with any_db.read() as conn:
        move = moves.get(conn, first)
        assert move is not None and moves.latest(conn, row.id) == move and moves.get(conn, first + 1) is None
    assert (move.source_compute, move.dest_compute, move.status) == ("h1", "h2", "migrating")
    assert any_db.write(lambda tx: moves.change(tx, first, ("migrating",), "finished"))
    assert not any_db.write(lambda tx: moves.change(tx, first, ("migrating",), "finished"))
    confirmed = any_db.write(lambda tx: moves.confirm_unfinished(tx, row.id))
    assert [tuple(one) for one in confirmed] == [(first, "h1")]
    assert any_db.write(lambda tx: moves.confirm_unfinished(tx, row.id)) == []
    second = any_db.write(lambda tx: moves.insert(tx, row, "h3", flavor))
    with any_db.read() as conn:
        latest = moves.latest(conn, row.id)
        assert latest is not None and latest.id == second
        assert moves.latest(conn, row.id + 1) is None


def test_sizes_of_a_flavor(any_db: Database, flavor: int) -> None:
    with any_db.read() as conn:
        assert moves.sizes(conn, flavor) == {
            "instance_type_id": flavor, "memory_mb": 64, "vcpus": 2, "root_gb": 3, "ephemeral_gb": 4,
        }  # fmt: skip
        with pytest.raises(LookupError):
            moves.sizes(conn, flavor + 1)


def test_what_is_on_its_way(any_db: Database, flavor: int) -> None:
    for status, values in (
        ("migrating", {}),
        ("post-migrating", {}),
        ("post-migrating", {"host": "h2"}),
        ("finished", {}),
        ("error", {}),
        ("migrating", {"deleted": 1}),
    ):
        row = add_instance(any_db, flavor, **values)
        number = any_db.write(lambda tx, row=row: moves.insert(tx, row, "h2", flavor))
        any_db.write(
            lambda tx, number=number, status=status: tx.execute(
                sa.update(migrations).where(migrations.c.id == number).values(status=status)
            )
        )
    with any_db.read() as conn:
        assert moves.incoming(conn) == {"h2": Sizes(4, 128, 14)}


def test_connections_are_replaced(any_db: Database, flavor: int) -> None:
    row, other = add_instance(any_db, flavor), add_instance(any_db, flavor)
    volume = add(any_db, volumes, uuid=new_uuid(), size=1, availability_zone="nova", status="in-use")
    for owner in (row, other):
        add(any_db, block_devices, instance_id=owner.id, device_name="/dev/vdb", volume_id=volume, connection_info="{}")
    any_db.write(lambda tx: moves.reconnect(tx, row.id, {volume: {"a": 1}}))
    with any_db.read() as conn:
        assert [disks.devices(conn, one.id)[0].connection_info for one in (row, other)] == ['{"a": 1}', "{}"]
