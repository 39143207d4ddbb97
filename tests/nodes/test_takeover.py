"""The work of hosts that died: who takes it up, and what they find when they return."""

import json
from datetime import timedelta
from typing import Any

import pytest

from nova_api.context import new_uuid
from nova_api.db import models, services
from nova_api.db.models import now
from nova_api.nodes.drivers.hypervisor import HypervisorError, PowerState
from nova_api.nodes.guest_node import guest_of
from nova_api.nodes.takeover import TakeOver
from tests.nodes.conftest import CONTEXT, World

LONG_AGO = timedelta(seconds=3600)
BUILDING = {"vm_state": "building", "host": "dead", "task_state": "networking"}


@pytest.fixture
def take(world: World) -> Any:
    """Nodes on the host h1, a host ``dead`` that is silent, and what takes up its work."""
    world.start("h1")
    for topic in ("compute", "volume"):
        silent(world, topic)
    return TakeOver(world.db, world.outbox, world.config)


def silent(world: World, topic: str, host: str = "dead", **values: Any) -> None:
    given = {"host": host, "topic": topic, "binary": f"nova-{topic}", "availability_zone": "nova", **values}
    world.insert(models.services, **{"updated_at": now() - LONG_AGO, "report_count": 1, **given})


def state(world: World, row: Any) -> tuple[str, str | None, str | None]:
    after = world.again(row)
    return after.vm_state, after.task_state, after.host


def messages(world: World, monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, dict[str, Any]]]:
    sent: list[tuple[str, str, dict[str, Any]]] = []
    monkeypatch.setattr(world.outbox, "cast", lambda tx, context, to, method, **args: sent.append((to, method, args)))
    return sent


# -- builds ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("task", ["networking", "block_device_mapping", "spawning"])
def test_builds_go_to_another_host(world: World, take: TakeOver, task: str) -> None:
    rows = [world.instance(**{**BUILDING, "task_state": task}) for _ in range(3)]
    assert take.run() == 3
    world.settle()
    assert {state(world, row) for row in rows} == {("active", None, "h1")}
    assert take.run() == 0


def test_addresses_stay_with_the_instance(world: World, take: TakeOver) -> None:
    row = world.running()
    before = world.addresses()
    world.update(models.instances, row.id, **{**BUILDING, "task_state": "spawning"})
    assert take.run() == 1
    world.settle()
    assert state(world, row) == ("active", None, "h1") and world.addresses() == before


def test_what_the_build_was_told_is_told_again(world: World, take: TakeOver, monkeypatch: pytest.MonkeyPatch) -> None:
    row = world.instance(**BUILDING)
    told = {"admin_password": "pa55", "injected_files": [["/etc/motd", "aGk="]], "filter_properties": {}}
    world.insert(models.instance_builds, instance_id=row.id, arguments=json.dumps(told))
    sent = messages(world, monkeypatch)
    assert take.run() == 1
    del told["filter_properties"]
    assert sent == [("compute.h1", "run_instance", {"instance_uuid": row.uuid, **told})]


def test_what_builds_are_told_is_kept_until_they_end(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start("h1")
    kept: list[dict[str, Any]] = []

    def look(*_args: Any, **_more: Any) -> None:
        kept.extend(json.loads(row.arguments) for row in world.rows(models.instance_builds))

    monkeypatch.setattr(world.hosts["h1"].driver, "spawn", look)
    row = world.instance()
    spec = {"instance_uuids": [row.uuid], "instance_properties": {}}
    world.cast(
        "scheduler", "run_instance", request_spec=spec, admin_password="pa55", filter_properties={"a": [], "b": 1}
    )
    world.settle()
    assert kept == [{"admin_password": "pa55", "filter_properties": {"b": 1}}]
    assert world.rows(models.instance_builds) == []


def test_what_failed_builds_were_told_is_forgotten(
    world: World, take: TakeOver, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_args: Any, **_more: Any) -> None:
        raise HypervisorError("no")

    monkeypatch.setattr(world.hosts["h1"].driver, "spawn", refuse)
    row = world.instance()
    spec = {"instance_uuids": [row.uuid], "instance_properties": {}}
    world.cast("scheduler", "run_instance", request_spec=spec, admin_password="pa55")
    world.settle()
    assert world.again(row).vm_state == "error" and world.rows(models.instance_builds)
    take.run()
    assert world.rows(models.instance_builds) == []


@pytest.mark.parametrize(
    "limits",
    [
        {"force_hosts": ["dead"]},
        {"ignore_hosts": ["h1"]},
        {"scheduler_hints": {"query": '["=", "$host", "h9"]'}},
        {"scheduler_hints": {"query": "nonsense"}},
    ],
)
def test_builds_that_no_other_host_may_have_wait(world: World, take: TakeOver, limits: dict[str, Any]) -> None:
    row = world.instance(**BUILDING)
    world.insert(models.instance_builds, instance_id=row.id, arguments=json.dumps({"filter_properties": limits}))
    assert take.run() == 0
    assert state(world, row) == ("building", "networking", "dead")


def test_builds_that_have_room_nowhere_wait(world: World, take: TakeOver) -> None:
    big, small = world.instance(**BUILDING, memory_mb=2_000_000_000), world.instance(**BUILDING)
    assert take.run() == 1
    world.settle()
    assert state(world, big) == ("building", "networking", "dead")
    assert state(world, small) == ("active", None, "h1")


def test_more_than_are_looked_at_at_a_time(world: World, take: TakeOver) -> None:
    rows = [world.instance(**BUILDING, **({"memory_mb": 2_000_000_000} if n < 101 else {})) for n in range(103)]
    assert take.run() == 2
    world.settle()
    assert [state(world, row)[2] for row in rows] == ["dead"] * 101 + ["h1"] * 2


@pytest.mark.parametrize(
    "values",
    [
        {"vm_state": "active", "task_state": None},
        {"vm_state": "active", "task_state": "rebooting"},
        {"vm_state": "rebuilding", "task_state": "spawning"},
        {"vm_state": "resizing", "task_state": "resize_migrating"},
        {"vm_state": "error", "task_state": None},
    ],
)
def test_everything_else_waits_for_the_host(world: World, take: TakeOver, values: dict[str, Any]) -> None:
    row = world.instance(**{**BUILDING, **values})
    assert take.run() == 0
    assert world.again(row).host == "dead"


def test_volumes_are_attached_anew(world: World, take: TakeOver, monkeypatch: pytest.MonkeyPatch) -> None:
    row = world.instance(**{**BUILDING, "task_state": "spawning"})
    volume = world.volume_row(status="in-use", instance_id=row.id, mountpoint="/dev/vdb", attach_status="attached")
    device = {"instance_id": row.id, "device_name": "/dev/vdb", "volume_id": volume}
    world.insert(models.block_devices, **device, connection_info='{"of": "dead"}')
    parted: list[tuple[int, str]] = []
    store = world.volume.store
    monkeypatch.setattr(store, "terminate_connection", lambda number, host: parted.append((number, host)))
    monkeypatch.setattr(store, "initialize_connection", lambda number, host: {"of": host})
    assert take.run() == 1
    world.settle()
    assert state(world, row) == ("active", None, "h1") and parted == [(volume, "dead")]
    assert world.row(models.volumes, volume).status == "in-use"
    (device_row,) = world.rows(models.block_devices)
    assert json.loads(device_row.connection_info) == {"of": "h1"}


def test_two_schedulers_take_up_each_build_once(world: World, take: TakeOver, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [world.instance(**BUILDING) for _ in range(5)]
    spawned: list[int] = []
    real = world.hosts["h1"].driver.spawn

    def spawn(guest: Any, *args: Any, **more: Any) -> None:
        spawned.append(guest.id)
        real(guest, *args, **more)

    monkeypatch.setattr(world.hosts["h1"].driver, "spawn", spawn)
    other = TakeOver(world.db, world.outbox, world.config)
    assert take.run() + other.run() == 5
    world.settle()
    assert sorted(spawned) == [row.id for row in rows]


# -- who is given up ---------------------------------------------------------------------------------------


def test_who_said_goodbye_has_time_to_return(world: World) -> None:
    world.start("h1")
    silent(world, "compute", updated_at=None)
    row, clock = world.instance(**BUILDING), [0.0]
    take = TakeOver(world.db, world.outbox, world.config, lambda: clock[0])
    for at, taken in ((0.0, 0), (59.0, 0), (61.0, 1)):
        clock[0] = at
        assert take.run() == taken
    world.settle()
    assert state(world, row) == ("active", None, "h1")


def test_who_returned_in_time_is_not_given_up(world: World) -> None:
    world.start("h1")
    silent(world, "compute", updated_at=None)
    row, clock = world.instance(**BUILDING), [0.0]
    take = TakeOver(world.db, world.outbox, world.config, lambda: clock[0])
    assert take.run() == 0
    world.db.write(lambda tx: services.report(tx, "dead", "compute", "nova-compute", "nova"))
    clock[0] = 61.0
    assert take.run() == 0
    world.db.write(lambda tx: services.gone(tx, "dead", ["compute"]))
    assert take.run() == 0
    assert state(world, row)[2] == "dead"


def test_without_another_host_work_waits(world: World) -> None:
    world.start("h1")
    world.db.write(lambda tx: services.gone(tx, "h1", ["compute"]))
    silent(world, "compute")
    row = world.instance(**BUILDING)
    assert TakeOver(world.db, world.outbox, world.config).run() == 0
    assert state(world, row)[2] == "dead"


# -- ends --------------------------------------------------------------------------------------------------


def test_instances_that_are_to_end_are_ended_in_the_datastore(world: World, take: TakeOver) -> None:
    row = world.running()
    volume = world.volume_row(status="in-use", instance_id=row.id, mountpoint="/dev/vdb")
    world.update(models.instances, row.id, host="dead", task_state="deleting")
    assert take.run() == 1 and take.run() == 0
    world.settle()
    after = world.again(row)
    assert after.vm_state == "deleted" and after.deleted and world.addresses() == []
    assert world.row(models.volumes, volume).status == "available"


# -- volumes -----------------------------------------------------------------------------------------------


def test_volumes_are_made_by_another_host(world: World, take: TakeOver) -> None:
    number = world.volume_row(status="creating", host="dead")
    there = world.volume_row(status="available", host="dead")
    assert take.run() == 1 and take.run() == 0
    world.settle()
    assert (world.row(models.volumes, number).status, world.row(models.volumes, number).host) == ("available", "v1")
    assert world.row(models.volumes, there).host == "dead"


def test_volumes_of_a_zone_without_another_host_wait(world: World, take: TakeOver) -> None:
    number = world.volume_row(status="creating", host="dead", availability_zone="elsewhere")
    assert take.run() == 0
    assert world.row(models.volumes, number).host == "dead"


def test_a_volume_host_that_returns_leaves_it_alone(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start("h1")
    number = world.volume_row(status="creating", host="other")
    dropped: list[int] = []
    monkeypatch.setattr(world.volume.store, "delete", dropped.append)
    world.volume.create_volume(CONTEXT, number)
    assert world.row(models.volumes, number).status == "creating" and dropped == [number]


def test_a_volume_host_that_is_given_up_while_it_works(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start("h1")
    number = world.volume_row(status="creating", host="v1")
    dropped: list[int] = []

    def slow(volume: int, *_args: Any) -> str:
        world.update(models.volumes, volume, host="other")
        return "here"

    monkeypatch.setattr(world.volume.store, "create", slow)
    monkeypatch.setattr(world.volume.store, "delete", dropped.append)
    world.volume.create_volume(CONTEXT, number)
    row = world.row(models.volumes, number)
    assert (row.status, row.host, row.provider_location) == ("creating", "other", None) and dropped == [number]


# -- hosts that return -------------------------------------------------------------------------------------


def test_a_message_of_a_build_that_others_have_does_nothing(world: World) -> None:
    world.start("h1")
    row = world.instance(**{**BUILDING, "host": "other"})
    world.cast("compute.h1", "run_instance", instance_uuid=row.uuid)
    world.settle()
    assert state(world, row) == ("building", "networking", "other") and world.addresses() == []


@pytest.mark.parametrize("fails", [False, True])
def test_a_host_that_is_given_up_while_it_builds(world: World, monkeypatch: pytest.MonkeyPatch, fails: bool) -> None:
    world.start("h1")
    driver = world.hosts["h1"].driver
    real, row = driver.spawn, world.instance(**{**BUILDING, "host": "h1"})

    def overtaken(*args: Any, **more: Any) -> None:
        real(*args, **more)
        world.update(models.instances, row.id, host="other")
        if fails:
            raise HypervisorError("too late")

    monkeypatch.setattr(driver, "spawn", overtaken)
    world.cast("compute.h1", "run_instance", instance_uuid=row.uuid)
    world.settle()
    assert state(world, row) == ("building", "spawning", "other")
    assert fails or driver.guests() == ()


@pytest.mark.parametrize(
    ("values", "stays"),
    [
        ({"host": "h1", "vm_state": "active", "task_state": None}, True),
        ({"host": "other", "vm_state": "active", "task_state": None}, False),
        ({"host": "other", "vm_state": "building", "task_state": "spawning"}, False),
        ({"host": "h1", "vm_state": "deleted", "task_state": None, "deleted": 1}, False),
    ],
)
def test_a_host_that_returns_takes_down_what_is_not_its_own(world: World, values: dict[str, Any], stays: bool) -> None:
    world.start("h1")
    row, node = world.running(), world.hosts["h1"]
    world.update(models.instances, row.id, **values)
    node.driver.adopt(row.id + 1, PowerState.RUNNING, 0.0)  # one that the datastore never knew
    node.start()
    assert node.driver.guests() == ((row.id, row.id + 1) if stays else (row.id + 1,))


def test_guests_on_the_move_stay(world: World) -> None:
    world.start("h1")
    row, node = world.running(), world.hosts["h1"]
    kinds = {"old_instance_type_id": 1, "new_instance_type_id": 1, "status": "post-migrating"}
    world.insert(models.migrations, instance_id=row.id, source_compute="h1", dest_compute="h2", **kinds)
    world.update(models.instances, row.id, host="h2")
    node.start()
    assert node.driver.guests() == (row.id,)


def test_the_end_of_an_instance_that_others_have_ended(world: World) -> None:
    world.start("h1")
    row, node = world.running(), world.hosts["h1"]
    world.update(models.instances, row.id, vm_state="deleted", deleted=row.id, host="h1")
    world.cast("compute.h1", "terminate_instance", instance_uuid=row.uuid)
    world.cast("compute.h1", "terminate_instance", instance_uuid=new_uuid())
    world.settle()
    assert node.driver.power_state(guest_of(row_with_devices(world, row))) is PowerState.NOSTATE


def row_with_devices(world: World, row: Any) -> Any:
    from nova_api.db import guests

    with world.db.read() as conn:
        return guests.get_ever(conn, row.uuid)
