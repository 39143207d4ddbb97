"""Queries of services: who is there, since when, and in which zone."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db import aggregates
from nova_api.db.engine import Transaction
from nova_api.db.models import compute_nodes, instances, now, services, volumes

_ALL: sa.Select[Any] = sa.select(services).order_by(services.c.id)
_BEAT = (
    sa.update(services)
    .where(services.c.host == sa.bindparam("on_host"), services.c.topic == sa.bindparam("of_topic"))
    .values(
        report_count=services.c.report_count + 1,
        updated_at=sa.bindparam("at"),
        binary=sa.bindparam("name"),
        availability_zone=sa.bindparam("zone"),
    )
)
_GONE = (
    sa.update(services)
    .where(
        services.c.host == sa.bindparam("on_host"),
        services.c.topic.in_(sa.bindparam("topics", expanding=True)),
    )
    .values(updated_at=None)
)
_ALIVE = sa.select(services.c.host, services.c.availability_zone).where(
    services.c.topic == sa.bindparam("topic"),
    ~services.c.disabled,
    services.c.updated_at >= sa.bindparam("since"),
)
_CAPACITY = (
    sa.select(compute_nodes.c.host, compute_nodes.c.vcpus, compute_nodes.c.memory_mb, compute_nodes.c.local_gb)
    .where(~compute_nodes.c.maintenance)
    .order_by(compute_nodes.c.host)
    .with_for_update()
)
_USED = (
    sa.select(
        instances.c.host,
        sa.func.sum(instances.c.vcpus).label("vcpus"),
        sa.func.sum(instances.c.memory_mb).label("memory_mb"),
        sa.func.sum(instances.c.root_gb + instances.c.ephemeral_gb).label("local_gb"),
    )
    .where(instances.c.host.is_not(None), instances.c.deleted == 0)
    .group_by(instances.c.host)
)
_VOLUME_HOST: sa.Select[Any] = (
    sa.select(services.c.host, services.c.availability_zone)
    .select_from(services.outerjoin(volumes, sa.and_(volumes.c.host == services.c.host, volumes.c.deleted == 0)))
    .where(services.c.topic == "volume", ~services.c.disabled, services.c.updated_at >= sa.bindparam("since"))
    .group_by(services.c.host, services.c.availability_zone)
    .order_by(sa.func.coalesce(sa.func.sum(volumes.c.size), 0), services.c.host)
    .limit(1)
)
_VOLUME_HOST_IN_ZONE: sa.Select[Any] = _VOLUME_HOST.where(services.c.availability_zone == sa.bindparam("zone"))


class FreeHost(NamedTuple):
    """A live compute host and what is left of it.

    :ivar memory_mb: MB; ``local_gb`` is GB
    :ivar metadata: of its aggregate
    """

    host: str
    zone: str
    vcpus: int
    memory_mb: int
    local_gb: int
    metadata: Mapping[str, str] = MappingProxyType({})


def every(conn: Connection) -> Sequence[Row[Any]]:
    """All services in the order in which they were first seen."""
    return conn.execute(_ALL).all()


def alive(row: Row[Any], down_time: float, at: datetime | None = None) -> bool:
    """Whether a service has reported lately; one that has said goodbye has not.

    :param down_time: seconds
    """
    seen = row.updated_at
    return seen is not None and bool(seen >= (at or now()) - timedelta(seconds=down_time))


def all_down(conn: Connection, topic: str, down_time: float) -> bool:
    """Whether all that take messages for a topic are down; one that was never seen may be about to come.

    :param topic: ``topic``, or ``topic.host``
    :param down_time: seconds of silence that make a service down
    """
    name, _, host = topic.partition(".")
    query = sa.select(services.c.updated_at).where(services.c.topic == name)
    if host:
        query = query.where(services.c.host == host)
    rows = conn.execute(query).all()
    return bool(rows) and not any(alive(row, down_time) for row in rows)


def report(tx: Transaction, host: str, topic: str, binary: str, zone: str) -> None:
    """Note that a service is alive; the first time it gets its row.

    :param binary: name of the program, ``nova-compute``
    :param zone: availability zone that its host is in
    """
    at = now()
    values = {"on_host": host, "of_topic": topic, "at": at, "name": binary, "zone": zone}
    if tx.execute(_BEAT, values).rowcount:
        return
    tx.execute(
        sa.insert(services).values(
            host=host, topic=topic, binary=binary, availability_zone=zone, report_count=1, updated_at=at
        )
    )


def gone(tx: Transaction, host: str, topics: Iterable[str]) -> None:
    """Note that services have stopped in good order: they count as down at once."""
    tx.execute(_GONE, {"on_host": host, "topics": list(topics)})


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


def free_hosts(tx: Transaction, down_time: float) -> list[FreeHost]:
    """Live, enabled compute hosts that are not in maintenance, with what is left of them.

    Their rows stay locked until the transaction ends, so two schedulers do not give away the same memory.

    :param down_time: seconds of silence that make a service down
    """
    capacity = tx.execute(_CAPACITY).all()
    since = now() - timedelta(seconds=down_time)
    live = {row.host: row.availability_zone for row in tx.execute(_ALIVE, {"topic": "compute", "since": since})}
    used = {row.host: row for row in tx.execute(_USED)}
    metadata = aggregates.metadata_by_host(tx.conn)
    free: list[FreeHost] = []
    for row in capacity:
        if row.host not in live:
            continue
        taken = used.get(row.host)
        vcpus, memory, disk = (taken.vcpus, taken.memory_mb, taken.local_gb) if taken else (0, 0, 0)
        # MariaDB sums integers into decimals.
        left = (row.vcpus - int(vcpus), row.memory_mb - int(memory), row.local_gb - int(disk))
        free.append(FreeHost(row.host, live[row.host], *left, metadata.get(row.host, {})))
    return free


def volume_host(conn: Connection, down_time: float, zone: str | None = None) -> Row[Any] | None:
    """Host and zone of the live, enabled volume service with the fewest gigabytes, or None.

    :param down_time: seconds of silence that make a service down
    :param zone: availability zone that it has to be in; None: any
    """
    since = now() - timedelta(seconds=down_time)
    if zone is None:
        return conn.execute(_VOLUME_HOST, {"since": since}).first()
    return conn.execute(_VOLUME_HOST_IN_ZONE, {"since": since, "zone": zone}).first()


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
