"""What an instance brings along, and building it anew."""

import base64
import threading
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api.context import new_uuid
from nova_api.db import models, networks
from nova_api.nodes.drivers.hypervisor import HypervisorError, InjectedFile, PowerState
from nova_api.nodes.guest_node import UNKNOWN_FAULT
from tests.nodes.conftest import CONTEXT, World
from tests.nodes.test_compute import both_ways, power, state

FILES = [["/etc/motd", base64.b64encode(b"hello\n").decode()]]


def run(world: World, networks_wanted: Any = None, files: Any = None, password: str | None = None) -> Any:
    row = world.instance()
    world.cast(
        "scheduler",
        "run_instance",
        topic="compute",
        request_spec={"instance_uuids": [row.uuid], "instance_properties": {}},
        admin_password=password,
        injected_files=files,
        requested_networks=networks_wanted,
        is_first_time=True,
        filter_properties={},
    )
    world.settle()
    return world.again(row)


def network(world: World, label: str, cidr: str, **values: Any) -> str:
    uuid = new_uuid()
    number = world.db.write(lambda tx: networks.create(tx, label, cidr, uuid=uuid))
    if values:
        world.update(models.networks, number, **values)
    return uuid


def cards(world: World, row: Any) -> list[str]:
    with world.db.read() as conn:
        return [card.address for card in networks.cards(conn, row.id)]


class Watched:
    """Takes the place of a method of a driver and keeps what it was called with."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, driver: Any, name: str) -> None:
        self.calls: list[tuple[Any, dict[str, Any]]] = []
        real = getattr(driver, name)

        def watched(*args: Any, **more: Any) -> None:
            self.calls.append((args, more))
            real(*args, **more)

        monkeypatch.setattr(driver, name, watched)


@both_ways
def test_networks_of_its_choice(world: World, twice: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start(twice=twice)
    spawned = Watched(monkeypatch, world.hosts["h1"].driver, "spawn")
    first, second = network(world, "a", "10.1.0.0/24"), network(world, "b", "10.2.0.0/24")
    row = run(world, [[second, "10.2.0.77"], [first, None]])
    assert state(row) == ("active", None, 1)
    assert cards(world, row) == ["10.2.0.77", "10.1.0.2"]
    assert [card.address for card in spawned.calls[0][0][1]] == cards(world, row)
    assert len(world.rows(models.virtual_interfaces)) == 2


def test_no_networks_are_no_choice(world: World) -> None:
    world.start()
    assert cards(world, run(world, [])) == ["10.0.0.2"]


@pytest.mark.parametrize("wrong", ["taken", "reserved", "unknown", "foreign", "outside", "full"])
def test_a_network_that_cannot_be_had(world: World, wrong: str) -> None:
    world.start()
    fine = network(world, "fine", "10.1.0.0/24")
    lan = network(world, "lan", "10.2.0.0/29", project_id="other" if wrong == "foreign" else None)
    asked = {
        "taken": [lan, "10.2.0.2"],
        "reserved": [lan, "10.2.0.1"],
        "unknown": [new_uuid(), None],
        "foreign": [lan, None],
        "outside": [lan, "10.9.9.9"],
        "full": [lan, None],
    }[wrong]
    if wrong == "taken":
        assert run(world, [[lan, "10.2.0.2"]]).vm_state == "active"
    if wrong == "full":
        inside = models.fixed_ips.c.address.like("10.2.%")
        world.db.write(lambda tx: tx.execute(sa.update(models.fixed_ips).where(inside).values(reserved=True)))
    held = world.addresses()
    row = run(world, [[fine, None], asked])
    assert state(row) == ("error", None, 0)
    assert row.fault_at is not None and row.fault_code == 500
    says = {
        "taken": "Fixed IP address 10.2.0.2 is already in use.",
        "reserved": "Fixed IP address 10.2.0.1 is already in use.",
        "outside": "Fixed IP address 10.9.9.9 is invalid.",
        "full": "Zero fixed ips available.",
    }
    assert row.fault_message == says.get(wrong, f"Network {asked[0]} could not be found.")
    assert world.addresses() == held


@both_ways
def test_files_and_password_reach_the_driver(world: World, twice: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start(twice=twice)
    spawned = Watched(monkeypatch, world.hosts["h1"].driver, "spawn")
    row = run(world, None, FILES, "pa55")
    assert state(row) == ("active", None, 1)
    for _, more in spawned.calls:
        assert more == {"files": [InjectedFile("/etc/motd", b"hello\n")], "admin_password": "pa55"}
    assert "hello" not in repr(spawned.calls[0][1]["files"])


def test_a_file_that_is_no_base64(world: World) -> None:
    world.start()
    row = run(world, None, [["/etc/motd", "x"]])
    assert (row.vm_state, row.fault_message) == ("error", UNKNOWN_FAULT)


# -- rebuild -----------------------------------------------------------------------------------------------


def rebuild(world: World, row: Any, **args: Any) -> Any:
    world.update(models.instances, row.id, vm_state="rebuilding", task_state=None, progress=0)
    world.cast("compute.h1", "rebuild_instance", instance_uuid=row.uuid, **args)
    world.settle()
    return world.again(row)


@both_ways
def test_rebuild(world: World, twice: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start(twice=twice)
    row = world.do(world.running(), "rebooting", "reboot_instance")
    had = world.addresses()
    rebuilt = Watched(monkeypatch, world.hosts["h1"].driver, "rebuild")
    after = rebuild(world, row, new_pass="pa55", injected_files=FILES)
    assert (state(after), after.progress) == (("active", None, 1), 100)
    assert after.launched_at > row.launched_at
    assert world.addresses() == had
    assert "boot 2" not in world.call(row, "get_console_output")
    (call,) = rebuilt.calls
    assert call[1] == {"files": [InjectedFile("/etc/motd", b"hello\n")], "admin_password": "pa55"}
    assert [card.address for card in call[0][1]] == [address for _, address in had]


def test_rebuild_of_one_that_is_off(world: World) -> None:
    world.start()
    row = world.do(world.running(), "stopping", "stop_instance")
    row = rebuild(world, row)
    assert (state(row), power(world, row)) == (("active", None, 1), PowerState.RUNNING)


@pytest.mark.parametrize("was", [("active", None), ("rebuilding", "deleting"), ("building", None)])
def test_rebuild_of_one_that_is_not_to_be(world: World, was: tuple[str, str | None]) -> None:
    world.start()
    row = world.running()
    world.update(models.instances, row.id, vm_state=was[0], task_state=was[1])
    before = world.again(row)
    world.cast("compute.h1", "rebuild_instance", instance_uuid=row.uuid)
    world.settle()
    assert world.again(row) == before


def test_rebuild_that_fails(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start()
    row = world.running()

    def refuse(*args: Any, **more: Any) -> None:
        raise HypervisorError("No such image.")

    monkeypatch.setattr(world.hosts["h1"].driver, "rebuild", refuse)
    row = rebuild(world, row)
    assert (row.vm_state, row.task_state, row.fault_message) == ("error", None, "No such image.")
    assert row.fault_at is not None


def test_rebuild_by_a_node_that_was_killed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start()
    row = world.running()
    hang, entered = threading.Event(), threading.Event()

    def stay(*args: Any, **more: Any) -> None:
        entered.set()
        hang.wait()  # for ever, as in a process that is gone

    monkeypatch.setattr(world.hosts["h1"].driver, "rebuild", stay)
    world.update(models.instances, row.id, vm_state="rebuilding", task_state=None)
    world.cast("compute.h1", "rebuild_instance", instance_uuid=row.uuid)
    assert entered.wait(30)
    assert state(world.again(row)) == ("rebuilding", "spawning", 1)
    world.stop(0)
    world.start()
    world.settle()
    assert state(world.again(row)) == ("active", None, 1)


def test_rebuild_gives_way_to_terminate(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start()
    row = world.running()
    node = world.hosts["h1"]
    real = node.driver.rebuild

    def overtaken(*args: Any, **more: Any) -> None:
        world.update(models.instances, row.id, task_state="deleting")
        node.terminate_instance(CONTEXT, row.uuid)
        real(*args, **more)

    monkeypatch.setattr(node.driver, "rebuild", overtaken)
    row = rebuild(world, row)
    assert row.deleted == row.id and power(world, row) is PowerState.NOSTATE
