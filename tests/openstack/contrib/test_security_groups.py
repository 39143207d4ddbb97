"""security_groups (spec openstack-extensions.md 5)."""

import itertools
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.openstack.contrib.tables import refusals, text
from tests.openstack.fakes import NOBODY, STOCK_400, STOCK_404, Door, message

_numbers = itertools.count()
NS = 'xmlns="http://docs.openstack.org/compute/api/v1.1"'
RULE = {"ip_protocol": "tcp", "from_port": 80, "to_port": 80, "cidr": "10.0.0.0/8"}


def new(door: Door, user: str = "alice", **fields: Any) -> dict[str, Any]:
    group = {"name": f"g{next(_numbers)}", "description": "d", **fields}
    answer = door.post("/os-security-groups", {"security_group": group}, user=user)
    assert answer.status_int == 200, answer.text
    return dict(answer.json["security_group"])


def add(door: Door, group: Any, user: str = "alice", **fields: Any) -> Any:
    rule = {"parent_group_id": group, **fields}
    return door.post("/os-security-group-rules", {"security_group_rule": rule}, user=user)


def rules(door: Door, group: int) -> list[dict[str, Any]]:
    return list(door.ask(f"/os-security-groups/{group}").json["security_group"]["rules"])


def test_make_show_list_change_and_delete(door: Door) -> None:
    made = new(door, name="  web ", description=" d ")
    assert made == {"id": made["id"], "name": "web", "description": "d", "tenant_id": "acme", "rules": []}
    path = f"/os-security-groups/{made['id']}"
    assert door.ask(path).json == {"security_group": made}
    listed = door.ask("/os-security-groups").json["security_groups"]
    assert made in listed and [one["name"] for one in listed] == sorted(one["name"] for one in listed)
    assert "default" in [one["name"] for one in listed]
    changed = door.put(path, {"security_group": {"name": "web2", "description": "e"}})
    assert changed.json["security_group"] == {**made, "name": "web2", "description": "e"}
    gone = door.delete(path)
    assert (gone.status_int, gone.body) == (202, b"")
    refusal = f"Security group {made['id']} not found."
    for answer in (door.ask(path), door.delete(path), door.put(path, {"security_group": {}})):
        assert message(answer) == (404, refusal)


def test_pages_are_sorted_each_for_itself(door: Door) -> None:
    """A group that is made meanwhile moves no other one to the next page."""
    first, second, third = (new(door, "perf", name=name)["name"] for name in ("z", "b", "a"))
    pages = [
        door.ask(f"/os-security-groups?{query}", user="perf").json["security_groups"]
        for query in ("", "limit=2", "limit=2&offset=1", "limit=2&offset=2", "limit=2&offset=4", "limit=0&offset=1")
    ]
    assert [[one["name"] for one in page] for page in pages] == [
        [third, second, "default", first],
        ["default", first],
        [second, first],
        [third, second],
        [],
        [third, second, first],
    ]
    for made in pages[5]:
        door.delete(f"/os-security-groups/{made['id']}", user="perf")


def test_rules(door: Door) -> None:
    group, other = new(door), new(door)
    made = add(door, group["id"], **RULE).json["security_group_rule"]
    assert made == {
        "id": made["id"],
        "parent_group_id": group["id"],
        "ip_protocol": "tcp",
        "from_port": 80,
        "to_port": 80,
        "group": {},
        "ip_range": {"cidr": "10.0.0.0/8"},
    }
    everybody = add(door, str(group["id"]), ip_protocol="icmp", from_port="-1", to_port="-1").json
    assert everybody["security_group_rule"]["ip_range"] == {"cidr": "0.0.0.0/0"}
    six = add(door, group["id"], ip_protocol="TCP", from_port=1, to_port=2, cidr="2001%3Adb8::%2F32", group_id=None)
    assert six.json["security_group_rule"]["ip_range"] == {"cidr": "2001:db8::/32"}
    assert six.json["security_group_rule"]["ip_protocol"] == "tcp"
    source = {"name": other["name"], "tenant_id": "acme"}
    whole = add(door, group["id"], group_id=other["id"]).json["security_group_rule"]
    assert (whole["ip_protocol"], whole["from_port"], whole["group"], whole["ip_range"]) == (None, None, source, {})
    for protocol, ports in (("tcp", (1, 65535)), ("udp", (1, 65535)), ("icmp", (-1, -1))):
        rule = add(door, group["id"], ip_protocol=protocol, group_id=other["id"], cidr="ignored").json
        assert (rule["security_group_rule"]["from_port"], rule["security_group_rule"]["to_port"]) == ports
    assert len(rules(door, group["id"])) == 7
    for one in rules(door, group["id"]):
        assert door.delete(f"/os-security-group-rules/{one['id']}").status_int == 202
    assert message(door.delete(f"/os-security-group-rules/{made['id']}")) == (404, f"Rule ({made['id']}) not found")
    assert rules(door, group["id"]) == []


def test_the_end_of_a_source_ends_the_rules_that_name_it(door: Door) -> None:
    group, other = new(door), new(door)
    add(door, group["id"], group_id=other["id"])
    add(door, other["id"], **RULE)
    assert door.delete(f"/os-security-groups/{other['id']}").status_int == 202
    assert rules(door, group["id"]) == []


def test_xml(door: Door) -> None:
    made = door.ask(
        "/os-security-groups",
        "POST",
        xml=f'<security_group name="in-xml" {NS}><description>dd</description></security_group>',
    )
    number = door.ask("/os-security-groups").json["security_groups"]
    group = next(one["id"] for one in number if one["name"] == "in-xml")
    shown = f'<security_group {NS} tenant_id="acme" id="{group}" name="in-xml"><description>dd</description>'
    assert text(made) == f"{shown}<rules/></security_group>"
    rule = door.ask(
        "/os-security-group-rules",
        "POST",
        xml=f"<security_group_rule><parent_group_id>{group}</parent_group_id><ip_protocol>tcp</ip_protocol>"
        "<from_port>22</from_port><to_port>22</to_port><cidr>0.0.0.0/0</cidr></security_group_rule>",
    )
    inside = (
        "<ip_protocol>tcp</ip_protocol><from_port>22</from_port><to_port>22</to_port>"
        "<group><name>None</name><tenant_id>None</tenant_id></group><ip_range><cidr>0.0.0.0/0</cidr></ip_range>"
    )
    number = rules(door, group)[0]["id"]
    attributes = f'parent_group_id="{group}" id="{number}"'
    assert text(rule) == f"<security_group_rule {NS} {attributes}>{inside}</security_group_rule>"
    again = door.ask(f"/os-security-groups/{group}", headers={"Accept": "application/xml"})
    assert text(again) == f"{shown}<rules><rule {attributes}>{inside}</rule></rules></security_group>"
    listed = text(door.ask("/os-security-groups", headers={"Accept": "application/xml"}))
    assert listed.startswith(f"<security_groups {NS}>") and 'name="in-xml"' in listed


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"description": "d"}, "Security group name is not a string or unicode"),
        ({"name": "x"}, "Security group description is not a string or unicode"),
        ({"name": 5, "description": "d"}, "Security group name is not a string or unicode"),
        ({"name": " ", "description": "d"}, "Security group name cannot be empty."),
        ({"name": "x", "description": ""}, "Security group description cannot be empty."),
        ({"name": "x" * 256, "description": "d"}, "Security group name should not be greater than 255 characters."),
        (
            {"name": "x", "description": "d" * 256},
            "Security group description should not be greater than 255 characters.",
        ),
        ({"name": "default", "description": "d"}, "Security group default already exists"),
    ],
)
def test_refused_groups(door: Door, fields: dict[str, Any], refusal: str) -> None:
    assert message(door.post("/os-security-groups", {"security_group": fields})) == (400, refusal)
    if "default" not in refusal:
        path = f"/os-security-groups/{new(door)['id']}"
        assert message(door.put(path, {"security_group": fields})) == (400, refusal)


def test_taken_names(door: Door) -> None:
    made, other = new(door), new(door)
    body = {"security_group": {"name": made["name"], "description": "d"}}
    expected = (400, f"Security group {made['name']} already exists")
    assert message(door.post("/os-security-groups", body)) == expected
    assert message(door.put(f"/os-security-groups/{other['id']}", body)) == expected
    assert new(door, "bob", name=made["name"])["tenant_id"] == "globex"


@pytest.mark.parametrize("kind", ["security_group", "security_group_rule"])
@pytest.mark.parametrize("document", [{}, {"x": 1}, {"security_group": None, "security_group_rule": None}, [], "x"])
def test_documents_that_are_none(door: Door, kind: str, document: Any) -> None:
    refused = message(door.post(f"/os-{kind.replace('_', '-')}s", document))
    assert refused == (422, "Unable to process the contained instructions")


def test_odd_documents(door: Door) -> None:
    group = {"name": "odd", "description": "d"}
    assert set(refusals(door, "POST", "/os-security-groups", root="security_group", fields=group)) <= {200, 400, 422}
    rule = {"parent_group_id": new(door)["id"], **RULE, "group_id": 1}
    found = refusals(door, "POST", "/os-security-group-rules", root="security_group_rule", fields=rule)
    assert set(found) <= {200, 400, 404, 422}
    for path in ("/os-security-groups", "/os-security-group-rules"):
        assert message(door.ask(path, "POST")) == (400, STOCK_400)


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"from_port": 90}, "Invalid port range 90:80. Former value cannot be greater than the later"),
        ({"from_port": 0}, "Invalid port range 0:80. Valid TCP ports should be between 1-65535"),
        ({"to_port": 65536}, "Invalid port range 80:65536. Valid TCP ports should be between 1-65535"),
        ({"ip_protocol": "gre"}, "Invalid IP protocol gre."),
        ({"cidr": "10.0.0.1"}, "Invalid cidr 10.0.0.1."),
        ({"cidr": "10.0.0.0/33"}, "Invalid cidr 10.0.0.0/33."),
        ({"cidr": "10.0.0.0%2F33"}, "Invalid cidr 10.0.0.0/33."),
        ({"from_port": "x"}, "Invalid input received: To and From ports must be integers"),
        (
            {"ip_protocol": "icmp", "from_port": "x"},
            "Invalid input received: Type and Code must be integers for ICMP protocol type",
        ),
        (
            {"ip_protocol": "icmp", "from_port": 256},
            "Invalid port range 256:80. For ICMP, the type:code must be valid",
        ),
        ({"ip_protocol": None}, "Not enough parameters to build a valid rule."),
        ({"from_port": None}, "Not enough parameters to build a valid rule."),
        ({"parent_group_id": "x"}, "Parent group id is not integer"),
        ({"group_id": "x"}, "Invalid input received: Parent or group id is not integer"),
        ({"group_id": 999999}, "Security group 999999 not found."),
    ],
)
def test_refused_rules(door: Door, fields: dict[str, Any], refusal: str) -> None:
    group = new(door)["id"]
    rule = {"parent_group_id": group, **RULE, **fields}
    assert message(door.post("/os-security-group-rules", {"security_group_rule": rule})) == (400, refusal)
    assert rules(door, group) == []


def test_a_group_is_let_in_by_its_protocol_or_not_at_all(door: Door) -> None:
    group = new(door)["id"]
    assert message(add(door, group, group_id=group, ip_protocol="gre")) == (400, "Invalid IP protocol gre.")
    refused = message(add(door, group, group_id=group, ip_protocol="tcp", from_port=5))
    assert refused == (400, "Invalid input received: To and From ports must be integers")
    for ports in ({"from_port": 5}, {"from_port": 5, "to_port": 6}):
        refused = message(add(door, group, group_id=group, **ports))
        assert refused == (400, "Not enough parameters to build a valid rule.")
    assert rules(door, group) == []


def test_what_is_empty_is_not_left_out(door: Door) -> None:
    """A rule for nobody in particular would be one for everybody."""
    group = new(door)["id"]
    numbers = "Invalid input received: To and From ports must be integers"
    for fields, refusal in (
        ({**RULE, "group_id": ""}, "Invalid input received: Parent or group id is not integer"),
        ({**RULE, "from_port": ""}, numbers),
        ({"group_id": group, "ip_protocol": "tcp", "from_port": "", "to_port": ""}, numbers),
    ):
        assert message(add(door, group, **fields)) == (400, refusal)
    xml = f"<security_group_rule><parent_group_id>{group}</parent_group_id><group_id/></security_group_rule>"
    assert door.ask("/os-security-group-rules", "POST", xml=xml).status_int == 400
    assert rules(door, group) == []


def test_rules_that_are_there(door: Door) -> None:
    group = new(door)["id"]
    add(door, group, **RULE)
    expected = (400, f"This rule already exists in group {group}")
    assert message(add(door, group, **RULE)) == expected
    assert message(add(door, group, **{**RULE, "ip_protocol": "TCP"})) == expected
    assert message(add(door, 999999, **RULE)) == (404, "Security group (999999) not found")
    for rule in (RULE, {**RULE, "parent_group_id": None}):
        assert message(door.post("/os-security-group-rules", {"security_group_rule": rule})) == (400, STOCK_400)


def test_ids(door: Door) -> None:
    for answer in (door.ask("/os-security-groups/x"), door.delete("/os-security-groups/x")):
        assert message(answer) == (400, "Security group id should be integer")
    assert message(door.delete("/os-security-group-rules/x")) == (400, "Rule id is not integer")
    assert message(door.delete("/os-security-group-rules/999999")) == (404, "Rule (999999) not found")
    assert message(door.delete("/os-security-group-rules/-1")) == (404, "Rule (-1) not found")
    for number in ("999999", "-1"):
        assert message(door.ask(f"/os-security-groups/{number}")) == (404, f"Security group {number} not found.")
    group = new(door)["id"]
    assert message(add(door, -1, **RULE)) == (404, "Security group (-1) not found")
    assert message(add(door, group, **RULE, group_id=-1)) == (400, "Security group -1 not found.")
    assert message(door.ask("/os-security-group-rules")) == (404, STOCK_404)


def test_groups_belong_to_projects(door: Door) -> None:
    group = new(door)["id"]
    rule = add(door, group, **RULE).json["security_group_rule"]["id"]
    refusal = (404, f"Security group {group} not found.")
    body = {"security_group": {"name": "stolen", "description": "d"}}
    for answer in (
        door.ask(f"/os-security-groups/{group}", user="bob"),
        door.delete(f"/os-security-groups/{group}", user="bob"),
        door.put(f"/os-security-groups/{group}", body, user="bob"),
    ):
        assert message(answer) == refusal
    assert message(door.delete(f"/os-security-group-rules/{rule}", user="bob")) == (404, f"Rule ({rule}) not found")
    assert message(add(door, group, "bob", **RULE)) == (404, f"Security group ({group}) not found")
    own = new(door, "bob")["id"]
    assert message(add(door, own, "bob", group_id=group)) == (400, f"Security group {group} not found.")
    assert door.ask(f"/os-security-groups/{group}", user="admin").status_int == 200
    tenants = {one["tenant_id"] for one in door.ask("/os-security-groups", user="admin").json["security_groups"]}
    assert tenants == {"adminproj"}


def test_groups_of_servers(door: Door) -> None:
    server, group = door.boot(), new(door)
    path = f"/servers/{server}/os-security-groups"
    assert [one["name"] for one in door.ask(path).json["security_groups"]] == ["default"]
    named = {"name": group["name"]}
    assert door.act(server, "addSecurityGroup", named).status_int == 202
    assert group in door.ask(path).json["security_groups"]
    held = f"Security group {group['id']} is already associated with the instance {server}"
    assert message(door.act(server, "addSecurityGroup", named)) == (400, held)
    in_use = message(door.delete(f"/os-security-groups/{group['id']}"))
    assert in_use == (400, "Security group is still in use")
    shown = door.cloud.ec2_request("DescribeInstances", user="alice", project="acme").text
    assert f"<groupName>{group['name']}</groupName>" in shown
    assert door.act(server, "removeSecurityGroup", named).status_int == 202
    loose = f"Security group {group['id']} is not associated with the instance {server}"
    assert message(door.act(server, "removeSecurityGroup", named)) == (400, loose)
    assert [one["name"] for one in door.ask(path).json["security_groups"]] == ["default"]
    assert (
        door.ask(f"/servers/{server}/action", "POST", xml=f'<addSecurityGroup name="{group["name"]}"/>').status_int
        == 202
    )
    assert door.delete(f"/servers/{server}").status_int == 204
    door.cloud.settle()
    assert door.delete(f"/os-security-groups/{group['id']}").status_int == 202


@pytest.mark.parametrize("action", ["addSecurityGroup", "removeSecurityGroup"])
def test_refused_memberships(door: Door, action: str) -> None:
    server = door.boot()
    for argument, refusal in (
        (None, "Missing parameter dict"),
        ([], "Missing parameter dict"),
        ({}, "Security group not specified"),
        ({"name": 5}, "Security group not specified"),
        ({"name": " "}, "Security group name cannot be empty"),
        ({"name": None}, "Security group name cannot be empty"),
    ):
        assert message(door.act(server, action, argument)) == (400, refusal)
    assert message(door.act(server, action, {"name": "none"})) == (
        404,
        "Security group none not found for project acme.",
    )
    missing = f"Instance {NOBODY} could not be found."
    assert message(door.act(NOBODY, action, {"name": "default"})) == (404, missing)
    assert message(door.ask(f"/servers/{NOBODY}/os-security-groups")) == (404, STOCK_404)
    group = new(door)["name"]
    if action == "removeSecurityGroup":
        door.act(server, "addSecurityGroup", {"name": group})
    door.act(server, "os-stop")
    door.cloud.settle()
    assert message(door.act(server, action, {"name": group})) == (400, f"Instance {server} is not running.")


def test_one_of_many_gets_the_last_rule_of_the_quota(fresh: Door) -> None:
    group = new(fresh)["id"]
    fresh.cloud.runtime.quotas.set_limit("acme", "security_group_rules", 1)
    with ThreadPoolExecutor(8) as pool:
        found = sorted(pool.map(lambda n: add(fresh, group, **{**RULE, "to_port": 90 + n}).status_int, range(8)))
    assert found == [200] + [413] * 7
    assert len(rules(fresh, group)) == 1


def test_one_of_many_gets_a_name(fresh: Door) -> None:
    fresh.login("alice")
    body = {"security_group": {"name": "raced", "description": "d"}}
    with ThreadPoolExecutor(8) as pool:
        found = sorted(pool.map(lambda _: fresh.post("/os-security-groups", body).status_int, range(8)))
    assert found == [200] + [400] * 7
