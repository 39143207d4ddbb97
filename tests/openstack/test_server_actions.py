"""Actions of servers (spec openstack-core.md 5.8)."""

import base64
from typing import Any

import pytest
import sqlalchemy as sa
from lxml import etree

from nova_api.db import models
from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, IMAGES, NOBODY, RAW, STOCK_400, STOCK_404, Door, message
from tests.openstack.test_servers import change

AMI = IMAGES["oracle-ami"]
COMPUTE = "{http://docs.openstack.org/compute/api/v1.1}"
GOOD: dict[str, Any] = {
    "reboot": {"type": "SOFT"},
    "changePassword": {"adminPass": "new"},
    "rebuild": {"imageRef": RAW},
    "resize": {"flavorRef": "2"},
    "confirmResize": None,
    "revertResize": None,
    "createImage": {"name": "snap"},
}


@pytest.fixture(scope="module")
def server(door: Door) -> str:
    """One that runs, and is left running."""
    return door.boot()


def settled(door: Door, server: str) -> tuple[str, str | None]:
    door.cloud.settle()
    shown = door.server(server)
    return shown["status"], shown["OS-EXT-STS:task_state"]


@pytest.mark.parametrize("kind", ["SOFT", "HARD", "hard", "Soft"])
def test_reboot(door: Door, server: str, kind: str) -> None:
    answer = door.act(server, "reboot", {"type": kind})
    assert (answer.status_int, answer.body) == (202, b"")
    assert answer.headers["Content-Type"] == "text/html; charset=UTF-8"
    assert settled(door, server) == ("ACTIVE", None)


def test_set_password(door: Door, server: str) -> None:
    assert door.act(server, "changePassword", {"adminPass": "new"}).status_int == 202
    assert settled(door, server) == ("ACTIVE", None)


def test_rebuild(door: Door) -> None:
    server = door.boot(metadata={"old": "1"})
    before = door.server(server)
    answer = door.act(
        server,
        "rebuild",
        {
            "imageRef": AMI,
            "name": " again ",
            "metadata": {"x": "y"},
            "adminPass": "Pass1234",
            "accessIPv4": "9.9.9.9",
            "personality": [{"path": "/x", "contents": base64.b64encode(b"1").decode()}],
            "OS-DCF:diskConfig": "AUTO",
        },
    )
    assert answer.status_int == 202, answer.text
    assert answer.headers["Location"] == f"http://localhost/v1.1/acme/servers/{server}"
    shown = answer.json["server"]
    assert (shown["adminPass"], shown["name"], shown["OS-DCF:diskConfig"]) == ("Pass1234", "again", "AUTO")
    assert settled(door, server) == ("ACTIVE", None)
    after = door.server(server)
    assert (after["image"]["id"], after["metadata"], after["accessIPv4"]) == (AMI, {"x": "y"}, "9.9.9.9")
    assert (after["addresses"], after["created"]) == (before["addresses"], before["created"])
    assert len(door.act(server, "rebuild", {"imageRef": f"http://x/{RAW}"}).json["server"]["adminPass"]) == 12
    assert settled(door, server) == ("ACTIVE", None)
    assert door.server(server)["metadata"] == {"x": "y"}


def test_resize_and_confirm(door: Door) -> None:
    server = door.boot()
    assert door.act(server, "resize", {"flavorRef": "2"}).status_int == 202
    assert settled(door, server) == ("VERIFY_RESIZE", "resize_verify")
    assert door.server(server)["flavor"]["id"] == "2"
    refused = message(door.act(server, "resize", {"flavorRef": "3"}))
    assert refused == (409, "Cannot 'resize' while instance is in task_state resize_verify")
    answer = door.act(server, "confirmResize")
    assert (answer.status_int, answer.body) == (204, b"")
    assert settled(door, server) == ("ACTIVE", None)
    assert door.server(server)["flavor"]["id"] == "2"
    for action in ("confirmResize", "revertResize"):
        assert message(door.act(server, action)) == (409, f"Instance is in an invalid state for '{action}'")


def test_resize_and_revert(door: Door) -> None:
    server = door.boot()
    assert door.act(server, "resize", {"flavorRef": "http://localhost/v1.1/acme/flavors/2"}).status_int == 202
    assert settled(door, server)[0] == "VERIFY_RESIZE"
    assert door.act(server, "revertResize").status_int == 202
    assert settled(door, server) == ("ACTIVE", None)
    assert door.server(server)["flavor"]["id"] == "1"


def test_a_resize_without_a_place_leaves_the_server_as_it_was(tmp_path: object) -> None:
    """One host, and a resize has to leave it."""
    with running(f"{tmp_path}/state", DOCUMENT) as made:
        door = Door(made)
        server = door.boot()
        assert door.act(server, "resize", {"flavorRef": "2"}).status_int == 202
        assert settled(door, server) == ("ACTIVE", None)
        assert door.server(server)["flavor"]["id"] == "1"


def test_a_confirmation_of_nothing(door: Door) -> None:
    server = door.boot()
    change(door, server, task_state="resize_verify")
    for action in ("confirmResize", "revertResize"):
        assert message(door.act(server, action)) == (400, "Instance has not been resized.")
    assert door.server(server)["OS-EXT-STS:task_state"] == "resize_verify"


def test_create_image(door: Door) -> None:
    server = door.boot(imageRef=AMI)
    answer = door.act(server, "createImage", {"name": "snap", "metadata": {"k": "v", "user_id": "bob"}})
    assert answer.status_int == 202
    url = answer.headers["Location"].removeprefix("http://localhost/v1.1/acme")
    door.cloud.settle()
    image = door.ask(url).json["image"]
    assert (image["name"], image["status"], image["progress"]) == ("snap", "ACTIVE", 100)
    assert image["metadata"]["k"] == "v"
    assert image["metadata"]["user_id"] == "alice"
    assert (image["metadata"]["image_type"], image["metadata"]["instance_uuid"]) == ("snapshot", server)
    assert image["server"]["links"][0]["href"] == f"http://localhost/v1.1/acme/servers/{server}"
    assert door.ask(f"/images?server={server}&type=snapshot").json["images"][0]["id"] == image["id"]
    assert door.new(imageRef=image["id"]).status_int == 202
    assert settled(door, server) == ("ACTIVE", None)


def test_snapshots_switched_off(tmp_path: object) -> None:
    with running(f"{tmp_path}/state", DOCUMENT, allow_instance_snapshots=False) as made:
        door = Door(made)
        refused = message(door.act(door.boot(), "createImage", {"name": "x"}))
        assert refused == (400, "Instance snapshots are not permitted at this time.")


@pytest.mark.parametrize(
    ("action", "argument", "text"),
    [
        ("reboot", {}, "Missing argument 'type' for reboot"),
        ("reboot", {"type": "MAYBE"}, "Argument 'type' for reboot is not HARD or SOFT"),
        ("reboot", {"type": None}, "Argument 'type' for reboot is not HARD or SOFT"),
        ("reboot", {"type": 5}, "Argument 'type' for reboot is not HARD or SOFT"),
        ("reboot", None, STOCK_400),
        ("reboot", [], STOCK_400),
        ("changePassword", {}, "No adminPass was specified"),
        ("changePassword", None, "No adminPass was specified"),
        ("changePassword", {"adminPass": ""}, "Invalid adminPass"),
        ("changePassword", {"adminPass": 5}, "Invalid adminPass"),
        ("rebuild", {}, "Could not parse imageRef from request."),
        ("rebuild", None, "Could not parse imageRef from request."),
        ("rebuild", {"imageRef": "x"}, "Invalid imageRef provided."),
        ("rebuild", {"imageRef": NOBODY}, "Cannot find image for rebuild"),
        ("rebuild", {"imageRef": IMAGES["globex-private"]}, "Cannot find image for rebuild"),
        ("rebuild", {"imageRef": RAW, "metadata": "x"}, "Unable to parse metadata key/value pairs."),
        ("rebuild", {"imageRef": RAW, "accessIPv4": "bad"}, "accessIPv4 is not proper IPv4 format"),
        ("rebuild", {"imageRef": RAW, "personality": [{"path": "/x"}]}, "Bad personality format: missing 'contents'"),
        ("rebuild", {"imageRef": RAW, "name": ""}, "Server name is an empty string"),
        ("rebuild", {"imageRef": RAW, "adminPass": ""}, "Invalid adminPass"),
        ("rebuild", {"imageRef": IMAGES["oracle-min-big"]}, "Instance type's memory is too small for requested image."),
        ("resize", {}, "Resize requests require 'flavorRef' attribute."),
        ("resize", None, "Resize requests require 'flavorRef' attribute."),
        ("resize", {"flavorRef": ""}, "Resize request has invalid 'flavorRef' attribute."),
        ("resize", {"flavorRef": None}, "Resize request has invalid 'flavorRef' attribute."),
        ("resize", {"flavorRef": "\ud800"}, "Resize request has invalid 'flavorRef' attribute."),
        ("resize", {"flavorRef": "99"}, "Unable to locate requested flavor."),
        ("resize", {"flavorRef": "1"}, "Resize requires a change in size."),
        ("createImage", {}, "createImage entity requires name attribute"),
        ("createImage", {"name": ""}, "createImage entity requires name attribute"),
        ("createImage", None, STOCK_400),
        ("createImage", {"name": 5}, STOCK_400),
        ("createImage", {"name": "x", "metadata": "x"}, "Invalid metadata"),
    ],
)
def test_refused_arguments(door: Door, server: str, action: str, argument: Any, text: str) -> None:
    assert message(door.act(server, action, argument)) == (400, text)
    assert door.server(server)["OS-EXT-STS:task_state"] is None


@pytest.mark.parametrize(
    ("action", "argument", "text"),
    [
        (
            "rebuild",
            {"imageRef": RAW, "metadata": {str(n): "" for n in range(129)}},
            "Quota exceeded: code=MetadataLimitExceeded",
        ),
        (
            "rebuild",
            {"imageRef": RAW, "personality": [{"path": f"/{n}", "contents": ""} for n in range(6)]},
            "Personality file limit exceeded",
        ),
        ("createImage", {"name": "x", "metadata": {str(n): "" for n in range(129)}}, "Image metadata limit exceeded"),
    ],
)
def test_quotas(door: Door, server: str, action: str, argument: Any, text: str) -> None:
    assert message(door.act(server, action, argument)) == (413, text)
    assert door.server(server)["OS-EXT-STS:task_state"] is None


def test_a_resize_beyond_the_quota(fresh: Door) -> None:
    server = fresh.boot()
    fresh.cloud.runtime.quotas.set_limit("acme", "ram", 1024)
    refused = message(fresh.act(server, "resize", {"flavorRef": "2"}))
    assert refused == (413, "Quota exceeded: code=InstanceLimitExceeded")
    assert fresh.server(server)["status"] == "ACTIVE"


@pytest.mark.parametrize("action", GOOD)
@pytest.mark.parametrize("vm_state", ["building", "error", "paused", "suspended", "stopped"])
def test_wrong_states(door: Door, server: str, action: str, vm_state: str) -> None:
    change(door, server, vm_state=vm_state)
    try:
        expected = (409, f"Cannot '{action}' while instance is in vm_state {vm_state}")
        if action == "changePassword":
            text = "Cannot set_admin_password while the instance is in this state."
            expected = (400, f"Instance {server} in vm_state {vm_state}. {text}")
        assert message(door.act(server, action, GOOD[action])) == expected
        assert door.server(server)["OS-EXT-STS:vm_state"] == vm_state
    finally:
        change(door, server, vm_state="active")


@pytest.mark.parametrize("action", ["reboot", "rebuild", "resize", "createImage"])
def test_busy_servers(door: Door, server: str, action: str) -> None:
    change(door, server, task_state="rebooting")
    try:
        expected = (409, f"Cannot '{action}' while instance is in task_state rebooting")
        assert message(door.act(server, action, GOOD[action])) == expected
    finally:
        change(door, server, task_state=None)


@pytest.mark.parametrize("action", [name for name in GOOD if "Resize" not in name])
def test_without_a_host(door: Door, server: str, action: str) -> None:
    change(door, server, host=None)
    try:
        answer = door.act(server, action, GOOD[action])
        assert message(answer) == (409, f"Cannot '{action}' while instance is on no host")
        shown = door.server(server)
        assert (shown["OS-EXT-STS:task_state"], shown["OS-EXT-STS:vm_state"]) == (None, "active")
    finally:
        change(door, server, host="node1")


@pytest.mark.parametrize("action", [name for name in GOOD if "Resize" not in name])
def test_locked_servers(door: Door, server: str, action: str) -> None:
    change(door, server, locked=True)
    try:
        expected = (409, f"Cannot '{action}' while instance is locked")
        assert message(door.act(server, action, GOOD[action])) == expected
    finally:
        change(door, server, locked=False)


@pytest.mark.parametrize("action", GOOD)
def test_unknown_servers(door: Door, action: str) -> None:
    assert message(door.act(NOBODY, action, GOOD[action])) == (404, STOCK_404)


def test_in_xml(door: Door) -> None:
    server = door.boot()
    for document, status in (
        ('<reboot type="HARD"/>', 202),
        ('<changePassword adminPass="p"/>', 202),
        ('<createImage name="snap"><metadata><meta key="a">b</meta></metadata></createImage>', 202),
        (f'<rebuild imageRef="{RAW}" name="n"><metadata><meta key="a">b</meta></metadata></rebuild>', 202),
        ('<resize flavorRef="2"/>', 202),
        ("<revertResize/>", 202),
        ('<resize flavorRef="2"/>', 202),
        ("<confirmResize/>", 204),
    ):
        answer = door.ask(f"/servers/{server}/action", "POST", xml=document)
        assert answer.status_int == status, f"{document}: {answer.text}"
        door.cloud.settle()
    shown = door.server(server)
    assert (shown["status"], shown["name"], shown["flavor"]["id"]) == ("ACTIVE", "n", "2")


@pytest.mark.parametrize(
    ("document", "text"),
    [
        ("<reboot/>", "Missing argument 'type' for reboot"),
        ("<changePassword/>", "No adminPass was specified"),
        ("<rebuild/>", "Could not parse imageRef from request."),
        ("<resize/>", "Resize requests require 'flavorRef' attribute."),
        ("<createImage/>", "createImage entity requires name attribute"),
        ("<fly/>", "There is no such action: fly"),
        ("<reboot", "Malformed request body"),
        ("<!DOCTYPE reboot><reboot/>", "Malformed request body"),
    ],
)
def test_bad_xml(door: Door, server: str, document: str, text: str) -> None:
    answer = door.ask(f"/servers/{server}/action", "POST", xml=document)
    assert answer.status_int == 400
    assert etree.fromstring(answer.body).findtext(f"{COMPUTE}message") == text


def test_a_password_does_not_end_what_the_server_is_at(door: Door) -> None:
    server = door.boot()
    runtime = door.cloud.runtime
    mine = models.instances.c.uuid == server
    runtime.db.write(lambda tx: tx.execute(models.instances.update().where(mine).values(task_state="rebooting")))
    for _ in range(2):
        assert door.act(server, "changePassword", {"adminPass": "new"}).status_int == 202
        door.cloud.settle()
        with runtime.db.read() as conn:
            assert conn.execute(sa.select(models.instances.c.task_state).where(mine)).scalar_one() == "rebooting"
