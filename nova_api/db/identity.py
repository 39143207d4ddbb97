"""Queries of users, projects, roles and access keys."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction
from nova_api.db.models import access_keys, auth_tokens, global_roles, memberships, project_roles, projects, users

_KEY: sa.Select[Any] = (
    sa.select(access_keys.c.access_key, access_keys.c.secret, users.c.id, users.c.is_admin)
    .join_from(access_keys, users)
    .where(access_keys.c.access_key == sa.bindparam("access"))
)
#: Everything that decides what a user may do in a project, as (kind, value) rows.
_RIGHTS = sa.union_all(
    sa.select(
        sa.literal("project").label("kind"), sa.func.coalesce(projects.c.project_manager, "").label("value")
    ).where(projects.c.id == sa.bindparam("project")),
    sa.select(sa.literal("member"), memberships.c.project_id).where(
        memberships.c.user_id == sa.bindparam("user"), memberships.c.project_id == sa.bindparam("project")
    ),
    sa.select(sa.literal("global"), global_roles.c.role).where(global_roles.c.user_id == sa.bindparam("user")),
    sa.select(sa.literal("local"), project_roles.c.role).where(
        project_roles.c.user_id == sa.bindparam("user"), project_roles.c.project_id == sa.bindparam("project")
    ),
)
_PROJECTS_OF = (
    sa.select(memberships.c.project_id)
    .where(memberships.c.user_id == sa.bindparam("user"))
    .order_by(memberships.c.project_id)
)
_TOKEN: sa.Select[Any] = (
    sa.select(auth_tokens, users.c.is_admin)
    .join_from(auth_tokens, users)
    .where(auth_tokens.c.token_hash == sa.bindparam("hash"))
)


def key(conn: Connection, access: str) -> Row[Any] | None:
    """Secret (encrypted), user id and administrator flag behind an access key."""
    row = conn.execute(_KEY, {"access": access}).first()
    # To MariaDB the key and one with blanks behind it are the same; Lockout would count them apart.
    return row if row is not None and row.access_key == access else None


def rights(conn: Connection, user: str, project: str) -> Sequence[Row[Any]]:
    """Rows (kind, value): ``project`` with its manager, ``member``, ``global`` and ``local`` roles."""
    return conn.execute(_RIGHTS, {"user": user, "project": project}).all()


def projects_of(conn: Connection, user: str) -> Sequence[str]:
    """The projects that a user is a member of, by name."""
    return conn.execute(_PROJECTS_OF, {"user": user}).scalars().all()


def token(conn: Connection, digest: str) -> Row[Any] | None:
    """A token with ``is_admin`` of its user."""
    return conn.execute(_TOKEN, {"hash": digest}).first()


def drop_tokens_before(tx: Transaction, moment: datetime) -> None:
    """Forget tokens that were issued before a moment."""
    tx.execute(sa.delete(auth_tokens).where(auth_tokens.c.created_at < moment))


def user(conn: Connection, name: str) -> Row[Any] | None:
    """A user."""
    return conn.execute(sa.select(users).where(users.c.id == name)).first()


def project(conn: Connection, name: str) -> Row[Any] | None:
    """A project."""
    return conn.execute(sa.select(projects).where(projects.c.id == name)).first()


def all_rows(conn: Connection, table: sa.Table) -> Sequence[Row[Any]]:
    """Every row of one of the identity tables, in the order of its key."""
    return conn.execute(sa.select(table).order_by(*table.primary_key.columns)).all()


def keys_of(conn: Connection, user: str) -> Sequence[Row[Any]]:
    """Access keys of a user, oldest first."""
    query = sa.select(access_keys).where(access_keys.c.user_id == user)
    return conn.execute(query.order_by(access_keys.c.created_at, access_keys.c.access_key)).all()


def insert(tx: Transaction, table: sa.Table, values: dict[str, Any]) -> None:
    """Insert a row.

    :raises sqlalchemy.exc.IntegrityError: there is one with the same key
    """
    tx.execute(sa.insert(table).values(**values))


def put(tx: Transaction, table: sa.Table, values: dict[str, Any]) -> None:
    """Insert a row, or change the one with the same key."""
    names = [column.name for column in table.primary_key.columns]
    where = sa.and_(*(table.c[name] == values[name] for name in names))
    rest = {name: value for name, value in values.items() if name not in names}
    if tx.execute(sa.select(sa.literal(1)).select_from(table).where(where)).first() is None:
        insert(tx, table, values)
    elif rest:
        tx.execute(sa.update(table).where(where).values(**rest))


def remove(tx: Transaction, table: sa.Table, **values: Any) -> bool:
    """Delete the rows with these values.

    :returns: whether there were any
    """
    where = sa.and_(*(table.c[name] == value for name, value in values.items()))
    return bool(tx.execute(sa.delete(table).where(where)).rowcount)
