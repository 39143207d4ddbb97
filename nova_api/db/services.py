"""Queries of services: who is there, since when, and in which zone."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction
from nova_api.db.models import compute_nodes, instances, now, services

_ALL = sa.select(services).order_by(services.c.id)
_BEAT = (
    sa.update(services)
    .where(services.c.host == sa.bindparam("on_host"), services.c.topic == sa.bindparam("of_topic"))
    .values(report_count=services.c.report_count + 1, updated_at=sa.bindparam("at"))
)


def every(conn: Connection) -> Sequence[Row[Any]]:
    """All services in the order in which they were first seen."""
    return conn.execute(_ALL).all()


def alive(row: Row[Any], down_time: int, at: datetime | None = None) -> bool:
    """Whether a service has reported lately.

    :param down_time: seconds
    """
    seen = row.updated_at or row.created_at
    return bool(seen >= (at or now()) - timedelta(seconds=down_time))


def report(tx: Transaction, host: str, topic: str, binary: str, zone: str) -> None:
    """Note that a service is there; the first time it gets its row."""
    if tx.execute(_BEAT, {"on_host": host, "of_topic": topic, "at": now()}).rowcount:
        return
    tx.execute(
        sa.insert(services).values(
            host=host, topic=topic, binary=binary, availability_zone=zone, report_count=1, updated_at=now()
        )
    )


def set_disabled(tx: Transaction, host: str, topic: str, disabled: bool) -> bool:
    """Take a service out of scheduling, or back.

    :returns: whether it was there
    """
    query = sa.update(services).where(services.c.host == host, services.c.topic == topic)
    return bool(tx.execute(query.values(disabled=disabled)).rowcount)


def report_capacity(tx: Transaction, host: str, values: dict[str, Any]) -> None:
    """Note what a compute host has."""
    query = sa.update(compute_nodes).where(compute_nodes.c.host == host)
    if not tx.execute(query.values(**values, updated_at=now())).rowcount:
        tx.execute(sa.insert(compute_nodes).values(host=host, **values, updated_at=now()))


def compute_hosts(conn: Connection) -> Sequence[Row[Any]]:
    """Enabled compute services with capacity and what living instances use of it."""
    used = (
        sa.select(
            instances.c.host,
            sa.func.sum(instances.c.memory_mb).label("memory"),
            sa.func.sum(instances.c.vcpus).label("vcpus"),
            sa.func.sum(instances.c.root_gb + instances.c.ephemeral_gb).label("disk"),
        )
        .where(instances.c.deleted == 0, instances.c.host.is_not(None))
        .group_by(instances.c.host)
        .subquery()
    )
    query = (
        sa.select(
            services.c.host,
            services.c.availability_zone,
            services.c.updated_at,
            services.c.created_at,
            (compute_nodes.c.memory_mb - sa.func.coalesce(used.c.memory, 0)).label("memory_mb"),
            (compute_nodes.c.vcpus - sa.func.coalesce(used.c.vcpus, 0)).label("vcpus"),
            (compute_nodes.c.local_gb - sa.func.coalesce(used.c.disk, 0)).label("local_gb"),
        )
        .select_from(
            services.join(compute_nodes, compute_nodes.c.host == services.c.host).outerjoin(
                used, used.c.host == services.c.host
            )
        )
        .where(services.c.topic == "compute", ~services.c.disabled)
        .order_by(services.c.id)
    )
    return conn.execute(query).all()


def zones_of_hosts(conn: Connection) -> dict[str, str]:
    """The zone of every host: that of its first service."""
    found: dict[str, str] = {}
    for row in conn.execute(_ALL):
        found.setdefault(row.host, row.availability_zone)
    return found


def zone_exists(conn: Connection, zone: str) -> bool:
    """Whether an enabled service is in the zone."""
    query = sa.select(services.c.id).where(services.c.availability_zone == zone, ~services.c.disabled)
    return conn.execute(query.limit(1)).first() is not None
