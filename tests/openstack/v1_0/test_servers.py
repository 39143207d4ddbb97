"""Servers of the 1.0 API."""

import base64
import json
from typing import Any

import pytest
import sqlalchemy as sa
import webob
from lxml import etree

from nova_api.db import models
from nova_api.openstack.v1_0.views import V1_0_NS
from tests.openstack.fakes import IMAGES, NOBODY, RAW, Door, fault, message

NS = f"{{{V1_0_NS}}}"
XMLNS = f'xmlns="{V1_0_NS}"'


def number_of(old: Door, name: str = "oracle-raw", user: str = "alice") -> int:
    """The integer id of an image."""
    return int(next(one["id"] for one in old.ask("/images", user=user).json["images"] if one["name"] == name))


def new(old: Door, **fields: Any) -> webob.Response:
    server = {"name": "old", "imageId": number_of(old), "flavorId": 1, **fields}
    return old.post("/servers", {"server": {key: value for key, value in server.items() if value is not ...}})


def boot(old: Door, **fields: Any) -> int:
    answer = new(old, **fields)
    assert answer.status_int == 202, answer.text
    old.cloud.settle()
    return int(answer.json["server"]["id"])


def shown(old: Door, server: int) -> dict[str, Any]:
    return dict(old.ask(f"/servers/{server}").json["server"])


def test_create_and_show(old: Door, door: Door) -> None:
    image = number_of(old)
    answer = new(old, name=" old ", metadata={"k": "v"}, personality=[{"path": "/x", "contents": "aGk="}])
    made = answer.json["server"]
    assert (answer.status_int, made["status"], made["name"], len(made.pop("adminPass"))) == (202, "BUILD", "old", 16)
    assert isinstance(made["id"], int)
    old.cloud.settle()
    server = shown(old, made["id"])
    (private,) = server["addresses"]["private"]
    assert server == {
        "id": made["id"],
        "uuid": made["uuid"],
        "name": "old",
        "imageId": image,
        "flavorId": 1,
        "hostId": server["hostId"],
        "status": "ACTIVE",
        "progress": 100,
        "addresses": {"public": [], "private": [private]},
        "metadata": {"k": "v"},
    }
    assert old.ask(f"/servers/{made['uuid']}").json["server"] == server
    modern = door.server(made["uuid"])
    assert (modern["name"], modern["hostId"], modern["metadata"]) == ("old", server["hostId"], {"k": "v"})
    assert modern["addresses"]["private"][0]["addr"] == private
    assert len(server["hostId"]) == 56


def test_create_in_xml(old: Door) -> None:
    image = number_of(old)
    content = base64.b64encode(b"hello").decode()
    body = (
        f'<server {XMLNS} name="xml" imageId="{image}" flavorId="2"><metadata><meta key="k">v</meta></metadata>'
        f'<personality><file path="/etc/motd">{content}</file></personality></server>'
    )
    answer = old.ask("/servers", "POST", xml=body)
    assert (answer.status_int, answer.content_type) == (202, "application/xml")
    root = etree.fromstring(answer.body)
    assert (root.tag, root.get("name"), root.get("status"), root.get("flavorId")) == (
        f"{NS}server",
        "xml",
        "BUILD",
        "2",
    )
    assert root.get("imageId") == str(image)
    assert len(root.get("adminPass")) == 16
    old.cloud.settle()
    root = etree.fromstring(old.ask(f"/servers/{root.get('id')}", xml="").body)
    names = {"id", "name", "imageId", "flavorId", "hostId", "status", "progress"}
    assert set(root.attrib) == names
    assert root.find(f"{NS}metadata/{NS}meta[@key='k']").text == "v"
    assert root.find(f"{NS}addresses/{NS}private/{NS}ip").get("addr").startswith("10.")
    assert root.find(f"{NS}addresses/{NS}public") is not None
    assert {etree.QName(one).localname for one in root} == {"metadata", "addresses"}


def test_a_uuid_names_an_image_too(old: Door) -> None:
    assert new(old, imageId=RAW).json["server"]["imageId"] == number_of(old)
    assert new(old, imageId=str(number_of(old)), flavorId="1").status_int == 202


def test_lists(old: Door) -> None:
    servers = [boot(old, name=f"listed{at}") for at in range(3)]
    brief = old.ask("/servers?fresh=1").json["servers"]
    assert [one["id"] for one in brief][:3] == servers[::-1]
    assert set(brief[0]) == {"id", "uuid", "name"}
    full = old.ask("/servers/detail?status=NONSENSE&name=x").json["servers"]
    assert [one["id"] for one in full] == [one["id"] for one in brief]
    assert full[0] == shown(old, servers[2])
    assert full[1:3] == old.ask("/servers/detail?offset=1&limit=2").json["servers"]
    assert [one["id"] for one in old.ask("/servers?offset=2&limit=1").json["servers"]] == [servers[0]]
    assert old.ask("/servers?offset=1000000000").json["servers"] == []
    assert len(old.ask("/servers?limit=0").json["servers"]) == len(brief)
    for path, more in (("/servers", set()), ("/servers/detail", {"status"})):
        root = etree.fromstring(old.ask(path, xml="").body)
        assert root.tag == f"{NS}servers"
        assert [one.get("id") for one in root] == [str(one["id"]) for one in brief]
        assert {"id", "name"} | more <= set(root[0].attrib)


def test_without_a_project_in_the_path(old: Door, door: Door) -> None:
    server = boot(old)
    headers = {"X-Auth-Token": old.login("alice")}
    assert old.call(f"/v1.0/servers/{server}", headers=headers).json == {"server": shown(old, server)}
    answer = old.call("/v1.0/servers.xml", headers=headers)
    assert etree.fromstring(answer.body).tag == f"{NS}servers"
    assert old.call(f"/v1.0//servers/{server}.json", headers=headers).json["server"]["id"] == server


def test_public_addresses(old: Door, door: Door) -> None:
    server = boot(old)
    address = door.post("/os-floating-ips", {}).json["floating_ip"]["ip"]
    assert door.act(str(server), "addFloatingIp", {"address": address}).status_int == 202
    old.cloud.settle()
    addresses = shown(old, server)["addresses"]
    assert addresses["public"] == [address]
    assert len(addresses["private"]) == 1
    assert address not in addresses["private"]
    assert old.ask(f"/servers/{server}/ips").json == {"addresses": addresses}
    assert old.ask(f"/servers/{server}/ips/public").json == {"public": [address]}
    assert old.ask(f"/servers/{server}/ips/private").json == {"private": addresses["private"]}
    root = etree.fromstring(old.ask(f"/servers/{server}/ips/public", xml="").body)
    assert (root.tag, [one.get("addr") for one in root]) == (f"{NS}public", [address])
    root = etree.fromstring(old.ask(f"/servers/{server}/ips", xml="").body)
    assert [etree.QName(one).localname for one in root] == ["public", "private"]
    assert root.tag == f"{NS}addresses"
    answer = old.ask(f"/servers/{server}/ips/other")
    assert fault(answer) == (404, "itemNotFound", "Only private and public networks available")
    assert old.ask("/servers/987654/ips").status_int == 404


def test_update(old: Door) -> None:
    server = boot(old)
    answer = old.put(f"/servers/{server}", {"server": {"name": "renamed"}})
    assert (answer.status_int, answer.body) == (204, b"")
    assert shown(old, server)["name"] == "renamed"
    body = f'<server {XMLNS} name="both" adminPass="n3w"/>'
    assert old.ask(f"/servers/{server}", "PUT", xml=body).status_int == 204
    assert shown(old, server)["status"] in ("PASSWORD", "ACTIVE")
    old.cloud.settle()
    assert (shown(old, server)["name"], shown(old, server)["status"]) == ("both", "ACTIVE")
    assert old.put(f"/servers/{server}", {"server": {}}).status_int == 204


def test_a_refused_password_leaves_the_name(old: Door) -> None:
    server = boot(old)
    assert old.act(str(server), "resize", {"flavorId": 2}).status_int == 202
    answer = old.put(f"/servers/{server}", {"server": {"name": "half", "adminPass": "n3w"}})
    assert fault(answer)[:2] == (409, "inProgress")
    assert shown(old, server)["name"] == "old"
    old.cloud.settle()


def test_delete(old: Door) -> None:
    server = boot(old)
    answer = old.delete(f"/servers/{server}")
    assert (answer.status_int, answer.body) == (202, b"")
    old.cloud.settle()
    assert fault(old.ask(f"/servers/{server}"))[:2] == (404, "itemNotFound")
    assert old.delete(f"/servers/{server}").status_int == 404


def test_actions(old: Door) -> None:
    server = str(boot(old))
    for kind in ("SOFT", "HARD", "hard"):
        assert old.act(server, "reboot", {"type": kind}).status_int == 202
        old.cloud.settle()
    other = number_of(old, "oracle-ami")
    assert old.act(server, "rebuild", {"imageId": other}).status_int == 202
    old.cloud.settle()
    assert shown(old, int(server))["imageId"] == other
    assert old.act(server, "resize", {"flavorId": 2}).status_int == 202
    old.cloud.settle()
    assert shown(old, int(server))["status"] == "VERIFY_RESIZE"
    answer = old.act(server, "revertResize")
    assert (answer.status_int, answer.body) == (202, b"")
    old.cloud.settle()
    assert shown(old, int(server))["flavorId"] == 1


def test_actions_in_xml(old: Door) -> None:
    server = boot(old)

    def act(body: str) -> tuple[int, bytes]:
        answer = old.ask(f"/servers/{server}/action", "POST", xml=body)
        old.cloud.settle()
        return answer.status_int, answer.body

    assert act(f'<reboot {XMLNS} type="HARD" />') == (202, b"")
    assert act(f'<rebuild {XMLNS} imageId="{number_of(old, "oracle-ami")}"/>') == (202, b"")
    assert act(f'<resize {XMLNS} flavorId="2"/>') == (202, b"")
    assert act(f"<confirmResize {XMLNS}/>") == (204, b"")
    assert (shown(old, server)["flavorId"], shown(old, server)["status"]) == (2, "ACTIVE")
    assert act(f'<resize {XMLNS} flavorId="1"/>') == (202, b"")
    assert act(f"<revertResize {XMLNS}/>") == (202, b"")


@pytest.mark.parametrize("name", ["changePassword", "createImage"])
def test_actions_of_the_version_after(old: Door, name: str) -> None:
    server = boot(old)
    assert fault(old.act(str(server), name, {"adminPass": "x", "name": "x"}))[:2] == (501, "notImplemented")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"name": ...}, "Server name is not defined"),
        ({"name": ""}, "Server name is an empty string"),
        ({"name": 5}, "Server name is not a string or unicode"),
        ({"name": None}, "Server name is not a string or unicode"),
        ({"name": "x" * 256}, "Server name must be less than 256 characters."),
        ({"name": "a\x00b"}, None),
        ({"imageId": ...}, "Missing imageId attribute"),
        ({"imageId": None}, "Missing imageId attribute"),
        ({"imageId": 987654}, "Can not find requested image"),
        ({"imageId": NOBODY}, "Can not find requested image"),
        ({"imageId": True}, "Can not find requested image"),
        ({"imageId": []}, "Can not find requested image"),
        ({"imageId": -1}, "Can not find requested image"),
        ({"imageId": 1.5}, "Can not find requested image"),
        ({"imageId": 10**30}, "Can not find requested image"),
        ({"flavorId": ...}, "Missing flavorId attribute"),
        ({"flavorId": 99}, "Invalid flavorId provided."),
        ({"flavorId": "m1.tiny"}, "Invalid flavorId provided."),
        ({"flavorId": {}}, "Invalid flavorId provided."),
        ({"flavorId": 10**17}, "Invalid flavorId provided."),
        ({"sharedIpGroupId": 987654}, None),
        ({"sharedIpGroupId": "x"}, "Invalid sharedIpGroupId provided."),
        ({"sharedIpGroupId": True}, "Invalid sharedIpGroupId provided."),
        ({"sharedIpGroupId": -1}, "Invalid sharedIpGroupId provided."),
        ({"metadata": []}, None),
        ({"metadata": {"k": 1}}, None),
        ({"personality": {}}, "Bad personality format"),
        ({"personality": [{"path": "/x"}]}, "Bad personality format: missing 'contents'"),
        ({"personality": [{"path": "/x", "contents": "%"}]}, "Personality content for /x cannot be decoded"),
    ],
)
def test_bad_creates(old: Door, fields: dict[str, Any], expected: str | None) -> None:
    before = len(old.ask("/servers").json["servers"])
    status, name, text = fault(new(old, **fields))
    assert (status, name) == (400, "badRequest")
    assert expected in (None, text)
    assert len(old.ask("/servers").json["servers"]) == before


@pytest.mark.parametrize("document", [[], {}, {"server": []}, {"server": None}, "x", 5, {"image": {}}])
def test_bodies_that_are_none(old: Door, document: Any) -> None:
    server = boot(old)
    for method, path in (("POST", "/servers"), ("PUT", f"/servers/{server}"), ("POST", f"/servers/{server}/action")):
        assert fault(old.ask(path, method, document))[:2] == (400, "badRequest"), (method, path)


@pytest.mark.parametrize(
    ("action", "argument", "expected"),
    [
        ("reboot", None, None),
        ("reboot", {}, "Missing argument 'type' for reboot"),
        ("reboot", {"type": "COLD"}, "Argument 'type' for reboot is not HARD or SOFT"),
        ("rebuild", {}, "Missing imageId attribute"),
        ("rebuild", {"imageId": 987654}, "Cannot find image for rebuild"),
        ("rebuild", {"imageId": NOBODY}, "Cannot find image for rebuild"),
        ("rebuild", 7, None),
        ("resize", {}, "Missing flavorId attribute"),
        ("resize", {"flavorId": 99}, "Invalid flavorId provided."),
        ("resize", {"flavorId": 1}, "Resize requires a change in size."),
        ("resize", [], None),
        ("explode", {}, "There is no such action: explode"),
    ],
)
def test_bad_actions(old: Door, action: str, argument: Any, expected: str | None) -> None:
    server = boot(old)
    status, name, text = fault(old.act(str(server), action, argument))
    assert (status, name) == (400, "badRequest")
    assert expected in (None, text)
    assert shown(old, server)["status"] == "ACTIVE"


@pytest.mark.parametrize(
    "body",
    [
        "<server",
        "<!DOCTYPE x [<!ENTITY a 'b'>]><server name='&a;'/>",
        "<server/>",
        f"<server {XMLNS} name='x'/>",
        f"<server {XMLNS} name='x' imageId='x' flavorId='1'/>",
        f"<server {XMLNS} name='x' imageId='1' flavorId='x'/>",
        "<other name='x'/>",
    ],
)
def test_bad_xml(old: Door, body: str) -> None:
    server = boot(old)
    for method, path in (("POST", "/servers"), ("POST", f"/servers/{server}/action")):
        answer = old.ask(path, method, xml=body)
        root = etree.fromstring(answer.body)
        assert (answer.status_int, root.tag, root.get("code")) == (400, f"{NS}badRequest", "400")


def test_over_quota(fresh: Door) -> None:
    old = Door(fresh.cloud, "v1.0")
    body = {"server": {"name": "big", "imageId": number_of(old), "flavorId": 5}}
    answers = [old.post("/servers", body) for _ in range(4)]
    assert answers[-1].status_int == 413
    assert answers[-1].json["overLimit"]["retryAfter"] == 0
    assert answers[-1].headers["Retry-After"] == "0"
    root = etree.fromstring(old.post("/servers", body, headers={"Accept": "application/xml"}).body)
    assert root.tag == f"{NS}overLimit"
    assert message(answers[-1])[0] == 413


def test_nothing_of_the_version_after_is_here(old: Door) -> None:
    server = boot(old)
    for path in ("metadata", "consoles", "os-volume_attachments"):
        assert fault(old.ask(f"/servers/{server}/{path}"))[:2] == (404, "itemNotFound")
    assert "links" not in json.dumps(shown(old, server))
    assert old.ask("/extensions").status_int == 404
    assert set(IMAGES)


@pytest.mark.parametrize(
    ("vm_state", "task_state", "status"),
    [
        ("active", "rebooting", "REBOOT"),
        ("active", "rebooting_hard", "HARD_REBOOT"),
        ("active", "updating_password", "PASSWORD"),
        ("active", "resize_verify", "VERIFY_RESIZE"),
        ("active", "image_snapshot", "ACTIVE"),
        ("building", "spawning", "BUILD"),
        ("rebuilding", "rebuild_spawning", "REBUILD"),
        ("stopped", None, "SHUTOFF"),
        ("shutoff", None, "SHUTOFF"),
        ("migrating", None, "RESIZE"),
        ("resizing", "resize_prep", "RESIZE"),
        ("resizing", "resize_reverting", "RESIZE"),
        ("paused", None, "SUSPENDED"),
        ("suspended", None, "SUSPENDED"),
        ("rescued", None, "RESCUE"),
        ("error", None, "ERROR"),
        ("soft-delete", None, "DELETED"),
        ("nonsense", None, "UNKNOWN"),
    ],
)
def test_statuses_are_those_that_clients_know(
    old: Door, server: int, vm_state: str, task_state: str | None, status: str
) -> None:
    chosen = sa.update(models.instances).where(models.instances.c.id == server)
    old.cloud.runtime.db.write(
        lambda tx: tx.execute(chosen.values(vm_state=vm_state, task_state=task_state, progress=30))
    )
    seen = shown(old, server)
    assert (seen["status"], seen["progress"]) == (status, 100 if status == "ACTIVE" else 30)
    root = etree.fromstring(old.ask(f"/servers/{server}", xml="").body)
    assert (root.get("status"), root.get("progress")) == (status, str(seen["progress"]))


@pytest.fixture(scope="module")
def server(door: Door) -> int:
    """One whose state is changed behind everybody's back."""
    return boot(Door(door.cloud, "v1.0"))
