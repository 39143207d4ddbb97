"""Queries of the quotas: limits per project, the lock, and what live rows use."""

from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nova_api.db.engine import Transaction
from nova_api.db.models import (
    floating_ips,
    instances,
    key_pairs,
    project_locks,
    quotas,
    security_group_rules,
    security_groups,
    shared_ip_group_members,
    shared_ip_groups,
    snapshots,
    volumes,
)

_PROJECT: sa.BindParameter[Any] = sa.bindparam("project")
_LIMITS = sa.select(quotas.c.resource, quotas.c.hard_limit).where(quotas.c.project_id == _PROJECT)
_LOCK = sa.select(project_locks.c.project_id).where(project_locks.c.project_id == _PROJECT).with_for_update()


def _count(table: sa.Table, *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(sa.func.count()).select_from(table).where(*where)


def _sum(column: sa.Column[int], *where: sa.ColumnElement[bool]) -> sa.Select[Any]:
    return sa.select(sa.func.coalesce(sa.func.sum(column), 0)).where(*where)


_LIVE_INSTANCES = (instances.c.project_id == _PROJECT, instances.c.deleted == 0)
_LIVE_VOLUMES = (volumes.c.project_id == _PROJECT, volumes.c.deleted == 0)
_USAGE: Mapping[str, sa.Select[Any]] = {
    "instances": _count(instances, *_LIVE_INSTANCES),
    "cores": _sum(instances.c.vcpus, *_LIVE_INSTANCES),
    "ram": _sum(instances.c.memory_mb, *_LIVE_INSTANCES),
    "volumes": _count(volumes, *_LIVE_VOLUMES),
    "gigabytes": _sum(volumes.c.size, *_LIVE_VOLUMES),
    "snapshots": _count(snapshots, snapshots.c.project_id == _PROJECT, snapshots.c.deleted == 0),
    "floating_ips": _count(floating_ips, floating_ips.c.project_id == _PROJECT, ~floating_ips.c.auto_assigned),
    "security_groups": _count(security_groups, security_groups.c.project_id == _PROJECT),
    "shared_ip_groups": _count(
        shared_ip_groups, shared_ip_groups.c.project_id == _PROJECT, shared_ip_groups.c.deleted == 0
    ),
}
_KEY_PAIRS = _count(key_pairs, key_pairs.c.user_id == sa.bindparam("user"))
_RULES: sa.Select[Any] = _count(security_group_rules, security_group_rules.c.parent_group_id == sa.bindparam("group"))
_MEMBERS: sa.Select[Any] = _count(shared_ip_group_members, shared_ip_group_members.c.group_id == sa.bindparam("group"))

#: Resources counted per project.
PROJECT_RESOURCES = frozenset(_USAGE)


def limits(conn: Connection, project_id: str) -> dict[str, int | None]:
    """The project's own limits; None means unlimited, a resource that is absent has the configured default."""
    return {row.resource: row.hard_limit for row in conn.execute(_LIMITS, {"project": project_id})}


def set_limit(tx: Transaction, project_id: str, resource: str, limit: int | None) -> None:
    """Give the project a limit of its own.

    :param limit: None for unlimited
    """
    key = (quotas.c.project_id == project_id) & (quotas.c.resource == resource)
    if not tx.execute(sa.update(quotas).where(key).values(hard_limit=limit)).rowcount:
        found = tx.execute(sa.select(quotas.c.resource).where(key)).first()
        if found is None:
            tx.execute(sa.insert(quotas).values(project_id=project_id, resource=resource, hard_limit=limit))


def lock(tx: Transaction, name: str) -> None:
    """Make every other transaction that spends quota of ``name`` wait until this one ends.

    SQLite needs no row for it: its writers run one at a time.
    """
    if tx.conn.dialect.name == "sqlite":
        return
    if tx.execute(_LOCK, {"project": name}).first() is None:
        _make_lock_row(tx, name)
        tx.execute(_LOCK, {"project": name}).one()


def _make_lock_row(tx: Transaction, name: str) -> None:
    if tx.conn.dialect.name == "postgresql":
        from sqlalchemy.dialects.postgresql import insert

        tx.execute(insert(project_locks).values(project_id=name).on_conflict_do_nothing())
    else:
        tx.execute(sa.insert(project_locks).prefix_with("IGNORE").values(project_id=name))


def used(conn: Connection, project_id: str, resource: str) -> int:
    """What live rows of the project use of a resource."""
    return int(conn.execute(_USAGE[resource], {"project": project_id}).scalar_one())


def key_pairs_of(conn: Connection, user_id: str) -> int:
    """How many key pairs a user has."""
    return int(conn.execute(_KEY_PAIRS, {"user": user_id}).scalar_one())


def rules_of(conn: Connection, group_id: int) -> int:
    """How many rules a security group has."""
    return int(conn.execute(_RULES, {"group": group_id}).scalar_one())


def members_of(conn: Connection, group_id: int) -> int:
    """How many servers a shared IP group has."""
    return int(conn.execute(_MEMBERS, {"group": group_id}).scalar_one())
