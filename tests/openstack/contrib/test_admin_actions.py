"""os-admin-actions, os-server-start-stop, os-rescue: what is done to servers (spec openstack-extensions.md 3)."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from lxml import etree

from nova_api.db import instances
from tests.openstack.contrib.tables import ODD
from tests.openstack.fakes import NOBODY, STOCK_400, STOCK_404, Door, message
from tests.openstack.test_servers import change

#: Action, the states it starts from, and the status that it ends in.
MOVES = {
    "pause": (("active", "shutoff", "rescued"), "PAUSED"),
    "unpause": (("paused",), "ACTIVE"),
    "suspend": (("active", "shutoff", "rescued"), "SUSPENDED"),
    "resume": (("suspended",), "ACTIVE"),
    "rescue": (("active", "shutoff", "stopped"), "RESCUE"),
    "unrescue": (("rescued",), "ACTIVE"),
    "createBackup": (("active", "shutoff"), "ACTIVE"),
    "migrate": (("active", "shutoff"), "ACTIVE"),
}
STATES = ("active", "building", "error", "paused", "suspended", "rescued", "stopped", "shutoff", "soft-delete")
BACKUP = {"name": "b", "backup_type": "daily", "rotation": 1}
FOR_ADMINISTRATORS = ("lock", "unlock", "resetNetwork", "injectNetworkInfo", "migrate")


@pytest.fixture(scope="module")
def server(door: Door) -> str:
    """One that runs, and is left running."""
    return door.boot()


def settled(door: Door, server: str) -> tuple[str, str | None]:
    door.cloud.settle()
    shown = door.server(server)
    return shown["status"], shown["OS-EXT-STS:task_state"]


def argument(action: str) -> Any:
    return BACKUP if action == "createBackup" else None


@pytest.mark.parametrize(("there", "back"), [("pause", "unpause"), ("suspend", "resume"), ("os-stop", "os-start")])
def test_there_and_back(door: Door, server: str, there: str, back: str) -> None:
    launched = door.server(server)["OS-EXT-STS:power_state"]
    for action, status in (
        (there, {"pause": "PAUSED", "suspend": "SUSPENDED", "os-stop": "STOPPED"}[there]),
        (back, "ACTIVE"),
    ):
        answer = door.act(server, action)
        assert (answer.status_int, answer.body) == (202, b"")
        assert answer.headers["Content-Type"] == "text/html; charset=UTF-8"
        assert settled(door, server) == (status, None)
    assert door.server(server)["OS-EXT-STS:power_state"] == launched


def test_rescue(door: Door, server: str) -> None:
    answer = door.act(server, "rescue", {"adminPass": "pw"})
    assert (answer.status_int, answer.json) == (200, {"adminPass": "pw"})
    assert settled(door, server) == ("RESCUE", None)
    assert door.act(server, "unrescue").status_int == 202
    assert settled(door, server) == ("ACTIVE", None)
    made = door.ask(f"/servers/{server}/action", "POST", xml="<rescue/>")
    assert len(etree.fromstring(made.body).text) == 12
    assert made.text.startswith("<adminPass>")
    assert settled(door, server) == ("RESCUE", None)
    assert door.act(server, "unrescue").status_int == 202
    assert settled(door, server) == ("ACTIVE", None)
    for odd in ("", 5, [], "x" * 300):
        assert message(door.act(server, "rescue", {"adminPass": odd})) == (400, "Invalid adminPass")


@pytest.mark.parametrize(
    ("action", "vm_state"),
    [(name, state) for name, (right, _) in MOVES.items() for state in STATES if state not in right],
)
def test_wrong_states(door: Door, server: str, action: str, vm_state: str) -> None:
    """Everything but the states an action starts from is a conflict; those are tried by the tests above."""
    change(door, server, vm_state=vm_state)
    try:
        refused = message(door.act(server, action, argument(action), user="admin"))
        assert refused == (409, f"Cannot '{action}' while instance is in vm_state {vm_state}")
    finally:
        change(door, server, vm_state="active")


@pytest.mark.parametrize("action", MOVES)
def test_busy_locked_or_nowhere(door: Door, server: str, action: str) -> None:
    state = MOVES[action][0][0]
    user = "admin" if action == "migrate" else "alice"
    change(door, server, vm_state=state, task_state="deleting")
    try:
        refused = message(door.act(server, action, argument(action), user=user))
        assert refused == (409, f"Cannot '{action}' while instance is in task_state deleting")
        change(door, server, task_state=None, host=None)
        refused = message(door.act(server, action, argument(action), user=user))
        assert refused == (409, f"Cannot '{action}' while instance is on no host")
        change(door, server, host="node1", locked=True)
        if user == "alice":
            refused = message(door.act(server, action, argument(action)))
            assert refused == (409, f"Cannot '{action}' while instance is locked")
        assert door.server(server)["OS-EXT-STS:task_state"] is None
    finally:
        change(door, server, vm_state="active", task_state=None, host="node1", locked=False)


@pytest.mark.parametrize(("action", "verb", "state"), [("os-start", "start", "active"), ("os-stop", "stop", "paused")])
def test_power_in_the_wrong_state(door: Door, server: str, action: str, verb: str, state: str) -> None:
    change(door, server, vm_state=state)
    try:
        text = f"Instance {server} in vm_state {state}. Cannot {verb} while the instance is in this state."
        with door.cloud.runtime.db.read() as conn:
            found = instances.by_uuid(conn, server)
        assert found is not None
        for name in (server, str(found.id)):
            assert message(door.act(name, action)) == (400, text)
    finally:
        change(door, server, vm_state="active")
    assert message(door.act(NOBODY, action)) == (404, "Instance not found")
    assert message(door.act(server, action, user="bob")) == (404, "Instance not found")


def test_a_stopped_server_that_starts_again_is_not_terminated(door: Door) -> None:
    server = door.boot()
    for action in ("os-stop", "os-start"):
        door.act(server, action)
        door.cloud.settle()
    with door.cloud.runtime.db.read() as conn:
        found = instances.by_uuid(conn, server)
    assert found is not None and (found.vm_state, found.terminated_at) == ("active", None)


def test_locks(door: Door) -> None:
    server = door.boot()
    assert door.act(server, "lock", user="admin").status_int == 202
    for action, given in (("pause", None), ("reboot", {"type": "HARD"}), ("os-stop", None), ("rescue", None)):
        refused = door.act(server, action, given)
        assert refused.status_int == 409, action
        assert "locked" in message(refused)[1]
    assert message(door.delete(f"/servers/{server}")) == (409, "Cannot 'delete' while instance is locked")
    assert settled(door, server) == ("ACTIVE", None)
    assert door.act(server, "pause", user="admin").status_int == 202
    assert settled(door, server) == ("PAUSED", None)
    assert door.act(server, "unlock", user="admin").status_int == 202
    assert door.act(server, "unpause").status_int == 202
    assert settled(door, server) == ("ACTIVE", None)


def test_one_of_many_pauses(door: Door) -> None:
    server = door.boot()
    with ThreadPoolExecutor(8) as pool:
        found = sorted(pool.map(lambda _: door.act(server, "pause").status_int, range(8)))
    assert found == [202] + [409] * 7
    assert settled(door, server) == ("PAUSED", None)


def test_nudges(door: Door, server: str) -> None:
    for action in ("resetNetwork", "injectNetworkInfo"):
        assert door.act(server, action, user="admin").status_int == 202
        assert door.ask(f"/servers/{server}/action", "POST", xml=f"<{action}/>", user="admin").status_int == 202
    assert settled(door, server) == ("ACTIVE", None)


@pytest.mark.parametrize("action", FOR_ADMINISTRATORS)
def test_not_for_owners(door: Door, server: str, action: str) -> None:
    text = f"Policy doesn't allow compute_extension:admin_actions:{action} to be performed."
    assert message(door.act(server, action)) == (403, text)
    live = {"host": "x", "block_migration": False, "disk_over_commit": False}
    text = "Policy doesn't allow compute_extension:admin_actions:migrateLive to be performed."
    assert message(door.act(server, "os-migrateLive", live)) == (403, text)


@pytest.mark.parametrize("action", [*MOVES, *FOR_ADMINISTRATORS])
def test_unknown_servers(door: Door, action: str) -> None:
    assert message(door.act(NOBODY, action, argument(action), user="admin")) == (404, STOCK_404)
    if action not in FOR_ADMINISTRATORS:
        assert message(door.act(door.boot(), action, argument(action), user="bob")) == (404, STOCK_404)


def test_migration_without_another_host(door: Door) -> None:
    server = door.boot()
    assert door.act(server, "migrate", user="admin").status_int == 202
    assert settled(door, server) == ("ACTIVE", None)


@pytest.mark.parametrize(
    "given", [None, {}, {"host": "x"}, {"host": "x", "block_migration": False}, [], {"host": 5, "block_migration": 0}]
)
def test_live_migration_needs_all(door: Door, server: str, given: Any) -> None:
    refused = message(door.act(server, "os-migrateLive", given, user="admin"))
    assert refused == (400, "host and block_migration must be specified.")


def test_live_migration_to_nowhere(door: Door, server: str) -> None:
    for host in ("nowhere", "", None):
        given = {"host": host, "block_migration": False, "disk_over_commit": False}
        for one in (server, NOBODY):
            refused = message(door.act(one, "os-migrateLive", given, user="admin"))
            assert refused == (400, f"Live migration of instance {one} to host {host} failed")
    assert settled(door, server) == ("ACTIVE", None)


def test_states_are_set_right(door: Door) -> None:
    server = door.boot()
    change(door, server, task_state="pausing")
    assert message(door.act(server, "os-resetState", {"state": "error"}))[0] == 403
    for state, status in (("error", "ERROR"), ("active", "ACTIVE")):
        assert door.act(server, "os-resetState", {"state": state}, user="admin").status_int == 202
        assert settled(door, server) == (status, None)
    for odd in (None, {}, {"state": "paused"}, {"state": None}, []):
        refused = message(door.act(server, "os-resetState", odd, user="admin"))
        assert refused == (400, "Desired state must be specified. Valid states are: active, error")


# -- backups


def backups(door: Door, server: str) -> list[str]:
    found = door.ask(f"/images/detail?server={server}&type=backup").json["images"]
    return sorted(one["name"] for one in found if one["status"] == "ACTIVE")


def test_backups_rotate(door: Door) -> None:
    server = door.boot()
    for name, kind, rotation in (("d1", "daily", 2), ("w1", "weekly", 2), ("d2", "daily", 2), ("d3", "daily", 2)):
        given = {"name": name, "backup_type": kind, "rotation": rotation, "metadata": {"k": "v"}}
        answer = door.act(server, "createBackup", given)
        assert (answer.status_int, answer.body) == (202, b"")
        image = answer.headers["Location"].removeprefix("http://localhost/v1.1/acme")
        assert settled(door, server) == ("ACTIVE", None)
        shown = door.ask(image).json["image"]
        assert (shown["metadata"]["backup_type"], shown["metadata"]["k"]) == (kind, "v")
        assert (shown["status"], shown["metadata"]["image_type"]) == ("ACTIVE", "backup")
    assert backups(door, server) == ["d2", "d3", "w1"]
    metadata = '<metadata><meta key="a">b</meta></metadata>'
    xml = f'<createBackup name="d4" backup_type="daily" rotation="0">{metadata}</createBackup>'
    assert door.ask(f"/servers/{server}/action", "POST", xml=xml).status_int == 202
    door.cloud.settle()
    assert backups(door, server) == ["w1"]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "Malformed createBackup entity"),
        ("x", "Malformed createBackup entity"),
        ({}, "createBackup entity requires 'name' attribute"),
        ({"name": "b"}, "createBackup entity requires 'backup_type' attribute"),
        ({"name": "b", "backup_type": "daily"}, "createBackup entity requires 'rotation' attribute"),
        ({**BACKUP, "rotation": "x"}, "createBackup attribute 'rotation' must be an integer"),
        ({**BACKUP, "rotation": True}, "createBackup attribute 'rotation' must be an integer"),
        ({**BACKUP, "rotation": -1}, "createBackup attribute 'rotation' must be greater than or equal to zero"),
        ({**BACKUP, "rotation": None}, STOCK_400),
        ({**BACKUP, "name": 5}, STOCK_400),
        ({**BACKUP, "metadata": "x"}, "Invalid metadata"),
    ],
)
def test_refused_backups(door: Door, server: str, given: Any, text: str) -> None:
    assert message(door.act(server, "createBackup", given)) == (400, text)
    for name in BACKUP:
        for odd in ODD:
            assert door.act(server, "createBackup", {**BACKUP, name: odd}).status_int in (202, 400, 409)
            settled(door, server)


def test_too_much_metadata(door: Door, server: str) -> None:
    given = {**BACKUP, "metadata": {str(n): "" for n in range(129)}}
    answer = door.act(server, "createBackup", given)
    assert message(answer) == (413, "Image metadata limit exceeded")
    assert answer.headers["Retry-After"] == "0"
    assert settled(door, server) == ("ACTIVE", None)
