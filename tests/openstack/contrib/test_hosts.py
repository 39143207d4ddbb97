"""os-hosts, os-aggregates and os-scheduler-hints (spec openstack-extensions.md 2.5, 10.1, 10.2)."""

import itertools
import json
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa
from lxml import etree

from nova_api.db.models import services
from tests.openstack.contrib.tables import ODD, refusals, text
from tests.openstack.fakes import RAW, STOCK_400, STOCK_404, Door, message

HOST = "/os-hosts/node1"
XML = {"headers": {"Accept": "application/xml"}}
STOCK_409 = "There was a conflict when trying to complete your request."
_numbers = itertools.count()


def status(door: Door, server: str) -> str:
    door.cloud.settle()
    return str(door.server(server)["status"])


# -- hosts


def test_hosts(door: Door) -> None:
    found = door.ask("/os-hosts", user="admin").json["hosts"]
    assert {"host_name": "node1", "service": "compute"} in found
    assert {one["service"] for one in found} >= {"compute", "network", "scheduler", "volume", "cert", "console"}
    assert '<host host_name="node1" service="compute"/>' in text(door.ask("/os-hosts", user="admin", **XML))
    assert door.ask("/os-hosts?zone=nova", user="admin").json["hosts"] == found


def test_what_a_host_has(fresh: Door) -> None:
    fresh.boot(flavorRef="2")
    fresh.boot("bob")
    found = [one["resource"] for one in fresh.ask(HOST, user="admin").json["host"]]
    by_project = {one["project"]: (one["cpu"], one["memory_mb"], one["disk_gb"]) for one in found}
    assert list(by_project) == ["(total)", "(used_now)", "(used_max)", "acme", "globex"]
    assert by_project["(used_now)"] == by_project["(used_max)"] == (2, 2560, 20)
    assert (by_project["acme"], by_project["globex"]) == ((1, 2048, 20), (1, 512, 0))
    assert by_project["(total)"][0] > 2 and {one["host"] for one in found} == {"node1"}
    root = etree.fromstring(text(fresh.ask(HOST, user="admin", **XML)))
    assert root.xpath("/host/resource[project='acme']/memory_mb/text()") == ["2048"]
    assert message(fresh.ask("/os-hosts/none", user="admin")) == (404, "Host not found")
    assert message(fresh.ask(HOST)) == (403, "Describe-resource is admin only functionality")


def test_a_disabled_host_takes_nothing(fresh: Door) -> None:
    for off, on, shown in (
        ({"status": "disable"}, {" STATUS ": " Enable "}, {"status": "disabled"}),
        ({"maintenance_mode": "enable"}, {"maintenance_mode": "disable"}, {"maintenance_mode": "on_maintenance"}),
    ):
        answer = fresh.put(HOST, off, user="admin")
        assert (answer.status_int, answer.json) == (200, {"host": "node1", **shown})
        server = fresh.new().json["server"]["id"]
        assert status(fresh, server) == "ERROR"
        assert "No valid host was found" in fresh.server(server)["fault"]["message"]
        assert fresh.put(HOST, on, user="admin").status_int == 200
        assert status(fresh, fresh.new().json["server"]["id"]) == "ACTIVE"


def test_hosts_in_xml(door: Door) -> None:
    document = "<updates><status>enable</status><maintenance_mode>disable</maintenance_mode></updates>"
    made = text(door.ask(HOST, "PUT", xml=document, user="admin"))
    assert made == '<host host="node1" status="enabled" maintenance_mode="off_maintenance"/>'
    assert text(door.ask(f"{HOST}/reboot", user="admin", **XML)) == '<host host="node1" power_action="reboot"/>'


@pytest.mark.parametrize("action", ["startup", "shutdown", "reboot"])
def test_power(door: Door, action: str) -> None:
    assert door.ask(f"{HOST}/{action}", user="admin").json == {"host": "node1", "power_action": action}
    assert message(door.ask(f"/os-hosts/none/{action}", user="admin")) == (404, "Host none could not be found.")
    assert message(door.ask(f"{HOST}/{action}"))[0] == 403


@pytest.mark.parametrize(
    ("document", "refusal"),
    [
        ({"status": "maybe"}, "Invalid status: 'maybe'"),
        ({"status": None}, "Invalid status: 'None'"),
        ({"maintenance_mode": "maybe"}, "Invalid mode: 'maybe'"),
        ({"maintenance_mode": True}, "Invalid mode: 'True'"),
        ({"foo": "enable"}, "Invalid update setting: 'foo'"),
        ({"status": "enable", "foo": "enable"}, "Invalid update setting: 'foo'"),
        ({}, STOCK_400),
        ([], STOCK_400),
    ],
)
def test_refused_settings(door: Door, document: Any, refusal: str) -> None:
    assert message(door.put(HOST, document, user="admin")) == (400, refusal)


def test_who_may_and_what_there_is(door: Door) -> None:
    for document in ({"status": "enable"}, {"foo": "enable"}):
        unknown = message(door.put("/os-hosts/nope", document, user="admin"))
        assert unknown == (404, "Host nope could not be found.")
    refusal = (403, "Policy doesn't allow compute_extension:hosts to be performed.")
    for answer in (door.ask("/os-hosts"), door.put(HOST, {"status": "disable"})):
        assert message(answer) == refusal
    for odd in ODD:
        assert door.put(HOST, {"status": odd}, user="admin").status_int == 400
        assert door.put(HOST, odd, user="admin").status_int == 400


# -- aggregates


def aggregate(door: Door, **fields: Any) -> Any:
    given = {"name": f"a{next(_numbers)}", "availability_zone": "nova", **fields}
    return door.post("/os-aggregates", {"aggregate": given}, user="admin")


def act(door: Door, number: int, action: str, **given: Any) -> Any:
    return door.post(f"/os-aggregates/{number}/action", {action: given}, user="admin")


def test_aggregates(fresh: Door) -> None:
    answer = aggregate(fresh, name="rack")
    assert answer.status_int == 200
    made = answer.json["aggregate"]
    path = f"/os-aggregates/{made['id']}"
    assert made == {
        **{"id": made["id"], "name": "rack", "availability_zone": "nova", "operational_state": "created"},
        **{"hosts": [], "metadata": {}, "created_at": made["created_at"], "updated_at": None},
        **{"deleted": False, "deleted_at": None},
    }
    assert fresh.ask(path, user="admin").json == {"aggregate": made}
    assert fresh.ask("/os-aggregates", user="admin").json == {"aggregates": [made]}
    renamed = fresh.put(path, {"aggregate": {"name": "row"}}, user="admin").json["aggregate"]
    assert renamed["name"] == "row" and renamed["updated_at"]
    added = act(fresh, made["id"], "add_host", host="node1")
    assert (added.status_int, added.json["aggregate"]["hosts"]) == (200, ["node1"])
    fresh.cloud.settle()
    assert fresh.ask(path, user="admin").json["aggregate"]["operational_state"] == "active"
    items = act(fresh, made["id"], "set_metadata", metadata={"k": "v", "x": "y", "gone": None})
    assert items.json["aggregate"]["metadata"] == {"k": "v", "x": "y"}
    items = act(fresh, made["id"], "set_metadata", metadata={"k": "w", "x": "", "none": None})
    assert items.json["aggregate"]["metadata"] == {"k": "w"}
    full = message(fresh.delete(path, user="admin"))
    assert full == (400, f"Cannot perform action 'delete' on aggregate {made['id']}. Reason: not empty.")
    removed = act(fresh, made["id"], "remove_host", host="node1")
    assert (removed.status_int, removed.json["aggregate"]["hosts"]) == (200, [])
    gone = fresh.delete(path, user="admin")
    assert (gone.status_int, gone.body) == (200, b"")
    assert gone.headers["x-compute-request-id"].startswith("req-")
    for refused in (fresh.ask(path, user="admin"), fresh.delete(path, user="admin")):
        assert message(refused) == (404, STOCK_404)
    revived = aggregate(fresh, name="row").json["aggregate"]
    assert (revived["id"], revived["metadata"], revived["operational_state"]) == (made["id"], {}, "created")


def test_aggregates_in_xml(fresh: Door) -> None:
    document = '<aggregate name="x" availability_zone="nova"/>'
    root = etree.fromstring(fresh.ask("/os-aggregates", "POST", xml=document, user="admin").body)
    assert (root.tag, root.findtext("name"), root.findtext("updated_at")) == ("aggregate", "x", "None")
    act(fresh, int(root.findtext("id")), "add_host", host="node1")
    listed = etree.fromstring(fresh.ask("/os-aggregates", user="admin", **XML).body)
    assert listed.xpath("/aggregates/aggregate/hosts/host/text()") == ["node1"]
    path = f"/os-aggregates/{root.findtext('id')}/action"
    for metadata in ("<metadata><k>v</k><x>y</x></metadata>", '<metadata k="w"><x/></metadata>'):
        answer = fresh.ask(path, "POST", xml=f"<set_metadata>{metadata}</set_metadata>", user="admin")
        assert answer.status_int == 200, answer.text
    assert etree.fromstring(answer.body).xpath("/aggregate/metadata/*/text()") == ["w"]
    removed = fresh.ask(path, "POST", xml='<remove_host host="node1"/>', user="admin")
    assert etree.fromstring(removed.body).xpath("/aggregate/hosts/host") == []


def test_the_zone_of_an_aggregate(fresh: Door) -> None:
    path = f"/os-aggregates/{aggregate(fresh).json['aggregate']['id']}"
    for zone in ("elsewhere", "nova"):
        answer = fresh.put(path, {"aggregate": {"availability_zone": zone}}, user="admin")
        assert (answer.status_int, answer.json["aggregate"]["availability_zone"]) == (200, zone)
        added = fresh.post(f"{path}/action", {"add_host": {"host": "node1"}}, user="admin")
        assert added.status_int == (200 if zone == "nova" else 409)
    moved = fresh.put(path, {"aggregate": {"availability_zone": "elsewhere"}}, user="admin")
    assert message(moved) == (409, STOCK_409)


def test_conflicts(fresh: Door) -> None:
    first, second = (aggregate(fresh).json["aggregate"] for _ in range(2))
    conflicts = [
        aggregate(fresh, name=first["name"]),
        aggregate(fresh, availability_zone="none"),
        fresh.put(f"/os-aggregates/{second['id']}", {"aggregate": {"name": first["name"]}}, user="admin"),
    ]
    act(fresh, first["id"], "add_host", host="node1")
    conflicts += [act(fresh, number, "add_host", host="node1") for number in (first["id"], second["id"])]
    for answer in conflicts:
        assert message(answer) == (409, STOCK_409)
    missing = [
        act(fresh, first["id"], "add_host", host="none"),
        act(fresh, first["id"], "remove_host", host="none"),
        act(fresh, second["id"], "remove_host", host="node1"),
        act(fresh, 999999, "add_host", host="node1"),
        act(fresh, 999999, "remove_host", host="node1"),
        act(fresh, 999999, "set_metadata", metadata={}),
        fresh.put("/os-aggregates/999999", {"aggregate": {"name": "x"}}, user="admin"),
        fresh.ask("/os-aggregates/x", user="admin"),
    ]
    for answer in missing:
        assert message(answer) == (404, STOCK_404)


def test_an_aggregate_that_changes_takes_no_host(fresh: Door) -> None:
    number = aggregate(fresh).json["aggregate"]["id"]
    silent = sa.insert(services).values(host="node2", binary="nova-compute", topic="compute")
    fresh.cloud.runtime.db.write(lambda tx: tx.execute(silent))
    assert act(fresh, number, "add_host", host="node2").json["aggregate"]["operational_state"] == "changing"
    assert message(act(fresh, number, "add_host", host="node1")) == (409, STOCK_409)
    left = act(fresh, number, "remove_host", host="node2").json["aggregate"]
    assert (left["hosts"], left["operational_state"]) == ([], "created")
    assert act(fresh, number, "add_host", host="node1").status_int == 200
    # Not settle: nobody takes what the silent host was told.
    until = time.monotonic() + 60
    while (answer := act(fresh, number, "add_host", host="node2")).status_int == 409 and time.monotonic() < until:
        time.sleep(0.05)
    shown = answer.json["aggregate"]
    assert (shown["hosts"], shown["operational_state"]) == (["node1", "node2"], "active")


def test_a_host_gets_into_one_of_many(fresh: Door) -> None:
    numbers = [aggregate(fresh).json["aggregate"]["id"] for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda number: act(fresh, number, "add_host", host="node1").status_int, numbers)
    assert sorted(found) == [200] + [409] * 7


@pytest.mark.parametrize(
    ("action", "given"),
    [
        ("add_host", {}),
        ("add_host", {"host": 5}),
        ("add_host", {"host": "node1", "x": 1}),
        ("remove_host", {"host": None}),
        ("set_metadata", {}),
        ("set_metadata", {"metadata": None}),
        ("set_metadata", {"metadata": {"k": []}}),
        ("set_metadata", {"metadata": {"": "v"}}),
    ],
)
def test_refused_actions(door: Door, action: str, given: Any) -> None:
    number = aggregate(door).json["aggregate"]["id"]
    assert message(act(door, number, action, **given)) == (400, STOCK_400)


def test_odd_aggregates(door: Door) -> None:
    number = aggregate(door).json["aggregate"]["id"]
    path = f"/os-aggregates/{number}/action"
    for document, refusal in (
        ({}, "Invalid request body"),
        ([], "Invalid request body"),
        ({"bogus": {}}, "Aggregates does not have bogus action"),
    ):
        assert message(door.post(path, document, user="admin")) == (400, refusal)
    fields = {"name": "odd", "availability_zone": "nova"}
    for method, where in (("POST", "/os-aggregates"), ("PUT", f"/os-aggregates/{number}")):
        found = refusals(door, method, where, root="aggregate", fields=fields, user="admin")
        assert set(found) <= {200, 400, 409}
    for odd in ODD:
        assert door.post(path, {"set_metadata": {"metadata": {"k": odd}}}, user="admin").status_int in (200, 400)
        assert door.post(path, {"add_host": odd}, user="admin").status_int == 400
    assert message(door.ask("/os-aggregates"))[0] == 403


def test_flavors_ask_for_aggregates(fresh: Door) -> None:
    fresh.post(
        "/flavors/1/os-extra_specs",
        {"extra_specs": {"aggregate_instance_extra_specs:disk": "ssd", "other": "x"}},
        user="admin",
    )
    assert status(fresh, fresh.new().json["server"]["id"]) == "ERROR"
    number = aggregate(fresh).json["aggregate"]["id"]
    act(fresh, number, "add_host", host="node1")
    act(fresh, number, "set_metadata", metadata={"disk": "hdd"})
    refused = fresh.new().json["server"]["id"]
    assert status(fresh, refused) == "ERROR"
    assert fresh.server(refused)["fault"]["message"].endswith("its flavor and its hints allow has room for it.")
    act(fresh, number, "set_metadata", metadata={"disk": "hdd, ssd"})
    assert status(fresh, fresh.new().json["server"]["id"]) == "ACTIVE"
    assert status(fresh, fresh.new(flavorRef="2").json["server"]["id"]) == "ACTIVE"


# -- hints


def hinted(door: Door, user: str = "alice", **hints: Any) -> str:
    server = {"name": "hinted", "imageRef": RAW, "flavorRef": "1"}
    answer = door.post("/servers", {"server": server, "os:scheduler_hints": hints}, user=user)
    assert answer.status_int == 202, answer.text
    made = answer.json["server"]["id"]
    door.cloud.settle()
    return str(door.server(made, user)["status"])


def test_hints(door: Door) -> None:
    server = door.boot()
    assert hinted(door, same_host=server) == "ACTIVE"
    assert hinted(door, same_host=[server]) == "ACTIVE"
    assert hinted(door, different_host=server) == "ERROR"
    assert hinted(door, different_host=[server, "none"]) == "ERROR"
    assert hinted(door, same_host="none") == "ERROR"
    assert hinted(door, different_host="none") == "ACTIVE"
    assert hinted(door, a="b", build_near_host_ip="10.0.0.1") == "ACTIVE"
    assert hinted(door) == "ACTIVE"
    # Somebody else's server is none.
    assert hinted(door, "bob", same_host=server) == "ERROR"
    assert hinted(door, "bob", different_host=server) == "ACTIVE"


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ([">=", "$free_ram_mb", 1024], "ACTIVE"),
        (["<", "$free_ram_mb", 1024], "ERROR"),
        (["and", ["=", "$zone", "nova"], ["not", ["=", "$vcpus", 0]]], "ACTIVE"),
        (["or", ["in", "$zone", "x", "y"], ["in", "$zone", "x", "nova"]], "ACTIVE"),
        (["=", "$unknown", 1], "ERROR"),
        (["<", "$zone", 5], "ERROR"),
    ],
)
def test_queries(door: Door, query: Any, found: str) -> None:
    assert hinted(door, query=json.dumps(query)) == found


@pytest.mark.parametrize(
    "query", ["{", "[]", "5", '["fly", 1, 2]', '["=", 1]', '["not", 1]', '["=", [1], 2]', "[" * 200]
)
def test_queries_that_are_none(door: Door, query: str) -> None:
    server = {"name": "hinted", "imageRef": RAW, "flavorRef": "1"}
    made = door.post("/servers", {"server": server, "os:scheduler_hints": {"query": query}}).json["server"]["id"]
    assert status(door, made) == "ERROR"
    assert "The scheduler hint 'query'" in door.server(made)["fault"]["message"]


@pytest.mark.parametrize(
    "hints", ["text", [], {str(n): "x" for n in range(33)}, {"x": ["y"] * 65}, {"x": {"y": "z"}}, {"x": "y" * 256}]
)
def test_hints_are_bounded(door: Door, hints: Any) -> None:
    server = {"name": "hinted", "imageRef": RAW, "flavorRef": "1"}
    answer = door.post("/servers", {"server": server, "os:scheduler_hints": hints})
    assert message(answer) == (400, STOCK_400)
