"""Flavors (spec openstack-core.md 6.1)."""

import pytest
import sqlalchemy as sa
from lxml import etree

from nova_api.db import flavors as queries
from nova_api.db.models import flavors
from tests.openstack.fakes import STOCK_404, Door, message

COMPUTE = "{http://docs.openstack.org/compute/api/v1.1}"
NAMES = ["m1.large", "m1.medium", "m1.small", "m1.tiny", "m1.xlarge"]


def names(door: Door, query: str = "") -> list[str]:
    return [one["name"] for one in door.ask(f"/flavors{query}").json["flavors"]]


def test_a_document(door: Door) -> None:
    shown = door.ask("/flavors/1").json["flavor"]
    assert isinstance(shown.pop("rxtx_factor"), float)
    assert shown == {
        "id": "1",
        "name": "m1.tiny",
        "ram": 512,
        "disk": 0,
        "vcpus": 1,
        "swap": "",
        "OS-FLV-EXT-DATA:ephemeral": 0,
        "links": [
            {"rel": "self", "href": "http://localhost/v1.1/acme/flavors/1"},
            {"rel": "bookmark", "href": "http://localhost/acme/flavors/1"},
        ],
    }
    root = etree.fromstring(door.ask("/flavors/1.xml").body)
    assert (root.tag, root.get("ram"), root.get("swap")) == (f"{COMPUTE}flavor", "512", "")
    assert root.get("{http://docs.openstack.org/compute/ext/flavor_extra_data/api/v1.1}ephemeral") == "0"


def test_lists_are_by_name(door: Door) -> None:
    assert names(door) == names(door, "/detail") == NAMES
    assert set(door.ask("/flavors").json["flavors"][0]) == {"id", "name", "links"}
    root = etree.fromstring(door.ask("/flavors/detail.xml?limit=1").body)
    assert [one.tag for one in root] == [f"{COMPUTE}flavor"]  # never a next link


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("minRam=4096", ["m1.large", "m1.medium", "m1.xlarge"]),
        ("minDisk=80", ["m1.large", "m1.xlarge"]),
        ("minRam=8192&minDisk=160", ["m1.xlarge"]),
        ("minRam=x&minDisk=", NAMES),
        ("minRam=99999999", []),
        ("minRam=" + "9" * 40, NAMES),
        ("limit=0", []),
        ("limit=2", NAMES[:2]),
        ("limit=2&marker=3", ["m1.small", "m1.tiny"]),
        ("marker=5", []),
    ],
)
def test_filters_and_pages(door: Door, query: str, found: list[str]) -> None:
    assert names(door, f"?{query}") == found
    assert names(door, f"/detail?{query}") == found


def test_pages_follow_their_links(door: Door) -> None:
    seen, url = [], "/flavors/detail?limit=2&minRam=1"
    while url:
        answer = door.ask(url).json
        seen += [one["name"] for one in answer["flavors"]]
        links = answer.get("flavors_links")
        url = links[0]["href"].removeprefix("http://localhost/v1.1/acme") if links else ""
        assert not url or url.startswith("/flavors/detail?limit=2&minRam=1&marker=")
    assert seen == NAMES


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("limit=x", "limit param must be an integer"),
        ("limit=-1", "limit param must be positive"),
        ("marker=99", "marker [99] not found"),
    ],
)
def test_refused_queries(door: Door, query: str, text: str) -> None:
    assert message(door.ask(f"/flavors?{query}")) == (400, text)


@pytest.mark.parametrize("flavor", ["99", "nonsense", "1.5", "%00", "x" * 500])
def test_unknown_flavors(door: Door, flavor: str) -> None:
    assert message(door.ask(f"/flavors/{flavor}")) == (404, STOCK_404)


def test_methods_that_are_not_there(door: Door) -> None:
    assert message(door.put("/flavors/1", {})) == (404, STOCK_404)


def test_swap_dots_and_deleted_flavors(fresh: Door) -> None:
    db = fresh.cloud.runtime.db
    values = {"name": "own", "flavorid": "a.b", "memory_mb": 64, "vcpus": 1, "root_gb": 1, "swap": 7, "ephemeral_gb": 3}
    number = db.write(lambda tx: queries.insert(tx, values))
    shown = fresh.ask("/flavors/a.b").json["flavor"]
    assert (shown["id"], shown["swap"], shown["OS-FLV-EXT-DATA:ephemeral"]) == ("a.b", 7, 3)
    server = fresh.boot(flavorRef="a.b")
    db.write(lambda tx: queries.delete(tx, "own"))
    assert fresh.ask("/flavors/a.b").status_int == 404
    assert fresh.server(server)["flavor"]["id"] == "a.b"
    with db.read() as conn:
        assert conn.execute(sa.select(flavors.c.deleted).where(flavors.c.id == number)).scalar() == number
