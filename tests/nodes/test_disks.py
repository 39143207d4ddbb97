import json
from typing import Any

import pytest

from nova_api.context import new_uuid
from nova_api.db import models, services
from nova_api.errors import ServiceUnavailable
from nova_api.nodes.drivers.hypervisor import HypervisorError, PowerState
from nova_api.nodes.drivers.volumestore import VolumeStoreError
from nova_api.nodes.guest_node import guest_of
from tests.nodes.conftest import World
from tests.nodes.test_compute import both_ways, state

GIB = 1024**3


def attaching(world: World, row: Any) -> int:
    return world.volume_row(status="attaching", instance_id=row.id, mountpoint="/dev/vdb")


def attach(world: World, row: Any, volume: int) -> Any:
    world.cast("compute.h1", "attach_volume", volume_id=volume, mountpoint="/dev/vdb", instance_uuid=row.uuid)
    world.settle()
    return world.row(models.volumes, volume)


def detach(world: World, row: Any, volume: int) -> Any:
    world.update(models.volumes, volume, status="detaching")
    world.cast("compute.h1", "detach_volume", volume_id=volume, instance_uuid=row.uuid)
    world.settle()
    return world.row(models.volumes, volume)


@both_ways
def test_attach_and_detach(world: World, twice: bool) -> None:
    world.start(twice=twice)
    row = world.running()
    volume = attach(world, row, attaching(world, row))
    assert (volume.status, volume.attach_status, volume.mountpoint) == ("in-use", "attached", "/dev/vdb")
    assert volume.attach_time is not None
    (device,) = world.rows(models.block_devices)
    assert (device.instance_id, device.device_name, device.volume_id) == (row.id, "/dev/vdb", volume.id)
    assert json.loads(device.connection_info)["driver_volume_type"] == "iscsi"
    assert "vdb_read" in world.call(row, "get_diagnostics")
    volume = detach(world, row, volume.id)
    assert (volume.status, volume.attach_status, volume.instance_id) == ("available", "detached", None)
    assert world.rows(models.block_devices) == []
    assert "vdb_read" not in world.call(row, "get_diagnostics")


def test_what_cannot_be_attached_is_free_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start()
    row = world.running()

    def refuse(*args: Any) -> None:
        raise HypervisorError("The bus is full.")

    monkeypatch.setattr(world.hosts["h1"].driver, "attach_volume", refuse)
    volume = attach(world, row, attaching(world, row))
    assert (volume.status, volume.instance_id, volume.mountpoint) == ("available", None, None)
    assert state(world.again(row)) == ("active", None, 1)


def test_what_cannot_be_detached_stays(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start()
    row = world.running()
    volume = attach(world, row, attaching(world, row))

    def refuse(*args: Any) -> None:
        raise HypervisorError("The guest does not let go.")

    monkeypatch.setattr(world.hosts["h1"].driver, "detach_volume", refuse)
    volume = detach(world, row, volume.id)
    assert (volume.status, volume.instance_id) == ("in-use", row.id)


def test_a_volume_survives_a_restart_and_a_stop(world: World) -> None:
    world.start()
    row = world.running()
    attach(world, row, attaching(world, row))
    world.stop()
    world.start()
    row = world.do(row, "stopping", "stop_instance")
    row = world.do(row, "starting", "start_instance")
    assert state(row) == ("active", None, 1)


@both_ways
def test_the_volumes_of_an_instance_that_ends(world: World, twice: bool) -> None:
    world.start(twice=twice)
    row = world.running()
    kept = attach(world, row, attaching(world, row)).id
    doomed = world.volume_row(status="in-use", attach_status="attached", instance_id=row.id)
    world.insert(
        models.block_devices,
        instance_id=row.id,
        device_name="/dev/vdc",
        volume_id=doomed,
        delete_on_termination=True,
        connection_info="{}",
    )
    late = world.volume_row(status="attaching", instance_id=row.id, mountpoint="/dev/vdd")
    world.do(row, "deleting", "terminate_instance")
    attach(world, row, late)
    assert world.row(models.volumes, kept).status == "available"
    assert world.row(models.volumes, late).status == "available"
    gone = world.row(models.volumes, doomed)
    assert (gone.status, gone.deleted) == ("deleted", doomed)
    assert world.rows(models.block_devices) == []


@pytest.mark.parametrize(("before", "after"), [("creating", "available"), ("error", "error")])
def test_a_volume_that_was_not_made_before_its_instance_ended(world: World, before: str, after: str) -> None:
    world.start()
    row = world.running()
    volume = world.volume_row(status=before, instance_id=row.id, mountpoint="/dev/vdb")
    world.do(row, "deleting", "terminate_instance")
    left = world.row(models.volumes, volume)
    assert (left.status, left.instance_id) == (before, None)
    world.cast("volume.v1", "create_volume", volume_id=volume)
    world.settle()
    made = world.row(models.volumes, volume)
    assert (made.status, bool(made.provider_location)) == (after, before == "creating")


# -- built with volumes ------------------------------------------------------------------------------------


def snapshot_of(world: World, volume: int, **values: Any) -> int:
    given = {"uuid": new_uuid(), "project_id": "acme", "volume_id": volume, "volume_size": 2, **values}
    return world.insert(models.snapshots, **{"status": "available", **given})


def mapped(world: World, volume: int, **device: Any) -> Any:
    """An instance with a volume, on its way, as RunInstances leaves it."""
    row = world.instance()
    if world.row(models.volumes, volume).status in ("creating", "attaching"):
        world.update(models.volumes, volume, instance_id=row.id, mountpoint="/dev/vdb")
    given = {"instance_id": row.id, "device_name": "/dev/vdb", "volume_id": volume, **device}
    world.insert(models.block_devices, **given)
    world.schedule([row])
    world.settle()
    return world.again(row)


@both_ways
@pytest.mark.parametrize("zone", ["nova", "without-volume-node"])
def test_a_build_makes_volumes_of_snapshots(world: World, twice: bool, zone: str) -> None:
    world.start(twice=twice)
    snapshot = snapshot_of(world, world.volume_row())
    ordered = world.volume_row(status="creating", host=None, snapshot_id=snapshot, availability_zone=zone)
    row = mapped(world, ordered, snapshot_id=snapshot, delete_on_termination=True)
    assert state(row) == ("active", None, 1)
    volume = world.row(models.volumes, ordered)
    assert (volume.status, volume.attach_status, volume.host) == ("in-use", "attached", "v1")
    assert (volume.instance_id, volume.mountpoint) == (row.id, "/dev/vdb")
    assert volume.provider_location and volume.scheduled_at and volume.launched_at
    world.do(row, "deleting", "terminate_instance")
    assert world.row(models.volumes, ordered).status == "deleted"


@pytest.mark.parametrize(
    ("status", "owner"),
    [("available", {}), ("attaching", {}), ("attaching", {"project_id": "lent by an administrator"})],
)
def test_a_build_attaches_volumes_that_exist(world: World, status: str, owner: dict[str, str]) -> None:
    world.start()
    volume = world.volume_row(status=status, **owner)
    row = mapped(world, volume)
    assert state(row) == ("active", None, 1)
    assert (world.row(models.volumes, volume).status, world.row(models.volumes, volume).instance_id) == (
        "in-use",
        row.id,
    )
    assert "vdb_read" in world.call(row, "get_diagnostics")


@pytest.mark.parametrize("volume", [{"status": "in-use"}, {"status": "error"}, {"project_id": "other"}], ids=str)
def test_a_build_without_its_volume_fails(world: World, volume: dict[str, Any]) -> None:
    world.start()
    number = world.volume_row(**volume)
    row = mapped(world, number)
    assert row.vm_state == "error" and row.fault_message == f"Volume vol-{number:08x} is not available."
    assert world.row(models.volumes, number).instance_id is None


def test_a_build_without_a_volume_node_fails(world: World) -> None:
    world.start()
    world.db.write(lambda tx: services.gone(tx, "v1", ["volume"]))
    row = mapped(world, world.volume_row(status="creating", host=None))
    assert row.vm_state == "error" and row.fault_message == "No volume service is up."


def test_a_store_that_fails_fails_the_build(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start()

    def refuse(*args: Any) -> str:
        raise VolumeStoreError("The disks are full.")

    monkeypatch.setattr(world.volume.store, "create", refuse)
    row = mapped(world, world.volume_row(status="creating"))
    assert row.vm_state == "error" and row.fault_message == "The disks are full."


# -- images of instances -----------------------------------------------------------------------------------


def saving(world: World, row: Any, mapping: list[dict[str, Any]] | None = None) -> Any:
    number = world.insert(
        models.images,
        uuid=new_uuid(),
        name="copy",
        status="saving",
        progress=0,
        instance_uuid=row.uuid,
        block_device_mapping=json.dumps(mapping or []),
    )
    return world.row(models.images, number)


@both_ways
@pytest.mark.parametrize("restart", [False, True])
def test_an_image_of_an_instance(world: World, twice: bool, restart: bool) -> None:
    world.start(twice=twice)
    row = world.running(root_gb=3)
    image = saving(world, row)
    row = world.do(row, "image_snapshot", "snapshot_instance", image_id=image.uuid, restart=restart)
    image = world.row(models.images, image.id)
    assert (image.status, image.progress, image.size) == ("active", 100, 3 * GIB)
    assert state(row) == ("active", None, 1)
    assert world.call(row, "get_console_output").count("boot finished") == (2 if restart else 1)


def test_a_stopped_instance_stays_stopped(world: World) -> None:
    world.start()
    row = world.running()
    row = world.do(row, "stopping", "stop_instance")
    image = saving(world, row)
    row = world.do(row, "image_snapshot", "snapshot_instance", image_id=image.uuid, restart=True)
    assert world.row(models.images, image.id).status == "active"
    assert state(row) == ("stopped", None, 4)


@both_ways
def test_its_volumes_are_copied_before_the_image_is_there(world: World, twice: bool) -> None:
    world.start(twice=twice)
    row = world.running()
    volume = attach(world, row, attaching(world, row))
    snapshot = snapshot_of(world, volume.id, status="creating")
    image = saving(world, row, [{"device_name": "/dev/vdb", "snapshot_id": snapshot}])
    world.do(row, "image_snapshot", "snapshot_instance", image_id=image.uuid, restart=True)
    made = world.row(models.snapshots, snapshot)
    assert (made.status, made.progress) == ("available", "100%")
    assert world.row(models.images, image.id).status == "active"


@pytest.mark.parametrize("down", [False, True])
def test_an_instance_is_not_off_while_its_image_waits(
    world: World, monkeypatch: pytest.MonkeyPatch, down: bool
) -> None:
    """For a volume node that does not answer, or counts as down."""
    world.start()
    row, node = world.running(), world.hosts["h1"]
    snapshot = snapshot_of(world, attach(world, row, attaching(world, row)).id, status="creating")
    image = saving(world, row, [{"device_name": "/dev/vdb", "snapshot_id": snapshot}])
    states: list[Any] = []
    find, power_off, call = node._find, node.driver.power_off, node.rpc.call

    def look(uuid: str) -> Any:
        states.append(node.driver.power_state(guest_of(world.again(row))))
        if len(states) == 2:
            world.db.write(lambda tx: services.report(tx, "v1", "volume", "nova-volume", "nova"))
            monkeypatch.setattr(node.rpc, "call", call)
        return find(uuid)

    def silent(*args: Any, **options: Any) -> Any:
        raise ServiceUnavailable("Nobody answers.")

    stopped: list[int] = []
    monkeypatch.setattr(node, "_find", look)
    monkeypatch.setattr(node.driver, "power_off", lambda guest: (stopped.append(guest.id), power_off(guest)))
    if down:
        world.db.write(lambda tx: services.gone(tx, "v1", ["volume"]))
    else:
        monkeypatch.setattr(node.rpc, "call", silent)
    row = world.do(row, "image_snapshot", "snapshot_instance", image_id=image.uuid, restart=True)
    assert (world.row(models.images, image.id).status, state(row)) == ("active", ("active", None, 1))
    assert states == [PowerState.RUNNING, PowerState.RUNNING]
    assert len(stopped) == (1 if down else 2)


def test_an_image_that_fails_is_killed_and_the_instance_runs_on(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start()
    row = world.running()

    def refuse(*args: Any) -> int:
        raise HypervisorError("No space.")

    monkeypatch.setattr(world.hosts["h1"].driver, "snapshot", refuse)
    image = saving(world, row)
    row = world.do(row, "image_snapshot", "snapshot_instance", image_id=image.uuid, restart=True)
    assert world.row(models.images, image.id).status == "killed"
    assert state(row) == ("active", None, 1)
    assert "login:" in world.call(row, "get_console_output")


def test_an_image_of_an_instance_that_ended_is_killed(world: World) -> None:
    world.start()
    row = world.running()
    image = saving(world, row)
    world.do(row, "deleting", "terminate_instance")
    world.cast("compute.h1", "snapshot_instance", instance_uuid=row.uuid, image_id=image.uuid, restart=True)
    world.settle()
    assert world.row(models.images, image.id).status == "killed"


# -- backups -----------------------------------------------------------------------------------------------


def backup(world: World, row: Any, kind: str, **values: Any) -> Any:
    image = saving(world, row)
    for key, value in (("backup_type", kind), ("image_type", "backup")):
        statement = models.image_properties.insert().values(image_id=image.id, key=key, value=value)
        world.db.write(lambda tx, statement=statement: tx.execute(statement))
    if values:
        world.update(models.images, image.id, **values)
    return world.row(models.images, image.id)


@both_ways
@pytest.mark.parametrize(("rotation", "left"), [(2, 2), (1, 1), (0, 0), (9, 4)])
def test_old_backups_give_way(world: World, twice: bool, rotation: int, left: int) -> None:
    world.start(twice=twice)
    row, other = world.running(), world.running()
    daily = [backup(world, row, "daily", status="active") for _ in range(3)]
    kept = [
        backup(world, row, "weekly", status="active"),
        backup(world, other, "daily", status="active"),
        backup(world, row, "daily", status="killed"),
    ]
    new = backup(world, row, "daily")
    args = {"image_id": new.uuid, "image_type": "backup", "backup_type": "daily", "rotation": rotation}
    row = world.do(row, "image_backup", "snapshot_instance", **args)
    assert state(row) == ("active", None, 1)
    after = [world.row(models.images, one.id) for one in (*daily, new)]
    alive = [one for one in after if one.deleted == 0]
    assert alive == (after[-left:] if left else [])
    assert all((one.status, one.deleted) == ("deleted", one.id) for one in after if one not in alive)
    assert [world.row(models.images, one.id) for one in kept] == kept


def test_a_backup_that_fails_drives_nothing_out(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start()
    row = world.running()
    old = backup(world, row, "daily", status="active")

    def refuse(*args: Any) -> int:
        raise HypervisorError("No space.")

    monkeypatch.setattr(world.hosts["h1"].driver, "snapshot", refuse)
    new = backup(world, row, "daily")
    args = {"image_id": new.uuid, "image_type": "backup", "backup_type": "daily", "rotation": 1}
    world.do(row, "image_backup", "snapshot_instance", **args)
    assert world.row(models.images, old.id) == old
    assert world.row(models.images, new.id).status == "killed"
