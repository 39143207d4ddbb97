from datetime import timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api.context import new_uuid
from nova_api.db import services
from nova_api.db.engine import Database
from nova_api.db.models import flavors, instances, now, volumes

DOWN_TIME = 60
CAPACITY = {"vcpus": 8, "memory_mb": 8192, "local_gb": 100, "hypervisor_type": "simulated"}


def report(db: Database, host: str, topic: str, zone: str = "nova") -> None:
    db.write(lambda tx: services.report(tx, host, topic, f"nova-{topic}", zone))


def age(db: Database, host: str, seconds: float) -> None:
    table = services.services
    seen = now() - timedelta(seconds=seconds)
    db.write(lambda tx: tx.execute(sa.update(table).where(table.c.host == host).values(updated_at=seen)))


def rows(db: Database) -> list[Any]:
    with db.read() as conn:
        return list(services.every(conn))


def test_a_service_has_one_row_that_counts_its_reports(any_db: Database) -> None:
    for _ in range(3):
        report(any_db, "h1", "compute")
    report(any_db, "h1", "volume")
    assert [(r.topic, r.report_count, r.binary) for r in rows(any_db)] == [
        ("compute", 3, "nova-compute"),
        ("volume", 1, "nova-volume"),
    ]
    assert all(services.alive(row, DOWN_TIME) for row in rows(any_db))


def test_silence_and_goodbye_make_it_down(any_db: Database) -> None:
    report(any_db, "h1", "compute")
    age(any_db, "h1", DOWN_TIME + 1)
    assert not services.alive(rows(any_db)[0], DOWN_TIME)
    report(any_db, "h1", "compute")
    assert services.alive(rows(any_db)[0], DOWN_TIME)
    any_db.write(lambda tx: services.gone(tx, "h1", ["compute"]))
    assert not services.alive(rows(any_db)[0], DOWN_TIME)


def test_a_topic_is_down_when_all_that_serve_it_are(any_db: Database) -> None:
    def down(topic: str) -> bool:
        with any_db.read() as conn:
            return services.all_down(conn, topic, DOWN_TIME)

    report(any_db, "h1.example.org", "compute")
    report(any_db, "h2", "compute")
    report(any_db, "h1.example.org", "volume")
    assert not down("compute.h1.example.org")
    age(any_db, "h1.example.org", DOWN_TIME + 1)
    assert down("compute.h1.example.org") and down("volume")
    assert not down("compute") and not down("compute.h2")
    assert not down("compute.h3") and not down("cert")


def test_the_zone_of_a_host_is_its_first_services(any_db: Database) -> None:
    report(any_db, "h1", "compute", "east")
    report(any_db, "h1", "volume", "west")
    report(any_db, "h2", "volume", "west")
    with any_db.read() as conn:
        assert services.zones_of_hosts(conn) == {"h1": "east", "h2": "west"}
        assert services.zone_exists(conn, "east") and not services.zone_exists(conn, "north")


def add_instance(tx: Any, host: str, memory: int, deleted: int = 0) -> None:
    flavor = tx.execute(sa.select(flavors.c.id)).scalar()
    if flavor is None:
        made = tx.execute(sa.insert(flavors).values(name="f", flavorid="f", memory_mb=1, vcpus=1))
        flavor = made.inserted_primary_key[0]
    values = {
        "uuid": new_uuid(),
        "reservation_id": "r-1",
        "vm_state": "active",
        "instance_type_id": flavor,
        "memory_mb": memory,
        "vcpus": 2,
        "root_gb": 10,
        "ephemeral_gb": 5,
        "host": host,
        "deleted": deleted,
    }
    tx.execute(sa.insert(instances).values(**values))


def test_free_hosts_are_alive_and_enabled_and_less_what_is_used(any_db: Database) -> None:
    for host in ("h1", "h2", "h3", "h4"):
        report(any_db, host, "compute", "nova")
        any_db.write(lambda tx, host=host: services.report_capacity(tx, host, CAPACITY))
    report(any_db, "h5", "volume")
    age(any_db, "h2", DOWN_TIME + 1)
    any_db.write(lambda tx: services.set_disabled(tx, "h3", "compute", True))
    any_db.write(lambda tx: add_instance(tx, "h1", 1024))
    any_db.write(lambda tx: add_instance(tx, "h1", 512))
    any_db.write(lambda tx: add_instance(tx, "h1", 4096, deleted=3))
    free = any_db.write(lambda tx: services.free_hosts(tx, DOWN_TIME))
    assert free == [
        services.FreeHost("h1", "nova", 4, 8192 - 1536, 70),
        services.FreeHost("h4", "nova", 8, 8192, 100),
    ]


def test_a_second_report_of_capacity_replaces_the_first(any_db: Database) -> None:
    report(any_db, "h1", "compute")
    any_db.write(lambda tx: services.report_capacity(tx, "h1", CAPACITY))
    any_db.write(lambda tx: services.report_capacity(tx, "h1", {**CAPACITY, "vcpus": 1}))
    assert [host.vcpus for host in any_db.write(lambda tx: services.free_hosts(tx, DOWN_TIME))] == [1]


def test_the_volume_host_with_the_fewest_gigabytes(any_db: Database) -> None:
    report(any_db, "v1", "volume", "nova")
    report(any_db, "v2", "volume", "nova")
    report(any_db, "v3", "volume", "other")
    values = {"size": 5, "status": "available", "availability_zone": "nova"}

    def fill(tx: Any) -> None:
        tx.execute(sa.insert(volumes).values(uuid=new_uuid(), host="v1", **values))
        tx.execute(sa.insert(volumes).values(uuid=new_uuid(), host="v3", **values))

    any_db.write(fill)
    with any_db.read() as conn:
        assert services.volume_host(conn, DOWN_TIME, "nova").host == "v2"
        assert services.volume_host(conn, DOWN_TIME, "other").host == "v3"
        assert services.volume_host(conn, DOWN_TIME).host == "v2"
        assert services.volume_host(conn, DOWN_TIME, "none") is None


@pytest.mark.parametrize("host", ["h1", "h2"])
def test_only_a_known_service_is_disabled(any_db: Database, host: str) -> None:
    report(any_db, "h1", "compute")
    assert any_db.write(lambda tx: services.set_disabled(tx, host, "compute", True)) is (host == "h1")
    assert rows(any_db)[0].disabled is (host == "h1")
