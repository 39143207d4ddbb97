"""Queries of what projects have used in a window of time: instances by their lifetimes, ended ones among them."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import ColumnElement, FunctionElement

from nova_api.db.models import flavors, instances


class _Seconds(FunctionElement[float]):
    """Seconds from one time to another."""

    type = sa.Float()
    inherit_cache = True
    name = "seconds"


@compiles(_Seconds, "sqlite")
def _in_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    start, end = (compiler.process(one, **options) for one in element.clauses)
    return f"((julianday({end}) - julianday({start})) * 86400.0)"


@compiles(_Seconds, "postgresql")
def _in_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    start, end = (compiler.process(one, **options) for one in element.clauses)
    return f"CAST(EXTRACT(EPOCH FROM ({end} - {start})) AS DOUBLE PRECISION)"


@compiles(_Seconds, "mysql", "mariadb")
def _in_mysql(element: Any, compiler: Any, **options: Any) -> str:
    start, end = (compiler.process(one, **options) for one in element.clauses)
    return f"(TIMESTAMPDIFF(MICROSECOND, {start}, {end}) / 1000000.0E0)"


def _within(start: datetime, end: datetime) -> ColumnElement[bool]:
    """Instances that have lived in the window."""
    return sa.and_(
        instances.c.launched_at < end,
        sa.or_(instances.c.terminated_at.is_(None), instances.c.terminated_at > start),
        instances.c.project_id.is_not(None),
    )


def _seconds(start: datetime, end: datetime) -> ColumnElement[float]:
    """Seconds that an instance has lived in the window, which may end in the future."""
    kind = instances.c.launched_at.type
    first, last = sa.literal(start, kind), sa.literal(end, kind)
    launched, terminated = instances.c.launched_at, instances.c.terminated_at
    begun = sa.case((launched > first, launched), else_=first)
    ended = sa.case((sa.and_(terminated.is_not(None), terminated < last), terminated), else_=last)
    return _Seconds(begun, ended)


def totals(conn: Connection, start: datetime, end: datetime) -> Sequence[Row[Any]]:
    """Seconds of life of each project's instances, alone and times vcpus, memory_mb and local_gb, by project."""
    seconds = _seconds(start, end)
    local_gb = instances.c.root_gb + instances.c.ephemeral_gb
    query = sa.select(
        instances.c.project_id,
        sa.func.sum(seconds).label("seconds"),
        sa.func.sum(seconds * instances.c.vcpus).label("vcpus"),
        sa.func.sum(seconds * instances.c.memory_mb).label("memory_mb"),
        sa.func.sum(seconds * local_gb).label("local_gb"),
    )
    return conn.execute(
        query.where(_within(start, end)).group_by(instances.c.project_id).order_by(instances.c.project_id)
    ).all()


def servers(conn: Connection, start: datetime, end: datetime, project: str | None = None) -> Sequence[Row[Any]]:
    """Instances that have lived in the window, with ``seconds`` and the name of their flavor, by project and number.

    :param project: only its own
    """
    query: sa.Select[Any] = sa.select(
        instances.c.project_id,
        instances.c.display_name,
        instances.c.vm_state,
        instances.c.launched_at,
        instances.c.terminated_at,
        instances.c.vcpus,
        instances.c.memory_mb,
        (instances.c.root_gb + instances.c.ephemeral_gb).label("local_gb"),
        flavors.c.name.label("flavor"),
        _seconds(start, end).label("seconds"),
    ).join_from(instances, flavors, flavors.c.id == instances.c.instance_type_id)
    query = query.where(_within(start, end))
    if project is not None:
        query = query.where(instances.c.project_id == project)
    return conn.execute(query.order_by(instances.c.project_id, instances.c.id)).all()
