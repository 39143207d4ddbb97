"""os-simple-tenant-usage (spec openstack-extensions.md 8)."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from lxml import etree

from tests.openstack.contrib.tables import text
from tests.openstack.fakes import Door, message
from tests.openstack.test_servers import change

USAGE = "/os-simple-tenant-usage"
START, END = datetime(2026, 1, 1, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=UTC)
WINDOW = "start=2026-01-01T00:00:00&end=2026-01-02T00:00:00"
XML = {"headers": {"Accept": "application/xml"}}


def lived(door: Door, user: str, first: datetime, last: datetime | None, **fields: Any) -> str:
    """A server of which the datastore says when it lived."""
    server = door.boot(user, **fields)
    change(door, server, launched_at=first, terminated_at=last)
    return server


@pytest.fixture
def world(fresh: Door) -> Door:
    """In the window: all of it, its last six hours, its first three; and not at all."""
    lived(fresh, "alice", START - timedelta(days=3), None, name="long", flavorRef="2")
    lived(fresh, "alice", END - timedelta(hours=6), None, name="late")
    gone = lived(fresh, "alice", START - timedelta(hours=5), START + timedelta(hours=3), name="gone")
    lived(fresh, "alice", START - timedelta(hours=5), START - timedelta(hours=1), name="before")
    lived(fresh, "alice", END + timedelta(hours=1), None, name="after")
    lived(fresh, "bob", START + timedelta(hours=12), None, name="other")
    change(fresh, gone, deleted=1, vm_state="deleted")
    return fresh


def test_of_one_project(world: Door) -> None:
    shown = world.ask(f"{USAGE}/acme?{WINDOW}").json["tenant_usage"]
    servers = {one["name"]: one for one in shown["server_usages"]}
    assert {name: one["hours"] for name, one in servers.items()} == pytest.approx({"long": 24, "late": 6, "gone": 3})
    assert (shown["tenant_id"], shown["start"], shown["stop"]) == ("acme", "2026-01-01 00:00:00", "2026-01-02 00:00:00")
    assert shown["total_hours"] == pytest.approx(33)
    assert shown["total_vcpus_usage"] == pytest.approx(33)
    assert shown["total_memory_mb_usage"] == pytest.approx(24 * 2048 + 9 * 512)
    assert shown["total_local_gb_usage"] == pytest.approx(24 * 20)
    assert (servers["gone"]["state"], servers["long"]["state"]) == ("terminated", "active")
    assert servers["gone"]["ended_at"] == "2026-01-01 03:00:00.000000" and servers["long"]["ended_at"] is None
    assert servers["gone"]["started_at"] == "2025-12-31 19:00:00.000000"
    assert servers["gone"]["uptime"] == 8 * 3600
    assert servers["long"]["flavor"] == "m1.small" and servers["long"]["tenant_id"] == "acme"
    assert list(servers["long"]) == [
        *("name", "hours", "memory_mb", "local_gb", "vcpus", "tenant_id"),
        *("flavor", "started_at", "ended_at", "state", "uptime"),
    ]


def test_of_all_projects(world: Door) -> None:
    """Summed up by the database, and by hand, is the same."""
    brief = world.ask(f"{USAGE}?{WINDOW}", user="admin").json["tenant_usages"]
    assert [one["tenant_id"] for one in brief] == ["acme", "globex"]
    assert "server_usages" not in brief[0]
    for detailed in ("1", "0"):
        full = world.ask(f"{USAGE}?{WINDOW}&detailed={detailed}", user="admin").json["tenant_usages"]
        assert len(full[0].pop("server_usages")) == 3 and len(full[1].pop("server_usages")) == 1
        for one, other in zip(brief, full, strict=True):
            assert one == pytest.approx(other)
    assert "server_usages" not in world.ask(f"{USAGE}?{WINDOW}&detailed=", user="admin").json["tenant_usages"][0]


def test_a_window_into_the_future(world: Door) -> None:
    shown = world.ask(f"{USAGE}/globex?start=2026-01-01T12:00:00&end=2099-01-01T12:00:00", user="bob").json
    hours = (datetime(2099, 1, 1) - datetime(2026, 1, 1)).total_seconds() / 3600
    assert shown["tenant_usage"]["total_hours"] == pytest.approx(hours)


def test_a_flavor_that_is_gone_counts(world: Door) -> None:
    assert world.delete("/flavors/2", user="admin").status_int == 202
    assert world.ask(f"{USAGE}/acme?{WINDOW}").json["tenant_usage"]["total_hours"] == pytest.approx(33)


def test_xml(world: Door) -> None:
    root = etree.fromstring(text(world.ask(f"{USAGE}/acme?{WINDOW}", **XML)))
    order = ["tenant_id", "total_local_gb_usage", "total_vcpus_usage", "total_memory_mb_usage", "total_hours"]
    assert [one.tag for one in root] == [*order, "start", "stop", "server_usages"]
    assert root.xpath("server_usages/server_usage[name='long']/ended_at/text()") == ["None"]
    listed = etree.fromstring(text(world.ask(f"{USAGE}?{WINDOW}", user="admin", **XML)))
    assert listed.xpath("/tenant_usages/tenant_usage/tenant_id/text()") == ["acme", "globex"]
    assert [(len(one), one.text) for one in listed.xpath("//server_usages")] == [(0, None)] * 2
    nothing = etree.fromstring(text(world.ask(f"{USAGE}/none", user="admin", **XML)))
    assert [(one.tag, one.text) for one in nothing] == [
        *((name, "None") for name in [*order, "start", "stop"]),
        ("server_usages", None),
    ]


def test_nothing_to_tell(door: Door) -> None:
    assert door.ask(f"{USAGE}/none", user="admin").json == {"tenant_usage": {}}
    assert door.ask(f"{USAGE}?start=2001-01-01T00:00:00&end=2001-01-02T00:00:00", user="admin").json == {
        "tenant_usages": []
    }


def test_who_may(door: Door) -> None:
    text = "Policy doesn't allow compute_extension:simple_tenant_usage:{} to be performed."
    assert message(door.ask(USAGE)) == (403, text.format("list"))
    assert message(door.ask(f"{USAGE}/globex")) == (403, text.format("show"))
    assert door.ask(f"{USAGE}/acme").status_int == 200


@pytest.mark.parametrize("form", ["2026-01-01T00:00:00", "2026-01-01T00:00:00.5", "2026-01-01 00:00:00.500000"])
def test_times(door: Door, form: str) -> None:
    assert door.ask(f"{USAGE}/acme?start={form}").status_int == 200


@pytest.mark.parametrize("query", ["start=nonsense", "end=nonsense", "start=2026-01-01", "start=9999-99-99T"])
def test_times_that_are_none(door: Door, query: str) -> None:
    for path, user in ((f"{USAGE}/acme", "alice"), (USAGE, "admin")):
        name = query.partition("=")[0]
        refused = message(door.ask(f"{path}?{query}", user=user))
        assert refused == (400, f"{name} is no time, such as 2012-01-31T23:59:59")


def test_a_window_that_ends_before_it_begins(door: Door) -> None:
    query = "start=2026-01-02T00:00:00&end=2026-01-01T00:00:00"
    assert message(door.ask(f"{USAGE}/acme?{query}")) == (400, "end must not be before start")
