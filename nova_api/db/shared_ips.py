"""Queries of shared IP groups, of their members and of the addresses that these share.

Tenancy is in :func:`_mine`. A share hangs on two servers and on the place of the address: whoever ends one of them ends
the share in the same transaction, and tells the hosts of the :class:`Sharer` that is left.
"""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.context import RequestContext
from nova_api.db.engine import Transaction, new_id
from nova_api.db.models import (
    fixed_ips,
    floating_ips,
    instances,
    now,
    shared_ip_group_members,
    shared_ip_groups,
    shared_ips,
)

_MEMBERS: sa.Select[Any] = (
    sa.select(shared_ip_group_members.c.group_id, shared_ip_group_members.c.instance_id)
    .where(shared_ip_group_members.c.group_id.in_(sa.bindparam("groups", expanding=True)))
    .order_by(shared_ip_group_members.c.created_at, shared_ip_group_members.c.instance_id)
)
_OWNER: sa.Select[Any] = (
    sa.select(
        floating_ips.c.id,
        floating_ips.c.project_id,
        floating_ips.c.auto_assigned,
        fixed_ips.c.instance_id,
    )
    .join_from(floating_ips, fixed_ips, fixed_ips.c.id == floating_ips.c.fixed_ip_id)
    .where(floating_ips.c.address == sa.bindparam("address"))
)
_SHARES: sa.Select[Any] = (
    sa.select(shared_ips.c.instance_id, shared_ips.c.address)
    .where(shared_ips.c.instance_id.in_(sa.bindparam("numbers", expanding=True)))
    .order_by(shared_ips.c.id)
)
_SHARERS: sa.Select[Any] = (
    sa.select(shared_ips.c.id, shared_ips.c.configured, instances.c.uuid, instances.c.host)
    .join_from(shared_ips, instances, instances.c.id == shared_ips.c.instance_id)
    .where(shared_ips.c.address.in_(sa.bindparam("addresses", expanding=True)))
    .order_by(shared_ips.c.id)
)
_LOCK: sa.Select[Any] = (
    sa.select(instances.c.id)
    .where(instances.c.id.in_(sa.bindparam("numbers", expanding=True)))
    .order_by(instances.c.id)
    .with_for_update()
)


class Sharer(NamedTuple):
    """A server that had an address set up which it may not use any more; its host is to be told.

    :ivar uuid: of the server
    :ivar host: of its node
    """

    uuid: str
    host: str


# -- groups ------------------------------------------------------------------------------------------------


def _mine(context: RequestContext) -> sa.ColumnElement[bool]:
    """The living groups of the caller's project; administrators have a project too."""
    return sa.and_(shared_ip_groups.c.project_id == context.project_id, shared_ip_groups.c.deleted == 0)


def find(conn: Connection, context: RequestContext, *, after: int = 0, limit: int | None = None) -> Sequence[Row[Any]]:
    """The groups of the caller's project, oldest first.

    :param after: how many are left out at the beginning
    :param limit: most rows
    """
    query = sa.select(shared_ip_groups).where(_mine(context)).order_by(shared_ip_groups.c.id)
    return conn.execute(query.offset(after).limit(limit)).all()


def one(conn: Connection, context: RequestContext, number: int) -> Row[Any] | None:
    """A group of the caller's project."""
    query = sa.select(shared_ip_groups).where(_mine(context), shared_ip_groups.c.id == number)
    return conn.execute(query).first()


def locked(tx: Transaction, context: RequestContext, number: int) -> Row[Any] | None:
    """:func:`one`, kept from ending and from having members added until the transaction ends."""
    query = sa.select(shared_ip_groups).where(_mine(context), shared_ip_groups.c.id == number)
    return tx.execute(query.with_for_update()).first()


def insert(tx: Transaction, context: RequestContext, name: str) -> int:
    """A new group.

    :returns: its number
    """
    values = {"user_id": context.user_id, "project_id": context.project_id, "name": name}
    return new_id(tx.execute(sa.insert(shared_ip_groups).values(**values)))


def delete(tx: Transaction, number: int) -> None:
    """End a group; its members are in none then."""
    tx.execute(sa.delete(shared_ip_group_members).where(shared_ip_group_members.c.group_id == number))
    gone = {"deleted": shared_ip_groups.c.id, "deleted_at": now()}
    tx.execute(sa.update(shared_ip_groups).where(shared_ip_groups.c.id == number).values(**gone))


# -- members -----------------------------------------------------------------------------------------------


def members(conn: Connection, groups: Iterable[int]) -> dict[int, list[int]]:
    """The numbers of the servers of groups, by group, in the order in which they joined."""
    found: dict[int, list[int]] = {}
    for row in conn.execute(_MEMBERS, {"groups": list(groups)}):
        found.setdefault(row.group_id, []).append(row.instance_id)
    return found


def group_of(conn: Connection, instance_id: int) -> int | None:
    """The number of the group that a server is in."""
    query = sa.select(shared_ip_group_members.c.group_id).where(shared_ip_group_members.c.instance_id == instance_id)
    return conn.execute(query).scalar()


def add_members(tx: Transaction, group: int, numbers: Iterable[int]) -> None:
    """Put servers that are in no group into one."""
    rows = [{"instance_id": number, "group_id": group} for number in numbers]
    if rows:
        tx.execute(sa.insert(shared_ip_group_members), rows)


# -- addresses ---------------------------------------------------------------------------------------------


def owner(conn: Connection, address: str) -> Row[Any] | None:
    """The server that a floating address hangs on, and whose the address is."""
    return conn.execute(_OWNER, {"address": address}).first()


def locked_owner(tx: Transaction, address: str) -> Row[Any] | None:
    """:func:`owner`, kept from changing until the transaction ends."""
    return tx.execute(_OWNER.with_for_update(of=floating_ips), {"address": address}).first()


def share(tx: Transaction, address: str, owner_id: int, instance_id: int, group: int, *, configured: bool) -> None:
    """Let a second server use an address.

    :param configured: its host is to set the address up
    """
    values = {"address": address, "owner_instance_id": owner_id, "instance_id": instance_id, "group_id": group}
    tx.execute(sa.insert(shared_ips).values(configured=configured, **values))


def shared(conn: Connection, instance_id: int, address: str) -> Row[Any] | None:
    """The share of an address that a server has."""
    mine = sa.and_(shared_ips.c.instance_id == instance_id, shared_ips.c.address == address)
    return conn.execute(sa.select(shared_ips).where(mine)).first()


def unshare(tx: Transaction, number: int) -> bool:
    """End a share.

    :returns: whether it was there
    """
    return bool(tx.execute(sa.delete(shared_ips).where(shared_ips.c.id == number)).rowcount)


def in_use(conn: Connection, group: int) -> bool:
    """Whether addresses are shared through a group."""
    return conn.execute(sa.select(shared_ips.c.id).where(shared_ips.c.group_id == group).limit(1)).first() is not None


def addresses(conn: Connection, numbers: Iterable[int]) -> dict[int, list[str]]:
    """Addresses that servers share with their owners, by the number of the server."""
    found: dict[int, list[str]] = {}
    for row in conn.execute(_SHARES, {"numbers": list(numbers)}):
        found.setdefault(row.instance_id, []).append(row.address)
    return found


def configured(conn: Connection, instance_id: int) -> tuple[str, ...]:
    """Those of the addresses shared with a server that its host is to set up."""
    query = _SHARES.where(shared_ips.c.configured)
    return tuple(row.address for row in conn.execute(query, {"numbers": [instance_id]}))


def configured_on(conn: Connection, host: str) -> Sequence[str]:
    """UUIDs of a host's servers that have such addresses."""
    query = (
        sa.select(instances.c.uuid)
        .where(instances.c.host == host, instances.c.deleted == 0)
        .where(sa.exists().where(shared_ips.c.instance_id == instances.c.id, shared_ips.c.configured))
    )
    return conn.execute(query.order_by(instances.c.id)).scalars().all()


# -- ends --------------------------------------------------------------------------------------------------


def end_of_addresses(tx: Transaction, ended: Iterable[str]) -> list[Sharer]:
    """End the shares of floating addresses that hang on nothing any more, or on something else."""
    rows = tx.execute(_SHARERS, {"addresses": list(ended)}).all()
    if rows:
        tx.execute(sa.delete(shared_ips).where(shared_ips.c.id.in_([row.id for row in rows])))
    return [Sharer(row.uuid, row.host) for row in rows if row.configured and row.host]


def lock_members(tx: Transaction, numbers: Iterable[int]) -> None:
    """Keep servers from joining a group, and from sharing, until the transaction ends."""
    tx.execute(_LOCK, {"numbers": list(numbers)}).all()


def end_of_members(tx: Transaction, numbers: Sequence[int]) -> None:
    """End what servers that end had shared, and their membership; their own addresses have been freed before."""
    ends = sa.or_(shared_ips.c.instance_id.in_(numbers), shared_ips.c.owner_instance_id.in_(numbers))
    tx.execute(sa.delete(shared_ips).where(ends))
    tx.execute(sa.delete(shared_ip_group_members).where(shared_ip_group_members.c.instance_id.in_(numbers)))
