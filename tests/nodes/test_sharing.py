"""Compute nodes and the addresses that servers share."""

import logging
from typing import Any

import pytest

from nova_api.context import RequestContext
from nova_api.db import models, shared_ips
from nova_api.errors import ServiceUnavailable
from nova_api.nodes.guest_node import guest_of
from tests.nodes.conftest import CONTEXT, World

ADDRESS = "203.0.113.5"
SAID = f"eth0: {ADDRESS} is shared"


@pytest.fixture
def pair(world: World) -> tuple[Any, Any]:
    """An owner and a server that is to share its address; the address is shared in the datastore alone."""
    world.start()
    owner, sharer = world.running(), world.running()
    group = world.insert(models.shared_ip_groups, project_id="acme", name="g")
    world.db.write(lambda tx: shared_ips.share(tx, ADDRESS, owner.id, sharer.id, group, configured=True))
    return owner, sharer


def tell(world: World, row: Any) -> None:
    world.cast(f"compute.{world.again(row).host}", "configure_shared_ips", instance_uuid=row.uuid)
    world.settle()


def test_set_up_and_taken_down(world: World, pair: tuple[Any, Any]) -> None:
    _, sharer = pair
    assert SAID not in world.call(sharer, "get_console_output")
    for _ in range(2):
        tell(world, sharer)
        assert world.call(sharer, "get_console_output").count(SAID) == 1
    world.db.write(lambda tx: shared_ips.end_of_addresses(tx, [ADDRESS]))
    tell(world, sharer)
    assert SAID not in world.call(sharer, "get_console_output")


def test_what_is_only_recorded_is_not_set_up(world: World, pair: tuple[Any, Any]) -> None:
    owner, sharer = pair
    world.db.write(lambda tx: shared_ips.end_of_addresses(tx, [ADDRESS]))
    group = world.insert(models.shared_ip_groups, project_id="acme", name="h")
    world.db.write(lambda tx: shared_ips.share(tx, ADDRESS, owner.id, sharer.id, group, configured=False))
    tell(world, sharer)
    assert SAID not in world.call(sharer, "get_console_output")


def test_a_node_that_starts_again_sets_up_what_was_shared(world: World, pair: tuple[Any, Any]) -> None:
    _, sharer = pair
    world.stop()
    world.start()
    assert SAID in world.call(sharer, "get_console_output")


@pytest.mark.parametrize(
    "values",
    [{"vm_state": "building"}, {"vm_state": "resizing"}, {"vm_state": "migrating"}, {"task_state": "starting"}],
    ids=str,
)
def test_a_server_that_is_on_its_way_is_told_later(world: World, pair: tuple[Any, Any], values: dict[str, Any]) -> None:
    _, sharer = pair
    world.update(models.instances, sharer.id, **values)
    node = world.hosts["h1"]
    with pytest.raises(ServiceUnavailable):
        node.configure_shared_ips(CONTEXT, sharer.uuid)
    world.update(models.instances, sharer.id, vm_state="active", task_state=None)
    node.configure_shared_ips(CONTEXT, sharer.uuid)
    assert SAID in world.call(sharer, "get_console_output")


def test_a_message_follows_a_server_that_has_moved(world: World) -> None:
    world.start("h1", "h2")
    owner, sharer = world.running(), world.running()
    group = world.insert(models.shared_ip_groups, project_id="acme", name="g")
    world.db.write(lambda tx: shared_ips.share(tx, ADDRESS, owner.id, sharer.id, group, configured=True))
    elsewhere = "h2" if sharer.host == "h1" else "h1"
    world.cast(f"compute.{elsewhere}", "configure_shared_ips", instance_uuid=sharer.uuid)
    world.settle()
    assert SAID in world.call(sharer, "get_console_output")


def test_a_server_that_is_gone_is_fine(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.start()
    world.hosts["h1"].configure_shared_ips(RequestContext(None, None), "nobody")
    sharer = world.running()
    world.hosts["h1"].driver.destroy(guest_of(world.hosts["h1"]._find(sharer.uuid)))
    with caplog.at_level(logging.ERROR):
        world.hosts["h1"].configure_shared_ips(CONTEXT, sharer.uuid)
    assert "is not on this host" in caplog.text


def test_every_change_of_the_guest_keeps_them(world: World, pair: tuple[Any, Any]) -> None:
    _, sharer = pair
    tell(world, sharer)
    for task, method in (
        ("stopping", "stop_instance"),
        ("starting", "start_instance"),
        ("rebooting", "reboot_instance"),
    ):
        world.do(sharer, task, method)
    assert SAID in world.call(sharer, "get_console_output")
    world.update(models.instances, sharer.id, vm_state="rebuilding")
    world.do(sharer, "spawning", "rebuild_instance")
    assert SAID in world.call(sharer, "get_console_output")
