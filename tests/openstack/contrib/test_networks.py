"""os-networks, virtual_interfaces and NMN (spec openstack-extensions.md 3, 6.4)."""

import re
from typing import Any

import pytest
from lxml import etree

from nova_api.db import networks
from tests.openstack.contrib.tables import ODD, text
from tests.openstack.fakes import DOCUMENT, NOBODY, STOCK_400, STOCK_404, Door, message

PRIVATE = DOCUMENT["networks"][0]["uuid"]
PATH = f"/os-networks/{PRIVATE}"
KEYS = {
    *("bridge", "vpn_public_port", "dhcp_start", "bridge_interface", "updated_at", "id", "cidr_v6", "deleted_at"),
    *("gateway", "label", "project_id", "vpn_private_address", "deleted", "vlan", "broadcast", "netmask", "injected"),
    *("cidr", "vpn_public_address", "multi_host", "dns1", "host", "gateway_v6", "netmask_v6", "created_at"),
}


def make(door: Door, label: str, cidr: str, project: str | None = None) -> str:
    def work(tx: Any) -> str:
        number = networks.create(tx, label, cidr)
        networks.set_project(tx, number, project)
        return next(row.uuid for row in networks.every(tx.conn) if row.id == number)

    return str(door.cloud.runtime.db.write(work))


def test_list_and_show(door: Door) -> None:
    listed = door.ask("/os-networks", user="admin").json["networks"]
    shown = door.ask(PATH, user="admin").json["network"]
    assert shown in listed
    assert set(shown) == KEYS
    assert (shown["id"], shown["label"], shown["deleted"]) == (PRIVATE, "private", False)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d{6}", shown["created_at"])
    root = etree.fromstring(door.ask(PATH, user="admin", headers={"Accept": "application/xml"}).body)
    assert root.tag == "network"
    assert {one.tag: one.text for one in root}["vlan"] == "None"
    whole = etree.fromstring(door.ask("/os-networks", user="admin", headers={"Accept": "application/xml"}).body)
    assert whole.xpath("/networks/network/label/text()")[0] == "private"


def test_disassociate_and_delete(door: Door) -> None:
    uuid = make(door, "spare", "10.77.0.0/29", "globex")
    path = f"/os-networks/{uuid}"
    assert door.ask(path, user="admin").json["network"]["project_id"] == "globex"
    answer = door.post(f"{path}/action", {"disassociate": None}, user="admin")
    assert (answer.status_int, answer.body) == (202, b"")
    assert door.ask(path, user="admin").json["network"]["project_id"] is None
    assert door.post(f"{path}/action", {"disassociate": None}, user="admin").status_int == 202
    gone = door.delete(path, user="admin")
    assert (gone.status_int, gone.body) == (202, b"")
    for refused in (
        door.ask(path, user="admin"),
        door.delete(path, user="admin"),
        door.post(f"{path}/action", {"disassociate": None}, user="admin"),
    ):
        assert message(refused) == (404, f"Network {uuid} could not be found.")


def test_a_network_in_use_stays(door: Door) -> None:
    door.boot()
    assert message(door.delete(PATH, user="admin")) == (409, "Network private has addresses in use.")
    assert door.ask(PATH, user="admin").status_int == 200


def test_refusals(door: Door) -> None:
    for document, refusal in (
        ({}, "Invalid request body"),
        ([], "Invalid request body"),
        ({"x": None}, "Network does not have x action"),
    ):
        assert message(door.post(f"{PATH}/action", document, user="admin")) == (400, refusal)
    for document in ODD:
        assert message(door.post("/os-networks", document, user="admin"))[0] == 400
    assert message(door.ask("/os-networks", "POST", user="admin")) == (400, STOCK_400)
    # The label is no address of a network.
    assert message(door.ask("/os-networks/private", user="admin"))[0] == 404


def test_administrators_only(door: Door) -> None:
    refusal = (403, "Policy doesn't allow compute_extension:networks to be performed.")
    for answer in (
        door.ask("/os-networks"),
        door.ask(PATH),
        door.delete(PATH),
        door.post(f"{PATH}/action", {"disassociate": None}),
        door.post("/os-networks", {"network": {}}),
    ):
        assert message(answer) == refusal


def test_virtual_interfaces(door: Door) -> None:
    server = door.boot()
    path = f"/servers/{server}/os-virtual-interfaces"
    ((one,),) = door.ask(path).json.values()
    assert re.fullmatch(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}", one["mac_address"])
    shown = f'<virtual_interface id="{one["id"]}" mac_address="{one["mac_address"]}"/>'
    namespace = 'xmlns="http://docs.openstack.org/compute/api/v1.1"'
    xml = door.ask(path, headers={"Accept": "application/xml"})
    assert text(xml) == f"<virtual_interfaces {namespace}>{shown}</virtual_interfaces>"
    assert door.ask(f"{path}?offset=1").json == {"virtual_interfaces": []}
    for query, refusal in (
        ("limit=x", "limit param must be an integer"),
        ("limit=-1", "limit param must be positive"),
        ("offset=x", "offset param must be an integer"),
        ("offset=-1", "offset param must be positive"),
    ):
        assert message(door.ask(f"{path}?{query}")) == (400, refusal)
    assert message(door.ask(f"/servers/{NOBODY}/os-virtual-interfaces")) == (404, STOCK_404)
    assert message(door.ask(path, user="bob")) == (404, STOCK_404)


@pytest.mark.parametrize("name", ["uuid", "number"])
def test_one_more_address_and_one_less(door: Door, name: str) -> None:
    server = door.boot()
    before = [one["addr"] for one in door.server(server)["addresses"]["private"]]
    with door.cloud.runtime.db.read() as conn:
        network = networks.one(conn, "private")
    assert network is not None
    wanted = {"uuid": network.uuid, "number": network.id}[name]
    assert door.act(server, "addFixedIp", {"networkId": wanted}).status_int == 202
    door.cloud.settle()
    after = [one["addr"] for one in door.server(server)["addresses"]["private"]]
    assert len(after) == 2 and set(before) < set(after)
    for _ in range(2):  # an address that the server does not have is fine
        assert door.act(server, "removeFixedIp", {"address": before[0]}).status_int == 202
        door.cloud.settle()
        left = [one["addr"] for one in door.server(server)["addresses"]["private"]]
        assert left == [one for one in after if one != before[0]]


def test_refused_addresses(door: Door) -> None:
    server, foreign = door.boot(), make(door, "foreign", "10.78.0.0/29", "globex")
    for action, name in (("addFixedIp", "networkId"), ("removeFixedIp", "address")):
        missing = f"Missing '{name}' argument for {action}"
        assert message(door.act(server, action, {})) == (422, missing)
        assert message(door.act(server, action, None)) == (400, STOCK_400)
        assert message(door.act(server, action, {name: None})) == (400, STOCK_400)
        assert message(door.act(NOBODY, action, {name: "1"})) == (404, STOCK_404)
        for odd in ODD:
            assert door.act(server, action, {name: odd}).status_int in (202, 400, 404)
    for network in (NOBODY, foreign, "999999"):
        refused = message(door.act(server, "addFixedIp", {"networkId": network}))
        assert refused == (404, f"Network {network} could not be found.")
