from typing import Any

import pytest

from nova_api.context import new_uuid
from nova_api.db import models
from nova_api.nodes.drivers.volumestore import VolumeStoreError
from nova_api.rpc.envelope import RemoteError
from tests.nodes.conftest import CONTEXT, World
from tests.nodes.test_compute import both_ways


def snapshot(world: World, volume: int, status: str) -> int:
    return world.insert(
        models.snapshots, uuid=new_uuid(), project_id="acme", volume_id=volume, volume_size=2, status=status
    )


@both_ways
def test_a_life(world: World, twice: bool) -> None:
    world.start(twice=twice)
    number = world.volume_row(status="creating")
    world.cast("volume.v1", "create_volume", volume_id=number, snapshot_id=None)
    world.settle()
    made = world.row(models.volumes, number)
    assert (made.status, made.host) == ("available", "v1") and made.provider_location
    copy = snapshot(world, number, "creating")
    world.cast("volume.v1", "create_snapshot", volume_id=number, snapshot_id=copy)
    world.settle()
    row = world.row(models.snapshots, copy)
    assert (row.status, row.progress) == ("available", "100%")
    world.update(models.snapshots, copy, status="deleting")
    world.cast("volume.v1", "delete_snapshot", snapshot_id=copy)
    world.update(models.volumes, number, status="deleting")
    world.cast("volume.v1", "delete_volume", volume_id=number)
    world.settle()
    row, gone = world.row(models.snapshots, copy), world.row(models.volumes, number)
    assert row.deleted == copy and row.deleted_at
    assert (gone.status, gone.deleted) == ("deleted", number) and gone.terminated_at


def test_messages_that_come_late_do_nothing(world: World) -> None:
    world.start()
    number = world.volume_row()
    copy = snapshot(world, number, "available")
    world.cast("volume.v1", "delete_volume", volume_id=number)
    world.cast("volume.v1", "create_volume", volume_id=number, snapshot_id=None)
    world.cast("volume.v1", "delete_snapshot", snapshot_id=copy)
    world.cast("volume.v1", "delete_volume", volume_id=99)
    world.settle()
    assert world.row(models.volumes, number).status == "available"
    assert world.row(models.snapshots, copy).status == "available"


@pytest.mark.parametrize(
    ("method", "before", "after"),
    [
        ("create_volume", "creating", "error"),
        ("delete_volume", "deleting", "error_deleting"),
        ("create_snapshot", "creating", "error"),
        ("delete_snapshot", "deleting", "error_deleting"),
    ],
)
def test_what_the_store_cannot_do(
    world: World, monkeypatch: pytest.MonkeyPatch, method: str, before: str, after: str
) -> None:
    world.start()

    def refuse(*args: Any) -> None:
        raise VolumeStoreError("The disks are full.")

    for name in ("create", "delete", "create_snapshot", "delete_snapshot"):
        monkeypatch.setattr(world.volume.store, name, refuse)
    of_snapshot = method.endswith("snapshot")
    volume = world.volume_row(status="in-use" if of_snapshot else before)
    copy = snapshot(world, volume, before)
    args = {"snapshot_id": copy} if of_snapshot else {"volume_id": volume}
    if method.startswith("create"):
        args |= {"volume_id": volume, "snapshot_id": copy if of_snapshot else None}  # type: ignore[dict-item]
    world.cast("volume.v1", method, **args)
    world.settle()
    table, number = (models.snapshots, copy) if of_snapshot else (models.volumes, volume)
    assert world.row(table, number).status == after


def test_a_volume_that_is_to_end_while_it_is_made(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start()
    number = world.volume_row(status="creating")
    removed: list[int] = []
    monkeypatch.setattr(world.volume.store, "delete", removed.append)

    def create(*args: Any) -> str:
        world.update(models.volumes, number, status="deleting")
        return "somewhere"

    monkeypatch.setattr(world.volume.store, "create", create)
    world.cast("volume.v1", "create_volume", volume_id=number, snapshot_id=None)
    world.settle()
    assert removed == [number]
    assert world.row(models.volumes, number).status == "deleting"


def test_a_connection_to_what_is_not_there(world: World) -> None:
    world.start()
    with pytest.raises(RemoteError) as failed:
        world.rpc.call(CONTEXT, "volume.v1", "initialize_connection", volume_id=99, host="h1")
    assert failed.value.exc_type == "VolumeNotFound"
