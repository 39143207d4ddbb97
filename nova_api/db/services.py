"""Which services run where: heartbeats, who is alive, what hosts have to offer."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction
from nova_api.db.models import compute_nodes, instances, now, services, volumes

_BEAT = (
    sa.update(services)
    .where(services.c.host == sa.bindparam("at_host"), services.c.topic == sa.bindparam("at_topic"))
    .values(
        updated_at=sa.bindparam("seen"),
        report_count=services.c.report_count + 1,
        binary=sa.bindparam("name"),
        availability_zone=sa.bindparam("zone"),
    )
)
_GONE = (
    sa.update(services)
    .where(
        services.c.host == sa.bindparam("at_host"),
        services.c.topic.in_(sa.bindparam("topics", expanding=True)),
    )
    .values(updated_at=None)
)
_ZONES = sa.select(services.c.host, services.c.availability_zone).order_by(services.c.id)
_ALIVE = sa.select(services.c.host, services.c.availability_zone).where(
    services.c.topic == sa.bindparam("topic"),
    ~services.c.disabled,
    services.c.updated_at >= sa.bindparam("since"),
)
_CAPACITY = sa.select(
    compute_nodes.c.host, compute_nodes.c.vcpus, compute_nodes.c.memory_mb, compute_nodes.c.local_gb
).order_by(compute_nodes.c.host)
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
_VOLUME_HOST = (
    sa.select(services.c.host)
    .select_from(
        services.outerjoin(volumes, sa.and_(volumes.c.host == services.c.host, volumes.c.deleted == 0))
    )
    .where(
        services.c.topic == "volume", ~services.c.disabled, services.c.updated_at >= sa.bindparam("since")
    )
    .group_by(services.c.host, services.c.availability_zone)
    .order_by(sa.func.coalesce(sa.func.sum(volumes.c.size), 0), services.c.host)
    .limit(1)
)
_VOLUME_HOST_IN_ZONE = _VOLUME_HOST.where(services.c.availability_zone == sa.bindparam("zone"))


class FreeHost(NamedTuple):
    """A live compute host and what is left of it.

    :ivar memory_mb: MB; ``local_gb`` is GB
    """

    host: str
    zone: str
    vcpus: int
    memory_mb: int
    local_gb: int


def heartbeat(tx: Transaction, host: str, topic: str, *, binary: str, zone: str) -> None:
    """Note that a service is alive; its row is made when it reports for the first time.

    :param binary: name of the program, ``nova-compute``
    :param zone: availability zone that its host is in
    """
    seen = now()
    values = {"at_host": host, "at_topic": topic, "seen": seen, "name": binary, "zone": zone}
    if tx.execute(_BEAT, values).rowcount:
        return
    row = {"host": host, "topic": topic, "binary": binary, "availability_zone": zone, "updated_at": seen}
    tx.execute(sa.insert(services).values(report_count=1, **row))


def gone(tx: Transaction, host: str, topics: Iterable[str]) -> None:
    """Note that services have stopped in good order: they count as down at once."""
    tx.execute(_GONE, {"at_host": host, "topics": list(topics)})


def find(
    conn: Connection, *, host: str | None = None, topic: str | None = None, binary: str | None = None
) -> Sequence[Row[Any]]:
    """Rows of services, in the order in which they first reported."""
    query = sa.select(services).order_by(services.c.id)
    for column, value in ((services.c.host, host), (services.c.topic, topic), (services.c.binary, binary)):
        if value is not None:
            query = query.where(column == value)
    return conn.execute(query).all()


def is_up(row: Row[Any], down_time: float) -> bool:
    """Whether a service has reported lately.

    :param row: of :func:`find`
    :param down_time: seconds of silence that make it down
    """
    return row.updated_at is not None and row.updated_at >= now() - timedelta(seconds=down_time)


def set_disabled(tx: Transaction, host: str, topic: str, disabled: bool) -> bool:
    """Take a service out of scheduling, or put it back.

    :returns: whether there is such a service
    """
    query = (
        sa.update(services)
        .where(services.c.host == host, services.c.topic == topic)
        .values(disabled=disabled)
    )
    return bool(tx.execute(query).rowcount)


def zone_of_hosts(conn: Connection) -> dict[str, str]:
    """The availability zone of every host: that of its first service, as 2012.1 has it."""
    zones: dict[str, str] = {}
    for host, zone in conn.execute(_ZONES):
        zones.setdefault(host, zone)
    return zones


def report_capacity(
    tx: Transaction, host: str, *, vcpus: int, memory_mb: int, local_gb: int, kind: str
) -> None:
    """Note what a compute host has.

    :param memory_mb: MB; ``local_gb`` is GB
    :param kind: its hypervisor
    """
    values = {
        "vcpus": vcpus,
        "memory_mb": memory_mb,
        "local_gb": local_gb,
        "hypervisor_type": kind,
        "updated_at": now(),
    }
    query = sa.update(compute_nodes).where(compute_nodes.c.host == host).values(**values)
    if not tx.execute(query).rowcount:
        tx.execute(sa.insert(compute_nodes).values(host=host, **values))


def free_hosts(tx: Transaction, down_time: float) -> list[FreeHost]:
    """Live, enabled compute hosts with what is left of them.

    Their rows stay locked until the transaction ends, so two schedulers do not give away the same memory.

    :param down_time: seconds of silence that make a service down
    """
    capacity = tx.execute(_CAPACITY.with_for_update()).all()
    since = now() - timedelta(seconds=down_time)
    alive = {host: zone for host, zone in tx.execute(_ALIVE, {"topic": "compute", "since": since})}
    used = {row.host: row for row in tx.execute(_USED)}
    free: list[FreeHost] = []
    for row in capacity:
        if row.host not in alive:
            continue
        taken = used.get(row.host)
        vcpus, memory, disk = (taken.vcpus, taken.memory_mb, taken.local_gb) if taken else (0, 0, 0)
        # MariaDB sums integers into decimals.
        left = (row.vcpus - int(vcpus), row.memory_mb - int(memory), row.local_gb - int(disk))
        free.append(FreeHost(row.host, alive[row.host], *left))
    return free


def volume_host(conn: Connection, down_time: float, zone: str | None) -> str | None:
    """The live, enabled volume host with the fewest gigabytes, or None.

    :param down_time: seconds of silence that make a service down
    :param zone: availability zone that it has to be in; None: any
    """
    since = now() - timedelta(seconds=down_time)
    if zone is None:
        return conn.execute(_VOLUME_HOST, {"since": since}).scalar()
    return conn.execute(_VOLUME_HOST_IN_ZONE, {"since": since, "zone": zone}).scalar()
