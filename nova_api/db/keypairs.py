"""Queries of key pairs; they belong to users, not to projects."""

from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db import filters
from nova_api.db.engine import Transaction, new_id
from nova_api.db.models import key_pairs

_LIST: sa.Select[Any] = (
    sa.select(key_pairs).where(key_pairs.c.user_id == sa.bindparam("user")).order_by(key_pairs.c.name)
)
_ONE: sa.Select[Any] = sa.select(key_pairs).where(
    key_pairs.c.user_id == sa.bindparam("user"), key_pairs.c.name == sa.bindparam("name")
)

#: What lists of key pairs can be narrowed by, under EC2's names.
FILTERS: Mapping[str, filters.Condition] = {
    "key-name": filters.text(key_pairs.c.name),
    "fingerprint": filters.text(key_pairs.c.fingerprint),
}


def of_user(conn: Connection, user: str | None, *where: sa.ColumnElement[bool]) -> Sequence[Row[Any]]:
    """Key pairs of a user by name."""
    return conn.execute(_LIST.where(*where) if where else _LIST, {"user": user}).all()


def one(conn: Connection, user: str | None, name: str) -> Row[Any] | None:
    """A key pair."""
    return conn.execute(_ONE, {"user": user, "name": name}).first()


def insert(tx: Transaction, values: dict[str, Any]) -> int:
    """A new key pair.

    :returns: its row number
    """
    return new_id(tx.execute(sa.insert(key_pairs).values(**values)))


def delete(tx: Transaction, user: str | None, name: str) -> bool:
    """End a key pair.

    :returns: whether it was there
    """
    query = sa.delete(key_pairs).where(key_pairs.c.user_id == user, key_pairs.c.name == name)
    return bool(tx.execute(query).rowcount)
