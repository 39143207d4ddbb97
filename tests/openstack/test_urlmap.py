"""Versions and types, as path and headers choose them (spec openstack-core.md 1.6, 4)."""

from typing import Any

import pytest
import webob
import webob.dec
from lxml import etree

from nova_api.openstack.media import BEST, SUPPORTED, best_match
from nova_api.openstack.urlmap import URLMap
from tests.openstack.fakes import Door

JSON, XML = "application/json", "application/xml"
VENDOR_XML = "application/vnd.openstack.compute+xml"


def answering(name: str) -> Any:
    @webob.dec.wsgify
    def application(req: webob.Request) -> str:
        return f"{name} {req.environ[BEST]} {req.script_name}|{req.path_info}"

    return application


@pytest.fixture(scope="module")
def urlmap() -> URLMap:
    return URLMap({"/": answering("root"), "/v1.1": answering("one"), "/v2": answering("two")})


@pytest.mark.parametrize(
    ("accept", "chosen"),
    [
        ("", JSON),
        ("*/*", JSON),
        ("application/*", JSON),
        ("text/html", JSON),
        ("image/png", JSON),
        ("text/xml", JSON),
        ("application/xml, application/json", JSON),
        ("application/json;q=0.1,application/xml", XML),
        ("application/xml;q=0.5, */*;q=0.5", XML),
        ("application/json;q=x,application/xml;q=0.1", XML),
        (f"{VENDOR_XML};q=0.3, application/json;q=0.2", VENDOR_XML),
        ("application/json;q=0", JSON),
        (",,;;=", JSON),
    ],
)
def test_accept(urlmap: URLMap, accept: str, chosen: str) -> None:
    headers = {"Accept": accept} if accept else {}
    answer = webob.Request.blank("/v2/p/servers", headers=headers).get_response(urlmap)
    assert answer.text == f"two {chosen} /v2|/p/servers"


def test_no_match_is_none() -> None:
    assert best_match("image/png", SUPPORTED) == (None, {})


@pytest.mark.parametrize(
    ("path", "headers", "expected"),
    [
        ("/v1.1/p/servers.xml", {}, f"one {XML} /v1.1|/p/servers.xml"),
        ("/v1.1/p/servers.json", {"Accept": XML}, f"one {JSON} /v1.1|/p/servers.json"),
        ("/v1.1/p/servers.foo", {"Accept": XML}, f"one {XML} /v1.1|/p/servers.foo"),
        ("/v2", {}, f"two {JSON} /v2|"),
        ("/v2.xml", {}, f"root {XML} |/v2.xml"),
        ("/v22/x", {}, f"root {JSON} |/v22/x"),
        ("/p/servers", {"Accept": f"{XML};version=1.1"}, f"one {XML} /v1.1|/p/servers"),
        ("/p/servers", {"Content-Type": f"{JSON};version=2"}, f"two {JSON} /v2|/p/servers"),
        ("/p/servers", {"Accept": f"{JSON};version=9"}, f"root {JSON} |/p/servers"),
        ("/", {"Accept": "application/atom+xml"}, "root application/atom+xml |/"),
        ("/v2/", {"Accept": "application/atom+xml"}, "two application/atom+xml /v2|/"),
        ("/v2/p", {"Accept": "application/atom+xml"}, f"two {JSON} /v2|/p"),
    ],
)
def test_the_choice(urlmap: URLMap, path: str, headers: dict[str, str], expected: str) -> None:
    assert webob.Request.blank(path, headers=headers).get_response(urlmap).text == expected


COMMON, ATOM = "{http://docs.openstack.org/common/api/v1.0}", "{http://www.w3.org/2005/Atom}"


def test_the_list_of_versions(door: Door) -> None:
    answer = door.call("/")
    links = [{"rel": "self", "href": "http://localhost/v2/"}]
    about = {"id": "v2.0", "status": "CURRENT", "updated": "2011-01-21T11:33:21Z", "links": links}
    older = {**about, "id": "v1.0", "status": "DEPRECATED"}
    older["links"] = [{"rel": "self", "href": "http://localhost/v1.0/"}]
    assert (answer.status_int, answer.json) == (200, {"versions": [about, older]})
    root = etree.fromstring(door.call("/", headers={"Accept": XML}).body)
    assert root.tag == f"{COMMON}versions"
    assert root[0].get("id") == "v2.0"
    assert root[0].find(f"{ATOM}link").get("href") == "http://localhost/v2/"
    feed = etree.fromstring(door.call("/", headers={"Accept": "application/atom+xml"}).body)
    assert feed.findtext(f"{ATOM}title") == "Available API Versions"
    assert feed.findtext(f"{ATOM}id") == "http://localhost/"
    assert feed.findtext(f"{ATOM}entry/{ATOM}content") == "Version v2.0 CURRENT (2011-01-21T11:33:21Z)"


@pytest.mark.parametrize(
    ("path", "href"),
    [
        ("/images/1", "http://localhost/v2/images/1"),
        ("/v3/", "http://localhost/v2/v3"),
        ("/v2.json", "http://localhost/v2/v2.json"),
        ("/images?x=1", "http://localhost/v2/images"),
    ],
)
def test_choices(door: Door, path: str, href: str) -> None:
    answer = door.call(path)
    assert answer.status_int == 300
    choices = {one["id"]: one for one in answer.json["choices"]}
    assert [one["status"] for one in choices.values()] == ["CURRENT", "DEPRECATED"]
    assert choices["v2.0"]["links"] == [{"rel": "self", "href": href}]
    assert choices["v1.0"]["links"] == [{"rel": "self", "href": href.replace("/v2/", "/v1.0/", 1)}]
    for one in choices.values():
        assert [kind["base"] for kind in one["media-types"]] == [XML, JSON]
    root = etree.fromstring(door.call(path.replace(".json", ".xml"), headers={"Accept": XML}).body)
    assert (root.tag, [one.get("id") for one in root]) == (f"{COMMON}choices", ["v2.0", "v1.0"])
    assert len(root.findall(f"{COMMON}version/{COMMON}media-types/{COMMON}media-type")) == 4


@pytest.mark.parametrize("mount", ["/v1.1", "/v2"])
def test_one_version(door: Door, mount: str) -> None:
    about = door.call(f"{mount}/").json["version"]
    assert [link["rel"] for link in about["links"]] == ["self", "describedby", "describedby"]
    assert about["links"][0]["href"] == f"http://localhost{mount}/"
    root = etree.fromstring(door.call(f"{mount}/", headers={"Accept": XML}).body)
    assert (root.tag, root.get("updated")) == (f"{COMMON}version", "2011-01-21T11:33:21Z")
    assert len(root.findall(f"{ATOM}link")) == 3
    feed = etree.fromstring(door.call(f"{mount}/", headers={"Accept": "application/atom+xml"}).body)
    assert feed.findtext(f"{ATOM}title") == "About This Version"
    assert feed.findtext(f"{ATOM}id") == f"http://localhost{mount}/"
    assert len(feed.findall(f"{ATOM}entry/{ATOM}link")) == 3


def test_a_body_for_the_list_is_refused(door: Door) -> None:
    answer = door.call("/", "POST", b"{}", {"Content-Type": JSON})
    assert answer.status_int == 400
