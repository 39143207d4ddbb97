"""Servers: documents, lists, filters, pages (spec openstack-core.md 5.1 to 5.4)."""

from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa
import webob
from lxml import etree

from nova_api.db.models import instances, now
from nova_api.openstack.views.servers import status_of, vm_states_of
from tests.openstack.fakes import NOBODY, RAW, STOCK_404, Door, message

COMPUTE, ATOM = "{http://docs.openstack.org/compute/api/v1.1}", "{http://www.w3.org/2005/Atom}"


@pytest.mark.parametrize(
    ("vm_state", "task", "status"),
    [
        ("active", None, "ACTIVE"),
        ("active", "rebooting", "REBOOT"),
        ("active", "rebooting_hard", "HARD_REBOOT"),
        ("active", "updating_password", "PASSWORD"),
        ("active", "resize_verify", "VERIFY_RESIZE"),
        ("active", "image_snapshot", "ACTIVE"),
        ("building", "spawning", "BUILD"),
        ("rebuilding", None, "REBUILD"),
        ("stopped", None, "STOPPED"),
        ("shutoff", None, "SHUTOFF"),
        ("migrating", None, "MIGRATING"),
        ("resizing", "resize_prep", "RESIZE"),
        ("resizing", "resize_reverting", "REVERT_RESIZE"),
        ("paused", None, "PAUSED"),
        ("suspended", None, "SUSPENDED"),
        ("rescued", None, "RESCUE"),
        ("error", None, "ERROR"),
        ("deleted", None, "DELETED"),
        ("soft-delete", None, "DELETED"),
        ("melted", None, "UNKNOWN_STATE"),
    ],
)
def test_statuses(vm_state: str, task: str | None, status: str) -> None:
    assert status_of(vm_state, task) == status


def test_only_defaults_can_be_filtered_by() -> None:
    assert vm_states_of("active") == ["active"]
    assert vm_states_of("Deleted") == ["deleted", "soft-delete"]
    assert [vm_states_of(name) for name in ("REBOOT", "PASSWORD", "VERIFY_RESIZE", "", "x")] == [[]] * 5


def change(door: Door, server: str, **values: Any) -> None:
    query = sa.update(instances).where(instances.c.uuid == server).values(**values)
    door.cloud.runtime.db.write(lambda tx: tx.execute(query))


def test_a_document(door: Door) -> None:
    server = door.boot(name="web <1>", metadata={"k": 'v"'}, accessIPv4="1.2.3.4")
    shown = door.server(server)
    (address,) = shown["addresses"]["private"]
    assert address["version"] == 4
    for name in ("created", "updated", "hostId", "addresses"):
        assert shown.pop(name)
    own, plain = "http://localhost/v1.1/acme", "http://localhost/acme"
    assert shown == {
        "id": server,
        "name": "web <1>",
        "status": "ACTIVE",
        "tenant_id": "acme",
        "user_id": "alice",
        "progress": 100,
        "accessIPv4": "1.2.3.4",
        "accessIPv6": "",
        "key_name": "",
        "config_drive": "",
        "image": {"id": RAW, "links": [{"rel": "bookmark", "href": f"{plain}/images/{RAW}"}]},
        "flavor": {"id": "1", "links": [{"rel": "bookmark", "href": f"{plain}/flavors/1"}]},
        "metadata": {"k": 'v"'},
        "links": [
            {"rel": "self", "href": f"{own}/servers/{server}"},
            {"rel": "bookmark", "href": f"{plain}/servers/{server}"},
        ],
        "OS-DCF:diskConfig": "MANUAL",
        "OS-EXT-STS:task_state": None,
        "OS-EXT-STS:vm_state": "active",
        "OS-EXT-STS:power_state": 1,
    }


def test_administrators_see_where_it_is(door: Door) -> None:
    server = door.boot()
    shown = door.server(server, "admin")
    assert shown["OS-EXT-SRV-ATTR:host"] == "node1"
    assert shown["OS-EXT-SRV-ATTR:instance_name"].startswith("instance-0000")
    assert shown["OS-EXT-SRV-ATTR:hypervisor_hostname"] is None
    number = int(shown["OS-EXT-SRV-ATTR:instance_name"][9:], 16)
    assert door.server(str(number))["id"] == server


def test_a_document_in_xml(door: Door) -> None:
    server = door.boot(metadata={"k": "v"})
    root = etree.fromstring(door.ask(f"/servers/{server}.xml").body)
    assert (root.tag, root.get("tenantId"), root.get("progress")) == (f"{COMPUTE}server", "acme", "100")
    assert root.get("{http://docs.openstack.org/compute/ext/extended_status/api/v1.1}task_state") == "None"
    assert root.find(f"{COMPUTE}metadata/{COMPUTE}meta[@key='k']").text == "v"
    assert root.find(f"{COMPUTE}addresses/{COMPUTE}network[@id='private']/{COMPUTE}ip").get("version") == "4"
    assert [link.get("rel") for link in root.findall(f"{ATOM}link")] == ["self", "bookmark"]
    listed = etree.fromstring(door.ask("/servers/detail.xml").body)
    (same,) = [one for one in listed if one.get("id") == server]
    assert etree.tostring(same.find(f"{COMPUTE}image")) == etree.tostring(root.find(f"{COMPUTE}image"))


def test_faults(door: Door) -> None:
    server = door.boot()
    change(door, server, vm_state="error", fault_code=500, fault_message="boom", fault_at=now())
    shown = door.server(server)
    assert shown["status"] == "ERROR"
    assert "progress" not in shown
    assert (shown["fault"]["code"], shown["fault"]["message"], "details" in shown["fault"]) == (500, "boom", False)
    root = etree.fromstring(door.ask(f"/servers/{server}.xml").body)
    assert root.findtext(f"{COMPUTE}fault/{COMPUTE}message") == "boom"
    assert root.findtext(f"{COMPUTE}fault/{COMPUTE}details") == "None"
    change(door, server, fault_code=404)
    assert door.server(server)["fault"]["details"] == "boom"


def test_two_servers_on_one_host_of_one_project_share_a_host_id(door: Door) -> None:
    first, second, foreign = door.boot(), door.boot(), door.boot("bob")
    assert door.server(first)["hostId"] == door.server(second)["hostId"] != door.server(foreign, "bob")["hostId"]


@pytest.mark.parametrize("text", [NOBODY, "nonsense", "999999", "0", "9" * 30, "%00", "%ED%A0%80", "a%20b"])
def test_unknown_servers(door: Door, text: str) -> None:
    assert message(door.ask(f"/servers/{text}")) == (404, STOCK_404)


# -- lists


@pytest.fixture(scope="module")
def three(door: Door) -> list[str]:
    """Servers ``listed-1`` to ``-3``, the newest first."""
    made = [door.boot(name=f"listed-{number}") for number in (1, 2, 3)]
    change(door, made[1], vm_state="stopped", power_state=4)
    return made[::-1]


def ids(answer: webob.Response) -> list[str]:
    assert answer.status_int == 200, answer.text
    return [one["id"] for one in answer.json["servers"]]


def listed(door: Door, query: str = "", **options: Any) -> list[str]:
    return ids(door.ask(f"/servers?name=listed{query}", **options))


def test_the_newest_comes_first(door: Door, three: list[str]) -> None:
    assert listed(door) == three
    brief = door.ask("/servers?name=listed-1").json["servers"]
    assert [set(one) for one in brief] == [{"id", "name", "links"}]
    assert ids(door.ask("/servers/detail?name=listed")) == three


@pytest.mark.parametrize("path", ["/servers", "/servers/detail"])
def test_pages(door: Door, three: list[str], path: str) -> None:
    seen, url = [], f"{path}?limit=2&name=listed"
    while url:
        answer = door.ask(url)
        seen.append(ids(answer))
        links = answer.json.get("servers_links", [])
        assert all(link["rel"] == "next" for link in links)
        url = links[0]["href"].removeprefix("http://localhost/v1.1/acme") if links else ""
        assert not url or url.startswith(f"{path}?limit=2&name=listed&marker=")
    assert seen == [three[:2], three[2:]]


def test_a_page_that_is_just_full_has_a_link(door: Door, three: list[str]) -> None:
    answer = door.ask("/servers?name=listed&limit=3")
    following = answer.json["servers_links"][0]["href"].removeprefix("http://localhost/v1.1/acme")
    assert ids(door.ask(following)) == []
    root = etree.fromstring(door.ask("/servers.xml?name=listed&limit=3").body)
    assert root.find(f"{ATOM}link").get("rel") == "next"
    assert "servers_links" not in door.ask("/servers?name=listed&limit=4").json


def test_next_links_are_encoded(door: Door, three: list[str]) -> None:
    link = door.ask("/servers?name=listed&foo=a%20b%26c&limit=1").json["servers_links"][0]["href"]
    assert f"?name=listed&foo=a%20b%26c&limit=1&marker={three[0]}" in link


def test_pages_while_servers_come_and_go(door: Door) -> None:
    made = [door.boot(name=f"moving-{number}") for number in range(4)]
    first = ids(door.ask("/servers?name=moving&limit=2"))
    assert first == [made[3], made[2]]
    door.boot(name="moving-new")
    assert door.delete(f"/servers/{made[2]}").status_int == 204
    door.cloud.settle()
    # The marker is gone, a newer server has come: the next page is what it would have been.
    assert ids(door.ask(f"/servers?name=moving&limit=2&marker={made[2]}")) == [made[1], made[0]]


@pytest.mark.parametrize(
    ("query", "text"),
    [
        ("limit=x", "limit param must be an integer"),
        ("limit=", "limit param must be an integer"),
        ("limit=-1", "limit param must be positive"),
        (f"marker={NOBODY}", f"marker [{NOBODY}] not found"),
        ("marker=nonsense", "marker [nonsense] not found"),
        ("marker=9999999999999999999999", "marker [9999999999999999999999] not found"),
        ("status=REBOOT", "Invalid server status: REBOOT"),
        ("status=", "Invalid server status: "),
        ("changes-since=asdf", "Invalid changes-since value"),
        ("changes-since=", "Invalid changes-since value"),
        ("changes-since=9999-12-31T23:59:59-12:00", "Invalid changes-since value"),
        ("changes-since=0001-01-01T00:00:00%2B12:00", "Invalid changes-since value"),
        ("name=(", "The pattern is not a regular expression that can be used."),
        ("name=(a)%5C1", "The pattern is not a regular expression that can be used."),
        ("name=" + "a" * 300, "A pattern has at most 255 characters."),
    ],
)
def test_refused_queries(door: Door, query: str, text: str) -> None:
    assert message(door.ask(f"/servers?{query}")) == (400, text)
    assert message(door.ask(f"/servers/detail?{query}")) == (400, text)


def test_a_foreign_marker(door: Door) -> None:
    foreign = door.boot("bob")
    assert message(door.ask(f"/servers?marker={foreign}")) == (400, f"marker [{foreign}] not found")


def test_limits_at_the_edge(door: Door, three: list[str]) -> None:
    assert listed(door, "&limit=0") == []
    assert listed(door, "&limit=99999999999999999999999") == three
    assert listed(door, "&marker=") == three
    assert listed(door, "&limit=1&limit=2") == three[:2]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("name=listed-2", [1]),
        ("name=listed-[13]", [0, 2]),
        ("name=isted", []),
        ("name=LISTED", []),
        ("name=listed-.$", [0, 1, 2]),
        ("name=listed&status=active", [0, 2]),
        ("name=listed&status=STOPPED", [1]),
        ("name=listed&status=ERROR", []),
        (f"name=listed&image={RAW}", [0, 1, 2]),
        (f"name=listed&image=http://x/images/{RAW}", []),
        ("name=listed&flavor=1", [0, 1, 2]),
        ("name=listed&flavor=99", []),
        ("name=listed&reservation_id=r-", [0, 1, 2]),
        ("name=listed&reservation_id=r-0000", []),
        ("name=listed&host=other", [0, 1, 2]),
        ("name=listed&deleted=1", [0, 1, 2]),
        ("name=listed&all_tenants=1", [0, 1, 2]),
        ("name=listed&project_id=globex", [0, 1, 2]),
        ("name=listed&changes-since=2012-01-01T00:00:00Z", [0, 1, 2]),
        ("name=listed&changes-since=2099-01-01T00:00:00%2B01:00", []),
        ("name=listed&changes-since=2099-01-01", []),
    ],
)
def test_filters(door: Door, three: list[str], query: str, found: list[int]) -> None:
    expected = [three[at] for at in found]
    assert ids(door.ask(f"/servers?{query}")) == expected
    assert ids(door.ask(f"/servers/detail?{query}")) == expected


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("", []),
        ("&all_tenants=0", [0, 1, 2]),
        ("&all_tenants=1&host=node", [0, 1, 2]),
        ("&all_tenants=1&host=x", []),
        ("&all_tenants=1&user_id=alice", [0, 1, 2]),
        ("&all_tenants=1&user_id=ali", []),
        ("&all_tenants=1&vm_state=stopped", [1]),
        ("&all_tenants=1&power_state=4", [1]),
        ("&all_tenants=1&power_state=x", []),
        ("&all_tenants=1&hostname=listed-3", [0]),
        ("&all_tenants=1&no_such_column=1", [0, 1, 2]),
        ("&all_tenants=1&deleted=0", []),
        ("&all_tenants=1&deleted=", [0, 1, 2]),
        ("&all_tenants=1&ip6=fe80", []),
        ("&all_tenants=1&fixed_ip=nonsense", []),
        ("&all_tenants=1&instance_name=x", []),
        ("&all_tenants=1&instance_name=inst", [0, 1, 2]),
        ("&all_tenants=1&instance_name=instance-[0-9a-f]{8}$", [0, 1, 2]),
        ("&all_tenants=1&instance_name=stance", []),
        ("&all_tenants=1&project_id=acme", [0, 1, 2]),
        ("&all_tenants=1&tenant_id=acme", [0, 1, 2]),
        ("&all_tenants=1&project_id=globex", []),
        ("&all_tenants=1&tenant_id=acm", []),
        ("&tenant_id=acme", []),
    ],
)
def test_filters_of_administrators(door: Door, three: list[str], query: str, found: list[int]) -> None:
    assert listed(door, query, user="admin") == [three[at] for at in found]


def test_administrators_find_by_address_and_name(door: Door, three: list[str]) -> None:
    shown = door.server(three[1], "admin")
    address = shown["addresses"]["private"][0]["addr"]
    name = shown["OS-EXT-SRV-ATTR:instance_name"]
    for query in (f"ip={address}$", f"fixed_ip={address}", f"instance_name={name}"):
        assert listed(door, f"&all_tenants=1&{query}", user="admin") == [three[1]]


def test_ended_servers(door: Door) -> None:
    server = door.boot(name="ending")
    before = (now() - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    assert door.delete(f"/servers/{server}").status_int == 204
    door.cloud.settle()
    assert ids(door.ask("/servers?name=ending")) == []
    assert ids(door.ask(f"/servers?name=ending&changes-since={before}")) == [server]
    (shown,) = door.ask(f"/servers/detail?name=ending&changes-since={before}").json["servers"]
    assert (shown["status"], shown["addresses"]) == ("DELETED", {})
    assert ids(door.ask("/servers?name=ending&all_tenants=1&deleted=1", user="admin")) == [server]


def test_names_of_every_alphabet(door: Door) -> None:
    server = door.boot(name="čaj-市")
    assert ids(door.ask("/servers?name=%C4%8Daj")) == [server]
    assert ids(door.ask("/servers?name=.aj-%E5%B8%82$")) == [server]
    assert door.ask("/servers?name=%FF").status_int == 400


def test_the_link_prefix(tmp_path: object) -> None:
    from nova_api.testing import cloud as running
    from tests.openstack.fakes import DOCUMENT

    with running(f"{tmp_path}/state", DOCUMENT, osapi_compute_link_prefix="https://pub:99/x") as made:
        own = Door(made)
        link = own.ask("/flavors/1").json["flavor"]["links"][0]["href"]
        assert link == "https://pub:99/v1.1/acme/flavors/1"


def test_a_list_costs_the_same_number_of_queries(door: Door, three: list[str]) -> None:
    counted: list[str] = []

    def count(conn: Any, cursor: Any, statement: str, *rest: Any) -> None:
        counted.append(statement)

    engine = door.cloud.runtime.db.engine
    sa.event.listen(engine, "before_cursor_execute", count)
    try:
        door.ask("/servers/detail?limit=1")
        one = len(counted)
        counted.clear()
        door.ask("/servers/detail")
        assert len(counted) == one
    finally:
        sa.event.remove(engine, "before_cursor_execute", count)
