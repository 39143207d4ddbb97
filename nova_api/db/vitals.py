"""Questions about the datastore itself: does it answer, what is its time, what is in use of everything."""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import Connection

from nova_api import tally
from nova_api.db.engine import Database
from nova_api.db.models import (
    access_keys,
    floating_ips,
    instances,
    key_pairs,
    now,
    outbox,
    security_groups,
    snapshots,
    volumes,
)

log = logging.getLogger(__name__)

#: How much of a slow statement is logged, characters.
STATEMENT_SHOWN = 2000

_ONE = sa.select(sa.literal(1))
_LIVE_INSTANCES = instances.c.deleted == 0
_LIVE_VOLUMES = volumes.c.deleted == 0


def _sum(column: sa.Column[int]) -> Any:
    return sa.func.coalesce(sa.func.sum(column), 0)


def _count(table: sa.Table, *where: sa.ColumnElement[bool]) -> Any:
    return sa.select(sa.func.count()).select_from(table).where(*where).scalar_subquery()


_IN_USE: sa.Select[Any] = sa.select(
    _count(instances, _LIVE_INSTANCES).label("instances"),
    sa.select(_sum(instances.c.vcpus)).where(_LIVE_INSTANCES).scalar_subquery().label("cores"),
    sa.select(_sum(instances.c.memory_mb)).where(_LIVE_INSTANCES).scalar_subquery().label("ram"),
    _count(volumes, _LIVE_VOLUMES).label("volumes"),
    sa.select(_sum(volumes.c.size)).where(_LIVE_VOLUMES).scalar_subquery().label("gigabytes"),
    _count(snapshots, snapshots.c.deleted == 0).label("snapshots"),
    _count(floating_ips, floating_ips.c.project_id.is_not(None), ~floating_ips.c.auto_assigned).label("floating_ips"),
    _count(security_groups).label("security_groups"),
    _count(key_pairs).label("key_pairs"),
)


def ping(db: Database) -> None:
    """Have the datastore answer the smallest question.

    Unlike :meth:`Database.read` it logs nothing: it is asked every second, and who asks says what came of it.

    :raises Exception: it does not
    """
    with db.engine.connect() as conn:
        conn.execute(_ONE)


def clock(db: Database) -> datetime:
    """The time by the datastore's clock.

    :raises ServiceUnavailable: it does not answer
    """
    with db.read() as conn:
        found = conn.execute(sa.text(_CLOCK[db.dialect])).scalar_one()
    return datetime.fromtimestamp(float(found), UTC)


_CLOCK = {
    "sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "SELECT extract(epoch from clock_timestamp())",
    "mysql": "SELECT UNIX_TIMESTAMP(SYSDATE(6))",
    "mariadb": "SELECT UNIX_TIMESTAMP(SYSDATE(6))",
}


def in_use(conn: Connection) -> Mapping[str, int]:
    """What all projects together use, by the name of the quota."""
    return {name: int(value) for name, value in conn.execute(_IN_USE).one()._mapping.items()}


def backlog(conn: Connection) -> tuple[int, float]:
    """How many messages wait in the outbox, and the age of the oldest in seconds."""
    found = conn.execute(sa.select(sa.func.count(outbox.c.id), sa.func.min(outbox.c.created_at))).one()
    count, oldest = int(found[0]), found[1]
    return count, 0.0 if oldest is None else max(0.0, (now() - oldest).total_seconds())


def sealed_secret(conn: Connection) -> str | None:
    """Any one secret as it stands encrypted in the datastore; None when there is none."""
    found: str | None = conn.execute(sa.select(access_keys.c.secret).limit(1)).scalar()
    return found


def watch(db: Database, seconds: float) -> None:
    """Log statements that take long, without their parameters.

    :param seconds: from how long on; 0 watches nothing
    """
    if seconds <= 0:
        return

    @event.listens_for(db.engine, "before_cursor_execute")
    def before(_conn: Any, _cursor: Any, _statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        if context is not None:
            context.nova_began = time.perf_counter()

    @event.listens_for(db.engine, "after_cursor_execute")
    def after(_conn: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _many: bool) -> None:
        if context is None:
            return
        took = time.perf_counter() - context.nova_began
        if took >= seconds:
            tally.count("slow_queries")
            text = " ".join(statement[:STATEMENT_SHOWN].split())
            log.warning("slow query, %.3f s: %s", took, text, extra={"fields": {"seconds": took, "statement": text}})
