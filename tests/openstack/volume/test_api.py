"""The OpenStack Volume API v1 (spec openstack-extensions.md 12)."""

import json
from typing import Any

import pytest
import webob
from lxml import etree

from tests.openstack.contrib.tables import ODD
from tests.openstack.fakes import PROJECTS, STOCK_404, Door, message

XML = {"Accept": "application/xml"}


def call(door: Door, path: str, method: str = "GET", document: Any = None, **headers: str) -> webob.Response:
    """A request at the volume door as it is."""
    request = webob.Request.blank(path, method=method, headers=headers, base_url="http://localhost")
    if document is not None:
        request.body = document.encode() if isinstance(document, str) else json.dumps(document).encode()
        request.content_type = "application/xml" if isinstance(document, str) else "application/json"
    return request.get_response(door.cloud.app("osapi_volume"))


def ask(
    door: Door, path: str, method: str = "GET", document: Any = None, user: str = "alice", **headers: str
) -> webob.Response:
    """A request of a user, below the project."""
    token = door.login(user)
    return call(door, f"/v1/{PROJECTS[user]}{path}", method, document, **{"X-Auth-Token": token, **headers})


def test_login_and_versions(door: Door) -> None:
    login = call(door, "/v1", **{"X-Auth-User": "alice", "X-Auth-Key": "alice-access"})
    assert login.status_int == 204
    assert login.headers["X-Server-Management-Url"] == "http://localhost/v1/acme"
    token = {"X-Auth-Token": login.headers["X-Auth-Token"]}
    assert call(door, "/v1/acme/volumes", **token).status_int == 200
    (version,) = call(door, "/").json["versions"]
    assert (version["id"], version["links"]) == ("v1.0", [{"rel": "self", "href": "http://localhost/v1/"}])
    for headers in ({}, token):
        shown = call(door, "/v1/", **headers).json["version"]
        assert (shown["id"], len(shown["links"])) == ("v1.0", 3)
        assert shown["media-types"][1]["type"] == "application/vnd.openstack.volume+json;version=1"
    assert call(door, "/v1", **token).status_int == 302
    choices = call(door, "/v9/x")
    assert (choices.status_int, choices.json["choices"][0]["links"][0]["href"]) == (300, "http://localhost/v1/v9/x")
    refused = message(call(door, "/v1/acme/volumes"))
    assert refused == (401, "Authentication requests must be made against a version root (e.g. /v2).")
    assert call(door, "/v1/globex/volumes", **token).status_int == 401
    assert ask(door, "/extensions").json == {"extensions": []}
    assert message(ask(door, "/extensions/x")) == (404, STOCK_404)


def test_volumes(door: Door) -> None:
    given = {"size": 1, "display_name": "n", "display_description": "dd", "metadata": {"x": "y"}, "imageRef": "z"}
    made = ask(door, "/volumes", "POST", {"volume": given}).json["volume"]
    shown = {
        **{"id": made["id"], "size": 1, "availability_zone": "nova", "created_at": made["created_at"]},
        **{"display_name": "n", "display_description": "dd", "attachments": [], "volume_type": None},
        **{"snapshot_id": None, "metadata": {"x": "y"}},
    }
    assert isinstance(made["id"], str) and made == {**shown, "status": "creating"}
    door.cloud.settle()
    shown["status"] = "available"
    assert ask(door, f"/volumes/{made['id']}").json == {"volume": shown}
    for path in ("/volumes", "/volumes/detail"):
        assert shown in ask(door, path).json["volumes"]
    root = etree.fromstring(ask(door, f"/volumes/{made['id']}", **XML).body)
    assert (root.get("volume_type"), root.findtext("metadata/x"), len(root.find("attachments"))) == ("None", "y", 0)
    assert message(ask(door, f"/volumes/{made['id']}", user="bob")) == (404, STOCK_404)
    server = door.boot()
    number = int(made["id"])
    door.post(f"/servers/{server}/os-volume_attachments", {"volumeAttachment": {"volumeId": number}})
    door.cloud.settle()
    (attached,) = ask(door, f"/volumes/{number}").json["volume"]["attachments"]
    assert attached == {"id": made["id"], "volume_id": made["id"], "server_id": server, "device": "/dev/vdb"}
    door.delete(f"/servers/{server}/os-volume_attachments/{number}")
    door.cloud.settle()
    assert ask(door, f"/volumes/{number}", "DELETE").status_int == 202
    door.cloud.settle()
    assert message(ask(door, f"/volumes/{number}")) == (404, STOCK_404)


def test_snapshots(door: Door) -> None:
    volume = ask(door, "/volumes", "POST", {"volume": {"size": "1"}}).json["volume"]["id"]
    door.cloud.settle()
    made = ask(door, "/snapshots", "POST", {"snapshot": {"volume_id": volume, "display_name": "sn"}}).json["snapshot"]
    assert (made["volume_id"], made["size"], made["display_description"]) == (volume, 1, None)
    door.cloud.settle()
    for path in ("/snapshots", "/snapshots/detail"):
        assert made["id"] in [one["id"] for one in ask(door, path).json["snapshots"]]
    root = etree.fromstring(ask(door, f"/snapshots/{made['id']}", **XML).body)
    assert (root.get("volume_id"), root.get("status")) == (volume, "available")
    assert ask(door, f"/snapshots/{made['id']}", "DELETE").status_int == 202


def test_types(door: Door) -> None:
    made = ask(door, "/types", "POST", {"volume_type": {"name": "v1type"}}, user="admin").json["volume_type"]
    assert isinstance(made["id"], str)
    listed = ask(door, "/types").json["volume_types"]
    assert int(made["id"]) in [one["id"] for one in listed]
    assert ask(door, f"/types/{made['id']}").json["volume_type"] == made
    assert ask(door, "/types", "POST", {"volume_type": {"name": "x"}}).status_int == 403
    assert ask(door, f"/types/{made['id']}", "DELETE", user="admin").status_int == 200
    assert message(ask(door, f"/types/{made['id']}")) == (404, STOCK_404)


@pytest.mark.parametrize(("path", "root"), [("/volumes", "volume"), ("/snapshots", "snapshot")])
def test_odd_documents(door: Door, path: str, root: str) -> None:
    assert ask(door, path, "POST", {}).status_int == 422
    for odd in ODD:
        if not isinstance(odd, str) and odd is not None:
            assert ask(door, path, "POST", odd).status_int in (400, 422)
        assert ask(door, path, "POST", {root: odd}).status_int in (400, 422)
    assert ask(door, path, "POST", "<volume").status_int == 400
    assert ask(door, path, "POST").status_int == 400
    assert ask(door, "/nothing").status_int == 404
    for query in ("limit=x", "limit=-1", "offset=x"):
        assert ask(door, f"{path}?{query}").status_int == 400
