"""Resizes and migrations over the real messages: there, and back."""

import threading
from typing import Any

import pytest

from nova_api.db import models, moves
from nova_api.errors import ServiceUnavailable
from nova_api.nodes.drivers.hypervisor import HypervisorError, PowerState
from nova_api.nodes.guest_node import guest_of
from tests.nodes.conftest import CONTEXT, World
from tests.nodes.test_compute import both_ways, power, state

VERIFY = ("active", "resize_verify", 1)
ACTIVE = ("active", None, 1)
OLD = (512, 1, 0, 0)
NEW = (2048, 2, 20, 5)
same_or_other = pytest.mark.parametrize("dest", ["h1", "h2"], ids=["same-host", "other-host"])


def big(world: World) -> int:
    return world.insert(
        models.flavors, name="m1.big", flavorid="2", memory_mb=2048, vcpus=2, root_gb=20, ephemeral_gb=5
    )


def sizes(row: Any) -> tuple[int, int, int, int]:
    return row.memory_mb, row.vcpus, row.root_gb, row.ephemeral_gb


def placed(world: World, host: str = "h1", **values: Any) -> Any:
    row = world.instance(**values)
    world.schedule([row], force_hosts=[host])
    world.settle()
    return world.again(row)


def resize(world: World, row: Any, flavor: int, **limits: Any) -> Any:
    """What the API does for a resize, until every node has done its part."""
    world.update(models.instances, row.id, vm_state="resizing", task_state="resize_prep", progress=0)
    world.cast(
        "scheduler",
        "prep_resize",
        topic="compute",
        instance_uuid=row.uuid,
        instance_type_id=flavor,
        image=None,
        update_db=False,
        request_spec={},
        filter_properties=limits,
    )
    world.settle()
    return world.again(row)


def move(world: World, row: Any) -> Any:
    return world.rows(models.migrations, models.migrations.c.instance_id == row.id)[-1]


def end(world: World, row: Any, how: str) -> Any:
    """What the API does to confirm or to revert."""
    last = move(world, row)
    world.update(models.migrations, last.id, status={"confirm": "confirmed", "revert": "reverted"}[how])
    back = {"vm_state": "resizing", "task_state": "resize_reverting"}
    world.update(models.instances, row.id, **({"task_state": None} if how == "confirm" else back))
    host = last.source_compute if how == "confirm" else last.dest_compute
    world.cast(f"compute.{host}", f"{how}_resize", instance_uuid=row.uuid, migration_id=last.id)
    world.settle()
    return world.again(row)


def left(world: World, row: Any) -> list[str]:
    """Hosts that keep what a move has left."""
    return sorted(name for name, node in world.hosts.items() if row.id in node.driver._kept)  # type: ignore[attr-defined]


def runs_on(world: World, row: Any) -> list[str]:
    """Hosts that have its guest."""
    guest = guest_of(world.again(row))
    return sorted(
        name for name, node in world.hosts.items() if node.driver.power_state(guest) is not PowerState.NOSTATE
    )


@both_ways
@same_or_other
def test_a_resize_that_is_confirmed(world: World, twice: bool, dest: str) -> None:
    world.start("h1", "h2", twice=twice)
    flavor = big(world)
    row = resize(world, placed(world), flavor, force_hosts=[dest])
    assert (state(row), sizes(row), row.host, row.progress) == (VERIFY, NEW, dest, 100)
    assert row.instance_type_id == flavor
    made = move(world, row)
    assert (made.source_compute, made.dest_compute, made.status) == ("h1", dest, "finished")
    assert (made.old_instance_type_id, made.new_instance_type_id) == (1, flavor)
    assert (runs_on(world, row), left(world, row)) == ([dest], ["h1"])
    row = end(world, row, "confirm")
    assert (state(row), sizes(row), row.host) == (ACTIVE, NEW, dest)
    assert (runs_on(world, row), left(world, row)) == ([dest], [])
    assert power(world, row) is PowerState.RUNNING
    assert len(world.rows(models.migrations)) == 1


@both_ways
@same_or_other
def test_a_resize_that_is_reverted(world: World, twice: bool, dest: str) -> None:
    world.start("h1", "h2", twice=twice)
    row = resize(world, placed(world), big(world), force_hosts=[dest])
    row = end(world, row, "revert")
    assert (state(row), sizes(row), row.host, row.progress) == (ACTIVE, OLD, "h1", 100)
    assert row.instance_type_id == 1 and move(world, row).status == "reverted"
    assert (runs_on(world, row), left(world, row)) == (["h1"], [])
    assert power(world, row) is PowerState.RUNNING
    assert len(world.addresses()) == 1


@both_ways
def test_a_migration_keeps_the_flavor(world: World, twice: bool) -> None:
    world.start("h1", "h2", twice=twice)
    row = resize(world, placed(world), 1, ignore_hosts=["h1"])
    assert (state(row), sizes(row), row.host) == (VERIFY, OLD, "h2")
    row = end(world, row, "confirm")
    row = resize(world, row, 1, ignore_hosts=["h2"])
    assert (row.host, runs_on(world, row), left(world, row)) == ("h1", ["h1"], ["h2"])


def test_the_next_move_confirms_the_one_before(world: World) -> None:
    """A reboot while a resize waits for its owner's word leaves nothing that could be confirmed."""
    world.start("h1", "h2", "h3")
    row = resize(world, placed(world), big(world), force_hosts=["h2"])
    world.update(models.instances, row.id, task_state=None)
    row = resize(world, row, 1, force_hosts=["h3"])
    assert [one.status for one in world.rows(models.migrations)] == ["confirmed", "finished"]
    assert (runs_on(world, row), left(world, row)) == (["h3"], ["h2"])
    row = end(world, row, "revert")
    assert (state(row), sizes(row), row.host) == (ACTIVE, NEW, "h2")


@both_ways
def test_its_volumes_follow(world: World, twice: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start("h1", "h2", twice=twice)
    told: list[tuple[str, str]] = []

    def reach(volume: int, host: str) -> dict[str, str]:
        told.append(("to", host))
        return {"from": host}

    monkeypatch.setattr(world.volume.store, "initialize_connection", reach)
    monkeypatch.setattr(world.volume.store, "terminate_connection", lambda volume, host: told.append(("off", host)))
    row = placed(world)
    volume = world.volume_row(status="attaching", instance_id=row.id, mountpoint="/dev/vdb")
    world.cast("compute.h1", "attach_volume", volume_id=volume, mountpoint="/dev/vdb", instance_uuid=row.uuid)
    world.settle()
    row = resize(world, row, big(world), force_hosts=["h2"])
    assert world.rows(models.block_devices)[0].connection_info == '{"from": "h2"}'
    assert "vdb_read" in world.call(row, "get_diagnostics")
    row = end(world, row, "revert")
    assert world.rows(models.block_devices)[0].connection_info == '{"from": "h1"}'
    assert "vdb_read" in world.call(row, "get_diagnostics")
    assert set(told) == {("to", "h1"), ("off", "h1"), ("to", "h2"), ("off", "h2")}
    assert world.row(models.volumes, volume).status == "in-use"


# -- what goes wrong ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("off", "back"), [(False, ACTIVE), (True, ("shutoff", None, 4))])
def test_no_other_host_leaves_it_as_it_is(world: World, off: bool, back: tuple[str, None, int]) -> None:
    world.start()
    row = placed(world)
    if off:
        row = world.do(row, "stopping", "stop_instance")
    row = resize(world, row, big(world), ignore_hosts=["h1"])
    assert (state(row), sizes(row), row.host, row.progress) == (back, OLD, "h1", 0 if off else 100)
    assert row.fault_code == 500 and row.fault_at is not None
    assert row.fault_message == "No valid host was found. No other compute service is up."
    assert world.rows(models.migrations) == []


METHODS = [
    ("migrate_off", "h1"),
    ("finish_migration", "h2"),
    ("revert_migration", "h2"),
    ("finish_revert_migration", "h1"),
]


@pytest.mark.parametrize(("method", "host"), METHODS)
def test_a_step_that_fails(world: World, monkeypatch: pytest.MonkeyPatch, method: str, host: str) -> None:
    world.start("h1", "h2")
    row = placed(world)

    def refuse(*args: Any) -> None:
        raise HypervisorError("No room.")

    monkeypatch.setattr(world.hosts[host].driver, method, refuse)
    row = resize(world, row, big(world), force_hosts=["h2"])
    if "revert" in method:
        row = end(world, row, "revert")
    assert (row.vm_state, row.task_state, row.host) == ("error", None, host)
    assert (row.fault_code, row.fault_message) == (500, "No room.") and row.fault_at is not None
    assert move(world, row).status == "error"
    row = world.do(row, "deleting", "terminate_instance")
    assert row.deleted == row.id and world.addresses() == []
    assert (runs_on(world, row), left(world, row)) == ([], [])


def test_a_step_that_fails_while_the_datastore_goes_away(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The move does not go on without its instance."""
    world.start("h1", "h2")
    row, change, away = placed(world), moves.change, [True]

    def refuse(*args: Any) -> None:
        raise HypervisorError("No room.")

    def lose(tx: Any, number: int, statuses: Any, status: str) -> bool:
        if status == "error" and away:
            away.clear()
            raise ServiceUnavailable("The datastore does not answer.")
        return change(tx, number, statuses, status)

    monkeypatch.setattr(world.hosts["h1"].driver, "migrate_off", refuse)
    monkeypatch.setattr(moves, "change", lose)
    row = resize(world, row, big(world), force_hosts=["h2"])
    assert not away
    assert (row.vm_state, move(world, row).status) == ("error", "error")


def test_a_copy_that_cannot_be_dropped_changes_nothing(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start("h1", "h2")
    row = resize(world, placed(world), big(world), force_hosts=["h2"])

    def refuse(*args: Any) -> None:
        raise HypervisorError("Busy.")

    monkeypatch.setattr(world.hosts["h1"].driver, "confirm_migration", refuse)
    row = end(world, row, "confirm")
    assert (state(row), row.fault_message, move(world, row).status) == (ACTIVE, None, "confirmed")


@pytest.mark.parametrize(("method", "host"), METHODS)
def test_a_node_killed_in_the_middle(world: World, monkeypatch: pytest.MonkeyPatch, method: str, host: str) -> None:
    world.start("h1", "h2")
    row = placed(world)
    hang, entered = threading.Event(), threading.Event()

    def stay(*args: Any) -> None:
        entered.set()
        hang.wait()  # for ever, as in a process that is gone

    flavor = big(world)
    if "revert" in method:
        row = resize(world, row, flavor, force_hosts=["h2"])
    monkeypatch.setattr(world.hosts[host].driver, method, stay)
    monkeypatch.setattr(world, "settle", lambda: None)
    if "revert" in method:
        end(world, row, "revert")
    else:
        resize(world, row, flavor, force_hosts=["h2"])
    assert entered.wait(30)
    world.stop(0)
    monkeypatch.undo()
    world.start("h1", "h2")
    world.settle()
    row = world.again(row)
    if "revert" in method:
        assert (state(row), sizes(row), row.host) == (ACTIVE, OLD, "h1")
    else:
        assert (state(row), sizes(row), row.host) == (VERIFY, NEW, "h2")
    assert power(world, row) is PowerState.RUNNING


@pytest.mark.parametrize(("method", "host"), METHODS)
def test_terminated_in_the_middle(world: World, monkeypatch: pytest.MonkeyPatch, method: str, host: str) -> None:
    world.start("h1", "h2")
    row = placed(world)
    node = world.hosts[host]
    real = getattr(node.driver, method)

    def overtaken(*args: Any) -> None:
        world.update(models.instances, row.id, task_state="deleting")
        world.hosts[world.again(row).host].terminate_instance(CONTEXT, row.uuid)
        real(*args)

    flavor = big(world)
    if "revert" in method:
        row = resize(world, row, flavor, force_hosts=["h2"])
        monkeypatch.setattr(node.driver, method, overtaken)
        row = end(world, row, "revert")
    else:
        monkeypatch.setattr(node.driver, method, overtaken)
        row = resize(world, row, flavor, force_hosts=["h2"])
    assert row.deleted == row.id and world.addresses() == []
    assert runs_on(world, row) == []


def test_terminated_while_it_waits(world: World) -> None:
    world.start("h1", "h2")
    row = resize(world, placed(world), big(world), force_hosts=["h2"])
    row = world.do(row, "deleting", "terminate_instance")
    assert row.deleted == row.id
    assert (runs_on(world, row), left(world, row)) == ([], [])


def test_messages_that_come_late_do_nothing(world: World) -> None:
    world.start("h1", "h2")
    row = resize(world, placed(world), big(world), force_hosts=["h2"])
    first = move(world, row)
    row = end(world, row, "revert")
    row = resize(world, row, 1, force_hosts=["h2"])
    world.update(models.instances, row.id, vm_state="resizing", task_state="resize_reverting")
    before = world.again(row)
    world.update(models.migrations, first.id, status="confirmed")
    for host in ("h1", "h2"):
        for method in ("resize_instance", "finish_resize", "confirm_resize", "revert_resize", "finish_revert_resize"):
            world.cast(f"compute.{host}", method, instance_uuid=row.uuid, migration_id=first.id)
            world.cast(f"compute.{host}", method, instance_uuid="none", migration_id=first.id)
    world.settle()
    assert world.again(row) == before
    assert (runs_on(world, row), left(world, row)) == (["h2"], ["h1"])


def test_a_confirmation_that_nobody_gave(world: World) -> None:
    world.start("h1", "h2")
    row = resize(world, placed(world), big(world), force_hosts=["h2"])
    world.cast("compute.h1", "confirm_resize", instance_uuid=row.uuid, migration_id=move(world, row).id)
    world.settle()
    assert left(world, row) == ["h1"]


# -- where to ----------------------------------------------------------------------------------------------


def limit(world: World, host: str, **room: int) -> None:
    table = models.compute_nodes
    world.db.write(lambda tx: tx.execute(table.update().where(table.c.host == host).values(**room)))


def test_the_new_flavor_has_to_fit(world: World) -> None:
    world.start("h1", "h2", "h3")
    limit(world, "h2", memory_mb=2047)
    row = resize(world, placed(world), big(world), ignore_hosts=["h1"])
    assert row.host == "h3"


def test_its_own_host_gets_its_room_back(world: World) -> None:
    world.start()
    limit(world, "h1", memory_mb=2048)
    flavor = big(world)
    row = resize(world, placed(world), flavor)
    assert (state(row), row.host) == (VERIFY, "h1")


def test_what_is_on_its_way_takes_room(world: World) -> None:
    world.start("h1", "h2", "h3")
    flavor = big(world)
    limit(world, "h2", memory_mb=4095)
    limit(world, "h3", memory_mb=4000)
    first, second = placed(world), placed(world)
    number = resize(world, first, flavor, ignore_hosts=["h1"])
    assert number.host == "h2"
    world.update(models.instances, first.id, host="h1", vm_state="resizing", task_state="resize_migrating")
    world.update(models.migrations, move(world, first).id, status="migrating")
    assert resize(world, second, flavor, ignore_hosts=["h1"]).host == "h3"


def test_a_resize_goes_where_the_zone_is(world: World) -> None:
    world.start("h1", "h2")
    row = resize(world, placed(world, availability_zone="nova"), big(world), ignore_hosts=["h1"])
    assert row.host == "h2"
    world.update(models.instances, row.id, task_state=None, availability_zone="east")
    row = resize(world, row, 1, ignore_hosts=["h2"])
    assert row.fault_message == "No valid host was found. No host has room for it in its zone."
