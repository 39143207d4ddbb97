from collections import Counter
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from nova_api.db import models, services
from nova_api.db.services import FreeHost
from nova_api.errors import ServiceUnavailable
from nova_api.nodes.scheduler import SchedulerManager, choose
from tests.nodes.conftest import CONTEXT, World


def wants(memory_mb: int = 512, vcpus: int = 1, local_gb: int = 0, zone: str | None = None) -> Any:
    return SimpleNamespace(memory_mb=memory_mb, vcpus=vcpus, local_gb=local_gb, availability_zone=zone)


def host(name: str, memory_mb: int = 4096, vcpus: int = 8, local_gb: int = 100, zone: str = "nova") -> FreeHost:
    return FreeHost(name, zone, vcpus, memory_mb, local_gb)


def test_instances_spread_by_free_memory() -> None:
    placed, left_over = choose([host("a", 1024), host("b", 4096), host("c", 2048)], [wants()] * 9)
    assert {name: len(rows) for name, rows in placed.items()} == {"a": 1, "b": 6, "c": 2}
    assert left_over == []


@pytest.mark.parametrize("small", [wants(memory_mb=5000), wants(vcpus=9), wants(local_gb=101), wants(zone="x")])
def test_what_does_not_fit_is_left_over(small: Any) -> None:
    fits = wants()
    placed, left_over = choose([host("a"), host("b")], [small, fits])
    assert left_over == [small]
    assert placed == {"a": [fits]}


def test_forced_hosts_are_not_asked_for_room() -> None:
    row = wants(memory_mb=99999)
    assert choose([host("a", 0)], [row], forced=True) == ({"a": [row]}, [])


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 8)), max_size=5),
    st.lists(st.tuples(st.integers(1, 10), st.integers(1, 3)), max_size=20),
)
def test_no_host_is_filled_beyond_its_room(hosts: list[tuple[int, int]], rows: list[tuple[int, int]]) -> None:
    offered = {f"h{n}": host(f"h{n}", memory, vcpus) for n, (memory, vcpus) in enumerate(hosts)}
    wanted = [wants(memory, vcpus) for memory, vcpus in rows]
    placed, left_over = choose(offered.values(), wanted)
    assert sum(map(len, placed.values())) + len(left_over) == len(wanted)
    free = dict.fromkeys(offered, (0, 0))
    for name, has in offered.items():
        got = placed.get(name, [])
        free[name] = (has.memory_mb - sum(r.memory_mb for r in got), has.vcpus - sum(r.vcpus for r in got))
        assert min(free[name]) >= 0
    for row in left_over:
        assert not any(memory >= row.memory_mb and vcpus >= row.vcpus for memory, vcpus in free.values())


def hosts_of(world: World, rows: list[Any]) -> Counter[str | None]:
    return Counter(world.again(row).host for row in rows)


def test_a_reservation_spreads_over_hosts(world: World) -> None:
    world.start("h1", "h2", "h3")
    rows = world.run(9)
    world.settle()
    assert hosts_of(world, rows) == {"h1": 3, "h2": 3, "h3": 3}
    assert {world.again(row).vm_state for row in rows} == {"active"}


def test_silent_disabled_and_departed_hosts_get_nothing(world: World) -> None:
    world.start("h1", "h2", "h3", "h4")
    table = models.services
    long_ago = models.now() - timedelta(seconds=world.config.service_down_time + 1)

    def change(tx: Any) -> None:
        tx.execute(sa.update(table).where(table.c.host == "h1").values(updated_at=long_ago))
        services.set_disabled(tx, "h2", "compute", True)
        services.gone(tx, "h3", ["compute"])

    world.db.write(change)
    rows = world.run(4)
    world.settle()
    assert hosts_of(world, rows) == {"h4": 4}


def test_zone_and_named_hosts(world: World) -> None:
    world.start("h1", "h2", "h3")
    world.db.write(lambda tx: services.report(tx, "h2", "compute", "nova-compute", "east"))
    in_east = world.run(3, availability_zone="east")
    forced = [world.instance() for _ in range(3)]
    world.schedule(forced, force_hosts=["h3"])
    elsewhere = [world.instance() for _ in range(4)]
    world.schedule(elsewhere, ignore_hosts=["h1", "h3"])
    world.settle()
    assert hosts_of(world, in_east) == {"h2": 3}
    assert hosts_of(world, forced) == {"h3": 3}
    assert hosts_of(world, elsewhere) == {"h2": 4}


@pytest.mark.parametrize("name", ["\ud800", "a\x00b"])
def test_hints_that_no_instance_bears(world: World, name: str) -> None:
    """Nor can the datastore be asked for them."""
    world.start()
    near, far = world.instance(), world.instance()
    world.schedule([near], scheduler_hints={"same_host": name})
    world.schedule([far], scheduler_hints={"different_host": [name]})
    world.settle()
    assert [world.again(row).vm_state for row in (near, far)] == ["error", "active"]
    assert world.again(near).fault_message.startswith("No valid host was found.")


@pytest.mark.parametrize("values", [{"availability_zone": "nowhere"}, {"memory_mb": 2**40}])
def test_no_valid_host(world: World, values: dict[str, Any]) -> None:
    world.start()
    (row,) = world.run(1, **values)
    (good,) = world.run(1)
    world.settle()
    row = world.again(row)
    assert (row.vm_state, row.task_state, row.host) == ("error", None, None)
    assert row.fault_message.startswith("No valid host was found.") and row.fault_code == 500
    assert row.fault_at is not None
    assert world.again(good).vm_state == "active"


def test_after_an_outage_nobody_is_dead_before_the_scheduler_reports_again(world: World) -> None:
    world.start()
    table, long_ago = models.services, models.now() - timedelta(seconds=world.config.service_down_time + 1)
    world.db.write(lambda tx: tx.execute(sa.update(table).values(updated_at=long_ago)))
    row, volume = world.instance(), world.volume_row(status="creating", host=None)
    scheduler = SchedulerManager(world.db, world.outbox, world.config, "s1")
    resized = world.instance(vm_state="resizing", task_state="resize_prep", host="h1")
    for tried in (
        lambda: scheduler.run_instance(CONTEXT, {"instance_uuids": [row.uuid]}),
        lambda: scheduler.create_volume(CONTEXT, volume),
        lambda: scheduler.prep_resize(CONTEXT, resized.uuid, 1),
    ):
        with pytest.raises(ServiceUnavailable):
            tried()
    assert world.again(row).vm_state == "building"
    assert world.row(models.volumes, volume).status == "creating"
    assert world.again(resized).task_state == "resize_prep"
    world.db.write(lambda tx: services.report(tx, "s1", "scheduler", "nova-scheduler", "nova"))
    scheduler.run_instance(CONTEXT, {"instance_uuids": [row.uuid]})
    assert world.again(row).vm_state == "error"


def test_placing_twice_sends_once(world: World) -> None:
    world.start(twice=True)
    row = world.instance()
    world.schedule([row])
    world.schedule([row])
    world.settle()
    assert world.again(row).vm_state == "active"
    assert len(world.addresses()) == 1


def test_the_form_of_a_single_instance(world: World) -> None:
    """2012's message for MaxCount=1 carries the uuid among the instance's properties."""
    world.start()
    row = world.instance()
    world.cast("scheduler", "run_instance", request_spec={"instance_properties": {"uuid": row.uuid}}, topic="compute")
    world.settle()
    assert world.again(row).vm_state == "active"


def test_what_was_ended_before_it_was_placed_is_not_placed(world: World) -> None:
    world.start()
    row = world.instance()
    world.update(models.instances, row.id, deleted=row.id, vm_state="deleted", task_state=None)
    world.schedule([row])
    world.settle()
    assert world.again(row).host is None


def test_volumes_go_to_a_live_host_of_their_zone(world: World) -> None:
    world.start()
    good = world.volume_row(status="creating", host=None)
    lost = world.volume_row(status="creating", host=None, availability_zone="nowhere")
    for number in (good, lost, good):
        world.cast("scheduler", "create_volume", topic="volume", volume_id=number, snapshot_id=None)
    world.settle()
    made = world.row(models.volumes, good)
    assert (made.status, made.host) == ("available", "v1") and made.scheduled_at and made.launched_at
    assert world.row(models.volumes, lost).status == "error"
