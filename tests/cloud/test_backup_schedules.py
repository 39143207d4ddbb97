"""Backup schedules: windows, one image in each, and what becomes of those that are missed."""

import copy
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api import errors
from nova_api.cloud.backup_schedules import DAILY, WEEKLY, BackupSchedules, Schedule, window_of
from nova_api.cloud.launch_plan import LaunchSpec, ServerSpec
from nova_api.context import RequestContext
from nova_api.db import models
from nova_api.nodes import service as nodes
from nova_api.runtime import Runtime
from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, RAW, Door

ALICE = RequestContext(user_id="alice", project_id="acme")
BOB = RequestContext(user_id="bob", project_id="globex")
#: A Monday.
MONDAY = datetime(2031, 3, 3, tzinfo=UTC)
FOUR = Schedule(enabled=True, daily="H_0400_0600")


@dataclass
class Clock:
    """A clock that is set by hand."""

    at: datetime = MONDAY

    def __call__(self) -> datetime:
        return self.at

    def set(self, hour: float, day: int = 0) -> None:
        """Hours after the beginning of a day, of those that begin with that Monday."""
        self.at = MONDAY + timedelta(days=day, hours=hour)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def schedules(any_cloud: Door, clock: Clock) -> Iterator[BackupSchedules]:
    """The service of a scheduler; no server has a schedule yet."""
    runtime = any_cloud.cloud.runtime
    runtime.db.write(lambda tx: tx.execute(sa.delete(models.backup_schedules)))
    yield service(runtime, clock)


def service(runtime: Runtime, clock: Clock) -> BackupSchedules:
    return BackupSchedules(runtime.db, runtime.instance_images, runtime.servers, clock)


def images_of(runtime: Runtime, server: str, *, gone: bool = False) -> Sequence[str]:
    """The names of a server's images, oldest first.

    :param gone: those too that have given way to later ones
    """
    table = models.images.c
    query = sa.select(table.name).where(table.instance_uuid == server).order_by(table.id)
    with runtime.db.read() as conn:
        return list(conn.execute(query if gone else query.where(table.deleted == 0)).scalars())


def change(runtime: Runtime, server: str, **values: Any) -> None:
    chosen = sa.update(models.instances).where(models.instances.c.uuid == server)
    runtime.db.write(lambda tx: tx.execute(chosen.values(**values)))


# -- windows -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("at", "start", "hours", "day", "first"),
    [
        ("2031-03-03T00:00:00+00:00", "2031-03-03T00", "H_0000_0200", "MONDAY", True),
        ("2031-03-03T01:59:59.999999+00:00", "2031-03-03T00", "H_0000_0200", "MONDAY", True),
        ("2031-03-03T02:00:00+00:00", "2031-03-03T02", "H_0200_0400", "MONDAY", False),
        ("2031-03-09T23:59:59.999999+00:00", "2031-03-09T22", "H_2200_0000", "SUNDAY", False),
        ("2031-03-10T00:00:00+00:00", "2031-03-10T00", "H_0000_0200", "MONDAY", True),
        # Whatever the clock's zone is, hours and days are those of UTC: here nobody's summer time begins.
        ("2031-03-30T03:30:00+02:00", "2031-03-30T00", "H_0000_0200", "SUNDAY", True),
        ("2031-03-30T01:30:00+02:00", "2031-03-29T22", "H_2200_0000", "SATURDAY", False),
    ],
)
def test_windows(at: str, start: str, hours: str, day: str, first: bool) -> None:
    window = window_of(datetime.fromisoformat(at))
    assert window == (datetime.fromisoformat(f"{start}:00:00+00:00"), hours, day, first)


def test_every_name_is_a_window() -> None:
    hours = {window_of(MONDAY + timedelta(minutes=minute)).hours for minute in range(24 * 60)}
    days = {window_of(MONDAY + timedelta(days=day)).day for day in range(7)}
    assert hours == set(DAILY) - {"DISABLED"} and len(hours) == 12
    assert days == set(WEEKLY) - {"DISABLED"}


# -- the schedule ------------------------------------------------------------------------------------------


def test_kept_replaced_and_ended(any_cloud: Door, schedules: BackupSchedules) -> None:
    server = any_cloud.boot()
    assert schedules.get(ALICE, server) == Schedule(False, "DISABLED", "DISABLED")
    schedules.put(ALICE, server, FOUR)
    assert schedules.get(ALICE, server) == FOUR
    second = Schedule(enabled=False, weekly="SUNDAY")
    schedules.put(ALICE, server, second)
    assert schedules.get(ALICE, server) == second
    for _ in range(2):
        schedules.delete(ALICE, server)
        assert schedules.get(ALICE, server) == Schedule()


def test_a_schedule_is_its_servers_owners(any_cloud: Door, schedules: BackupSchedules) -> None:
    server = any_cloud.boot()
    schedules.put(ALICE, server, FOUR)
    with pytest.raises(errors.InstanceNotFound):
        schedules.get(BOB, server)
    with pytest.raises(errors.InstanceNotFound):
        schedules.put(BOB, server, Schedule())
    with pytest.raises(errors.InstanceNotFound):
        schedules.delete(BOB, server)
    assert schedules.get(ALICE, server) == FOUR


def test_it_ends_with_its_server(any_cloud: Door, schedules: BackupSchedules, clock: Clock) -> None:
    gone, failed = any_cloud.boot(), any_cloud.boot()
    runtime = any_cloud.cloud.runtime
    for server in (gone, failed):
        schedules.put(ALICE, server, FOUR)
    change(runtime, failed, vm_state="error", host=None)
    for server in (gone, failed):
        runtime.servers.delete(ALICE, server)
    any_cloud.cloud.settle()
    with runtime.db.read() as conn:
        assert conn.execute(sa.select(models.backup_schedules)).all() == []
    clock.set(5)
    assert schedules.take_due() == 0


# -- the work ----------------------------------------------------------------------------------------------


def test_one_image_in_a_window(any_cloud: Door, schedules: BackupSchedules, clock: Clock) -> None:
    server, runtime = any_cloud.boot(), any_cloud.cloud.runtime
    schedules.put(ALICE, server, FOUR)
    for hour, wanted in ((3.99, 0), (4, 1), (4.5, 0), (5.99, 0), (6, 0), (27.9, 0), (29, 1), (29.5, 0)):
        clock.set(hour)
        assert schedules.take_due() == wanted, hour
        any_cloud.cloud.settle()
    assert images_of(runtime, server, gone=True) == ["daily", "daily"]
    assert images_of(runtime, server) == ["daily"]  # the second one was kept, the first one gave way
    # Both doors show it, with what it is.
    (shown,) = any_cloud.ask(f"/images/detail?server={server}").json["images"]
    assert (shown["name"], shown["status"]) == ("daily", "ACTIVE")
    assert (shown["metadata"]["image_type"], shown["metadata"]["backup_type"]) == ("backup", "daily")
    assert ">daily<" in any_cloud.cloud.ec2_request("DescribeImages", user="alice").text
    assert any_cloud.server(server)["status"] == "ACTIVE"


def test_sent_again_it_makes_no_second_image(any_cloud: Door, schedules: BackupSchedules, clock: Clock) -> None:
    server = any_cloud.boot()
    schedules.put(ALICE, server, FOUR)
    clock.set(4)
    assert schedules.take_due() == 1
    any_cloud.cloud.settle()
    schedules.put(ALICE, server, FOUR)
    assert schedules.take_due() == 0
    clock.set(6)
    schedules.put(ALICE, server, Schedule(enabled=True, daily="H_0600_0800"))
    assert schedules.take_due() == 1
    any_cloud.cloud.settle()


@pytest.mark.parametrize(
    "schedule", [Schedule(False, "MONDAY", "H_0400_0600"), Schedule(True), Schedule(True, "TUESDAY", "H_0600_0800")]
)
def test_nothing_is_due(any_cloud: Door, schedules: BackupSchedules, clock: Clock, schedule: Schedule) -> None:
    schedules.put(ALICE, any_cloud.boot(), schedule)
    clock.set(4)
    assert schedules.take_due() == 0


def test_both_kinds_in_one_window(any_cloud: Door, schedules: BackupSchedules, clock: Clock) -> None:
    server, runtime = any_cloud.boot(), any_cloud.cloud.runtime
    schedules.put(ALICE, server, Schedule(True, "MONDAY", "H_2200_0000"))
    for hour, wanted in ((0.5, 0), (22, 1), (22.5, 1), (23.9, 0), (24, 0), (46, 1), (47, 0)):
        clock.set(hour)
        assert schedules.take_due() == wanted, hour
        any_cloud.cloud.settle()
    assert images_of(runtime, server, gone=True) == ["weekly", "daily", "daily"]
    assert images_of(runtime, server) == ["weekly", "daily"]


def test_a_week_without_a_daily_window(any_cloud: Door, schedules: BackupSchedules, clock: Clock) -> None:
    server, runtime = any_cloud.boot(), any_cloud.cloud.runtime
    schedules.put(ALICE, server, Schedule(True, "TUESDAY"))
    for day in range(9):
        for hour in (0.1, 1.9, 2, 12, 23.9):
            clock.set(hour, day)
            assert schedules.take_due() == (hour == 0.1 and day in (1, 8)), (day, hour)
            any_cloud.cloud.settle()
    assert images_of(runtime, server, gone=True) == ["weekly", "weekly"]


@pytest.mark.parametrize(
    "values",
    [
        {"task_state": "rebooting"},
        {"task_state": "resize_verify"},
        {"task_state": "deleting"},
        {"locked": True},
        {"vm_state": "suspended"},
        {"vm_state": "error"},
        {"vm_state": "soft-delete"},
        {"vm_state": "building", "task_state": "scheduling", "host": None},
    ],
    ids=str,
)
def test_servers_that_wait(any_cloud: Door, schedules: BackupSchedules, clock: Clock, values: dict[str, Any]) -> None:
    """Until the end of the window; then it is left out."""
    server, runtime = any_cloud.boot(), any_cloud.cloud.runtime
    schedules.put(ALICE, server, FOUR)
    fine = {"vm_state": "active", "task_state": None, "locked": False, "host": runtime.config.host}
    change(runtime, server, **values)
    clock.set(4)
    assert schedules.take_due() == 0
    change(runtime, server, **fine)
    clock.set(5.9)
    assert schedules.take_due() == 1
    any_cloud.cloud.settle()
    change(runtime, server, **values)
    clock.set(4, 1)
    assert schedules.take_due() == 0
    change(runtime, server, **fine)
    clock.set(6, 1)
    assert schedules.take_due() == 0
    clock.set(4, 2)
    assert schedules.take_due() == 1
    any_cloud.cloud.settle()


def test_a_server_that_is_shut_off(any_cloud: Door, schedules: BackupSchedules, clock: Clock) -> None:
    server, runtime = any_cloud.boot(), any_cloud.cloud.runtime
    schedules.put(ALICE, server, FOUR)
    change(runtime, server, vm_state="shutoff")
    clock.set(4)
    assert schedules.take_due() == 1
    any_cloud.cloud.settle()
    assert images_of(runtime, server) == ["daily"]


def test_many_schedulers_at_once(any_cloud: Door, schedules: BackupSchedules, clock: Clock) -> None:
    runtime = any_cloud.cloud.runtime
    servers = [any_cloud.boot() for _ in range(3)]
    for server in servers:
        schedules.put(ALICE, server, Schedule(True, "MONDAY", "H_0400_0600"))
    clock.set(4)
    start = threading.Barrier(8)

    def look(_: int) -> int:
        mine = service(runtime, clock)
        start.wait(20)
        return mine.take_due()

    begun = 0
    for _ in range(2):  # the week's, then the day's; some of those at once, where a node was quick
        with ThreadPoolExecutor(8) as pool:
            begun += sum(pool.map(look, range(8)))
        any_cloud.cloud.settle()
    assert (begun, schedules.take_due()) == (6, 0)
    for server in servers:
        assert sorted(images_of(runtime, server, gone=True)) == ["daily", "weekly"]


def test_more_servers_than_a_page(
    any_cloud: Door, schedules: BackupSchedules, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nova_api.cloud.backup_schedules._PAGE", 2)
    for _ in range(5):
        schedules.put(ALICE, any_cloud.boot(), FOUR)
    clock.set(4)
    assert (schedules.take_due(), schedules.take_due()) == (5, 0)
    any_cloud.cloud.settle()


def test_a_server_that_ends_meanwhile(any_cloud: Door, schedules: BackupSchedules, clock: Clock) -> None:
    servers, runtime = [any_cloud.boot() for _ in range(4)], any_cloud.cloud.runtime
    for server in servers:
        schedules.put(ALICE, server, FOUR)
    clock.set(4)
    with ThreadPoolExecutor(5) as pool:
        ends = [pool.submit(runtime.servers.delete, ALICE, server) for server in servers]
        pool.submit(schedules.take_due).result()
        for end in ends:
            end.result()
    any_cloud.cloud.settle()
    with runtime.db.read() as conn:
        assert conn.execute(sa.select(models.backup_schedules)).all() == []
        waiting = models.images.c.status.in_(["queued", "saving"])
        assert conn.execute(sa.select(models.images.c.id).where(waiting)).all() == []


def test_a_zone_of_the_clock_does_not_matter(any_cloud: Door, schedules: BackupSchedules, clock: Clock) -> None:
    schedules.put(ALICE, any_cloud.boot(), FOUR)
    clock.at = (MONDAY + timedelta(hours=5)).astimezone(timezone(timedelta(hours=-7)))
    assert (schedules.take_due(), schedules.take_due()) == (1, 0)
    any_cloud.cloud.settle()


def test_a_month_with_restarts(tmp_path: Path) -> None:
    """Two schedulers that look every hour, half an hour apart, and processes that end on the way."""
    clock, server, begun = Clock(), "", 0
    for part in range(3):
        with running(tmp_path / "state", copy.deepcopy(DOCUMENT)) as cloud:
            if not server:
                # Not through a door: to build its pipeline takes as long as the month.
                spec = LaunchSpec(image=RAW, flavor="1", server=ServerSpec(name="kept"))
                server = cloud.runtime.servers.create(ALICE, spec).server.uuid
                cloud.settle()
                cloud.runtime.backup_schedules.put(ALICE, server, Schedule(True, "THURSDAY", "H_2200_0000"))
            two = [service(cloud.runtime, clock) for _ in range(2)]
            # In the last part nobody looks on the first three days: what is missed is not made up for.
            for half in range(3 * 48 if part == 2 else 0, 10 * 48):
                clock.set(half / 2, part * 10)
                if two[half % 2].take_due():
                    begun += 1
                    cloud.settle()
            made = images_of(cloud.runtime, server, gone=True)
            left = images_of(cloud.runtime, server)
    assert begun == len(made)
    assert made.count("daily") == 27
    assert made.count("weekly") == 4  # the 4th, 11th, 18th and 25th day; the 25th is past the gap
    assert sorted(left) == ["daily", "weekly"]


# -- the task ----------------------------------------------------------------------------------------------


def test_schedulers_look_by_themselves(tmp_path: Path) -> None:
    with running(tmp_path / "state", copy.deepcopy(DOCUMENT), backup_schedule_interval=0.02) as cloud:
        clock = Clock(MONDAY + timedelta(hours=4))
        cloud.runtime.backup_schedules.clock = clock
        door = Door(cloud)
        server = door.boot()
        door.cloud.runtime.backup_schedules.put(ALICE, server, FOUR)
        waited = threading.Event()
        for _ in range(500):
            if images_of(cloud.runtime, server):
                break
            waited.wait(0.02)
        cloud.settle()
        assert images_of(cloud.runtime, server, gone=True) == ["daily"]


@pytest.mark.parametrize(("topics", "seconds", "looks"), [(("scheduler",), 60, 1), (("compute",), 60, 0), ((), 0, 0)])
def test_only_schedulers_look(tmp_path: Path, topics: tuple[str, ...], seconds: float, looks: int) -> None:
    with running(tmp_path / "state", copy.deepcopy(DOCUMENT), backup_schedule_interval=seconds) as cloud:
        started = nodes.start_all(cloud.runtime, topics or tuple(nodes.MANAGERS), "another")
        nodes.stop_all(started, 5.0)
    named = [one.name for one in started if isinstance(one, nodes.Periodic)]
    assert named.count("backups.another") == looks
