"""What clients of today look for: zones, services, hypervisors, network cards (spec openstack-extensions.md 15)."""

import json
from pathlib import Path
from typing import Any

import pytest

from nova_api.testing import cloud as running
from tests.openstack.contrib.tables import ODD
from tests.openstack.fakes import DOCUMENT, NOBODY, STOCK_400, STOCK_404, Door, message

FOR_ADMINISTRATORS = {
    "/os-availability-zone/detail": "availability_zone:detail",
    "/os-services": "services",
    "/os-hypervisors": "hypervisors",
    "/os-hypervisors/detail": "hypervisors",
    "/os-hypervisors/statistics": "hypervisors",
    "/os-hypervisors/1": "hypervisors",
    "/os-hypervisors/node/search": "hypervisors",
    "/os-hypervisors/node/servers": "hypervisors",
}


def test_zones(door: Door) -> None:
    zone = {"zoneName": "nova", "zoneState": {"available": True}, "hosts": None}
    assert door.ask("/os-availability-zone").json == {"availabilityZoneInfo": [zone]}
    (shown,) = door.ask("/os-availability-zone/detail", user="admin").json["availabilityZoneInfo"]
    service = shown["hosts"]["node1"]["nova-compute"]
    assert (service["active"], service["available"]) == (True, True)
    assert service["updated_at"]


def test_services(fresh: Door) -> None:
    found = fresh.ask("/os-services", user="admin").json["services"]
    (compute,) = [one for one in found if one["binary"] == "nova-compute"]
    assert compute.pop("updated_at")
    assert compute == {
        **{"binary": "nova-compute", "host": "node1", "zone": "nova"},
        **{"status": "enabled", "state": "up"},
    }
    for query, count in (("host=node1", len(found)), ("host=none", 0), ("binary=nova-compute", 1)):
        assert len(fresh.ask(f"/os-services?{query}", user="admin").json["services"]) == count
    named = {"host": "node1", "binary": "nova-compute"}
    answer = fresh.put("/os-services/disable", named, user="admin")
    assert answer.json == {"service": {**named, "status": "disabled"}}
    (compute,) = fresh.ask("/os-services?binary=nova-compute", user="admin").json["services"]
    assert compute["status"] == "disabled"
    server = fresh.new().json["server"]["id"]
    fresh.cloud.settle()
    assert fresh.server(server)["status"] == "ERROR"
    assert fresh.put("/os-services/enable", named, user="admin").json["service"]["status"] == "enabled"
    fresh.boot()


def test_services_that_are_none(door: Door) -> None:
    named = {"host": "node1", "binary": "nova-compute"}
    for part in named:
        refused = message(door.put("/os-services/disable", {**named, part: "none"}, user="admin"))
        assert refused[0] == 404 and "none" in refused[1]
        for odd in ODD:
            assert door.put("/os-services/disable", {**named, part: odd}, user="admin").status_int in (400, 404)
    assert message(door.put("/os-services/enable", {}, user="admin")) == (400, STOCK_400)
    assert message(door.put("/os-services/melt", named, user="admin")) == (404, STOCK_404)
    assert message(door.put("/os-services/disable", named))[0] == 403
    (compute,) = door.ask("/os-services?binary=nova-compute", user="admin").json["services"]
    assert compute["status"] == "enabled"


def test_hypervisors(fresh: Door) -> None:
    (brief,) = fresh.ask("/os-hypervisors", user="admin").json["hypervisors"]
    assert "node1" in brief["hypervisor_hostname"]
    idle = fresh.ask(f"/os-hypervisors/{brief['id']}", user="admin").json["hypervisor"]
    assert fresh.ask("/os-hypervisors/node/servers", user="admin").json == {"hypervisors": [brief]}
    server = fresh.boot(flavorRef="2")
    shown = fresh.ask(f"/os-hypervisors/{brief['id']}", user="admin").json["hypervisor"]
    assert shown["service"]["host"] == "node1"
    assert shown == {
        **idle,
        **{"vcpus_used": 1, "memory_mb_used": 2048, "local_gb_used": 20, "running_vms": 1},
        "free_ram_mb": idle["memory_mb"] - 2048,
        "free_disk_gb": idle["local_gb"] - 20,
        "disk_available_least": idle["local_gb"] - 20,
    }
    assert fresh.ask("/os-hypervisors/detail", user="admin").json == {"hypervisors": [shown]}
    sums = fresh.ask("/os-hypervisors/statistics", user="admin").json["hypervisor_statistics"]
    assert sums == {"count": 1, **{name: shown[name] for name in sums if name != "count"}}
    assert fresh.ask("/os-hypervisors/ode/search", user="admin").json == {"hypervisors": [brief]}
    (held,) = fresh.ask("/os-hypervisors/node1/servers", user="admin").json["hypervisors"]
    assert held == {**brief, "servers": [{"uuid": server, "name": "instance-00000001"}]}


def test_hypervisors_that_are_none(door: Door) -> None:
    for id in ("999999", "x", "-1", "9" * 40):
        refused = message(door.ask(f"/os-hypervisors/{id}", user="admin"))
        assert refused == (404, f"Hypervisor with ID '{id}' could not be found.")
    for what in ("search", "servers"):
        refused = message(door.ask(f"/os-hypervisors/none/{what}", user="admin"))
        assert refused == (404, "No hypervisor matching 'none' could be found.")


def test_cards(door: Door) -> None:
    server = door.boot()
    path = f"/servers/{server}/os-interface"
    (card,) = door.ask(path).json["interfaceAttachments"]
    (brief,) = door.ask(f"/servers/{server}/os-virtual-interfaces").json["virtual_interfaces"]
    assert (card["port_id"], card["mac_addr"]) == (brief["id"], brief["mac_address"])
    (address,) = door.server(server)["addresses"]["private"]
    assert card["fixed_ips"] == [{"ip_address": address["addr"], "subnet_id": card["net_id"]}]
    assert door.ask(f"/os-networks/{card['net_id']}", user="admin").status_int == 200
    assert door.ask(f"{path}/{card['port_id']}").json == {"interfaceAttachment": card}
    assert door.act(server, "addFixedIp", {"networkId": card["net_id"]}).status_int == 202
    assert len(door.ask(path).json["interfaceAttachments"]) == 2
    assert message(door.ask(f"{path}/none")) == (404, STOCK_404)
    for answer in (door.ask(path, user="bob"), door.ask(f"/servers/{NOBODY}/os-interface")):
        assert message(answer) == (404, STOCK_404)
    assert message(door.post(path, {})) == (404, STOCK_404)


@pytest.mark.parametrize(("path", "rule"), FOR_ADMINISTRATORS.items())
def test_for_administrators(door: Door, path: str, rule: str) -> None:
    refused = message(door.ask(path))
    assert refused == (403, f"Policy doesn't allow compute_extension:{rule} to be performed.")


def test_a_policy_file_of_2012_opens_nothing(tmp_path: Path) -> None:
    shipped: dict[str, Any] = json.loads((Path(__file__).parents[3] / "etc" / "policy.json").read_text())
    later = ("availability_zone", "services", "hypervisors", "attach_interfaces")
    of_2012 = {name: rule for name, rule in shipped.items() if name.split(":")[1:2] not in [[one] for one in later]}
    (tmp_path / "policy.json").write_text(json.dumps(of_2012))
    with running(tmp_path / "state", DOCUMENT, policy_file=str(tmp_path / "policy.json")) as made:
        door = Door(made)
        for path in FOR_ADMINISTRATORS:
            assert door.ask(path).status_int == 403
        assert door.ask("/os-services", user="admin").status_int == 200
        assert door.ask("/os-availability-zone").status_int == 200
