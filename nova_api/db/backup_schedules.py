"""Queries of backup schedules. Their server is the caller's to find: a schedule has no tenancy of its own."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction
from nova_api.db.models import backup_schedules, instances

Kind = Literal["daily", "weekly"]
DISABLED = "DISABLED"


_TABLE = backup_schedules.c
#: What makes an image of a kind due in a window: the schedule wants it there, and has none of it.
_DUE: Mapping[Kind, sa.ColumnElement[bool]] = {
    "daily": sa.and_(
        _TABLE.enabled,
        _TABLE.daily == sa.bindparam("hours"),
        sa.or_(_TABLE.last_daily_at.is_(None), _TABLE.last_daily_at < sa.bindparam("start")),
    ),
    "weekly": sa.and_(
        _TABLE.enabled,
        _TABLE.daily.in_(sa.bindparam("week", expanding=True)),
        _TABLE.weekly == sa.bindparam("day"),
        sa.or_(_TABLE.last_weekly_at.is_(None), _TABLE.last_weekly_at < sa.bindparam("start")),
    ),
}
_CLAIM = {
    kind: sa.update(backup_schedules)
    .where(_TABLE.instance_id == sa.bindparam("number"), is_due)
    .values({f"last_{kind}_at": sa.bindparam("at")})
    for kind, is_due in _DUE.items()
}
_ALL_DUE = (
    sa.select(_TABLE.instance_id)
    .join_from(backup_schedules, instances, instances.c.id == _TABLE.instance_id)
    .where(
        sa.or_(*_DUE.values()),
        _TABLE.instance_id > sa.bindparam("after"),
        instances.c.deleted == 0,
        instances.c.vm_state.in_(sa.bindparam("states", expanding=True)),
        instances.c.task_state.is_(None),
        instances.c.host.is_not(None),
        ~instances.c.locked,
    )
    .order_by(_TABLE.instance_id)
    .limit(sa.bindparam("most"))
)


class Window(NamedTuple):
    """The two hours in which images are taken.

    :ivar start: its first moment, UTC
    :ivar hours: its name, ``H_0400_0600``
    :ivar day: the day that it is of, ``THURSDAY``
    :ivar first: it is the first one of its day
    """

    start: datetime
    hours: str
    day: str
    first: bool


def one(conn: Connection, instance_id: int) -> Row[Any] | None:
    """The schedule of a server."""
    return conn.execute(sa.select(backup_schedules).where(backup_schedules.c.instance_id == instance_id)).first()


def put(tx: Transaction, instance_id: int, *, enabled: bool, weekly: str, daily: str) -> None:
    """Give a server, which the transaction has locked, its schedule; what has been taken already stays noted."""
    values = {"enabled": enabled, "weekly": weekly, "daily": daily}
    mine = backup_schedules.c.instance_id == instance_id
    if one(tx.conn, instance_id) is None:
        tx.execute(sa.insert(backup_schedules).values(instance_id=instance_id, **values))
    else:
        tx.execute(sa.update(backup_schedules).where(mine).values(**values))


def delete(tx: Transaction, numbers: Iterable[int]) -> None:
    """End the schedules of servers."""
    tx.execute(sa.delete(backup_schedules).where(backup_schedules.c.instance_id.in_(list(numbers))))


def due(conn: Connection, window: Window, vm_states: Iterable[str], *, after: int = 0, limit: int) -> Sequence[int]:
    """Numbers of the servers that an image is to be taken of in a window: those that are idle and not locked, in order.

    :param vm_states: states that they may be in
    :param after: number of the last one of the page before
    :param limit: most of them
    """
    page = {"states": list(vm_states), "after": after, "most": limit}
    return conn.execute(_ALL_DUE, {**_of(window), **page}).scalars().all()


def claim(tx: Transaction, instance_id: int, kind: Kind, window: Window, at: datetime) -> bool:
    """Note that the image of a window is taken, if it still is to be taken: of any number of claimers, one does.

    :param at: the time
    """
    return bool(tx.execute(_CLAIM[kind], {**_of(window), "number": instance_id, "at": at}).rowcount)


def _of(window: Window) -> dict[str, Any]:
    # Without a daily window, the week's image is taken in the first one of its day.
    week = [window.hours, DISABLED] if window.first else [window.hours]
    return {"start": window.start, "hours": window.hours, "day": window.day, "week": week}
