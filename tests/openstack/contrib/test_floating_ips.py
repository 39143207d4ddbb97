"""os-floating-ips and os-floating-ip-pools (spec openstack-extensions.md 6.1, 6.2)."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.openstack.contrib.tables import ODD, text
from tests.openstack.fakes import NOBODY, STOCK_400, STOCK_404, Door, message


def take(door: Door, user: str = "alice") -> dict[str, Any]:
    answer = door.ask("/os-floating-ips", "POST", user=user)
    assert answer.status_int == 200, answer.text
    return dict(answer.json["floating_ip"])


@pytest.fixture(autouse=True)
def returned(door: Door) -> Iterator[None]:
    """Whatever a test has taken goes back: the quota is ten."""
    yield
    for user in ("alice", "bob"):
        for one in door.ask("/os-floating-ips", user=user).json["floating_ips"]:
            assert door.delete(f"/os-floating-ips/{one['id']}", user=user).status_int == 202


def test_take_show_list_and_return(door: Door) -> None:
    made = take(door)
    assert made == {"id": made["id"], "ip": made["ip"], "pool": "nova", "fixed_ip": None, "instance_id": None}
    path = f"/os-floating-ips/{made['id']}"
    assert door.ask(path).json == {"floating_ip": made}
    assert door.ask("/os-floating-ips").json == {"floating_ips": [made]}
    attributes = f'instance_id="None" ip="{made["ip"]}" fixed_ip="None" id="{made["id"]}" pool="nova"'
    xml = {"headers": {"Accept": "application/xml"}}
    assert text(door.ask(path, **xml)) == f"<floating_ip {attributes}/>"
    listed = f"<floating_ips><floating_ip {attributes}/></floating_ips>"
    assert text(door.ask("/os-floating-ips", **xml)) == listed
    gone = door.delete(path)
    assert (gone.status_int, gone.body) == (202, b"")
    assert door.ask("/os-floating-ips").json == {"floating_ips": []}
    for answer in (door.ask(path), door.delete(path)):
        assert message(answer)[0] == 404


@pytest.mark.parametrize("document", [{}, {"pool": None}, {"pool": "nova"}, {"pool": ""}, [], None])
def test_pools_by_name(door: Door, document: Any) -> None:
    answer = door.post("/os-floating-ips", document)
    assert (answer.status_int, answer.json["floating_ip"]["pool"]) == (200, "nova")


def test_pools(door: Door) -> None:
    assert door.ask("/os-floating-ip-pools").json == {"floating_ip_pools": [{"name": "nova"}]}
    xml = door.ask("/os-floating-ip-pools", headers={"Accept": "application/xml"})
    assert text(xml) == '<floating_ip_pools><floating_ip_pool name="nova"/></floating_ip_pools>'
    refused = door.post("/os-floating-ips", {"pool": "none"})
    assert message(refused) == (400, "No more floating ips in pool none.")
    assert message(door.post("/os-floating-ips", {"pool": ["x"]})) == (400, STOCK_400)


def test_an_empty_pool(fresh: Door) -> None:
    fresh.cloud.runtime.quotas.set_limit("acme", "floating_ips", -1)
    answers = [fresh.ask("/os-floating-ips", "POST") for _ in range(400)]
    assert message(answers[-1]) == (400, "No more floating ips available.")


def test_on_a_server_and_off_it(door: Door) -> None:
    server, made = door.boot(), take(door)
    assert door.act(server, "addFloatingIp", {"address": made["ip"]}).status_int == 202
    shown = door.ask(f"/os-floating-ips/{made['id']}").json["floating_ip"]
    fixed = door.server(server)["addresses"]["private"][0]["addr"]
    assert (shown["instance_id"], shown["fixed_ip"]) == (server, fixed)
    assert [one["addr"] for one in door.server(server)["addresses"]["private"]] == [fixed, made["ip"]]
    again = message(door.act(server, "addFloatingIp", {"address": made["ip"]}))
    assert again == (409, f"Floating ip {made['ip']} is associated.")
    for _ in range(2):  # one that hangs on nothing stays so
        assert door.act(server, "removeFloatingIp", {"address": made["ip"]}).status_int == 202
    assert door.ask(f"/os-floating-ips/{made['id']}").json["floating_ip"]["instance_id"] is None


def test_several_on_one_server(door: Door) -> None:
    server = door.boot()
    made = [take(door)["ip"] for _ in range(3)]
    for address in made:
        assert door.act(server, "addFloatingIp", {"address": address}).status_int == 202
    fixed, *floating = [one["addr"] for one in door.server(server)["addresses"]["private"]]
    assert floating == made
    shown = door.ask("/os-floating-ips").json["floating_ips"]
    assert {(one["instance_id"], one["fixed_ip"]) for one in shown} == {(server, fixed)}
    assert door.act(server, "removeFloatingIp", {"address": made[0]}).status_int == 202
    assert [one["addr"] for one in door.server(server)["addresses"]["private"]] == [fixed, *made[1:]]


def test_the_fixed_address_of_choice(door: Door) -> None:
    server, made = door.boot(), take(door)
    fixed = door.server(server)["addresses"]["private"][0]["addr"]
    wrong = {"address": made["ip"], "fixed_address": "10.9.9.9"}
    assert message(door.act(server, "addFloatingIp", wrong)) == (400, "No fixed ips associated to instance")
    right = {"address": made["ip"], "fixed_address": fixed}
    assert door.act(server, "addFloatingIp", right).status_int == 202


def test_return_of_an_address_that_a_server_has(door: Door) -> None:
    server, made = door.boot(), take(door)
    door.act(server, "addFloatingIp", {"address": made["ip"]})
    assert door.delete(f"/os-floating-ips/{made['id']}").status_int == 202
    assert [one["addr"] for one in door.server(server)["addresses"]["private"] if one["addr"] == made["ip"]] == []
    assert take(door)["ip"] == made["ip"]


@pytest.mark.parametrize("action", ["addFloatingIp", "removeFloatingIp"])
def test_refused_actions(door: Door, action: str) -> None:
    server, made = door.boot(), take(door)
    for argument, refusal in (
        (None, "Missing parameter dict"),
        ("x", "Missing parameter dict"),
        ({}, "Address not specified"),
        ({"address": None}, STOCK_400),
        ({"address": 5}, STOCK_400),
    ):
        assert message(door.act(server, action, argument)) == (400, refusal)
    unknown = message(door.act(server, action, {"address": "172.24.4.99"}))
    assert unknown == (404, "Floating ip not found for address 172.24.4.99.")
    assert message(door.act(NOBODY, action, {"address": made["ip"]})) == (404, STOCK_404)
    foreign = take(door, "bob")["ip"]
    refused = message(door.act(server, action, {"address": foreign}))
    assert refused == (404, f"Floating ip not found for address {foreign}.")
    for odd in ODD:
        assert door.act(server, action, {"address": odd}).status_int in (400, 404)


def test_a_server_without_an_address(door: Door) -> None:
    server, made = str(door.new().json["server"]["id"]), take(door)
    answer = door.act(server, "addFloatingIp", {"address": made["ip"]})
    assert answer.status_int == 202 or message(answer) == (400, "No fixed ips associated to instance")
    door.cloud.settle()


@pytest.mark.parametrize("id", ["999999", "nonsense", "-1", "1e3", "9" * 40])
def test_ids(door: Door, id: str) -> None:
    for method in ("GET", "DELETE"):
        assert message(door.ask(f"/os-floating-ips/{id}", method))[0] == 404


def test_addresses_belong_to_projects(door: Door) -> None:
    made = take(door)
    for method in ("GET", "DELETE"):
        refused = message(door.ask(f"/os-floating-ips/{made['id']}", method, user="bob"))
        assert refused == (404, f"Floating ip not found for address {made['id']}.")
    assert door.ask("/os-floating-ips", user="bob").json == {"floating_ips": []}


def test_one_of_many_gets_the_last_address_of_the_quota(fresh: Door) -> None:
    for _ in range(9):
        take(fresh)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: fresh.ask("/os-floating-ips", "POST"), range(8)))
    assert sorted(answer.status_int for answer in found) == [200] + [413] * 7
    refused = next(answer for answer in found if answer.status_int == 413)
    assert message(refused) == (413, "Quota exceeded: code=AddressLimitExceeded")
    assert refused.headers["Retry-After"] == "0"
    assert len(fresh.ask("/os-floating-ips").json["floating_ips"]) == 10
