"""The mount of the 1.0 API: login, projects, versions, faults, limits."""

import copy
import re
from pathlib import Path

import pytest
import webob
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nova_api import openstack
from nova_api.openstack import mounts
from nova_api.openstack.faults import TEXTS
from nova_api.openstack.urlmap import URLMap
from nova_api.openstack.v1_0 import APIRouter
from nova_api.openstack.versions import Versions
from nova_api.openstack.xml import V1_0_NS
from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, Door, fault, message
from tests.openstack.v1_0.test_servers import number_of

NS, COMMON = f"{{{V1_0_NS}}}", "{http://docs.openstack.org/common/api/v1.0}"
XML = {"Accept": "application/xml"}


def login(door: Door, user: str, path: str = "/v1.0", **more: str) -> dict[str, str]:
    key = door.cloud.description["users"][user]["access"]
    answer = door.call(path, headers={"X-Auth-User": user, "X-Auth-Key": key, **more})
    assert (answer.status_int, answer.body) == (204, b"")
    return dict(answer.headers)


@pytest.mark.parametrize("path", ["/v1.0", "/v1.0/", "/v1.0?fresh=1"])
def test_login(old: Door, path: str) -> None:
    headers = login(old, "alice", path)
    assert re.fullmatch("[0-9a-f]{40}", headers["X-Auth-Token"])
    assert headers["X-Server-Management-Url"] == "http://localhost/v1.0"
    token = {"X-Auth-Token": headers["X-Auth-Token"]}
    for below in ("/servers", "/acme/servers", "/limits", "/acme/servers/detail", "/images.json", "/acme/flavors.xml"):
        assert old.call(f"/v1.0{below}", headers=token).status_int == 200
    assert old.call("/v1.1/acme/servers", headers=token).status_int == 200


def test_refused_logins(old: Door) -> None:
    answer = old.call("/v1.0", headers={"X-Auth-User": "alice", "X-Auth-Key": "nonsense"})
    assert fault(answer) == (401, "unauthorized", TEXTS[401])
    answer = old.call("/v1.0/", headers={"X-Auth-User": "alice", "X-Auth-Key": "nonsense", **XML})
    assert etree.fromstring(answer.body).tag == f"{NS}unauthorized"
    answer = old.call("/v1.0/servers", headers={"X-Auth-User": "alice", "X-Auth-Key": "nonsense"})
    assert answer.status_int == 401
    assert old.call("/v1.0/servers").status_int == 401


def test_the_token_carries_the_project(tmp_path: Path) -> None:
    document = copy.deepcopy(DOCUMENT)
    document["projects"]["globex"]["members"].append("alice")
    with running(tmp_path / "state", document) as made:
        old = Door(made, "v1.0")
        tokens = {one: login(old, "alice", **{"X-Auth-Project-Id": one})["X-Auth-Token"] for one in ("acme", "globex")}
        image = number_of(old)
        body = f'{{"server": {{"name": "x", "imageId": {image}, "flavorId": 1}}}}'.encode()
        for project, token in tokens.items():
            headers = {"X-Auth-Token": token, "Content-Type": "application/json"}
            server = old.call("/v1.0/servers", "POST", body, headers).json["server"]
            # What the header says later does not count: the token has one project.
            own = {**headers, "X-Auth-Project-Id": "globex" if project == "acme" else "acme"}
            assert [one["id"] for one in old.call("/v1.0/servers", headers=own).json["servers"]] == [server["id"]]
            assert old.call(f"/v1.1/{project}/servers/{server['uuid']}", headers=headers).status_int == 200
        # The path's project goes before the token's, as long as the user is a member.
        headers = {"X-Auth-Token": tokens["acme"]}
        assert len(old.call("/v1.0/globex/servers", headers=headers).json["servers"]) == 1
        assert old.call("/v1.0/adminproj/servers", headers=headers).status_int == 401


@pytest.mark.parametrize("path", ["/globex/servers", "/nowhere/servers", "/globex//servers/1", "/globex/images.xml"])
def test_other_projects(old: Door, path: str) -> None:
    assert old.call(f"/v1.0{path}", headers={"X-Auth-Token": old.login("alice")}).status_int == 401


@pytest.mark.parametrize("path", ["/x", "/servers/1/x", "/acme", "/acme/x", "/x/y", "/servers/", "/globex/x"])
def test_no_such_path(old: Door, path: str) -> None:
    answer = old.call(f"/v1.0{path}", headers={"X-Auth-Token": old.login("alice")})
    assert fault(answer) == (404, "itemNotFound", TEXTS[404])


@pytest.mark.parametrize("path", ["/v1.0", "/v1.0/"])
def test_the_version_document_needs_no_login(old: Door, path: str) -> None:
    about = old.call(path).json["version"]
    assert (about["id"], about["status"], about["updated"]) == ("v1.0", "DEPRECATED", "2011-01-21T11:33:21Z")
    assert [one["type"] for one in about["media-types"]] == [
        "application/vnd.openstack.compute-v1.0+xml",
        "application/vnd.openstack.compute-v1.0+json",
    ]
    documents = "http://docs.rackspacecloud.com/servers/api/v1.0"
    assert [one["href"] for one in about["links"]] == [
        "http://localhost/v1.0/",
        f"{documents}/cs-devguide-20110125.pdf",
        f"{documents}/application.wadl",
    ]
    root = etree.fromstring(old.call(path, headers=XML).body)
    assert (root.tag, root.get("id")) == (f"{COMMON}version", "v1.0")
    feed = old.call(path, headers={"Accept": "application/atom+xml"})
    assert b"Version v1.0 DEPRECATED" in feed.body


def test_the_root_under_a_token(old: Door) -> None:
    token = {"X-Auth-Token": old.login("alice")}
    assert old.call("/v1.0/", headers=token).json["version"]["id"] == "v1.0"
    answer = old.call("/v1.0", headers=token)
    assert (answer.status_int, answer.location) == (302, "http://localhost/v1.0/")


def test_it_is_listed_only_where_it_is_mounted() -> None:
    def ids(**mounted: object) -> list[str]:
        root = URLMap({"/": Versions(), **{f"/{name}": Versions() for name in mounted}})
        listed = [one["id"] for one in webob.Request.blank("/").get_response(root).json["versions"]]
        chosen = [one["id"] for one in webob.Request.blank("/images").get_response(root).json["choices"]]
        assert chosen == listed
        return listed

    assert ids(**{"v1.1": 1, "v2": 1}) == ["v2.0"]
    assert ids(**{"v1.0": 1, "v2": 1}) == ["v2.0", "v1.0"]


def test_the_version_may_be_asked_for_in_a_header(old: Door) -> None:
    headers = {"X-Auth-Token": old.login("alice"), "Accept": "application/json;version=1.0"}
    assert old.call("/acme/flavors/1", headers=headers).json["flavor"] == {
        "id": 1,
        "name": "m1.tiny",
        "ram": 512,
        "disk": 0,
    }
    assert old.call("/flavors/1", headers=headers).json["flavor"]["id"] == 1


def test_anybody(tmp_path: Path) -> None:
    with running(tmp_path / "state", copy.deepcopy(DOCUMENT), auth_strategy="noauth") as made:
        old = Door(made, "v1.0")
        answer = old.call("/v1.0", headers={"X-Auth-User": "eve", "X-Auth-Project-Id": "acme"})
        assert answer.headers["X-Auth-Token"] == "eve:acme"
        assert answer.headers["X-Server-Management-Url"] == "http://localhost/v1.0"
        token = {"X-Auth-Token": "eve:acme"}
        assert old.call("/v1.0/servers", headers=token).json == {"servers": []}
        assert old.call("/v1.0/acme/servers", headers=token).status_int == 200
        answer = old.call("/v1.0/globex/servers", headers=token)
        assert fault(answer) == (400, "badRequest", "Malformed request url")
        assert old.call("/v1.0/").json["version"]["id"] == "v1.0"


def test_a_user_who_asks_too_often(tmp_path: Path) -> None:
    with running(tmp_path / "state", copy.deepcopy(DOCUMENT), api_rate_limit=True) as made:
        old = Door(made, "v1.0")
        token = {"X-Auth-Token": old.login("alice"), "Content-Type": "application/json"}
        limits = old.call("/v1.0/limits", headers=token).json["limits"]["rate"]
        assert {one["URI"] for one in limits} >= {"*", "*/servers"}
        answers = [old.call("/v1.0/servers", "POST", b"{}", token) for _ in range(11)]
        assert [one.status_int for one in answers] == [400] * 10 + [413]
        assert answers[-1].json["overLimitFault"]["code"] == 413
        assert int(answers[-1].headers["Retry-After"]) > 0
        root = etree.fromstring(old.call("/v1.0/servers", "POST", b"{}", {**token, **XML}).body)
        assert (root.tag, root.find(f"{NS}message") is not None) == (f"{NS}overLimitFault", True)
        left = {one["URI"]: one for one in old.call("/v1.0/limits", headers=token).json["limits"]["rate"][:2]}
        assert (left["*"]["remaining"], left["*/servers"]["remaining"]) == (0, 38)
        assert {type(one["resetTime"]) for one in left.values()} == {int}


@pytest.mark.parametrize(
    ("path", "project", "rest"),
    [
        ("/servers", None, "/servers"),
        ("/servers/1", None, "/servers/1"),
        ("/servers.json", None, "/servers.json"),
        ("/p/servers/1", "p", "/servers/1"),
        ("/p/servers.xml", "p", "/servers.xml"),
        ("//p/servers", "p", "/servers"),
        ("/servers/flavors", None, "/servers/flavors"),
        ("/servers/images/1", None, "/servers/images/1"),
        ("/p/x", None, "/p/x"),
        ("/p", None, "/p"),
        ("/", None, "/"),
    ],
)
def test_which_part_of_a_path_is_the_project(path: str, project: str | None, rest: str) -> None:
    environ = {mounts.API: mounts.V1_0, "SCRIPT_NAME": "/v1.0", "PATH_INFO": path}
    assert (mounts.project_of(environ), mounts.below_project(environ)) == (project, rest)


@given(st.text(max_size=40))
def test_every_layer_means_the_same_project(old_router: APIRouter, text: str) -> None:
    """A request is carried out for the project that it was admitted for."""
    path = f"/{text}"
    environ = {mounts.API: mounts.V1_0, "SCRIPT_NAME": "/v1.0", "PATH_INFO": path, "REQUEST_METHOD": "GET"}
    match = old_router.map.routematch(path, environ)
    routed = match[0].get("project_id") if match else None
    if match and "//" not in path and path not in ("", "/"):
        assert routed in (None, mounts.project_of(environ))


@pytest.fixture(scope="module")
def old_router(door: Door) -> APIRouter:
    door.cloud.app("osapi_compute")
    return APIRouter()


def test_an_address_keeps_its_ending(old_router: APIRouter) -> None:
    for path in ("/servers/1/ips/public/10.0.0.4", "/p/servers/1/ips/public/x.xml"):
        assert old_router.without_format(path) == path
    assert old_router.without_format("/servers/1/ips/public.xml") == "/servers/1/ips/public"
    assert isinstance(old_router, openstack.ResourceRouter)


def test_limits(old: Door) -> None:
    absolute = old.ask("/limits").json["limits"]["absolute"]
    assert (absolute["maxServerMeta"], absolute["maxIPGroups"], absolute["maxIPGroupMembers"]) == (128, 50, 25)
    root = etree.fromstring(old.ask("/limits", xml="").body)
    assert root.tag == f"{NS}limits"
    listed = {one.get("name"): one.get("value") for one in root.findall(f"{NS}absolute/{NS}limit")}
    assert listed == {name: str(value) for name, value in absolute.items()}
    assert root.find(f"{NS}rate") is not None


def test_methods_that_nothing_has(old: Door) -> None:
    for method, path in (("PUT", "/servers"), ("DELETE", "/flavors/1"), ("POST", "/limits"), ("PATCH", "/servers/1")):
        assert message(old.ask(path, method))[0] == 404
