"""Queries of hosts: what they have, what is used of it, and by whom."""

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction
from nova_api.db.models import compute_nodes, instances, services


def capacity(conn: Connection, host: str) -> Row[Any] | None:
    """What a compute host has."""
    return conn.execute(sa.select(compute_nodes).where(compute_nodes.c.host == host)).first()


def used(conn: Connection, host: str) -> Sequence[Row[Any]]:
    """What the instances of each project take of a host: ``vcpus``, ``memory_mb``, ``local_gb``, by project."""
    query: sa.Select[Any] = sa.select(
        instances.c.project_id,
        sa.func.sum(instances.c.vcpus).label("vcpus"),
        sa.func.sum(instances.c.memory_mb).label("memory_mb"),
        sa.func.sum(instances.c.root_gb + instances.c.ephemeral_gb).label("local_gb"),
    ).where(instances.c.host == host, instances.c.deleted == 0)
    return conn.execute(query.group_by(instances.c.project_id).order_by(instances.c.project_id)).all()


def nodes(conn: Connection) -> Sequence[Row[Any]]:
    """Every compute node with its ``service_id``, what is used of it and how many instances it has, oldest first."""
    mine = (instances.c.host == compute_nodes.c.host, instances.c.deleted == 0)

    def total(value: Any) -> Any:
        return sa.select(sa.func.coalesce(sa.func.sum(value), 0)).where(*mine).scalar_subquery()

    service = sa.select(services.c.id).where(services.c.host == compute_nodes.c.host, services.c.topic == "compute")
    query: sa.Select[Any] = sa.select(
        *compute_nodes.c,
        service.scalar_subquery().label("service_id"),
        total(instances.c.vcpus).label("vcpus_used"),
        total(instances.c.memory_mb).label("memory_mb_used"),
        total(instances.c.root_gb + instances.c.ephemeral_gb).label("local_gb_used"),
        total(sa.literal(1)).label("running_vms"),
        total(sa.case((instances.c.task_state.is_not(None), 1), else_=0)).label("current_workload"),
    )
    return conn.execute(query.order_by(compute_nodes.c.id)).all()


def servers(conn: Connection, hosts: Sequence[str]) -> Sequence[Row[Any]]:
    """``id``, ``uuid`` and ``host`` of the instances on hosts, oldest first."""
    query: sa.Select[Any] = sa.select(instances.c.id, instances.c.uuid, instances.c.host)
    mine = query.where(instances.c.host.in_(list(hosts)), instances.c.deleted == 0)
    return conn.execute(mine.order_by(instances.c.id)).all()


def runs_compute(conn: Connection, host: str) -> bool:
    """Whether a host has a compute service, alive or not."""
    query = sa.select(services.c.id).where(services.c.host == host, services.c.topic == "compute")
    return conn.execute(query).first() is not None


def set_maintenance(tx: Transaction, host: str, on: bool) -> None:
    """Take a compute host out of scheduling for maintenance, or back."""
    tx.execute(sa.update(compute_nodes).where(compute_nodes.c.host == host).values(maintenance=on))
