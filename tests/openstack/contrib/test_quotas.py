"""os-quota-sets (spec openstack-extensions.md 7)."""

from typing import Any

import pytest
from lxml import etree

from tests.openstack.contrib.tables import refusals, text
from tests.openstack.fakes import STOCK_400, STOCK_404, Door, message

DEFAULTS = {
    "metadata_items": 128,
    "injected_file_content_bytes": 10240,
    "volumes": 10,
    "gigabytes": 1000,
    "ram": 51200,
    "floating_ips": 10,
    "instances": 10,
    "injected_files": 5,
    "cores": 20,
}
STOCK_403 = "Access was denied to this resource."


def put(door: Door, tenant: str, user: str = "admin", **limits: Any) -> Any:
    return door.put(f"/os-quota-sets/{tenant}", {"quota_set": limits}, user=user)


def test_show(fresh: Door) -> None:
    shown = {"quota_set": {"id": "acme", **DEFAULTS}}
    for path in ("/os-quota-sets/acme", "/os-quota-sets/acme/defaults"):
        assert fresh.ask(path).json == shown
        root = etree.fromstring(text(fresh.ask(path, headers={"Accept": "application/xml"})))
        assert (root.tag, root.get("id")) == ("quota_set", "acme")
        assert {one.tag: int(one.text) for one in root} == DEFAULTS
    assert fresh.ask("/os-quota-sets/none", user="admin").json["quota_set"] == {"id": "none", **DEFAULTS}
    assert fresh.ask("/os-quota-sets/globex/defaults").json["quota_set"]["id"] == "globex"


def test_who_may(fresh: Door) -> None:
    assert message(fresh.ask("/os-quota-sets/globex")) == (403, STOCK_403)
    assert message(put(fresh, "acme", "alice", cores=50)) == (403, STOCK_403)
    assert put(fresh, "acme", "alice").status_int == 200
    assert put(fresh, "acme", "alice", unknown=1, tenant_id="acme").status_int == 200
    assert message(put(fresh, "globex", "alice")) == (403, "Not authorized.")
    assert fresh.ask("/os-quota-sets/acme").json["quota_set"]["cores"] == 20


def test_change(fresh: Door) -> None:
    answer = put(fresh, "acme", cores="50", instances=-1, tenant_id="acme", unknown="x")
    changed = {**DEFAULTS, "cores": 50, "instances": None}
    assert answer.json["quota_set"].items() >= changed.items()
    assert fresh.ask("/os-quota-sets/acme").json["quota_set"] == {"id": "acme", **changed}
    assert fresh.ask("/os-quota-sets/acme/defaults").json["quota_set"]["cores"] == 20
    assert fresh.ask("/os-quota-sets/globex", user="bob").json["quota_set"]["cores"] == 20
    xml = fresh.ask("/os-quota-sets/acme", "PUT", xml="<quota_set><cores>7</cores></quota_set>", user="admin")
    assert "<cores>7</cores>" in text(xml) and "<instances>None</instances>" in text(xml)


def test_they_hold_at_both_doors(fresh: Door) -> None:
    put(fresh, "acme", instances=1)
    fresh.boot()
    assert message(fresh.new()) == (413, "Quota exceeded: code=InstanceLimitExceeded")
    image = fresh.cloud.ec2_request("DescribeImages", user="alice").text.split("<imageId>ami-")[1][:8]
    parameters = {"ImageId": f"ami-{image}", "MinCount": "1", "MaxCount": "1"}
    refused = fresh.cloud.ec2_request("RunInstances", parameters, user="alice", version="2010-08-31")
    assert refused.status_int >= 400 and "InstanceLimitExceeded" in refused.text
    put(fresh, "acme", floating_ips=0)
    assert fresh.ask("/os-floating-ips", "POST").status_int == 413
    assert "AddressLimitExceeded" in fresh.cloud.ec2_request("AllocateAddress", user="alice").text


@pytest.mark.parametrize("value", ["x", "", None, 1.5, -2, "-2", [], {}, True, "9" * 30])
def test_limits_that_are_none(door: Door, value: Any) -> None:
    assert message(put(door, "limits", cores=5, ram=value))[0] == 400
    assert door.ask("/os-quota-sets/limits", user="admin").json["quota_set"]["ram"] != 5


def test_odd_documents(door: Door) -> None:
    fields = {"cores": 5}
    found = refusals(door, "PUT", "/os-quota-sets/odd", root="quota_set", fields=fields, user="admin")
    assert set(found) <= {200, 400}
    for document in ({}, {"quota_set": None}, None, {"quota_set": {"cores": None}}):
        assert message(door.put("/os-quota-sets/odd", document, user="admin")) == (400, STOCK_400)
    for answer in (door.ask("/os-quota-sets"), door.delete("/os-quota-sets/acme")):
        assert message(answer) == (404, STOCK_404)
    assert door.ask(f"/os-quota-sets/{'x' * 300}", user="admin").status_int == 404
