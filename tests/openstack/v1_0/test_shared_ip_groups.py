"""Shared IP groups of the 1.0 API, and the addresses that are shared through them."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from nova_api.openstack.xml import V1_0_NS
from tests.openstack.fakes import RAW, Door, fault

NS = f"{{{V1_0_NS}}}"
XMLNS = f'xmlns="{V1_0_NS}"'
SAID = "limit param must be positive"


def boot(old: Door, user: str = "alice", **fields: Any) -> int:
    server = {"name": "old", "imageId": RAW, "flavorId": 1, **fields}
    answer = old.post("/servers", {"server": server}, user=user)
    assert answer.status_int == 202, answer.text
    old.cloud.settle()
    return int(answer.json["server"]["id"])


def new(old: Door, user: str = "alice", **fields: Any) -> dict[str, Any]:
    answer = old.post("/shared_ip_groups", {"sharedIpGroup": {"name": "g", **fields}}, user=user)
    assert answer.status_int == 201, answer.text
    return dict(answer.json["sharedIpGroup"])


def public(old: Door, server: int, user: str = "alice") -> list[str]:
    return list(old.ask(f"/servers/{server}", user=user).json["server"]["addresses"]["public"])


def address_of(old: Door, server: int) -> str:
    """A public address of a server."""
    door = Door(old.cloud, tokens=old.tokens)
    address = str(door.post("/os-floating-ips", {}).json["floating_ip"]["ip"])
    assert door.act(str(server), "addFloatingIp", {"address": address}).status_int == 202
    return address


class Group:
    """A group of two servers, one of which has a public address."""

    def __init__(self, old: Door) -> None:
        self.old = old
        self.owner = boot(old)
        self.id = int(new(old, server=self.owner)["id"])
        self.other = boot(old, sharedIpGroupId=self.id)
        self.address = address_of(old, self.owner)

    def path(self, server: int | None = None, address: str | None = None) -> str:
        return f"/servers/{server or self.other}/ips/public/{address or self.address}"

    def body(self, **fields: Any) -> dict[str, Any]:
        return {"shareIp": {"sharedIpGroupId": self.id, "configureServer": True, **fields}}

    def end(self) -> None:
        """Give everything back: the pool of addresses is small."""
        for server in (self.owner, self.other):
            self.old.delete(f"/servers/{server}")
        self.old.cloud.settle()
        door = Door(self.old.cloud, tokens=self.old.tokens)
        for one in door.ask("/os-floating-ips").json["floating_ips"]:
            if one["ip"] == self.address:
                assert door.delete(f"/os-floating-ips/{one['id']}").status_int == 202


@pytest.fixture
def group(old: Door) -> Any:
    made = Group(old)
    yield made
    made.end()


# -- groups ------------------------------------------------------------------------------------------------


def test_a_life_in_json(old: Door) -> None:
    server = boot(old)
    made = new(old, name="Group 1", server=server)
    assert made == {"id": made["id"], "name": "Group 1", "servers": [server]}
    assert isinstance(made["id"], int)
    assert old.ask(f"/shared_ip_groups/{made['id']}").json == {"sharedIpGroup": made}
    empty = new(old)
    assert empty["servers"] == []
    listed = old.ask("/shared_ip_groups?fresh=1").json["sharedIpGroups"]
    assert listed[-2:] == [{"id": made["id"], "name": "Group 1"}, {"id": empty["id"], "name": "g"}]
    assert old.ask("/shared_ip_groups/detail").json["sharedIpGroups"][-2:] == [made, empty]
    page = old.ask(f"/shared_ip_groups/detail?limit=1&offset={len(listed) - 2}").json["sharedIpGroups"]
    assert page == [made]
    second = boot(old, sharedIpGroupId=made["id"])
    assert old.ask(f"/shared_ip_groups/{made['id']}").json["sharedIpGroup"]["servers"] == [server, second]
    answer = old.delete(f"/shared_ip_groups/{made['id']}")
    assert (answer.status_int, answer.body) == (204, b"")
    assert fault(old.ask(f"/shared_ip_groups/{made['id']}"))[:2] == (404, "itemNotFound")
    assert old.delete(f"/shared_ip_groups/{made['id']}").status_int == 404


def test_a_life_in_xml(old: Door) -> None:
    server = boot(old)
    body = f'<sharedIpGroup {XMLNS} name="Group 1"><server id="{server}"/></sharedIpGroup>'
    answer = old.ask("/shared_ip_groups", "POST", xml=body)
    root = etree.fromstring(answer.body)
    number = root.get("id")
    assert (answer.status_int, root.tag, root.get("name")) == (201, f"{NS}sharedIpGroup", "Group 1")
    assert [one.get("id") for one in root.findall(f"{NS}servers/{NS}server")] == [str(server)]
    assert etree.tostring(etree.fromstring(old.ask(f"/shared_ip_groups/{number}", xml="").body)) == etree.tostring(root)
    empty = old.ask("/shared_ip_groups", "POST", xml=f'<sharedIpGroup {XMLNS} name="g"/>')
    assert len(etree.fromstring(empty.body).findall(f"{NS}servers")) == 1
    detail = etree.fromstring(old.ask("/shared_ip_groups/detail", xml="").body)
    assert detail.tag == f"{NS}sharedIpGroups"
    assert etree.tostring(detail[-2]) == etree.tostring(root)
    # Absent: unknown. A list that is there would be taken for all servers.
    brief = etree.fromstring(old.ask("/shared_ip_groups", xml="").body)
    assert dict(brief[-2].attrib) == {"id": number, "name": "Group 1"} and len(brief[-2]) == 0
    assert old.ask(f"/shared_ip_groups/{number}", "DELETE", xml="").status_int == 204


@pytest.mark.parametrize("body", [{"sharedIpGroup": {"name": "other"}}, {}, None])
def test_a_group_cannot_be_changed(old: Door, body: Any) -> None:
    number = new(old)["id"]
    answer = old.put(f"/shared_ip_groups/{number}", body)
    assert fault(answer)[:2] == (405, "badMethod")
    assert old.ask(f"/shared_ip_groups/{number}").json["sharedIpGroup"]["name"] == "g"


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        [],
        "text",
        {"sharedIpGroup": None},
        {"sharedIpGroup": []},
        {"sharedIpGroup": {}},
        {"sharedIpGroup": {"name": None}},
        {"sharedIpGroup": {"name": ""}},
        {"sharedIpGroup": {"name": "  "}},
        {"sharedIpGroup": {"name": 7}},
        {"sharedIpGroup": {"name": "x" * 256}},
        {"sharedIpGroup": {"name": "x", "server": ""}},
        {"sharedIpGroup": {"name": "x", "server": -1}},
        {"sharedIpGroup": {"name": "x", "server": True}},
        {"sharedIpGroup": {"name": "x", "server": 1.5}},
        {"sharedIpGroup": {"name": "x", "server": [1]}},
        {"sharedIpGroup": {"name": "x", "server": "one"}},
        {"sharedIpGroup": {"name": "x", "server": "9" * 30}},
        {"wrong": {"name": "x"}},
    ],
    ids=str,
)
def test_groups_that_are_refused(old: Door, document: Any) -> None:
    before = old.ask("/shared_ip_groups").json
    answer = old.post("/shared_ip_groups", document)
    assert fault(answer)[:2] == (400, "badRequest")
    assert old.ask("/shared_ip_groups").json == before


@pytest.mark.parametrize(
    "xml",
    [
        "<sharedIpGroup/>",
        '<sharedIpGroup name=""/>',
        '<sharedIpGroup name="x"><server/></sharedIpGroup>',
        '<sharedIpGroup name="x"><server id="one"/></sharedIpGroup>',
        '<other name="x"/>',
        "<sharedIpGroup",
    ],
)
def test_groups_in_xml_that_are_refused(old: Door, xml: str) -> None:
    answer = old.ask("/shared_ip_groups", "POST", xml=xml)
    assert (answer.status_int, etree.fromstring(answer.body).tag) == (400, f"{NS}badRequest")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["name", "server", "x"]), inner),
        max_leaves=6,
    )
)
def test_whatever_is_sent_there_is_no_traceback(old: Door, about: Any) -> None:
    answer = old.post("/shared_ip_groups", {"sharedIpGroup": about})
    assert answer.status_int in (201, 400, 404, 413)
    if answer.status_int == 201:
        assert old.delete(f"/shared_ip_groups/{answer.json['sharedIpGroup']['id']}").status_int == 204


@pytest.mark.parametrize("number", ["0", "987654", "x", "-1", "1.5", "9" * 30, "%00", "%C3%A9"])
def test_groups_that_are_not_there(old: Door, number: str) -> None:
    for method in ("GET", "DELETE"):
        assert old.ask(f"/shared_ip_groups/{number}", method).status_int == 404


@pytest.mark.parametrize(
    ("query", "text"),
    [("limit=-1", SAID), ("limit=x", "limit param must be an integer"), ("offset=-1", SAID.replace("limit", "offset"))],
)
def test_pages_that_are_refused(old: Door, query: str, text: str) -> None:
    assert fault(old.ask(f"/shared_ip_groups?{query}")) == (400, "badRequest", text)


def test_a_server_is_in_one_group(old: Door) -> None:
    server = boot(old)
    new(old, server=server)
    answer = old.post("/shared_ip_groups", {"sharedIpGroup": {"name": "h", "server": server}})
    assert fault(answer)[:2] == (409, "inProgress")


def test_quotas(old: Door) -> None:
    quotas = old.cloud.runtime.quotas
    absolute = old.ask("/limits").json["limits"]["absolute"]
    assert (absolute["maxIPGroups"], absolute["maxIPGroupMembers"]) == (50, 25)
    number = new(old, server=boot(old))["id"]
    try:
        quotas.set_limits("acme", {"shared_ip_groups": 0, "shared_ip_group_members": 1})
        answer = old.post("/shared_ip_groups", {"sharedIpGroup": {"name": "x"}})
        assert (fault(answer)[:2], answer.headers["Retry-After"]) == ((413, "overLimit"), "0")
        fields = {"name": "s", "imageId": RAW, "flavorId": 1, "sharedIpGroupId": number}
        answer = old.post("/servers", {"server": fields})
        assert (fault(answer)[:2], answer.headers["Retry-After"]) == ((413, "overLimit"), "0")
    finally:
        quotas.set_limits("acme", {"shared_ip_groups": 50, "shared_ip_group_members": 25})


@pytest.mark.parametrize("number", [987654, "x", True, [], {}, -1, 1.5, "9" * 30], ids=str)
def test_servers_for_groups_that_are_not_there(old: Door, number: Any) -> None:
    before = len(old.ask("/servers").json["servers"])
    answer = old.post("/servers", {"server": {"name": "s", "imageId": RAW, "flavorId": 1, "sharedIpGroupId": number}})
    assert fault(answer)[:2] == (400, "badRequest")
    assert len(old.ask("/servers").json["servers"]) == before


def test_a_server_in_xml_joins_a_group(old: Door) -> None:
    number = new(old)["id"]
    xml = f'<server {XMLNS} name="s" imageId="{RAW}" flavorId="1" sharedIpGroupId="{number}"/>'
    answer = old.ask("/servers", "POST", xml=xml)
    assert answer.status_int == 202
    server = int(etree.fromstring(answer.body).get("id"))
    assert old.ask(f"/shared_ip_groups/{number}").json["sharedIpGroup"]["servers"] == [server]
    old.cloud.settle()


# -- addresses ---------------------------------------------------------------------------------------------


def test_share_and_unshare(group: Group) -> None:
    old = group.old
    for _ in range(2):  # the second time without effect
        answer = old.put(group.path(), group.body())
        assert (answer.status_int, answer.body) == (202, b"")
    old.cloud.settle()
    assert public(old, group.other) == public(old, group.owner) == [group.address]
    assert old.ask(f"/servers/{group.other}/ips").json["addresses"]["public"] == [group.address]
    detail = {one["id"]: one for one in old.ask("/servers/detail").json["servers"]}
    assert detail[group.other]["addresses"]["public"] == [group.address]
    # The other doors know of one owner.
    number = f"i-{group.owner:08x}"
    text = old.cloud.ec2_request("DescribeAddresses", {"PublicIp.1": group.address}, user="alice").text
    assert f"<instanceId>{number}</instanceId>" in text
    text = old.cloud.ec2_request("DescribeInstances", {"InstanceId.1": f"i-{group.other:08x}"}, user="alice").text
    assert group.address not in text
    assert fault(old.delete(f"/shared_ip_groups/{group.id}"))[:2] == (409, "inProgress")
    assert fault(old.delete(group.path(group.owner)))[:2] == (403, "resizeNotAllowed")
    answer = old.delete(group.path())
    assert (answer.status_int, answer.body) == (202, b"")
    assert (public(old, group.other), public(old, group.owner)) == ([], [group.address])
    assert fault(old.delete(group.path()))[:2] == (404, "itemNotFound")


@pytest.mark.parametrize(
    ("flag", "told"), [('configureServer="true"', True), ('configureServer="0"', False), ("", False)]
)
def test_share_and_unshare_in_xml(group: Group, flag: str, told: bool) -> None:
    old = group.old
    answer = old.ask(group.path(), "PUT", xml=f'<shareIp {XMLNS} sharedIpGroupId="{group.id}" {flag}/>')
    assert (answer.status_int, answer.body) == (202, b"")
    old.cloud.settle()
    addresses = etree.fromstring(old.ask(f"/servers/{group.other}/ips/public", xml="").body)
    assert [one.get("addr") for one in addresses] == [group.address]
    with old.cloud.runtime.db.read() as conn:
        (configured,) = conn.exec_driver_sql(
            f"SELECT configured FROM shared_ips WHERE instance_id = {group.other}"
        ).scalars()
    assert bool(configured) is told
    assert old.ask(group.path(), "DELETE", xml="").status_int == 202
    assert public(old, group.other) == []


def test_an_address_is_no_format(group: Group) -> None:
    """Dots and endings of an address stay."""
    old = group.old
    for ending in (".json", ".xml"):
        assert old.put(group.path() + ending, group.body()).status_int == 400
        assert old.delete(group.path() + ending).status_int == 404
    assert public(old, group.other) == []


@pytest.mark.parametrize(
    "fields",
    [
        {"sharedIpGroupId": None},
        {"sharedIpGroupId": ""},
        {"sharedIpGroupId": "x"},
        {"sharedIpGroupId": True},
        {"sharedIpGroupId": [1]},
        {"sharedIpGroupId": -1},
        {"configureServer": "true"},
        {"configureServer": 1},
        {"configureServer": None},
        {"configureServer": {}},
    ],
    ids=str,
)
def test_shares_that_are_refused(group: Group, fields: dict[str, Any]) -> None:
    assert fault(group.old.put(group.path(), group.body(**fields)))[:2] == (400, "badRequest")
    for document in (None, {}, [], {"shareIp": None}, {"shareIp": []}, {"wrong": {}}):
        assert fault(group.old.put(group.path(), document))[:2] == (400, "badRequest")
    assert public(group.old, group.other) == []


@pytest.mark.parametrize(
    "address", ["192.0.2.9", "nonsense", "1.2.3", "256.1.1.1", "::1", "%20", "1.2.3.4%0A", "x" * 300]
)
def test_addresses_that_cannot_be_shared(group: Group, address: str) -> None:
    assert fault(group.old.put(group.path(address=address), group.body()))[:2] == (400, "badRequest")
    assert fault(group.old.delete(group.path(address=address)))[:2] == (404, "itemNotFound")


def test_servers_and_groups_that_do_not_fit(group: Group) -> None:
    old, outside = group.old, boot(group.old)
    assert fault(old.put(group.path(outside), group.body()))[0] == 400
    assert fault(old.put(group.path(group.owner), group.body()))[0] == 400
    assert fault(old.put(group.path(), group.body(sharedIpGroupId=new(old)["id"])))[0] == 400
    assert fault(old.put(group.path(), group.body(sharedIpGroupId=987654)))[:2] == (404, "itemNotFound")
    assert fault(old.put(group.path(987654), group.body()))[:2] == (404, "itemNotFound")
    assert fault(old.delete(group.path(987654)))[:2] == (404, "itemNotFound")


def test_what_is_somebody_elses_is_unknown(group: Group) -> None:
    old, his = group.old, boot(group.old, "bob")
    assert old.put(group.path(), group.body()).status_int == 202
    number = f"/shared_ip_groups/{group.id}"
    for method, path, body in (
        ("GET", number, None),
        ("DELETE", number, None),
        ("PUT", group.path(), group.body()),
        ("PUT", group.path(his), group.body()),
        ("DELETE", group.path(), None),
        ("DELETE", group.path(his), None),
        ("POST", "/shared_ip_groups", {"sharedIpGroup": {"name": "x", "server": group.owner}}),
    ):
        assert old.ask(path, method, body, user="bob").status_int == 404, (method, path)
    answer = old.post(
        "/servers", {"server": {"name": "s", "imageId": RAW, "flavorId": 1, "sharedIpGroupId": group.id}}, user="bob"
    )
    assert answer.status_int == 400
    assert group.id not in [one["id"] for one in old.ask("/shared_ip_groups", user="bob").json["sharedIpGroups"]]
    assert public(old, group.other) == [group.address]
    assert old.ask(number).json["sharedIpGroup"]["servers"] == [group.owner, group.other]


def test_both_forms_of_the_path(old: Door) -> None:
    """With the project in it, and without."""
    number = new(old)["id"]
    headers = {"X-Auth-Token": old.login("alice")}
    for path in ("/v1.0/shared_ip_groups", "/v1.0/acme/shared_ip_groups"):
        assert number in [one["id"] for one in old.call(path, headers=headers).json["sharedIpGroups"]]
