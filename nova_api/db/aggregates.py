"""Queries of host aggregates: groups of hosts with metadata of their own."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction, new_id
from nova_api.db.models import aggregate_hosts, aggregate_metadata, aggregates, now, services

_LIVING: sa.Select[Any] = sa.select(aggregates).where(aggregates.c.deleted == 0)


def every(conn: Connection) -> Sequence[Row[Any]]:
    """All aggregates, oldest first."""
    return conn.execute(_LIVING.order_by(aggregates.c.id)).all()


def one(conn: Connection, number: int) -> Row[Any] | None:
    """An aggregate."""
    return conn.execute(_LIVING.where(aggregates.c.id == number)).first()


def locked(tx: Transaction, number: int) -> Row[Any] | None:
    """:func:`one`, kept from changing until the transaction ends."""
    return tx.execute(_LIVING.where(aggregates.c.id == number).with_for_update()).first()


def locked_by_name(tx: Transaction, name: str) -> Row[Any] | None:
    """An aggregate of a name, living or not, kept from changing until the transaction ends."""
    return tx.execute(sa.select(aggregates).where(aggregates.c.name == name).with_for_update()).first()


def hosts(conn: Connection, numbers: Iterable[int]) -> dict[int, list[str]]:
    """Hosts by aggregate, in order."""
    found: dict[int, list[str]] = {}
    query = sa.select(aggregate_hosts).where(aggregate_hosts.c.aggregate_id.in_(list(numbers)))
    for row in conn.execute(query.order_by(aggregate_hosts.c.host)):
        found.setdefault(row.aggregate_id, []).append(row.host)
    return found


def metadata(conn: Connection, numbers: Iterable[int]) -> dict[int, dict[str, str]]:
    """Metadata by aggregate."""
    found: dict[int, dict[str, str]] = {}
    query = sa.select(aggregate_metadata).where(aggregate_metadata.c.aggregate_id.in_(list(numbers)))
    for row in conn.execute(query.order_by(aggregate_metadata.c.key)):
        found.setdefault(row.aggregate_id, {})[row.key] = row.value
    return found


def aggregate_of(conn: Connection, host: str) -> int | None:
    """The aggregate that a host is in."""
    return conn.execute(sa.select(aggregate_hosts.c.aggregate_id).where(aggregate_hosts.c.host == host)).scalar()


def insert(tx: Transaction, name: str, zone: str) -> int:
    """A new aggregate.

    :returns: its number
    """
    return new_id(tx.execute(sa.insert(aggregates).values(name=name, availability_zone=zone)))


def change(tx: Transaction, number: int, values: Mapping[str, Any]) -> None:
    """Change columns of an aggregate, living or not."""
    tx.execute(sa.update(aggregates).where(aggregates.c.id == number).values(**values))


def settle(tx: Transaction, number: int) -> bool:
    """Note that an aggregate whose first host was on its way has it.

    :returns: whether it was
    """
    waiting = sa.and_(aggregates.c.id == number, aggregates.c.operational_state == "changing")
    return bool(tx.execute(sa.update(aggregates).where(waiting).values(operational_state="active")).rowcount)


def end(tx: Transaction, number: int) -> None:
    """End an aggregate; its name can bring it back."""
    tx.execute(sa.delete(aggregate_metadata).where(aggregate_metadata.c.aggregate_id == number))
    change(tx, number, {"deleted": number, "deleted_at": now(), "operational_state": "dismissed"})


def add_host(tx: Transaction, number: int, host: str) -> None:
    """Put a host into an aggregate.

    :raises sqlalchemy.exc.IntegrityError: it is in one
    """
    tx.execute(sa.insert(aggregate_hosts).values(aggregate_id=number, host=host))


def remove_host(tx: Transaction, number: int, host: str) -> bool:
    """Take a host out of an aggregate.

    :returns: whether it was in it
    """
    mine = sa.and_(aggregate_hosts.c.aggregate_id == number, aggregate_hosts.c.host == host)
    return bool(tx.execute(sa.delete(aggregate_hosts).where(mine)).rowcount)


def set_metadata(tx: Transaction, number: int, items: Mapping[str, str | None]) -> None:
    """Add items, change them, or drop those that are None."""
    mine = sa.and_(aggregate_metadata.c.aggregate_id == number, aggregate_metadata.c.key.in_(list(items)))
    tx.execute(sa.delete(aggregate_metadata).where(mine))
    rows = [{"aggregate_id": number, "key": key, "value": value} for key, value in items.items() if value is not None]
    if rows:
        tx.execute(sa.insert(aggregate_metadata), rows)


def compute_zone(conn: Connection, host: str) -> str | None:
    """The zone of a host's compute service; None when it has none."""
    query = sa.select(services.c.availability_zone).where(services.c.host == host, services.c.topic == "compute")
    return conn.execute(query).scalar()


def compute_zone_exists(conn: Connection, zone: str) -> bool:
    """Whether a compute service is in a zone."""
    query = sa.select(services.c.id).where(services.c.availability_zone == zone, services.c.topic == "compute")
    return conn.execute(query.limit(1)).first() is not None


def metadata_by_host(conn: Connection) -> dict[str, dict[str, str]]:
    """What the aggregate of each host says; a host without any is missing."""
    found: dict[str, dict[str, str]] = {}
    query = sa.select(aggregate_hosts.c.host, aggregate_metadata.c.key, aggregate_metadata.c.value).join_from(
        aggregate_hosts, aggregate_metadata, aggregate_metadata.c.aggregate_id == aggregate_hosts.c.aggregate_id
    )
    for host, key, value in conn.execute(query):
        found.setdefault(host, {})[key] = value
    return found
