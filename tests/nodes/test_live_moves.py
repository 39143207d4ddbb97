"""Live migrations over the real messages."""

import threading
import time
from typing import Any

import pytest

from nova_api.db import models
from nova_api.nodes.drivers.hypervisor import HypervisorError
from nova_api.nodes.drivers.volumestore import VolumeStoreError
from nova_api.rpc.envelope import RemoteError
from tests.nodes.conftest import CONTEXT, World
from tests.nodes.test_compute import both_ways, state
from tests.nodes.test_disks import attach, attaching
from tests.nodes.test_moves import move, placed, runs_on

ACTIVE = ("active", None, 1)


def migrate(world: World, row: Any, dest: str, **options: Any) -> Any:
    """What the API does, until every node has done its part."""
    arguments = {"block_migration": False, "disk_over_commit": False, **options}
    world.rpc.call(CONTEXT, "scheduler", "live_migration", instance_id=row.id, dest=dest, topic="compute", **arguments)
    world.settle()
    return world.again(row)


@both_ways
def test_there_and_back(world: World, twice: bool) -> None:
    world.start("h1", "h2", twice=twice)
    row = placed(world)
    before = world.addresses()
    for dest, other in (("h2", "h1"), ("h1", "h2")):
        found = migrate(world, row, dest, block_migration=True)
        assert (*state(found), found.host) == (*ACTIVE, dest)
        assert runs_on(world, row) == [dest]
        last = move(world, row)
        assert (last.status, last.source_compute, last.dest_compute) == ("confirmed", other, dest)
    assert world.addresses() == before


@pytest.mark.parametrize("step", ["prepare_live_migration", "live_migrate"])
def test_what_cannot_move_stays(world: World, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    world.start("h1", "h2")
    row = placed(world)
    host = "h2" if step.startswith("prepare") else "h1"

    def fail(*args: Any, **options: Any) -> None:
        raise HypervisorError("no way")

    monkeypatch.setattr(world.hosts[host].driver, step, fail)
    found = migrate(world, row, "h2")
    assert (*state(found), found.host) == (*ACTIVE, "h1")
    assert found.fault_message == "Live migration failed: no way"
    assert (runs_on(world, row), move(world, row).status) == (["h1"], "error")
    monkeypatch.undo()
    found = migrate(world, row, "h2")
    assert (*state(found), found.host) == (*ACTIVE, "h2")


def test_what_does_not_arrive_is_an_error(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start("h1", "h2")
    row = placed(world)

    def fail(*args: Any) -> None:
        raise HypervisorError("lost")

    monkeypatch.setattr(world.hosts["h2"].driver, "finish_live_migration", fail)
    found = migrate(world, row, "h2")
    assert (found.vm_state, found.fault_message, move(world, row).status) == ("error", "lost", "error")


@pytest.mark.parametrize(
    ("values", "dest", "kind"),
    [
        ({}, "h1", "IncorrectInstanceState"),
        ({}, "nowhere", "Conflict"),
        ({"vm_state": "paused"}, "h2", "IncorrectInstanceState"),
        ({"task_state": "rebooting"}, "h2", "IncorrectInstanceState"),
        ({"memory_mb": 10**9 + 1}, "h2", "Conflict"),
        ({"deleted": 1}, "h2", "InstanceNotFound"),
    ],
)
def test_refusals(world: World, values: dict[str, Any], dest: str, kind: str) -> None:
    world.start("h1", "h2")
    row = placed(world)
    world.update(models.instances, row.id, **values)
    before = world.again(row)
    with pytest.raises(RemoteError) as error:
        migrate(world, row, dest)
    assert error.value.exc_type == kind
    assert world.again(row) == before
    assert world.rows(models.migrations) == []


def test_its_volumes_follow(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start("h1", "h2")
    told: list[tuple[str, str]] = []
    monkeypatch.setattr(world.volume.store, "initialize_connection", lambda volume, host: {"from": host})
    monkeypatch.setattr(world.volume.store, "terminate_connection", lambda volume, host: told.append(("off", host)))
    row = placed(world)
    volume = world.volume_row(status="attaching", instance_id=row.id, mountpoint="/dev/vdb")
    world.cast("compute.h1", "attach_volume", volume_id=volume, mountpoint="/dev/vdb", instance_uuid=row.uuid)
    world.settle()
    migrate(world, row, "h2")
    assert world.rows(models.block_devices)[0].connection_info == '{"from": "h2"}'
    assert (told, world.row(models.volumes, volume).status) == ([("off", "h1")], "in-use")


@pytest.mark.parametrize(
    ("method", "host"), [("prepare_live_migration", "h2"), ("live_migrate", "h1"), ("finish_live_migration", "h2")]
)
def test_killed_in_the_middle(world: World, monkeypatch: pytest.MonkeyPatch, method: str, host: str) -> None:
    """The message comes again, to the process that follows."""
    world.start("h1", "h2")
    row, entered, hang = placed(world), threading.Event(), threading.Event()

    def stay(*args: Any, **options: Any) -> None:
        entered.set()
        hang.wait()  # for ever, as in a process that is gone

    monkeypatch.setattr(world.hosts[host].driver, method, stay)
    arguments = {"block_migration": False, "disk_over_commit": False}
    world.rpc.call(CONTEXT, "scheduler", "live_migration", instance_id=row.id, dest="h2", **arguments)
    assert entered.wait(30)
    world.stop(0)
    monkeypatch.undo()
    world.start("h1", "h2")
    world.settle()
    found = world.again(row)
    assert (*state(found), found.host) == (*ACTIVE, "h2")
    assert "h2" in runs_on(world, row)


def test_room_for_the_disk(world: World) -> None:
    world.start("h1", "h2")
    row = placed(world)
    world.update(models.instances, row.id, root_gb=10**9 + 1)
    with pytest.raises(RemoteError):
        migrate(world, row, "h2", block_migration=True)
    assert migrate(world, row, "h2", block_migration=True, disk_over_commit=True).host == "h2"


def test_an_instance_that_ends_on_its_way(world: World) -> None:
    """The message of a later step finds another state and does nothing."""
    world.start("h1", "h2")
    row = placed(world)
    world.update(models.instances, row.id, vm_state="migrating", task_state="deleting")
    number = world.insert(
        models.migrations,
        instance_id=row.id,
        source_compute="h1",
        dest_compute="h2",
        status="migrating",
        old_instance_type_id=1,
        new_instance_type_id=1,
    )
    for host, method in (("h2", "pre_live_migration"), ("h1", "live_migration")):
        world.cast(f"compute.{host}", method, instance_uuid=row.uuid, migration_id=number)
    world.cast("compute.h1", "terminate_instance", instance_uuid=row.uuid)
    world.settle()
    assert world.again(row).vm_state == "deleted"
    assert runs_on(world, row) == []


@pytest.mark.parametrize(("method", "host"), [("prepare_live_migration", "h2"), ("live_migrate", "h1")])
def test_terminated_in_the_middle(world: World, monkeypatch: pytest.MonkeyPatch, method: str, host: str) -> None:
    """Nothing of it stays at the destination, whether it was made ready there or has come."""
    world.start("h1", "h2")
    row, entered, go = placed(world), threading.Event(), threading.Event()
    attach(world, row, attaching(world, row))
    there, told = world.hosts["h2"].driver, []
    act = getattr(world.hosts[host].driver, method)

    def slowly(guest: Any, *args: Any, **options: Any) -> None:
        entered.set()
        assert go.wait(30)
        act(guest, *args, **options)
        if method == "live_migrate":
            there.adopt(guest.id, 1, 0.0)

    monkeypatch.setattr(world.hosts[host].driver, method, slowly)
    monkeypatch.setattr(there, "cancel_live_migration", lambda guest: told.append("cancelled"))
    monkeypatch.setattr(world.volume.store, "terminate_connection", lambda volume, host: told.append(host))
    world.rpc.call(CONTEXT, "scheduler", "live_migration", instance_id=row.id, dest="h2")
    assert entered.wait(30)
    world.update(models.instances, row.id, task_state="deleting")
    world.hosts["h1"].terminate_instance(CONTEXT, row.uuid)
    go.set()
    world.settle()
    assert world.again(row).vm_state == "deleted"
    assert runs_on(world, row) == []
    assert set(told) == {"cancelled", "h1", "h2"}


def test_terminated_before_its_destination_was_made_ready(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever is reached after the instance has ended is let go again."""
    world.start("h1", "h2")
    row, told = placed(world), []
    attach(world, row, attaching(world, row))

    def reach(volume: int, host: str) -> dict[str, Any]:
        world.update(models.instances, row.id, task_state="deleting")
        world.hosts["h1"].terminate_instance(CONTEXT, row.uuid)
        while ("off", host) not in told:
            time.sleep(0.005)
        told.append(("on", host))
        return {"from": host}

    monkeypatch.setattr(world.volume.store, "initialize_connection", reach)
    monkeypatch.setattr(world.volume.store, "terminate_connection", lambda volume, host: told.append(("off", host)))
    world.rpc.call(CONTEXT, "scheduler", "live_migration", instance_id=row.id, dest="h2")
    world.settle()
    assert [one for one in told if one[1] == "h2"] == [("off", "h2"), ("on", "h2"), ("off", "h2")]


def test_volumes_that_are_not_reached_from_its_destination(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start("h1", "h2")
    row = placed(world)
    attach(world, row, attaching(world, row))
    asked: list[str] = []

    def reach(volume: int, host: str) -> dict[str, Any]:
        asked.append(host)
        if len(asked) > 1:
            raise VolumeStoreError("The wire is cut.")
        return {"from": host}

    monkeypatch.setattr(world.volume.store, "initialize_connection", reach)
    found = migrate(world, row, "h2")
    assert (found.vm_state, found.task_state, found.host) == ("error", None, "h2")
    assert (found.fault_message, move(world, row).status) == ("The wire is cut.", "error")


def test_screens(world: World) -> None:
    world.start()
    row = world.running()
    found = world.call(row, "get_vnc_console", console_type="novnc")
    assert set(found) == {"host", "port", "internal_access_path"} and 5900 <= found["port"] < 6900
    world.update(models.instances, row.id, deleted=row.id)
    with pytest.raises(RemoteError, match="InstanceNotFound"):
        world.call(row, "get_vnc_console", console_type="novnc")
