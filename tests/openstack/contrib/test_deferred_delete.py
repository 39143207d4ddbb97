"""os-deferred-delete (spec openstack-extensions.md 3)."""

from collections.abc import Iterator

import pytest

from nova_api.db.models import now
from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, NOBODY, STOCK_404, Door, message
from tests.openstack.test_servers import change


@pytest.fixture(scope="module")
def keeping(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A cloud that keeps deleted servers for an hour."""
    state = tmp_path_factory.mktemp("deferred") / "state"
    with running(state, DOCUMENT, reclaim_instance_interval=3600) as made:
        yield Door(made)


def deleted(door: Door) -> str:
    server = door.boot()
    assert door.delete(f"/servers/{server}").status_int == 204
    door.cloud.settle()
    assert door.server(server)["status"] == "DELETED"
    return server


def test_restore(keeping: Door) -> None:
    server = deleted(keeping)
    before = keeping.server(server)["addresses"]
    answer = keeping.act(server, "restore")
    assert (answer.status_int, answer.body) == (202, b"")
    keeping.cloud.settle()
    shown = keeping.server(server)
    assert (shown["status"], shown["OS-EXT-STS:power_state"], shown["addresses"]) == ("ACTIVE", 1, before)
    again = message(keeping.act(server, "restore"))
    assert again == (409, "Cannot 'restore' while instance is in vm_state active")
    assert keeping.delete(f"/servers/{server}").status_int == 204
    keeping.cloud.settle()
    assert keeping.ask(f"/servers/{server}/action", "POST", xml="<restore/>").status_int == 202
    keeping.cloud.settle()
    assert keeping.server(server)["status"] == "ACTIVE"


@pytest.mark.parametrize("action", ["restore", "forceDelete"])
def test_a_server_that_is_still_being_switched_off(keeping: Door, action: str) -> None:
    server = keeping.boot()
    change(keeping, server, vm_state="soft-delete", task_state="powering-off", deleted_at=now())
    assert keeping.act(server, action).status_int == 202
    keeping.cloud.settle()
    if action == "restore":
        assert keeping.server(server)["status"] == "ACTIVE"
    else:
        assert message(keeping.ask(f"/servers/{server}")) == (404, STOCK_404)


def test_force_delete(keeping: Door) -> None:
    server = deleted(keeping)
    assert keeping.act(server, "forceDelete").status_int == 202
    keeping.cloud.settle()
    assert message(keeping.ask(f"/servers/{server}")) == (404, STOCK_404)
    for action in ("restore", "forceDelete"):
        assert message(keeping.act(server, action)) == (404, STOCK_404)


def test_a_deleted_server_counts_until_it_is_gone(keeping: Door) -> None:
    """It can come back, so its place is kept."""
    keeping.cloud.runtime.quotas.set_limit("globex", "instances", 1)
    server = keeping.boot("bob")
    keeping.delete(f"/servers/{server}", user="bob")
    keeping.cloud.settle()
    assert keeping.new("bob").status_int == 413
    keeping.act(server, "forceDelete", user="bob")
    keeping.cloud.settle()
    assert keeping.new("bob").status_int == 202
    keeping.cloud.settle()


@pytest.mark.parametrize("action", ["restore", "forceDelete"])
def test_refusals(keeping: Door, action: str) -> None:
    server = keeping.boot()
    refused = message(keeping.act(server, action))
    assert refused == (409, f"Cannot '{action}' while instance is in vm_state active")
    assert message(keeping.act(NOBODY, action)) == (404, STOCK_404)
    keeping.delete(f"/servers/{server}")
    keeping.cloud.settle()
    assert message(keeping.act(server, action, user="bob")) == (404, STOCK_404)
    assert keeping.server(server)["status"] == "DELETED"
    keeping.act(server, "forceDelete")
    keeping.cloud.settle()
