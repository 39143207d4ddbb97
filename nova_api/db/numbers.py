"""Integer ids of things that have an id of another form: a row per thing, in a table per kind."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nova_api.context import RequestContext
from nova_api.db.engine import Transaction
from nova_api.db.models import flavor_numbers, image_numbers, instances

#: A table and the column that the id of the other form stands in.
Kind = tuple[sa.Table, sa.Column[str]]
IMAGES: Kind = (image_numbers, image_numbers.c.uuid)
FLAVORS: Kind = (flavor_numbers, flavor_numbers.c.flavorid)


def known(conn: Connection, kind: Kind, ids: Iterable[str]) -> dict[str, int]:
    """The numbers that things of a kind have already."""
    table, column = kind
    query = sa.select(column, table.c.id).where(column.in_(list(ids)))
    return {row[0]: int(row[1]) for row in conn.execute(query)}


def add(tx: Transaction, kind: Kind, ids: Iterable[str]) -> None:
    """Number things that have no number; in one order everywhere, so that two that do so do not wait for each other.

    :raises IntegrityError: another transaction has numbered one of them meanwhile
    """
    table, column = kind
    wanted = sorted(ids)
    have = known(tx.conn, kind, wanted)
    rows = [{column.name: one} for one in wanted if one not in have]
    if rows:
        tx.execute(sa.insert(table), rows)


def named(conn: Connection, kind: Kind, number: int) -> str | None:
    """The thing that has a number."""
    table, column = kind
    return conn.execute(sa.select(column).where(table.c.id == number)).scalar()


def servers(conn: Connection, context: RequestContext, uuids: Sequence[str]) -> dict[str, int]:
    """The numbers of the caller's servers, living or not, by UUID."""
    query: sa.Select[Any] = sa.select(instances.c.uuid, instances.c.id).where(instances.c.uuid.in_(uuids))
    if not context.is_admin:
        query = query.where(instances.c.project_id == context.project_id)
    return {row.uuid: int(row.id) for row in conn.execute(query)}
