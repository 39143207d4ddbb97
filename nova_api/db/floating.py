"""Queries of floating addresses. Tenancy: a project sees and changes the addresses that it has allocated."""

import ipaddress
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api import errors
from nova_api.db import filters, shared_ips
from nova_api.db.engine import Transaction
from nova_api.db.models import fixed_ips, floating_ips, instances, now

_SELECT: sa.Select[Any] = sa.select(
    *floating_ips.c,
    fixed_ips.c.address.label("fixed_address"),
    instances.c.id.label("instance_id"),
    instances.c.uuid.label("instance_uuid"),
    instances.c.locked.label("instance_locked"),
).select_from(
    floating_ips.outerjoin(fixed_ips, fixed_ips.c.id == floating_ips.c.fixed_ip_id).outerjoin(
        instances, instances.c.id == fixed_ips.c.instance_id
    )
)
_BY_ADDRESS = _SELECT.where(floating_ips.c.address == sa.bindparam("address"))
_FREE = (
    sa.select(floating_ips.c.id, floating_ips.c.address)
    .where(
        floating_ips.c.pool == sa.bindparam("pool"),
        floating_ips.c.project_id.is_(None),
        floating_ips.c.fixed_ip_id.is_(None),
    )
    .order_by(floating_ips.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_FIRST_FIXED: sa.Select[Any] = (
    sa.select(fixed_ips.c.id, fixed_ips.c.address)
    .where(fixed_ips.c.instance_id == sa.bindparam("instance"))
    .order_by(fixed_ips.c.virtual_interface_id, fixed_ips.c.id)
    .limit(1)
)

#: How many rows one statement names: databases take only so many parameters.
_AT_ONCE = 1000
#: What lists of addresses can be narrowed by, under EC2's names.
FILTERS: Mapping[str, filters.Condition] = {
    "public-ip": filters.text(floating_ips.c.address),
    "instance-id": filters.number(instances.c.id, "i"),
    "private-ip-address": filters.text(fixed_ips.c.address),
    "domain": filters.constant("standard"),
}


def of_project(conn: Connection, project: str | None, *where: sa.ColumnElement[bool]) -> Sequence[Row[Any]]:
    """The addresses a project has allocated, in the order of the pool, with what they hang on."""
    mine = (floating_ips.c.project_id == project, ~floating_ips.c.auto_assigned)
    return conn.execute(_SELECT.where(*mine, *where).order_by(floating_ips.c.id)).all()


def by_address(conn: Connection, address: str) -> Row[Any] | None:
    """One address with what it hangs on."""
    return conn.execute(_BY_ADDRESS, {"address": address}).first()


def by_number(conn: Connection, number: int) -> Row[Any] | None:
    """:func:`by_address`, by the number of its row."""
    return conn.execute(_SELECT.where(floating_ips.c.id == number)).first()


def pools(conn: Connection) -> Sequence[str]:
    """The names of the pools, in order."""
    return conn.execute(sa.select(floating_ips.c.pool).distinct().order_by(floating_ips.c.pool)).scalars().all()


def claim(tx: Transaction, pool: str, project: str) -> str | None:
    """Take the first free address of a pool for a project.

    :returns: None when there is none
    """
    for _ in range(100):
        row = tx.execute(_FREE, {"pool": pool}).first()
        if row is None:
            return None
        query = sa.update(floating_ips).where(floating_ips.c.id == row.id, floating_ips.c.project_id.is_(None))
        if tx.execute(query.values(project_id=project, updated_at=now())).rowcount:
            return str(row.address)
    return None


def release(tx: Transaction, number: int, project: str | None) -> bool:
    """Return an address to its pool, if it hangs on nothing.

    :returns: whether it was the project's and hung on nothing
    """
    query = sa.update(floating_ips).where(
        floating_ips.c.id == number,
        floating_ips.c.project_id == project,
        floating_ips.c.fixed_ip_id.is_(None),
    )
    return bool(tx.execute(query.values(project_id=None, updated_at=now())).rowcount)


def associate(tx: Transaction, number: int, fixed_ip: int) -> bool:
    """Hang an address on a fixed one.

    :returns: whether it hung on nothing
    """
    query = sa.update(floating_ips).where(floating_ips.c.id == number, floating_ips.c.fixed_ip_id.is_(None))
    return bool(tx.execute(query.values(fixed_ip_id=fixed_ip, updated_at=now())).rowcount)


def disassociate(tx: Transaction, number: int, address: str) -> list[shared_ips.Sharer] | None:
    """Take an address off its fixed one; nobody shares it any more.

    :param number: of its row
    :returns: who shared it, whose hosts whoever calls tells; None when it hung on nothing
    """
    query = sa.update(floating_ips).where(floating_ips.c.id == number, floating_ips.c.fixed_ip_id.is_not(None))
    if not tx.execute(query.values(fixed_ip_id=None, updated_at=now())).rowcount:
        return None
    return shared_ips.end_of_addresses(tx, [address])


def first_fixed(conn: Connection, instance_id: int, address: str | None = None) -> Row[Any] | None:
    """The first fixed address of the first network card of an instance.

    :param address: the only one that will do
    """
    query = _FIRST_FIXED if address is None else _FIRST_FIXED.where(fixed_ips.c.address == address)
    return conn.execute(query, {"instance": instance_id}).first()


def every(conn: Connection) -> Sequence[Row[Any]]:
    """All addresses of all pools."""
    return conn.execute(_SELECT.order_by(floating_ips.c.id)).all()


def create(tx: Transaction, cidr: str, pool: str, *, limit: int = 65536) -> int:
    """Add the addresses of a range to a pool; those that exist stay as they are.

    :param cidr: IPv4 range; network and broadcast address are left out when it has more than two
    :returns: how many were added
    :raises InvalidParameterValue: no IPv4 range, or a larger one
    """
    try:
        block = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise errors.InvalidParameterValue(f"{cidr} is no IPv4 range: {error}") from error
    if block.num_addresses > limit:
        raise errors.InvalidParameterValue(f"A range has at most {limit} addresses.")
    known = set(tx.execute(sa.select(floating_ips.c.address)).scalars())
    wanted = [str(address) for address in block.hosts() if str(address) not in known]
    if wanted:
        tx.execute(sa.insert(floating_ips), [{"address": address, "pool": pool} for address in wanted])
    return len(wanted)


def delete(tx: Transaction, cidr: str) -> int:
    """Take the free addresses of a range out of their pools.

    :returns: how many were taken out
    :raises InvalidParameterValue: no IPv4 range
    """
    try:
        block = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise errors.InvalidParameterValue(f"{cidr} is no IPv4 range: {error}") from error
    free = sa.select(floating_ips.c.id, floating_ips.c.address).where(floating_ips.c.project_id.is_(None))
    wanted = [row.id for row in tx.execute(free) if ipaddress.ip_address(row.address) in block]
    gone = 0
    for at in range(0, len(wanted), _AT_ONCE):
        chosen = floating_ips.c.id.in_(wanted[at : at + _AT_ONCE])
        gone += tx.execute(sa.delete(floating_ips).where(chosen, floating_ips.c.project_id.is_(None))).rowcount
    return gone


def of_fixed_address(conn: Connection, address: str) -> str | None:
    """The first floating address that hangs on a fixed one."""
    query = sa.select(floating_ips.c.address).join_from(
        floating_ips, fixed_ips, fixed_ips.c.id == floating_ips.c.fixed_ip_id
    )
    return conn.execute(query.where(fixed_ips.c.address == address).order_by(floating_ips.c.id).limit(1)).scalar()
