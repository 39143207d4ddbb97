import threading
import time
from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api.db import models, networks
from nova_api.nodes.drivers.hypervisor import HypervisorError, PowerState
from nova_api.nodes.guest_node import UNKNOWN_FAULT, guest_of
from nova_api.rpc.envelope import RemoteError
from tests.nodes.conftest import CONTEXT, World

both_ways = pytest.mark.parametrize("twice", [False, True], ids=["once", "twice"])


def state(row: Any) -> tuple[str, str | None, int]:
    return row.vm_state, row.task_state, row.power_state


def power(world: World, row: Any) -> PowerState:
    node = world.hosts[row.host]
    return node.driver.power_state(guest_of(row))


@both_ways
def test_a_build_ends_with_one_guest_and_one_address(world: World, twice: bool) -> None:
    world.start(twice=twice)
    rows = world.run(20)
    world.settle()
    for row in rows:
        now = world.again(row)
        assert state(now) == ("active", None, 1)
        assert now.host == "h1" and now.launched_at and now.scheduled_at
        assert power(world, now) is PowerState.RUNNING
    assert sorted(number for number, _ in world.addresses()) == sorted(row.id for row in rows)
    assert len(world.rows(models.virtual_interfaces)) == 20


@both_ways
def test_power(world: World, twice: bool) -> None:
    world.start(twice=twice)
    row = world.running()
    for task, method, after, does in (
        ("stopping", "stop_instance", ("stopped", None, 4), PowerState.SHUTDOWN),
        ("starting", "start_instance", ("active", None, 1), PowerState.RUNNING),
        ("rebooting", "reboot_instance", ("active", None, 1), PowerState.RUNNING),
        ("rebooting_hard", "reboot_instance", ("active", None, 1), PowerState.RUNNING),
        ("pausing", "pause_instance", ("paused", None, 3), PowerState.PAUSED),
        ("unpausing", "unpause_instance", ("active", None, 1), PowerState.RUNNING),
        ("suspending", "suspend_instance", ("suspended", None, 7), PowerState.SUSPENDED),
        ("resuming", "resume_instance", ("active", None, 1), PowerState.RUNNING),
        ("rescuing", "rescue_instance", ("rescued", None, 1), PowerState.RUNNING),
        ("unrescuing", "unrescue_instance", ("active", None, 1), PowerState.RUNNING),
    ):
        row = world.do(row, task, method)
        assert (state(row), power(world, row)) == (after, does), method
    assert "(boot 2)" in world.call(row, "get_console_output")


def test_a_message_that_comes_late_does_nothing(world: World) -> None:
    world.start()
    row = world.running()
    for method in ("stop_instance", "start_instance", "reboot_instance", "run_instance", "pause_instance"):
        world.cast("compute.h1", method, instance_uuid=row.uuid)
    world.settle()
    assert state(world.again(row)) == ("active", None, 1)
    assert world.call(row, "get_console_output").count("boot finished") == 1


@both_ways
def test_terminate_returns_everything(world: World, twice: bool) -> None:
    world.start(twice=twice)
    row = world.running()
    group = world.insert(models.security_groups, project_id="acme", name="default")
    world.db.write(
        lambda tx: tx.execute(sa.insert(models.instance_groups).values(instance_id=row.id, security_group_id=group))
    )
    fixed = world.rows(models.fixed_ips, models.fixed_ips.c.instance_id == row.id)[0]
    world.insert(models.floating_ips, address="192.0.2.9", pool="nova", project_id="acme", fixed_ip_id=fixed.id)
    world.cast("network", "associate_floating_ip", floating_address="192.0.2.9", fixed_address=fixed.address)
    world.settle()
    assert world.network.driver.table == {"192.0.2.9": fixed.address}  # type: ignore[attr-defined]
    row = world.do(row, "deleting", "terminate_instance")
    assert state(row) == ("deleted", None, 0) and row.deleted == row.id and row.terminated_at
    assert world.addresses() == [] and world.rows(models.virtual_interfaces) == []
    assert world.rows(models.instance_groups) == []
    assert world.network.driver.table == {}  # type: ignore[attr-defined]
    assert power(world, row) is PowerState.NOSTATE


@pytest.mark.parametrize("task", ["deleting", None])
def test_a_build_gives_way_to_terminate(world: World, monkeypatch: pytest.MonkeyPatch, task: str | None) -> None:
    """The instance ends, or is about to, while its guest is being made."""
    world.start()
    row = world.instance()
    node = world.hosts["h1"]
    entered, go_on = threading.Event(), threading.Event()
    real = node.driver.spawn

    def slow(*args: Any, **more: Any) -> None:
        entered.set()
        assert go_on.wait(30)
        real(*args, **more)

    monkeypatch.setattr(node.driver, "spawn", slow)
    world.schedule([row])
    assert entered.wait(30)
    world.update(models.instances, row.id, task_state="deleting")
    if task is None:
        node.terminate_instance(CONTEXT, row.uuid)
    go_on.set()
    world.settle()
    row = world.again(row)
    assert power(world, row) is PowerState.NOSTATE
    assert row.task_state == task
    if task is None:
        assert row.deleted == row.id and world.addresses() == []


def test_a_build_stopped_before_it_began_is_not_begun(world: World) -> None:
    world.start()
    row = world.instance(host="h1", task_state="deleting")
    world.cast("compute.h1", "run_instance", instance_uuid=row.uuid)
    world.settle()
    assert world.addresses() == [] and power(world, world.again(row)) is PowerState.NOSTATE


@pytest.mark.parametrize("error", [HypervisorError("No room."), ValueError("a defect of the driver")])
def test_what_the_driver_cannot_do_is_told(world: World, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    world.start()

    def refuse(*args: Any, **more: Any) -> None:
        raise error

    monkeypatch.setattr(world.hosts["h1"].driver, "spawn", refuse)
    row = world.running()
    assert state(row) == ("error", None, 0)
    assert row.fault_message == ("No room." if isinstance(error, HypervisorError) else UNKNOWN_FAULT)
    assert len(world.addresses()) == 1  # kept until it is deleted
    row = world.do(row, "deleting", "terminate_instance")
    assert row.deleted == row.id and world.addresses() == []


def test_no_address_left_is_a_fault(world: World) -> None:
    world.start()
    table = models.fixed_ips
    world.db.write(lambda tx: tx.execute(sa.update(table).where(table.c.address != "10.0.0.9").values(reserved=True)))
    first, second = world.run(2)
    world.settle()
    rows = [world.again(first), world.again(second)]
    assert sorted(row.vm_state for row in rows) == ["active", "error"]
    (failed,) = (row for row in rows if row.vm_state == "error")
    assert failed.fault_message == "Zero fixed ips available."
    assert failed.task_state is None


def test_a_hardware_address_that_exists_is_drawn_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = iter([f"02:16:3e:00:00:0{n}" for n in (1, 1, 1, 2)])
    monkeypatch.setattr(networks, "new_mac", lambda: next(drawn))
    world.start()
    world.run(2)
    world.settle()
    macs = [row.address for row in world.rows(models.virtual_interfaces)]
    assert sorted(macs) == ["02:16:3e:00:00:01", "02:16:3e:00:00:02"]
    assert len(world.addresses()) == 2


def test_a_second_process_takes_up_the_guests(world: World) -> None:
    world.start()
    running, stopped = world.running(), world.running()
    stopped = world.do(stopped, "stopping", "stop_instance")
    world.stop()
    world.start()
    assert power(world, running) is PowerState.RUNNING
    assert power(world, stopped) is PowerState.SHUTDOWN
    assert state(world.do(stopped, "starting", "start_instance")) == ("active", None, 1)
    assert "login:" in world.call(running, "get_console_output")


def test_a_process_killed_while_it_builds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fifty builds are in hand when the process goes; the next one finishes each of them once."""
    world.start(workers=20)
    hang = threading.Event()
    entered = threading.Semaphore(0)

    def spawn(*args: Any, **more: Any) -> None:
        entered.release()
        hang.wait()  # for ever: nothing after this line runs, as in a process that is gone

    monkeypatch.setattr(world.hosts["h1"].driver, "spawn", spawn)
    rows = world.run(50)
    for _ in range(20):
        assert entered.acquire(timeout=30)
    taken = world.addresses()
    assert 20 <= len(taken) <= 50
    world.stop(0)
    world.start()
    world.settle()
    assert [state(world.again(row)) for row in rows] == [("active", None, 1)] * 50
    addresses = world.addresses()
    assert sorted(number for number, _ in addresses) == sorted(row.id for row in rows)
    assert set(taken) <= set(addresses)
    assert len(world.rows(models.virtual_interfaces)) == 50


def test_console_and_diagnostics(world: World) -> None:
    world.start()
    row = world.running(hostname="web")
    text = world.call(row, "get_console_output", tail_length=None)
    ((_, address),) = world.addresses()
    assert "web login:" in text and address in text
    assert world.call(row, "get_console_output", tail_length="2").count("\n") <= 2
    assert world.call(row, "get_console_output", tail_length=0) == ""
    assert world.call(row, "get_diagnostics")["memory"] == 512 * 1024


def test_questions_about_what_is_not_there(world: World) -> None:
    world.start()
    row = world.instance(host="h1")
    assert world.call(row, "get_console_output") == ""
    with pytest.raises(RemoteError) as failed:
        world.call(row, "get_diagnostics")
    assert failed.value.exc_type == "IncorrectInstanceState"
    world.update(models.instances, row.id, deleted=row.id)
    for method in ("get_console_output", "get_diagnostics"):
        with pytest.raises(RemoteError) as failed:
            world.call(row, method)
        assert failed.value.exc_type == "InstanceNotFound"


# -- what else owners do -----------------------------------------------------------------------------------


@both_ways
def test_the_password(world: World, twice: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start(twice=twice)
    row = world.running()
    told: list[str] = []
    monkeypatch.setattr(world.hosts["h1"].driver, "set_admin_password", lambda guest, word: told.append(word))
    row = world.do(row, "updating_password", "set_admin_password", new_pass="pa55")
    assert (state(row), told) == (("active", None, 1), ["pa55"])
    world.cast("compute.h1", "set_admin_password", instance_uuid=row.uuid, new_pass="late")
    world.settle()
    assert told == ["pa55"]


@both_ways
def test_deleted_and_restored(world: World, twice: bool) -> None:
    world.start(twice=twice)
    row = world.running()
    world.update(models.instances, row.id, vm_state="soft-delete", deleted_at=models.now())
    row = world.do(row, "powering-off", "power_off_instance")
    assert (state(row), power(world, row)) == (("soft-delete", None, 4), PowerState.SHUTDOWN)
    assert row.deleted == 0 and row.deleted_at is not None
    world.update(models.instances, row.id, vm_state="active", deleted_at=None)
    row = world.do(row, "powering-on", "power_on_instance")
    assert (state(row), power(world, row)) == (("active", None, 1), PowerState.RUNNING)


def test_restored_while_it_is_switched_off(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is switched on after that, not found running and left to be switched off."""
    world.start()
    row = world.running()
    driver = world.hosts["h1"].driver
    entered, go_on = threading.Event(), threading.Event()
    real = driver.power_off

    def slow(guest: Any) -> None:
        entered.set()
        assert go_on.wait(30)
        real(guest)

    monkeypatch.setattr(driver, "power_off", slow)
    deleted = {"vm_state": "soft-delete", "task_state": "powering-off", "deleted_at": models.now()}
    world.update(models.instances, row.id, **deleted)
    world.cast("compute.h1", "power_off_instance", instance_uuid=row.uuid)
    assert entered.wait(30)
    world.update(models.instances, row.id, vm_state="active", task_state="powering-on", deleted_at=None)
    world.cast("compute.h1", "power_on_instance", instance_uuid=row.uuid)
    time.sleep(0.2)  # for the message to be handled, if nothing keeps it
    go_on.set()
    world.settle()
    row = world.again(row)
    assert (state(row), power(world, row)) == (("active", None, 1), PowerState.RUNNING)


@pytest.mark.parametrize(
    ("task", "method", "does", "args"),
    [
        ("updating_password", "set_admin_password", "set_admin_password", {"new_pass": "x"}),
        ("powering-off", "power_off_instance", "power_off", {}),
        ("powering-on", "power_on_instance", "power_on", {}),
    ],
)
def test_what_fails_is_told(
    world: World, monkeypatch: pytest.MonkeyPatch, task: str, method: str, does: str, args: dict[str, str]
) -> None:
    world.start()
    row = world.running()
    world.update(models.instances, row.id, deleted_at=models.now())

    def refuse(*args: Any) -> None:
        raise HypervisorError("It does not listen.")

    monkeypatch.setattr(world.hosts["h1"].driver, does, refuse)
    row = world.do(row, task, method, **args)
    assert (row.vm_state, row.task_state, row.deleted_at) == ("error", None, None)
    assert (row.fault_message, row.fault_code) == ("It does not listen.", 500) and row.fault_at is not None


@both_ways
@pytest.mark.parametrize("fails", [False, True])
@pytest.mark.parametrize("method", ["reset_network", "inject_network_info"])
def test_hints_about_the_network(
    world: World, monkeypatch: pytest.MonkeyPatch, twice: bool, fails: bool, method: str
) -> None:
    world.start(twice=twice)
    row = world.running()
    told: list[tuple[Any, ...]] = []

    def listen(*args: Any) -> None:
        told.append(args)
        if fails:
            raise HypervisorError("It does not listen.")

    monkeypatch.setattr(world.hosts["h1"].driver, method, listen)
    world.cast("compute.h1", method, instance_uuid=row.uuid)
    world.cast("compute.h1", method, instance_uuid="none")
    world.settle()
    assert world.again(row) == row
    assert len(told) == (2 if twice else 1)
    assert told[0][0] == guest_of(row)
    assert [card.address for card in told[0][1]] == ["10.0.0.2"] if method == "inject_network_info" else True


def soft_deleted(world: World, ago: int, **values: Any) -> Any:
    row = world.running()
    at = models.now() - timedelta(seconds=ago)
    world.update(
        models.instances, row.id, **{"vm_state": "soft-delete", "task_state": None, "deleted_at": at, **values}
    )
    return world.again(row)


def test_nobody_restores_it_in_time(world: World) -> None:
    world.start("h1")
    node = world.hosts["h1"]
    late, stuck = soft_deleted(world, 100), soft_deleted(world, 100, task_state="powering-off")
    kept = [
        soft_deleted(world, 10),
        soft_deleted(world, 100, vm_state="active"),
        soft_deleted(world, 100, host="h2"),
    ]
    assert node.reclaim(60) == 2
    world.settle()
    for row in (late, stuck):
        gone = world.again(row)
        assert (gone.vm_state, gone.deleted) == ("deleted", row.id)
        assert node.driver.power_state(guest_of(gone)) is PowerState.NOSTATE
    assert [world.again(row) for row in kept] == kept
    assert node.reclaim(60) == 0


def test_what_is_being_ended_is_not_ended_again(world: World) -> None:
    world.start()
    soft_deleted(world, 100, task_state="deleting")
    assert world.hosts["h1"].reclaim(60) == 0
