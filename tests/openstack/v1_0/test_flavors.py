"""Flavors of the 1.0 API."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from lxml import etree

from nova_api.cloud.flavors import FlavorSpec
from nova_api.cloud.numbers import FIRST
from nova_api.openstack.xml import V1_0_NS
from tests.openstack.fakes import Door, fault

NS = f"{{{V1_0_NS}}}"
TINY = {"id": 1, "name": "m1.tiny", "ram": 512, "disk": 0}


def test_show(old: Door) -> None:
    assert old.ask("/flavors/1").json == {"flavor": TINY}
    root = etree.fromstring(old.ask("/flavors/1", xml="").body)
    assert (root.tag, dict(root.attrib)) == (f"{NS}flavor", {key: str(value) for key, value in TINY.items()})


def test_lists(old: Door) -> None:
    assert TINY in old.ask("/flavors/detail").json["flavors"]
    brief = old.ask("/flavors").json["flavors"]
    assert {"id": 1, "name": "m1.tiny"} in brief
    root = etree.fromstring(old.ask("/flavors/detail", xml="").body)
    assert root.tag == f"{NS}flavors"
    assert [one.get("id") for one in root.findall(f"{NS}flavor")] == [str(one["id"]) for one in brief]
    assert old.ask("/flavors?fresh=1&cache-busting=x").json["flavors"] == brief
    assert old.ask("/flavors?offset=1&limit=2").json["flavors"] == brief[1:3]
    assert old.ask("/flavors?offset=100").json["flavors"] == []
    assert old.ask("/flavors?limit=0").json["flavors"] == brief


@pytest.mark.parametrize("name", ["limit", "offset"])
@pytest.mark.parametrize(("text", "problem"), [("-1", "positive"), ("x", "an integer"), ("", "an integer")])
def test_bad_pages(old: Door, name: str, text: str, problem: str) -> None:
    answer = old.ask(f"/flavors?{name}={text}")
    assert fault(answer) == (400, "badRequest", f"{name} param must be {problem}")


@pytest.mark.parametrize("text", ["99", "x", "1e0", "-1", "9" * 18, "9" * 30, "%00", "0", str(FIRST), str(FIRST + 5)])
def test_unknown(old: Door, text: str) -> None:
    assert fault(old.ask(f"/flavors/{text}"))[:2] == (404, "itemNotFound")
    root = etree.fromstring(old.ask(f"/flavors/{text}", xml="").body)
    assert (root.tag, root.get("code")) == (f"{NS}itemNotFound", "404")


def test_a_flavor_without_a_number(fresh: Door) -> None:
    fresh = Door(fresh.cloud, "v1.0")
    sizes = {"memory_mb": 64, "vcpus": 1, "root_gb": 1}
    ids = ["tiny", "0042", str(FIRST + 1), "17"]
    for flavorid in ids:
        fresh.cloud.runtime.flavors.create(FlavorSpec(name=f"f{flavorid}", flavorid=flavorid, **sizes))
    with ThreadPoolExecutor(8) as pool:
        lists = list(pool.map(lambda _: fresh.cloud.runtime.numbers.of_flavors(ids), range(16)))
    assert all(one == lists[0] for one in lists)
    numbers = {one["name"]: one["id"] for one in fresh.ask("/flavors").json["flavors"]}
    assert numbers["f17"] == 17
    assert min(numbers[f"f{one}"] for one in ids[:3]) > FIRST
    assert len(set(numbers.values())) == len(numbers)
    for name, number in numbers.items():
        assert fresh.ask(f"/flavors/{number}").json["flavor"]["name"] == name
