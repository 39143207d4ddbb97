"""Queries of security groups and their rules. Tenancy is in :func:`owned`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.context import RequestContext
from nova_api.db import filters
from nova_api.db.engine import Transaction, new_id
from nova_api.db.models import instance_groups, instances, security_group_rules, security_groups

_SOURCES = security_groups.alias("sources")
#: Rules with the name and project of their source group, whosever it is.
_RULES: sa.Select[Any] = (
    sa.select(
        security_group_rules,
        _SOURCES.c.name.label("source_name"),
        _SOURCES.c.project_id.label("source_project"),
    )
    .select_from(security_group_rules.outerjoin(_SOURCES, _SOURCES.c.id == security_group_rules.c.group_id))
    .where(security_group_rules.c.parent_group_id.in_(sa.bindparam("groups", expanding=True)))
    .order_by(security_group_rules.c.id)
)
_BY_NAME: sa.Select[Any] = sa.select(security_groups).where(
    security_groups.c.project_id == sa.bindparam("project"), security_groups.c.name == sa.bindparam("name")
)
_HOSTS = (
    sa.select(instances.c.host)
    .join_from(instance_groups, instances, instances.c.id == instance_groups.c.instance_id)
    .where(
        instance_groups.c.security_group_id == sa.bindparam("group"),
        instances.c.deleted == 0,
        instances.c.host.is_not(None),
    )
    .distinct()
)


def _through_rules(column: sa.ColumnElement[Any]) -> filters.Condition:
    """Groups that have a rule with these values."""
    by_column = filters.text(column)

    def condition(values: Sequence[str]) -> sa.ColumnElement[bool]:
        rules = security_group_rules.outerjoin(_SOURCES, _SOURCES.c.id == security_group_rules.c.group_id)
        found = sa.select(security_group_rules.c.parent_group_id).select_from(rules).where(by_column(values))
        return security_groups.c.id.in_(found)

    return condition


#: What lists of groups can be narrowed by, under EC2's names.
FILTERS: Mapping[str, filters.Condition] = {
    "group-id": filters.number(security_groups.c.id, "sg"),
    "group-name": filters.text(security_groups.c.name),
    "description": filters.text(security_groups.c.description),
    "owner-id": filters.text(security_groups.c.project_id),
    "ip-permission.protocol": _through_rules(security_group_rules.c.protocol),
    "ip-permission.from-port": _through_rules(sa.cast(security_group_rules.c.from_port, sa.String(8))),
    "ip-permission.to-port": _through_rules(sa.cast(security_group_rules.c.to_port, sa.String(8))),
    "ip-permission.cidr": _through_rules(security_group_rules.c.cidr),
    "ip-permission.group-name": _through_rules(_SOURCES.c.name),
    "ip-permission.user-id": _through_rules(_SOURCES.c.project_id),
}


def owned(context: RequestContext) -> sa.ColumnElement[bool]:
    """The groups of the caller's project; all of them for administrators."""
    return sa.true() if context.is_admin else security_groups.c.project_id == context.project_id


def find(
    conn: Connection, *where: sa.ColumnElement[bool], after: int = 0, limit: int | None = None
) -> Sequence[Row[Any]]:
    """Groups; by owner and name, or by number when they are read in pages."""
    query = sa.select(security_groups).where(*where)
    if after or limit is not None:
        return conn.execute(query.where(security_groups.c.id > after).order_by(security_groups.c.id).limit(limit)).all()
    return conn.execute(query.order_by(security_groups.c.project_id, security_groups.c.name)).all()


def by_name(conn: Connection, project: str | None, name: str) -> Row[Any] | None:
    """A group of a project."""
    return conn.execute(_BY_NAME, {"project": project, "name": name}).first()


def rules(conn: Connection, groups: Iterable[int]) -> dict[int, list[Row[Any]]]:
    """Rules by group, oldest first."""
    found: dict[int, list[Row[Any]]] = {}
    ids = list(groups)
    if ids:
        for row in conn.execute(_RULES, {"groups": ids}):
            found.setdefault(row.parent_group_id, []).append(row)
    return found


def insert(tx: Transaction, values: dict[str, Any]) -> int:
    """A new group.

    :returns: its number
    """
    return new_id(tx.execute(sa.insert(security_groups).values(**values)))


def update(tx: Transaction, number: int, values: dict[str, Any]) -> None:
    """Change a group.

    :raises sqlalchemy.exc.IntegrityError: the project has another one of that name
    """
    tx.execute(sa.update(security_groups).where(security_groups.c.id == number).values(**values))


def group_of_rule(conn: Connection, number: int, *where: sa.ColumnElement[bool]) -> int | None:
    """The number of the group that has a rule.

    :param where: conditions of the group
    """
    query = sa.select(security_groups.c.id).join_from(
        security_group_rules, security_groups, security_groups.c.id == security_group_rules.c.parent_group_id
    )
    return conn.execute(query.where(security_group_rules.c.id == number, *where)).scalar()


def delete(tx: Transaction, number: int) -> bool:
    """End a group, its rules and the rules of other groups that name it.

    :returns: whether it was there
    """
    tx.execute(sa.delete(security_group_rules).where(security_group_rules.c.group_id == number))
    tx.execute(sa.delete(security_group_rules).where(security_group_rules.c.parent_group_id == number))
    return bool(tx.execute(sa.delete(security_groups).where(security_groups.c.id == number)).rowcount)


def in_use(conn: Connection, number: int) -> bool:
    """Whether a living instance holds the group."""
    query = sa.select(instance_groups.c.instance_id).where(instance_groups.c.security_group_id == number)
    return conn.execute(query.limit(1)).first() is not None


def add_rules(tx: Transaction, values: Sequence[dict[str, Any]]) -> None:
    """New rules."""
    tx.execute(sa.insert(security_group_rules), list(values))


def remove_rules(tx: Transaction, numbers: Sequence[int]) -> None:
    """End rules."""
    tx.execute(sa.delete(security_group_rules).where(security_group_rules.c.id.in_(list(numbers))))


def member_hosts(conn: Connection, number: int) -> Sequence[str]:
    """Hosts that run instances of the group."""
    return conn.execute(_HOSTS, {"group": number}).scalars().all()
