"""The API as a whole: mappers, routing, the pipeline around it (spec openstack-core.md 1)."""

from typing import Any

import pytest
import webob
import webob.dec

from nova_api.openstack import APIMapper, FaultWrapper, ProjectMapper
from nova_api.openstack.compute import APIRouter
from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, IMAGES, RAW, STOCK_404, Door, message


def test_the_mapper_routes_the_empty_url() -> None:
    mapper = APIMapper()
    mapper.connect(None, "", controller="c", action="a")
    assert mapper.routematch("")[0] == {"controller": "c", "action": "a"}
    assert mapper.routematch("/nothing") is None


def test_resources_of_a_project() -> None:
    mapper = ProjectMapper()
    mapper.resource("server", "servers", controller="s", path_prefix="/ignored", collection={"detail": "GET"})
    parent = {"member_name": "server", "collection_name": "servers"}
    mapper.resource("ip", "ips", controller="i", parent_resource=parent)

    def match(method: str, url: str) -> Any:
        return (mapper.routematch(url, {"REQUEST_METHOD": method, "PATH_INFO": url}) or ({},))[0]

    assert match("GET", "/p/servers")["action"] == "index"
    assert match("POST", "/p/servers")["action"] == "create"
    assert match("GET", "/p/servers/detail")["action"] == "detail"
    assert match("GET", "/p/servers/a.b-c")["id"] == "a.b-c"
    assert match("DELETE", "/p/servers/1")["action"] == "delete"
    found = match("GET", "/p/servers/1/ips/x")
    assert (found["action"], found["server_id"], found["id"], found["project_id"]) == ("show", "1", "x", "p")
    assert match("GET", "/ignored/servers") != {} and match("GET", "/ignored/servers")["project_id"] == "ignored"
    assert match("PATCH", "/p/servers") == {}


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/nothing"),
        ("GET", "/servers/a/b/c/d"),
        ("PUT", "/servers"),
        ("DELETE", "/servers"),
        ("PATCH", "/servers"),
        ("OPTIONS", "/servers"),
        ("GET", "/servers/new"),
        ("GET", f"/images/{RAW}/edit"),
        ("POST", "/flavors/1"),
        ("GET", "/servers/"),
        ("GET", "/servers.foo"),
        ("GET", ""),
    ],
)
def test_what_is_not_there(door: Door, method: str, path: str) -> None:
    assert message(door.ask(path, method)) == (404, STOCK_404)


def test_repeated_slashes_and_suffixes(door: Door) -> None:
    token = {"X-Auth-Token": door.login("alice")}
    assert door.call("/v2//acme//flavors/1", headers=token).json["flavor"]["id"] == "1"
    assert door.ask("/flavors/1.json").json["flavor"]["id"] == "1"
    assert door.ask("/flavors/1.xml").content_type == "application/xml"


def test_no_method_override(door: Door) -> None:
    image = IMAGES["acme-private"]
    assert door.ask(f"/images/{image}?_method=DELETE").status_int == 200
    assert door.ask(f"/images/{image}").status_int == 200


def test_every_answer_has_a_request_id(door: Door) -> None:
    for path in ("/flavors", "/flavors/99", "/servers?limit=x"):
        assert door.ask(path).headers["x-compute-request-id"].startswith("req-")


def test_the_project_of_the_url_must_be_the_token_s(tmp_path: object) -> None:
    with running(f"{tmp_path}/state", DOCUMENT, auth_strategy="noauth") as made:
        own = Door(made, tokens={"alice": "joe:acme"})
        assert own.ask("/flavors").status_int == 200
        assert message(own.ask("/flavors", project="other")) == (400, "Malformed request url")
        # In 2012.1 the body was read first.
        headers = {"X-Auth-Token": "joe:acme", "Content-Type": "application/json"}
        answer = own.call("/v1.1/other/servers", "POST", b"{", headers)
        assert message(answer) == (400, "Malformed request body")


def test_a_defect_tells_nothing() -> None:
    @webob.dec.wsgify
    def broken(req: webob.Request) -> None:
        raise KeyError("secret")

    answer = webob.Request.blank("/").get_response(FaultWrapper(broken))
    assert answer.status_int == 500
    assert "secret" not in answer.text
    assert webob.Request.blank("/", method="HEAD").get_response(FaultWrapper(broken)).body == b""


def test_the_factories(door: Door) -> None:
    router = APIRouter.factory({}, ignored="option")
    assert {"servers", "flavors", "images", "limits", "ips", "consoles", "extensions"} <= set(router.resources)


def test_policy_decides(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    from nova_api.errors import PolicyNotAuthorized

    def refuse(context: Any, action: str, target: Any = None) -> None:
        if action == "compute:get_all":
            raise PolicyNotAuthorized(action)

    monkeypatch.setattr(door.cloud.runtime.policy, "check", refuse)
    answer = message(door.ask("/servers"))
    assert answer == (403, "Policy doesn't allow compute:get_all to be performed.")
