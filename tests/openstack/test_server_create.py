"""New servers (spec openstack-core.md 5.5), what changes and ends them (5.6, 5.7)."""

import base64
import json
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from nova_api.context import RequestContext
from nova_api.db.models import instance_metadata, instances
from nova_api.openstack.server_input import new_password
from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, IMAGES, NOBODY, RAW, STOCK_400, STOCK_404, Door, fault, message
from tests.openstack.test_servers import change

COMPUTE = "{http://docs.openstack.org/compute/api/v1.1}"
CONTENT = base64.b64encode(b"hello").decode()


@pytest.fixture(scope="module")
def network(door: Door) -> str:
    """The UUID of the network ``private``."""
    (found,) = (one for one in door.cloud.description["networks"] if one["label"] == "private")
    return str(found["uuid"])


def row(door: Door, server: str) -> Any:
    with door.cloud.runtime.db.read() as conn:
        return conn.execute(sa.select(instances).where(instances.c.uuid == server)).one()


def test_the_answer(door: Door) -> None:
    answer = door.new(name=" padded ")
    shown = answer.json["server"]
    server = shown["id"]
    assert answer.headers["Location"] == f"http://localhost/v1.1/acme/servers/{server}"
    assert set(shown) == {"id", "links", "adminPass", "OS-DCF:diskConfig"}
    assert len(shown["adminPass"]) == 12
    assert door.server(server)["name"] == "padded"


def test_every_field(door: Door, network: str) -> None:
    door.cloud.runtime.key_pairs.create(RequestContext("alice", "acme"), "fields")
    answer = door.new(
        name="All of it",
        flavorRef="http://localhost/v1.1/acme/flavors/2",
        imageRef=f"http://elsewhere/images/{IMAGES['oracle-ami']}",
        metadata={"a": "1", "b": ""},
        personality=[{"path": "/etc/motd", "contents": CONTENT}],
        networks=[{"uuid": network}],
        security_groups=[{"name": "default"}, {"name": "default"}],
        key_name="fields",
        user_data=base64.b64encode(b"#!/bin/sh").decode(),
        availability_zone="nova",
        config_drive=True,
        min_count="1",
        max_count=1,
        adminPass="Secret123",
        accessIPv4="1.2.3.4",
        accessIPv6="fead::1234",
        unknown=["ignored"],
        **{"OS-DCF:diskConfig": "AUTO"},
    )
    assert answer.status_int == 202, answer.text
    assert answer.json["server"]["adminPass"] == "Secret123"
    assert answer.json["server"]["OS-DCF:diskConfig"] == "AUTO"
    door.cloud.settle()
    shown = door.server(answer.json["server"]["id"])
    assert shown["status"] == "ACTIVE"
    assert shown["metadata"] == {"a": "1", "b": ""}
    assert (shown["key_name"], shown["config_drive"]) == ("fields", "True")
    assert (shown["accessIPv4"], shown["accessIPv6"]) == ("1.2.3.4", "fead::1234")
    assert (shown["flavor"]["id"], shown["OS-DCF:diskConfig"]) == ("2", "AUTO")
    kept = row(door, shown["id"])
    assert (kept.hostname, kept.image_number, kept.kernel_number, kept.user_data) == ("all-of-it", 3, 1, "IyEvYmluL3No")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"OS-DCF:diskConfig": "auto", "name": None}, "OS-DCF:diskConfig must be either 'MANUAL' or 'AUTO'."),
        ({"adminPass": ""}, "Invalid adminPass"),
        ({"adminPass": 7}, "Invalid adminPass"),
        ({"name": None}, "Server name is not a string or unicode"),
        ({"name": 7}, "Server name is not a string or unicode"),
        ({"name": ""}, "Server name is an empty string"),
        ({"name": " \t"}, "Server name is an empty string"),
        ({"name": "n" * 256}, "Server name must be less than 256 characters."),
        ({"name": "a\x00b"}, STOCK_400),
        ({"name": "\ud800"}, STOCK_400),
        ({"imageRef": None}, "Missing imageRef attribute"),
        ({"imageRef": "nonsense"}, "Invalid imageRef provided."),
        ({"imageRef": 5}, "Invalid imageRef provided."),
        ({"imageRef": {}}, "Invalid imageRef provided."),
        ({"imageRef": NOBODY}, "Can not find requested image"),
        ({"imageRef": IMAGES["globex-private"]}, "Can not find requested image"),
        ({"imageRef": IMAGES["oracle-min-big"]}, "Instance type's memory is too small for requested image."),
        ({"flavorRef": None}, "Missing flavorRef attribute"),
        ({"flavorRef": ""}, "Invalid flavorRef provided."),
        ({"flavorRef": "99"}, "Invalid flavorRef provided."),
        ({"flavorRef": "x" * 300}, "Invalid flavorRef provided."),
        ({"personality": {}}, "Bad personality format"),
        ({"personality": ["x"]}, "Bad personality format"),
        ({"personality": [{"contents": CONTENT}]}, "Bad personality format: missing 'path'"),
        ({"personality": [{"path": "/x"}]}, "Bad personality format: missing 'contents'"),
        ({"personality": [{"path": "/x", "contents": "!"}]}, "Personality content for /x cannot be decoded"),
        ({"personality": [{"path": "/x", "contents": 5}]}, "Personality content for /x cannot be decoded"),
        ({"personality": [{"path": "x", "contents": ""}]}, "Bad personality format: path 'x' is not allowed"),
        (
            {"personality": [{"path": "/a/../x", "contents": ""}]},
            "Bad personality format: path '/a/../x' is not allowed",
        ),
        (
            {"personality": [{"path": "/a\x00", "contents": ""}]},
            "Bad personality format: path '/a\\x00' is not allowed",
        ),
        ({"networks": "x"}, "Bad networks format"),
        ({"networks": ["x"]}, "Bad networks format"),
        ({"networks": [{}]}, "Bad network format: missing 'uuid'"),
        ({"networks": [{"uuid": "x"}]}, "Bad networks format: network uuid is not in proper format (x)"),
        ({"networks": [{"uuid": NOBODY}, {"uuid": NOBODY}]}, f"Duplicate networks ({NOBODY}) are not allowed"),
        ({"networks": [{"uuid": NOBODY, "fixed_ip": "bad"}]}, "Invalid fixed IP address (bad)"),
        ({"networks": [{"uuid": NOBODY}]}, f"Network {NOBODY} could not be found."),
        ({"accessIPv4": "bad"}, "accessIPv4 is not proper IPv4 format"),
        ({"accessIPv4": ""}, "accessIPv4 is not proper IPv4 format"),
        ({"accessIPv4": "\x00"}, "accessIPv4 is not proper IPv4 format"),
        ({"accessIPv4": 5}, "accessIPv4 is not proper IPv4 format"),
        ({"accessIPv6": "1.2.3.4"}, "accessIPv6 is not proper IPv6 format"),
        ({"user_data": "a"}, "Userdata content cannot be decoded"),
        ({"user_data": {}}, "Userdata content cannot be decoded"),
        ({"key_name": "none"}, "Invalid key_name provided."),
        ({"key_name": {}}, STOCK_400),
        ({"security_groups": [{"name": "none"}]}, "Security group none not found for project acme."),
        ({"security_groups": {"name": "default"}}, STOCK_400),
        ({"security_groups": ["default"]}, STOCK_400),
        ({"metadata": []}, STOCK_400),
        ({"metadata": {"a": 1}}, STOCK_400),
        ({"min_count": -1}, STOCK_400),
        ({"min_count": "x"}, STOCK_400),
        ({"max_count": 1.5}, STOCK_400),
        ({"max_count": True}, STOCK_400),
        ({"availability_zone": "mars"}, "The availability zone mars does not exist"),
        ({"config_drive": "x"}, "Can not find requested image"),
        ({"config_drive": NOBODY}, "Can not find requested image"),
        ({"scheduler_hints": []}, STOCK_400),
        ({"scheduler_hints": {str(n): "" for n in range(100)}}, STOCK_400),
        ({"scheduler_hints": {"a": ["x"] * 100}}, STOCK_400),
    ],
)
def test_refused_fields(door: Door, fields: dict[str, Any], text: str) -> None:
    assert fault(door.new(**fields)) == (400, "badRequest", text)


def test_the_order_of_the_checks(fresh: Door) -> None:
    faults: list[tuple[dict[str, Any], int, str]] = [
        ({"min_count": 11}, 413, "Quota exceeded: code=InstanceLimitExceeded"),
        ({"metadata": {str(n): "" for n in range(129)}}, 413, "Quota exceeded: code=MetadataLimitExceeded"),
        ({"personality": [{"path": "/x", "contents": ""}] * 6}, 413, "Personality file limit exceeded"),
        ({"networks": [{"uuid": NOBODY}]}, 400, f"Network {NOBODY} could not be found."),
        ({"imageRef": NOBODY}, 400, "Can not find requested image"),
        ({"imageRef": IMAGES["oracle-min-big"]}, 400, "Instance type's memory is too small for requested image."),
        ({"key_name": "none"}, 400, "Invalid key_name provided."),
        ({"security_groups": [{"name": "none"}]}, 400, "Security group none not found for project acme."),
        ({"availability_zone": "mars"}, 400, "The availability zone mars does not exist"),
    ]
    while faults:
        together: dict[str, Any] = {}
        for fields, _, _ in reversed(faults):
            together |= fields
        _, status, text = faults.pop(0)
        assert message(fresh.new(**together)) == (status, text)
    assert fresh.ask("/servers").json == {"servers": []}


def test_a_name_is_needed(door: Door) -> None:
    answer = door.post("/servers", {"server": {"imageRef": RAW, "flavorRef": "1"}})
    assert message(answer) == (400, "Server name is not defined")


@pytest.mark.parametrize(
    ("fields", "ok"), [({"accessIPv4": None, "accessIPv6": None}, True), ({"accessIPv4": "1"}, True)]
)
def test_odd_addresses_that_pass(door: Door, fields: dict[str, Any], ok: bool) -> None:
    assert (door.new(**fields).status_int == 202) is ok


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("{}", 422),
        ('{"foo": {}}', 422),
        ("[]", 422),
        ('{"server": "x"}', 400),
        ('{"server": null}', 400),
        ("", 400),
        ("{not json", 400),
        ("[" * 100_000, 400),
    ],
)
def test_bodies(door: Door, body: str, status: int) -> None:
    headers = {"X-Auth-Token": door.login("alice"), "Content-Type": "application/json"}
    assert door.call("/v1.1/acme/servers", "POST", body.encode(), headers).status_int == status


def test_in_xml(door: Door, network: str) -> None:
    document = f"""<?xml version="1.0"?><!-- hello -->
    <server xmlns="http://docs.openstack.org/compute/api/v1.1" name="x" imageRef="{RAW}" flavorRef="1" adminPass="pw"
        accessIPv4="1.2.3.4" xmlns:OS-DCF="http://docs.openstack.org/compute/ext/disk_config/api/v1.1"
        OS-DCF:diskConfig="AUTO">
      <metadata><meta key="k">v</meta></metadata>
      <personality><file path="/etc/motd">{CONTENT}</file></personality>
      <networks><network uuid="{network}"/></networks>
      <security_groups><security_group name="default"/></security_groups>
    </server>"""
    answer = door.ask("/servers", "POST", xml=document)
    assert answer.status_int == 202, answer.text
    root = etree.fromstring(answer.body)
    assert (root.tag, root.get("adminPass")) == (f"{COMPUTE}server", "pw")
    assert root.get("{http://docs.openstack.org/compute/ext/disk_config/api/v1.1}diskConfig") == "AUTO"
    assert root.find(f"{COMPUTE}metadata") is not None
    door.cloud.settle()
    shown = door.server(root.get("id"))
    assert (shown["metadata"], shown["accessIPv4"], shown["status"]) == ({"k": "v"}, "1.2.3.4", "ACTIVE")


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("<server", "Malformed request body"),
        ("<!DOCTYPE server><server/>", "Malformed request body"),
        ("<server/>", "Server name is not defined"),
        ('<server name="x"/>', "Missing imageRef attribute"),
        (f'<server name="x" imageRef="{RAW}"/>', "Missing flavorRef attribute"),
        (
            f'<server name="x" imageRef="{RAW}" flavorRef="1"><networks><network/></networks></server>',
            "Bad network format: missing 'uuid'",
        ),
    ],
)
def test_bad_xml(door: Door, document: str, text: str) -> None:
    answer = door.ask("/servers", "POST", xml=document)
    assert answer.status_int == 400
    assert etree.fromstring(answer.body).findtext(f"{COMPUTE}message") == text


def test_several_at_once(fresh: Door) -> None:
    answer = fresh.new(name="many", min_count=2, max_count=3, return_reservation_id=True)
    reservation = answer.json["reservation_id"]
    assert "Location" not in answer.headers
    fresh.cloud.settle()
    shown = fresh.ask(f"/servers/detail?reservation_id={reservation}").json["servers"]
    assert [one["status"] for one in shown] == ["ACTIVE"] * 3
    one = fresh.new(name="two", min_count=2)
    assert "id" in one.json["server"]
    assert len(fresh.ask("/servers").json["servers"]) == 5


def test_quota(fresh: Door) -> None:
    answer = fresh.new(min_count=11)
    assert fault(answer) == (413, "overLimit", "Quota exceeded: code=InstanceLimitExceeded")
    assert answer.headers["Retry-After"] == "0"
    assert answer.json["overLimit"]["retryAfter"] == 0
    # Between least and most, what the quota admits is built.
    assert fresh.new(min_count=1, max_count=50).status_int == 202
    assert len(fresh.ask("/servers").json["servers"]) == 10
    assert fresh.new().status_int == 413


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"metadata": {str(n): "v" for n in range(129)}}, "Quota exceeded: code=MetadataLimitExceeded"),
        ({"metadata": {"k" * 256: "v"}}, "Quota exceeded: code=MetadataLimitExceeded"),
        ({"metadata": {"k": "v" * 256}}, "Quota exceeded: code=MetadataLimitExceeded"),
        ({"personality": [{"path": f"/{n}", "contents": ""} for n in range(6)]}, "Personality file limit exceeded"),
        ({"personality": [{"path": "/" + "x" * 255, "contents": ""}]}, "Personality file path too long"),
        (
            {"personality": [{"path": "/x", "contents": base64.b64encode(b"x" * 10241).decode()}]},
            "Personality file content too long",
        ),
    ],
)
def test_quotas_of_a_server(door: Door, fields: dict[str, Any], text: str) -> None:
    assert fault(door.new(**fields)) == (413, "overLimit", text)


def test_fixed_addresses(door: Door, network: str) -> None:
    server = door.boot(networks=[{"uuid": network, "fixed_ip": "10.0.0.77"}])
    assert door.server(server)["addresses"]["private"][0]["addr"] == "10.0.0.77"
    taken = door.new(networks=[{"uuid": network, "fixed_ip": "10.0.0.77"}])
    assert message(taken) == (400, "Fixed IP address 10.0.0.77 is already in use.")
    outside = door.new(networks=[{"uuid": network, "fixed_ip": "192.168.7.7"}])
    assert message(outside) == (400, "Fixed IP address 192.168.7.7 is invalid.")


def test_a_fixed_address_is_for_one_server(door: Door, network: str) -> None:
    wanted = [{"uuid": network, "fixed_ip": "10.0.0.78"}]
    several = door.new(name="twins", networks=wanted, min_count=2)
    assert message(several) == (400, "Fixed IP address 10.0.0.78 cannot be that of 2 servers.")
    assert door.ask("/servers?name=twins").json == {"servers": []}


def test_without_passwords(tmp_path: object) -> None:
    with running(f"{tmp_path}/state", DOCUMENT, enable_instance_password=False) as made:
        assert "adminPass" not in Door(made).new().json["server"]


def test_generated_passwords() -> None:
    for _ in range(50):
        text = new_password(12)
        assert len(text) == 12
        assert any(c in "23456789" for c in text) and any(c.isupper() for c in text) and any(c.islower() for c in text)
        assert not set(text) & set("01IOl")


def test_hints_reach_the_scheduler(door: Door) -> None:
    body = {"server": {"name": "h", "imageRef": RAW, "flavorRef": "1"}, "os:scheduler_hints": {"a": ["b"]}}
    assert door.post("/servers", body).status_int == 202


_FIELDS = st.sampled_from(
    [
        "name",
        "imageRef",
        "flavorRef",
        "metadata",
        "personality",
        "networks",
        "security_groups",
        "key_name",
        "user_data",
        "availability_zone",
        "config_drive",
        "min_count",
        "max_count",
        "adminPass",
        "accessIPv4",
        "OS-DCF:diskConfig",
        "scheduler_hints",
        "return_reservation_id",
    ]
)
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(_FIELDS, _VALUES, max_size=4))
def test_hostile_fields_are_refused_or_taken(door: Door, fields: dict[str, Any]) -> None:
    for count in ("min_count", "max_count"):
        if isinstance(fields.get(count), int):
            del fields[count]  # thousands of servers would be made
    assert door.new(**fields).status_int in (202, 400, 413)


# -- update and delete


def test_update(door: Door) -> None:
    server = door.boot(name="old")
    changed = {"name": " new ", "accessIPv4": "5.6.7.8", "accessIPv6": "fe80::1", "OS-DCF:diskConfig": "AUTO", "x": 1}
    answer = door.put(f"/servers/{server}", {"server": changed})
    shown = answer.json["server"]
    assert (shown["name"], shown["accessIPv4"], shown["OS-DCF:diskConfig"]) == ("new", "5.6.7.8", "AUTO")
    assert not [name for name in shown if name.startswith("OS-EXT")]
    assert door.put(f"/servers/{server}", {"server": {}}).status_int == 200
    assert door.server(server)["name"] == "new"
    xml = door.ask(f"/servers/{server}", "PUT", xml='<server name="from xml"/>')
    assert etree.fromstring(xml.body).get("name") == "from xml"
    assert door.ask(f"/servers/{server}", "PUT", xml="<server/>").status_int == 200
    assert door.ask(f"/servers/{server}", "PUT", xml="<other/>").status_int == 422


@pytest.mark.parametrize(
    ("body", "status", "text"),
    [
        ({"server": {"name": ""}}, 400, "Server name is an empty string"),
        ({"server": {"name": 5}}, 400, "Server name is not a string or unicode"),
        ({"server": {"accessIPv4": "bad"}}, 400, "accessIPv4 is not proper IPv4 format"),
        ({"server": {"accessIPv6": "bad"}}, 400, "accessIPv6 is not proper IPv6 format"),
        ({"server": {"accessIPv4": None}}, 400, STOCK_400),
        ({}, 422, "Unable to process the contained instructions"),
        ({"foo": 1}, 422, "Unable to process the contained instructions"),
        ({"server": 5}, 400, STOCK_400),
    ],
)
def test_refused_updates(door: Door, body: Any, status: int, text: str) -> None:
    server = door.new(name="steady").json["server"]["id"]
    assert message(door.put(f"/servers/{server}", body)) == (status, text)
    assert door.server(server)["name"] == "steady"
    door.cloud.settle()


def test_delete(door: Door) -> None:
    server = door.boot(metadata={"k": "v"})
    number = row(door, server).id
    answer = door.delete(f"/servers/{server}")
    assert (answer.status_int, answer.body) == (204, b"")
    assert door.delete(f"/servers/{server}").status_int in (204, 404)
    door.cloud.settle()
    assert message(door.ask(f"/servers/{server}")) == (404, STOCK_404)
    assert message(door.delete(f"/servers/{server}")) == (404, STOCK_404)
    with door.cloud.runtime.db.read() as conn:
        left = conn.execute(sa.select(instance_metadata).where(instance_metadata.c.instance_id == number)).all()
    assert left == []


@pytest.mark.parametrize("vm_state", ["paused", "suspended", "resizing", "rebuilding", "migrating"])
def test_states_that_cannot_be_deleted(door: Door, vm_state: str) -> None:
    server = door.boot()
    change(door, server, vm_state=vm_state)
    expected = (409, f"Cannot 'delete' while instance is in vm_state {vm_state}")
    assert message(door.delete(f"/servers/{server}")) == expected
    change(door, server, vm_state="active")


def test_protected_and_unplaced_servers(door: Door) -> None:
    kept, unplaced = door.boot(), door.boot()
    change(door, kept, disable_terminate=True)
    assert door.delete(f"/servers/{kept}").status_int == 204
    door.cloud.settle()
    assert door.server(kept)["status"] == "ACTIVE"
    change(door, unplaced, host=None, vm_state="error")
    assert door.delete(f"/servers/{unplaced}").status_int == 204
    assert door.ask(f"/servers/{unplaced}").status_int == 404


def test_soft_delete(tmp_path: object) -> None:
    with running(f"{tmp_path}/state", DOCUMENT, reclaim_instance_interval=3600) as made:
        door = Door(made)
        server = door.boot()
        assert door.delete(f"/servers/{server}").status_int == 204
        door.cloud.settle()
        assert door.server(server)["status"] == "DELETED"
        assert door.ask("/servers").json["servers"] == []
        refused = message(door.delete(f"/servers/{server}"))
        assert refused == (409, "Cannot 'delete' while instance is in vm_state soft-delete")


def test_hosts_are_for_administrators(door: Door) -> None:
    answer = door.new("admin", availability_zone="nova:nowhere")
    door.cloud.settle()
    server = answer.json["server"]["id"]
    assert door.server(server, "admin")["status"] == "ERROR"
    assert json.dumps(door.server(server, "admin")["fault"]).count("No valid host")
    assert door.server(door.boot(availability_zone="nova:nowhere"))["status"] == "ACTIVE"
