"""os-flavor-manage and os-flavor-extra-specs (spec openstack-extensions.md 9)."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from lxml import etree

from tests.openstack.contrib.tables import ODD, refusals, text
from tests.openstack.fakes import STOCK_400, STOCK_404, Door, message

_numbers = itertools.count(100)
NUMBERS = "Invalid input received: create arguments must be positive integers"
XML = {"headers": {"Accept": "application/xml"}}


def fields(**given: Any) -> dict[str, Any]:
    number = next(_numbers)
    return {"name": f"f{number}", "id": f"{number}", "ram": 256, "vcpus": 1, "disk": 1, **given}


def make(door: Door, user: str = "admin", **given: Any) -> Any:
    return door.post("/flavors", {"flavor": fields(**given)}, user=user)


def test_make_and_delete(door: Door) -> None:
    given = {"OS-FLV-EXT-DATA:ephemeral": 3, "swap": 5, "rxtx_factor": 2.5, "os-flavor-access:is_public": True}
    answer = make(door, name="big one", id="77", **given)
    assert answer.status_int == 200
    shown = answer.json["flavor"]
    assert shown == door.ask("/flavors/77", user="admin").json["flavor"]
    expected = {"id": "77", "name": "big one", "ram": 256, "vcpus": 1, "disk": 1, "swap": 5, "rxtx_factor": 2.5}
    assert shown.items() >= {**expected, "OS-FLV-EXT-DATA:ephemeral": 3}.items()
    server = door.boot(flavorRef="77")
    gone = door.delete("/flavors/77", user="admin")
    assert (gone.status_int, gone.body) == (202, b"")
    assert door.ask("/flavors/77").status_int == 404
    assert door.server(server)["flavor"]["id"] == "77"
    assert message(door.delete("/flavors/77", user="admin")) == (404, "Flavor 77 could not be found.")
    assert make(door, name="big one", id="77").status_int == 200


def test_what_is_not_said(door: Door) -> None:
    shown = make(door).json["flavor"]
    assert (shown["swap"], shown["rxtx_factor"], shown["OS-FLV-EXT-DATA:ephemeral"]) == ("", 1.0, 0)
    assert len(make(door, id=None).json["flavor"]["id"]) == 36
    assert make(door, id=next(_numbers)).status_int == 200
    assert make(door, rxtx_factor=0).json["flavor"]["rxtx_factor"] == 0
    assert make(door, ram="512", vcpus="2", disk="0", swap="", rxtx_factor="1.5").json["flavor"]["ram"] == 512


def test_xml(door: Door) -> None:
    document = '<flavor name="x1" id="x1" ram="256" vcpus="1" disk="1" swap="5"/>'
    root = etree.fromstring(text(door.ask("/flavors", "POST", xml=document, user="admin")).encode())
    namespace = "{http://docs.openstack.org/compute/ext/flavor_extra_data/api/v1.1}"
    assert (root.get("id"), root.get("ram"), root.get(f"{namespace}ephemeral")) == ("x1", "256", "0")
    size = '<flavor name="{0}" id="{0}" ram="256" vcpus="1" disk="1" xmlns:E="{1}" {2}'
    for id, rest in (("x2", 'E:ephemeral="4"/>'), ("x3", "><E:ephemeral>4</E:ephemeral></flavor>")):
        document = size.format(id, namespace[1:-1], rest)
        root = etree.fromstring(text(door.ask("/flavors", "POST", xml=document, user="admin")).encode())
        assert (root.get("name"), root.get(f"{namespace}ephemeral")) == (id, "4")


def test_taken_names_and_ids(door: Door) -> None:
    make(door, name="taken", id="taken")
    for given in ({"name": "taken"}, {"id": "taken"}):
        answer = make(door, **given)
        assert answer.status_int == 409 and "already exists." in message(answer)[1]
    given = fields(name="raced")
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda _: door.post("/flavors", {"flavor": given}, user="admin").status_int, range(8))
    assert sorted(found) == [200] + [409] * 7


@pytest.mark.parametrize("name", ["ram", "vcpus", "disk", "swap", "OS-FLV-EXT-DATA:ephemeral", "rxtx_factor"])
@pytest.mark.parametrize("value", ["x", -1, "-1", 1e40, [1], {"a": 1}, True, "9" * 30, "\u0661"])
def test_numbers_that_are_none(door: Door, name: str, value: Any) -> None:
    if name == "rxtx_factor" and value == "\u0661":
        assert make(door, rxtx_factor=value).status_int == 200  # a digit of another script is a number to float
    else:
        assert message(make(door, **{name: value})) == (400, NUMBERS)


@pytest.mark.parametrize("name", ["ram", "vcpus"])
def test_nothing_at_all(door: Door, name: str) -> None:
    assert message(make(door, **{name: 0})) == (400, NUMBERS)


@pytest.mark.parametrize("name", ["name", "id", "ram", "vcpus", "disk"])
def test_what_must_be_said(door: Door, name: str) -> None:
    given = fields()
    del given[name]
    assert message(door.post("/flavors", {"flavor": given}, user="admin")) == (400, STOCK_400)


def test_odd_documents(door: Door) -> None:
    found = refusals(door, "POST", "/flavors", root="flavor", fields=fields(), user="admin")
    assert set(found) <= {200, 400, 409}


def test_administrators_only(door: Door) -> None:
    refusal = (403, "Policy doesn't allow compute_extension:flavormanage to be performed.")
    for answer in (make(door, "alice"), door.delete("/flavors/1")):
        assert message(answer) == refusal
    assert door.ask("/flavors/1").status_int == 200


# -- extra specs


@pytest.fixture
def specs(door: Door) -> str:
    """The path of the specs of a new flavor, whose id is no number of a row."""
    return f"/flavors/{make(door).json['flavor']['id']}/os-extra_specs"


def test_specs(door: Door, specs: str) -> None:
    assert door.ask(specs).json == {"extra_specs": {}}
    given = {"extra_specs": {"k1": "v1", "k2": "v2"}}
    answer = door.post(specs, given, user="admin")
    assert (answer.status_int, answer.json) == (200, given)
    door.post(specs, {"extra_specs": {"k2": "w"}}, user="admin")
    assert door.ask(specs).json == {"extra_specs": {"k1": "v1", "k2": "w"}}
    for sent, kept in ((5, "5"), (True, "True")):
        assert door.post(specs, {"extra_specs": {"n": sent}}, user="admin").json == {"extra_specs": {"n": sent}}
        assert door.put(f"{specs}/n", {"n": sent}, user="admin").json == {"n": sent}
        assert door.ask(f"{specs}/n").json == {"n": kept}
    door.delete(f"{specs}/n", user="admin")
    for none in (float("nan"), float("inf")):
        assert door.post(specs, {"extra_specs": {"n": none}}, user="admin").status_int == 400
    assert door.ask(f"{specs}/k1").json == {"k1": "v1"}
    assert door.put(f"{specs}/k1", {"k1": "v9"}, user="admin").json == {"k1": "v9"}
    for _ in range(2):
        gone = door.delete(f"{specs}/k1", user="admin")
        assert (gone.status_int, gone.body) == (200, b"")
    assert message(door.ask(f"{specs}/k1")) == (404, STOCK_404)
    assert door.ask(specs).json == {"extra_specs": {"k2": "w"}}
    assert door.ask("/flavors/1/os-extra_specs").json == {"extra_specs": {}}


def test_specs_in_xml(door: Door, specs: str) -> None:
    made = door.ask(specs, "POST", xml="<extra_specs><k1>v1</k1></extra_specs>", user="admin")
    assert text(made) == text(door.ask(specs, **XML)) == "<extra_specs><k1>v1</k1></extra_specs>"
    assert text(door.ask(f"{specs}/k1", **XML)) == "<k1>v1</k1>"
    assert text(door.ask(f"{specs}/k1", "PUT", xml="<k1>v2</k1>", user="admin")) == "<k1>v2</k1>"
    door.post(specs, {"extra_specs": {"a:b c": "<d>"}}, user="admin")
    assert '<item key="a:b c">&lt;d&gt;</item>' in text(door.ask(specs, **XML))


def test_refused_specs(door: Door, specs: str) -> None:
    assert message(door.put(f"{specs}/k", {"x": "y"}, user="admin")) == (400, "Request body and URI mismatch")
    refused = message(door.put(f"{specs}/k", {"k": "v", "x": "y"}, user="admin"))
    assert refused == (400, "Request body contains too many items")
    for odd in ODD:
        assert door.post(specs, {"extra_specs": {"k": odd}}, user="admin").status_int in (200, 400)
        assert door.post(specs, {"extra_specs": odd}, user="admin").status_int in (200, 400)
        assert door.post(specs, odd, user="admin").status_int == 400
        assert door.put(f"{specs}/k", odd, user="admin").status_int == 400
    many = {"extra_specs": {str(n): "" for n in range(129)}}
    assert door.post(specs, many, user="admin").status_int == 400
    missing = "/flavors/none/os-extra_specs"
    for answer in (
        door.ask(missing),
        door.ask(f"{missing}/k"),
        door.post(missing, {"extra_specs": {"k": "v"}}, user="admin"),
        door.put(f"{missing}/k", {"k": "v"}, user="admin"),
        door.delete(f"{missing}/k", user="admin"),
    ):
        assert message(answer) == (404, "Flavor none could not be found.")


def test_only_administrators_write_specs(door: Door, specs: str) -> None:
    refusal = (403, "User does not have admin privileges")
    for answer in (
        door.post(specs, {"extra_specs": {"k": "v"}}),
        door.put(f"{specs}/k", {"k": "v"}),
        door.delete(f"{specs}/k"),
    ):
        assert message(answer) == refusal
    assert door.ask(specs).json == {"extra_specs": {}}
