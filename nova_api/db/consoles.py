"""Queries of consoles, and of the tokens that admit to one. Whose they are, their instance says."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.context import RequestContext
from nova_api.db.engine import Transaction, new_id
from nova_api.db.instances import owned
from nova_api.db.models import console_tokens, consoles, instances
from nova_api.db.server_lists import as_number

_SERVER: sa.Select[Any] = sa.select(
    instances.c.id, instances.c.uuid, instances.c.host, instances.c.project_id, instances.c.user_id
).select_from(instances)
_OF_INSTANCE: sa.Select[Any] = sa.select(consoles).where(consoles.c.instance_id == sa.bindparam("instance"))
_LISTED = _OF_INSTANCE.order_by(consoles.c.id)
_ONE = _OF_INSTANCE.where(consoles.c.id == sa.bindparam("number"))
_OF_TYPE = sa.select(consoles.c.id).where(
    consoles.c.instance_id == sa.bindparam("instance"), consoles.c.console_type == sa.bindparam("kind")
)
_LIVING = sa.select(instances.c.id).where(instances.c.id == sa.bindparam("instance"), instances.c.deleted == 0)
_ON_HOST = (
    sa.select(consoles.c.id, consoles.c.port, instances.c.deleted)
    .join_from(consoles, instances, instances.c.id == consoles.c.instance_id)
    .where(consoles.c.host == sa.bindparam("on_host"))
    .order_by(consoles.c.port)
)
_TOKEN: sa.Select[Any] = (
    sa.select(console_tokens, instances.c.uuid, instances.c.deleted)
    .join_from(console_tokens, instances, instances.c.id == console_tokens.c.instance_id)
    .where(console_tokens.c.token_hash == sa.bindparam("hash"))
)


def server(conn: Connection, context: RequestContext, text: str) -> Row[Any] | None:
    """A living instance of the caller: its numbers, its host and its owner.

    :param text: its UUID or number, as the caller wrote it
    """
    if not text.isprintable():
        return None  # not every database takes a NUL, or half of a surrogate pair, even to compare with
    number = as_number(text)
    named = instances.c.uuid == text if number is None else instances.c.id == number
    return conn.execute(_SERVER.where(owned(context), named)).first()


# -- consoles -----------------------------------------------------------------------------------------


def of_instance(conn: Connection, instance_id: int) -> Sequence[Row[Any]]:
    """The consoles of an instance, the oldest first."""
    return conn.execute(_LISTED, {"instance": instance_id}).all()


def one(conn: Connection, instance_id: int, number: int) -> Row[Any] | None:
    """A console of an instance."""
    return conn.execute(_ONE, {"instance": instance_id, "number": number}).first()


def of_type(conn: Connection, instance_id: int, console_type: str) -> int | None:
    """The number of the console of a type that an instance has."""
    found = conn.execute(_OF_TYPE, {"instance": instance_id, "kind": console_type}).scalar()
    return None if found is None else int(found)


def hold_living(tx: Transaction, instance_id: int) -> bool:
    """Keep an instance from changing until the transaction ends.

    :returns: whether it lives
    """
    return tx.execute(_LIVING.with_for_update(), {"instance": instance_id}).first() is not None


def drop_ended(tx: Transaction, host: str) -> set[int]:
    """Take the consoles of ended instances off a host.

    :returns: the ports that the others use
    """
    rows = tx.execute(_ON_HOST, {"on_host": host}).all()
    gone = [row.id for row in rows if row.deleted]
    if gone:
        tx.execute(sa.delete(consoles).where(consoles.c.id.in_(gone)))
    return {row.port for row in rows if not row.deleted}


def insert(tx: Transaction, values: dict[str, Any]) -> int:
    """A new console.

    :param values: its columns
    :returns: its number
    :raises sqlalchemy.exc.IntegrityError: another process of the same host has taken the port meanwhile
    """
    return new_id(tx.execute(sa.insert(consoles).values(**values)))


def remove(tx: Transaction, host: str, number: int) -> bool:
    """Take a console off its host.

    :returns: whether it was there
    """
    query = sa.delete(consoles).where(consoles.c.id == number, consoles.c.host == host)
    return bool(tx.execute(query).rowcount)


# -- tokens -------------------------------------------------------------------------------------------


def put_token(tx: Transaction, values: dict[str, Any], at: datetime) -> None:
    """A new token; those that have expired go.

    :param values: its columns
    :param at: the time
    """
    tx.execute(sa.delete(console_tokens).where(console_tokens.c.expires_at <= at))
    tx.execute(sa.insert(console_tokens).values(**values))


def take_token(tx: Transaction, token_hash: str, at: datetime) -> Row[Any] | None:
    """Use a token up.

    :param at: the time
    :returns: where it leads; None when it was used before, has expired, or its instance has ended
    """
    row = tx.execute(_TOKEN, {"hash": token_hash}).first()
    # Of two that come with the same token, one deletes the row.
    if (
        row is None
        or not tx.execute(sa.delete(console_tokens).where(console_tokens.c.token_hash == token_hash)).rowcount
    ):
        return None
    return row if row.expires_at > at and not row.deleted else None
