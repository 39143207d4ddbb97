"""Queries of volume types and their extra specs."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction, new_id
from nova_api.db.models import now, volume_type_extra_specs, volume_types

_LIVING: sa.Select[Any] = sa.select(volume_types).where(volume_types.c.deleted == 0)


def every(conn: Connection) -> Sequence[Row[Any]]:
    """All types, by name."""
    return conn.execute(_LIVING.order_by(volume_types.c.name)).all()


def one(conn: Connection, number: int) -> Row[Any] | None:
    """A type."""
    return conn.execute(_LIVING.where(volume_types.c.id == number)).first()


def lock(tx: Transaction, number: int) -> None:
    """Keep a type from changing until the transaction ends."""
    tx.execute(sa.select(volume_types.c.id).where(volume_types.c.id == number).with_for_update())


def by_name(conn: Connection, name: str) -> Row[Any] | None:
    """The type of a name."""
    return conn.execute(_LIVING.where(volume_types.c.name == name)).first()


def names(conn: Connection, numbers: Iterable[int]) -> dict[int, str]:
    """Names of types, also of ended ones, by number."""
    query = sa.select(volume_types.c.id, volume_types.c.name).where(volume_types.c.id.in_(list(numbers)))
    return {row.id: row.name for row in conn.execute(query)}


def insert(tx: Transaction, name: str) -> int:
    """A new type.

    :returns: its number
    :raises sqlalchemy.exc.IntegrityError: there is one of that name
    """
    return new_id(tx.execute(sa.insert(volume_types).values(name=name)))


def end(tx: Transaction, number: int) -> bool:
    """End a type; volumes keep it.

    :returns: whether it was there
    """
    query = sa.update(volume_types).where(volume_types.c.id == number, volume_types.c.deleted == 0)
    return bool(tx.execute(query.values(deleted=number, deleted_at=now())).rowcount)


def extra_specs(conn: Connection, numbers: Iterable[int]) -> dict[int, dict[str, str]]:
    """Extra specs by type."""
    found: dict[int, dict[str, str]] = {}
    query = sa.select(volume_type_extra_specs).where(volume_type_extra_specs.c.volume_type_id.in_(list(numbers)))
    for row in conn.execute(query.order_by(volume_type_extra_specs.c.key)):
        found.setdefault(row.volume_type_id, {})[row.key] = row.value
    return found


def set_extra_specs(tx: Transaction, number: int, specs: Mapping[str, str]) -> None:
    """Add extra specs to a type, which the transaction has locked, or change them."""
    remove_extra_specs(tx, number, specs)
    rows = [{"volume_type_id": number, "key": key, "value": value} for key, value in specs.items()]
    if rows:
        tx.execute(sa.insert(volume_type_extra_specs), rows)


def remove_extra_specs(tx: Transaction, number: int, keys: Iterable[str]) -> None:
    """Drop extra specs of a type."""
    table = volume_type_extra_specs.c
    mine = sa.and_(table.volume_type_id == number, table.key.in_(list(keys)))
    tx.execute(sa.delete(volume_type_extra_specs).where(mine))
