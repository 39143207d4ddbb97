"""What a dead host has left, on every database."""

import threading

import pytest
import sqlalchemy as sa

from nova_api.config import Config
from nova_api.db import models, services, takeovers
from nova_api.db.engine import Database, Transaction
from nova_api.nodes.takeover import TakeOver
from nova_api.rpc.inprocess import InProcessTransport
from nova_api.rpc.outbox import Outbox
from tests.databases import add
from tests.db.test_guests import add_instance, read

BUILDING = {"vm_state": "building", "task_state": "networking"}


@pytest.fixture
def flavor(any_db: Database) -> int:
    return add(any_db, models.flavors, name="f", flavorid="f", memory_mb=1, vcpus=1)


def test_builds_that_are_left(any_db: Database, flavor: int) -> None:
    told, untold = add_instance(any_db, flavor, **BUILDING), add_instance(any_db, flavor, **BUILDING)
    add_instance(any_db, flavor, **{**BUILDING, "host": "h2"})
    any_db.write(lambda tx: takeovers.remember_builds(tx, [told.id], {"a": "ü"}))

    def look(tx: Transaction) -> list[tuple[int, str | None]]:
        return [(row.id, row.arguments) for row in takeovers.stranded(tx, ["h1"], ["networking"], 0, 10)]

    assert any_db.write(look) == [(told.id, '{"a": "\\u00fc"}'), (untold.id, None)]
    assert any_db.write(lambda tx: takeovers.move_build(tx, told.id, "h1", "h2"))
    assert not any_db.write(lambda tx: takeovers.move_build(tx, told.id, "h1", "h3"))
    assert read(any_db, told.id).host == "h2"


def test_what_ended_builds_were_told(any_db: Database, flavor: int) -> None:
    goes_on, failed = add_instance(any_db, flavor, **BUILDING), add_instance(any_db, flavor, vm_state="error")
    any_db.write(lambda tx: takeovers.remember_builds(tx, [goes_on.id, failed.id], {}))
    with any_db.read() as conn:
        assert takeovers.ended_builds(conn) == [failed.id]
    any_db.write(lambda tx: takeovers.forget_builds(tx, [failed.id]))
    with any_db.read() as conn:
        assert takeovers.ended_builds(conn) == []


def test_schedulers_that_look_at_the_same_time(any_db: Database, flavor: int) -> None:
    config = Config(state_path="/nonexistent")
    rows = [add_instance(any_db, flavor, **BUILDING) for _ in range(12)]
    ending = [add_instance(any_db, flavor, vm_state="active", task_state="deleting") for _ in range(4)]
    for host in ("h2", "h3"):
        capacity = {"vcpus": 100, "memory_mb": 100_000, "local_gb": 1000, "hypervisor_type": "x"}
        any_db.write(lambda tx, host=host, capacity=capacity: services.report_capacity(tx, host, capacity))
        any_db.write(lambda tx, host=host: services.report(tx, host, "compute", "nova-compute", "nova"))
    add(any_db, models.services, host="h1", topic="compute", binary="nova-compute", availability_zone="nova")
    took: list[int] = []

    def look(number: int) -> None:
        transport = InProcessTransport()
        taker = TakeOver(any_db, Outbox(any_db, transport, f"s{number}"), config, iter((0.0, 1000.0)).__next__)
        taker.run()
        took.append(taker.run())

    threads = [threading.Thread(target=look, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sum(took) == len(rows) + len(ending) and len(took) == 4
    assert {read(any_db, row.id).host for row in rows} == {"h2", "h3"}
    assert all(read(any_db, row.id).deleted for row in ending)
    with any_db.read() as conn:
        sent = list(conn.execute(sa.select(models.outbox.c.topic)).scalars())
    assert sorted(set(sent)) == ["compute.h2", "compute.h3"] and len(sent) == len(rows)
