"""Backup schedules of the 1.0 API."""

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from lxml import etree

from nova_api.cloud.backup_schedules import DAILY, WEEKLY
from nova_api.openstack.xml import V1_0_NS
from tests.openstack.fakes import RAW, Door, fault

NS = f"{{{V1_0_NS}}}"
XMLNS = f'xmlns="{V1_0_NS}"'
NEVER = {"enabled": False, "weekly": "DISABLED", "daily": "DISABLED"}
SOME = {"enabled": True, "weekly": "THURSDAY", "daily": "H_0400_0600"}


@pytest.fixture(scope="module")
def path(door: Door) -> str:
    """The schedule of a server."""
    return path_of(Door(door.cloud, "v1.0"))


def path_of(old: Door, user: str = "alice") -> str:
    answer = old.post("/servers", {"server": {"name": "old", "imageId": RAW, "flavorId": 1}}, user=user)
    assert answer.status_int == 202, answer.text
    old.cloud.settle()
    return f"/servers/{answer.json['server']['id']}/backup_schedule"


def read(old: Door, path: str) -> dict[str, Any]:
    answer = old.ask(path)
    assert answer.status_int == 200, answer.text
    return dict(answer.json["backupSchedule"])


def put(old: Door, path: str, **fields: Any) -> None:
    answer = old.post(path, {"backupSchedule": fields})
    assert (answer.status_int, answer.body) == (204, b""), answer.text


def test_a_life_in_json(old: Door) -> None:
    path = path_of(old)
    assert read(old, path) == NEVER
    put(old, path, **SOME)
    assert read(old, path) == SOME
    put(old, path, enabled=True, weekly="SUNDAY")
    assert read(old, path) == {"enabled": True, "weekly": "SUNDAY", "daily": "DISABLED"}
    put(old, path, enabled=False, daily="H_2200_0000", weekly=None)
    assert read(old, path) == {"enabled": False, "weekly": "DISABLED", "daily": "H_2200_0000"}
    for _ in range(2):
        answer = old.delete(path)
        assert (answer.status_int, answer.body) == (204, b"")
        assert read(old, path) == NEVER


@pytest.mark.parametrize(("flag", "enabled"), [("true", True), ("1", True), ("false", False), ("0", False)])
def test_a_life_in_xml(old: Door, path: str, flag: str, enabled: bool) -> None:
    body = f'<backupSchedule {XMLNS} enabled="{flag}" weekly="THURSDAY" daily="H_0400_0600"/>'
    answer = old.ask(path, "POST", xml=body)
    assert (answer.status_int, answer.body) == (204, b"")
    root = etree.fromstring(old.ask(path, xml="").body)
    assert root.tag == f"{NS}backupSchedule"
    assert dict(root.attrib) == {"enabled": str(enabled).lower(), "weekly": "THURSDAY", "daily": "H_0400_0600"}
    assert old.ask(path, "POST", xml='<backupSchedule enabled="true"/>').status_int == 204
    assert read(old, path) == {**NEVER, "enabled": True}
    assert old.ask(path, "DELETE", xml="").status_int == 204


@pytest.mark.parametrize("daily", DAILY)
def test_every_window(old: Door, path: str, daily: str) -> None:
    put(old, path, enabled=True, daily=daily)
    assert read(old, path)["daily"] == daily


@pytest.mark.parametrize("weekly", WEEKLY)
def test_every_day(old: Door, path: str, weekly: str) -> None:
    put(old, path, enabled=True, weekly=weekly)
    assert read(old, path)["weekly"] == weekly


@pytest.mark.parametrize(
    "document",
    [
        None,
        {},
        [],
        "text",
        {"backupSchedule": None},
        {"backupSchedule": []},
        {"backupSchedule": {}},
        {"backupSchedule": {"weekly": "SUNDAY", "daily": "H_0000_0200"}},
        {"backupSchedule": {"enabled": None}},
        {"backupSchedule": {"enabled": "true"}},
        {"backupSchedule": {"enabled": 1}},
        {"backupSchedule": {"enabled": True, "weekly": "sunday"}},
        {"backupSchedule": {"enabled": True, "weekly": ""}},
        {"backupSchedule": {"enabled": True, "weekly": 1}},
        {"backupSchedule": {"enabled": True, "weekly": ["SUNDAY"]}},
        {"backupSchedule": {"enabled": True, "weekly": "H_0000_0200"}},
        {"backupSchedule": {"enabled": True, "daily": "H_2200_2400"}},
        {"backupSchedule": {"enabled": True, "daily": "H_0100_0300"}},
        {"backupSchedule": {"enabled": True, "daily": {}}},
        {"backupSchedule": {"enabled": True, "daily": "SUNDAY"}},
        {"backupSchedule": {"enabled": True, "daily": "H_0000_0200\n"}},
        {"backupSchedule": {"enabled": True, "hourly": "H_0000_0200"}},
        {"schedule": {"enabled": True}},
    ],
    ids=str,
)
def test_schedules_that_are_refused(old: Door, path: str, document: Any) -> None:
    put(old, path, **SOME)
    assert fault(old.post(path, document))[:2] == (400, "badRequest")
    assert read(old, path) == SOME


@pytest.mark.parametrize(
    "xml",
    [
        "<backupSchedule/>",
        '<backupSchedule enabled=""/>',
        '<backupSchedule enabled="yes"/>',
        '<backupSchedule enabled="TRUE"/>',
        '<backupSchedule enabled="true" weekly="EVERY"/>',
        '<backupSchedule enabled="true" daily="x"/>',
        '<backupSchedule enabled="true" other="x"/>',
        '<other enabled="true"/>',
        "<backupSchedule",
    ],
)
def test_schedules_in_xml_that_are_refused(old: Door, path: str, xml: str) -> None:
    answer = old.ask(path, "POST", xml=xml)
    assert (answer.status_int, etree.fromstring(answer.body).tag) == (400, f"{NS}badRequest")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from([*DAILY, *WEEKLY]),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["enabled", "weekly", "daily", "x"]), inner)
        ),
        max_leaves=6,
    )
)
def test_whatever_is_sent_there_is_no_traceback(old: Door, path: str, about: Any) -> None:
    answer = old.post(path, {"backupSchedule": about})
    assert answer.status_int in (204, 400)


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_methods_that_there_are_not(old: Door, path: str, method: str) -> None:
    assert old.ask(path, method, {"backupSchedule": SOME}).status_int in (404, 405)
    assert old.ask(f"{path}/1", method, {"backupSchedule": SOME}).status_int in (404, 405)


@pytest.mark.parametrize("server", ["987654", "x", "-1", "9" * 30, "%00"])
def test_servers_that_are_not_there(old: Door, server: str) -> None:
    for method, body in (("GET", None), ("POST", {"backupSchedule": SOME}), ("DELETE", None)):
        assert fault(old.ask(f"/servers/{server}/backup_schedule", method, body))[:2] == (404, "itemNotFound")


def test_what_is_somebody_elses_is_unknown(old: Door, path: str) -> None:
    put(old, path, **SOME)
    for method, body in (("GET", None), ("POST", {"backupSchedule": NEVER}), ("DELETE", None)):
        assert fault(old.ask(path, method, body, user="bob"))[:2] == (404, "itemNotFound")
    assert read(old, path) == SOME


def test_what_is_due_is_an_image(old: Door, path: str) -> None:
    put(old, path, **SOME)
    schedules = old.cloud.runtime.backup_schedules
    schedules.clock, before = lambda: datetime(2031, 3, 6, 4, 30, tzinfo=UTC), schedules.clock  # a Thursday
    try:
        for _ in range(3):
            schedules.take_due()
            old.cloud.settle()
    finally:
        schedules.clock = before
    server = int(path.split("/")[2])
    shown = [one for one in old.ask("/images/detail").json["images"] if one.get("serverId") == server]
    assert [(one["name"], one["status"]) for one in shown] == [("daily", "ACTIVE"), ("weekly", "ACTIVE")]
    assert old.delete(path).status_int == 204
