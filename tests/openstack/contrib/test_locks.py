"""Servers that an administrator has locked: nothing changes them, at no door (spec openstack-extensions.md 3, a)."""

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from lxml import etree

from nova_api.db.models import instances
from tests.openstack.fakes import RAW, Door, message
from tests.openstack.test_servers import change

#: Action, argument, and the state that it starts from.
ACTIONS: list[tuple[str, Any, dict[str, Any]]] = [
    ("pause", None, {}),
    ("unpause", None, {"vm_state": "paused"}),
    ("suspend", None, {}),
    ("resume", None, {"vm_state": "suspended"}),
    ("rescue", None, {}),
    ("unrescue", None, {"vm_state": "rescued"}),
    ("os-stop", None, {}),
    ("os-start", None, {"vm_state": "stopped"}),
    ("reboot", {"type": "SOFT"}, {}),
    ("reboot", {"type": "HARD"}, {}),
    ("rebuild", {"imageRef": RAW}, {}),
    ("resize", {"flavorRef": "2"}, {}),
    ("confirmResize", None, {"task_state": "resize_verify"}),
    ("revertResize", None, {"task_state": "resize_verify"}),
    ("changePassword", {"adminPass": "x"}, {}),
    ("createImage", {"name": "i"}, {}),
    ("createBackup", {"name": "b", "backup_type": "daily", "rotation": 1}, {}),
    ("restore", None, {"vm_state": "soft-delete"}),
    ("forceDelete", None, {"vm_state": "soft-delete"}),
    ("addFixedIp", {"networkId": "1"}, {}),
    ("removeFixedIp", {"address": "10.0.0.2"}, {}),
    ("addSecurityGroup", {"name": "other"}, {}),
    ("removeSecurityGroup", {"name": "default"}, {}),
    ("addFloatingIp", {"address": "free"}, {}),
    ("removeFloatingIp", {"address": "held"}, {}),
]


@pytest.fixture(scope="module")
def server(door: Door) -> str:
    """One that is locked, in a group, with an address and a volume."""
    made = door.boot()
    group = {"name": "other", "description": "d"}
    assert door.post("/os-security-groups", {"security_group": group}).status_int == 200
    held = door.ask("/os-floating-ips", "POST").json["floating_ip"]["ip"]
    assert door.act(made, "addFloatingIp", {"address": held}).status_int == 202
    door.cloud.settle()
    attach(door, made, volume(door))
    door.cloud.settle()
    assert door.act(made, "lock", user="admin").status_int == 202
    return made


@pytest.fixture
def unchanged(door: Door, server: str) -> Iterator[None]:
    """Whatever a test does, the row is what it was."""
    before = row(door, server)
    yield
    door.cloud.settle()
    assert row(door, server) == before


def row(door: Door, server: str) -> Any:
    with door.cloud.runtime.db.read() as conn:
        return conn.execute(sa.select(instances).where(instances.c.uuid == server)).one()


def volume(door: Door) -> int:
    made = door.post("/os-volumes", {"volume": {"size": 1}}).json["volume"]["id"]
    door.cloud.settle()
    return int(made)


def attach(door: Door, server: str, number: int, user: str = "alice") -> Any:
    body = {"volumeAttachment": {"volumeId": number, "device": None}}
    return door.post(f"/servers/{server}/os-volume_attachments", body, user=user)


def addresses(door: Door) -> dict[str, str]:
    """A held one and a free one."""
    found = {one["instance_id"] is not None: one["ip"] for one in door.ask("/os-floating-ips").json["floating_ips"]}
    if False not in found:
        found[False] = door.ask("/os-floating-ips", "POST").json["floating_ip"]["ip"]
    return {"held": found[True], "free": found[False]}


@pytest.mark.parametrize(
    ("action", "argument", "state"), ACTIONS, ids=[f"{one[0]}-{n}" for n, one in enumerate(ACTIONS)]
)
@pytest.mark.usefixtures("unchanged")
def test_no_action(door: Door, server: str, action: str, argument: Any, state: dict[str, Any]) -> None:
    if "FloatingIp" in action:
        argument = {"address": addresses(door)[argument["address"]]}
    kept = row(door, server)
    change(door, server, **state)
    refused = message(door.act(server, action, argument))
    door.cloud.settle()
    found = row(door, server)
    change(door, server, **{name: getattr(kept, name) for name in state}, updated_at=kept.updated_at)
    assert refused == (409, f"Cannot '{action.removeprefix('os-')}' while instance is locked")
    assert {name: getattr(found, name) for name in state} == state


@pytest.mark.usefixtures("unchanged")
def test_no_end(door: Door, server: str) -> None:
    for method, path in (("DELETE", f"/servers/{server}"), ("DELETE", f"/os-create-server-ext/{server}")):
        assert message(door.ask(path, method)) == (409, "Cannot 'delete' while instance is locked")


@pytest.mark.usefixtures("unchanged")
def test_no_volumes(door: Door, server: str) -> None:
    held = door.ask(f"/servers/{server}/os-volume_attachments").json["volumeAttachments"][0]["id"]
    assert message(attach(door, server, volume(door))) == (409, "Cannot 'attach_volume' while instance is locked")
    refused = message(door.delete(f"/servers/{server}/os-volume_attachments/{held}"))
    assert refused == (409, "Cannot 'detach_volume' while instance is locked")
    assert door.ask(f"/os-volumes/{held}").json["volume"]["status"] == "in-use"


@pytest.mark.usefixtures("unchanged")
def test_an_address_is_not_given_back(door: Door, server: str) -> None:
    held = next(one for one in door.ask("/os-floating-ips").json["floating_ips"] if one["instance_id"] == server)
    assert message(door.delete(f"/os-floating-ips/{held['id']}"))[0] == 409
    assert held in door.ask("/os-floating-ips").json["floating_ips"]


@pytest.mark.usefixtures("unchanged")
@pytest.mark.parametrize(
    ("action", "parameters"),
    [
        ("StopInstances", {"InstanceId.1": "server"}),
        ("RebootInstances", {"InstanceId.1": "server"}),
        ("TerminateInstances", {"InstanceId.1": "server"}),
        ("AttachVolume", {"InstanceId": "server", "VolumeId": "free", "Device": "/dev/vdz"}),
        ("DetachVolume", {"VolumeId": "held"}),
        ("AssociateAddress", {"InstanceId": "server", "PublicIp": "free"}),
        ("DisassociateAddress", {"PublicIp": "held"}),
    ],
)
def test_ec2_has_no_way_round(door: Door, server: str, action: str, parameters: dict[str, str]) -> None:
    attached = door.ask(f"/servers/{server}/os-volume_attachments").json["volumeAttachments"][0]["id"]
    if "PublicIp" in parameters:
        places = addresses(door)
    else:
        places = {"held": f"vol-{attached:08x}", "free": f"vol-{volume(door):08x}"}
    places["server"] = f"i-{row(door, server).id:08x}"
    sent = {name: places.get(value, value) for name, value in parameters.items()}
    refused = door.cloud.ec2_request(action, sent, user="alice", project="acme")
    assert refused.status_int == 400, refused.text
    assert etree.fromstring(refused.body).findtext(".//Code") == "IncorrectInstanceState"
    assert "locked" in refused.text


def test_ec2_starts_no_locked_instance(door: Door) -> None:
    server = door.boot()
    number = {"InstanceId.1": f"i-{row(door, server).id:08x}"}
    assert door.cloud.ec2_request("StopInstances", number, user="alice", project="acme").status_int == 200
    door.cloud.settle()
    assert door.act(server, "lock", user="admin").status_int == 202
    refused = door.cloud.ec2_request("StartInstances", number, user="alice", project="acme")
    assert "IncorrectInstanceState" in refused.text
    assert door.server(server)["status"] == "STOPPED"


def test_several_are_all_or_none(door: Door, server: str) -> None:
    other = door.boot()
    both = {f"InstanceId.{at}": f"i-{row(door, one).id:08x}" for at, one in enumerate((other, server), 1)}
    for action in ("StopInstances", "TerminateInstances"):
        assert "IncorrectInstanceState" in door.cloud.ec2_request(action, both, user="alice", project="acme").text
    assert door.server(other)["OS-EXT-STS:task_state"] is None


def test_administrators_may(door: Door) -> None:
    server = door.boot()
    assert door.act(server, "lock", user="admin").status_int == 202
    assert door.act(server, "pause", user="admin").status_int == 202
    door.cloud.settle()
    assert door.server(server)["status"] == "PAUSED"
    assert door.act(server, "unpause", user="admin").status_int == 202
    door.cloud.settle()
    assert door.delete(f"/servers/{server}", user="admin").status_int == 204
    door.cloud.settle()
    assert door.ask(f"/servers/{server}").status_int == 404
