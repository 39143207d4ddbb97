"""Lists of servers as the OpenStack door shows them, newest first.

The order of creation is the order of numbers, so a page starts below the number of its marker and costs the same
wherever it is. A page takes one select of the servers and one each for addresses and metadata.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.context import RequestContext
from nova_api.db.models import (
    compute_nodes,
    fixed_ips,
    flavors,
    floating_ips,
    instance_metadata,
    instances,
    networks,
)

#: Times as the driver gives them: making a thousand of them only to write them out again costs a tenth of an answer.
_CREATED = sa.type_coerce(instances.c.created_at, sa.types.NullType()).label("created_at")
_UPDATED = sa.type_coerce(instances.c.updated_at, sa.types.NullType()).label("updated_at")
#: What is every server's own comes first: the columns after it are the same for many rows, and written once.
_OWN = (instances.c.id, instances.c.uuid, instances.c.display_name, _CREATED, _UPDATED)
OWN_COLUMNS = len(_OWN)
_COLUMNS = (
    *_OWN,
    instances.c.vm_state,
    instances.c.task_state,
    instances.c.power_state,
    instances.c.project_id,
    instances.c.user_id,
    instances.c.progress,
    instances.c.host,
    instances.c.access_ip_v4,
    instances.c.access_ip_v6,
    instances.c.key_name,
    instances.c.config_drive,
    instances.c.image_ref,
    instances.c.auto_disk_config,
    instances.c.fault_code,
    instances.c.fault_message,
    instances.c.fault_at,
    flavors.c.flavorid,
    compute_nodes.c.hypervisor_hostname,
)
_BRIEF = (instances.c.id, instances.c.uuid, instances.c.display_name)
_FROM = instances.join(flavors, flavors.c.id == instances.c.instance_type_id).outerjoin(
    compute_nodes, compute_nodes.c.host == instances.c.host
)
_ADDRESSES: sa.Select[Any] = (
    sa.select(fixed_ips.c.instance_id, networks.c.label, fixed_ips.c.address, floating_ips.c.address)
    .select_from(
        fixed_ips.join(networks, networks.c.id == fixed_ips.c.network_id).outerjoin(
            floating_ips, floating_ips.c.fixed_ip_id == fixed_ips.c.id
        )
    )
    .order_by(fixed_ips.c.instance_id, fixed_ips.c.virtual_interface_id, fixed_ips.c.id, floating_ips.c.id)
)
_METADATA: sa.Select[Any] = sa.select(
    instance_metadata.c.instance_id, instance_metadata.c.key, instance_metadata.c.value
)
#: Rows that a list leaves out unless it is asked for them.
ALIVE = sa.and_(instances.c.deleted == 0, instances.c.vm_state != "soft-delete")
GONE = sa.or_(instances.c.deleted != 0, instances.c.vm_state == "soft-delete")

Labelled = dict[str, list[str]]


@dataclass(slots=True)
class ServerList:
    """Servers with everything that a document shows of them.

    :ivar rows: newest first
    :ivar addresses: by server: label of the network -> addresses, fixed ones before floating ones
    :ivar floating: the floating ones of these, by server
    :ivar metadata: by server
    """

    rows: Sequence[Row[Any]]
    addresses: dict[int, Labelled] = field(default_factory=dict)
    floating: dict[int, list[str]] = field(default_factory=dict)
    metadata: dict[int, dict[str, str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Details:
    """The selects for what hangs on servers, by how the servers are named."""

    addresses: sa.Select[Any]
    metadata: sa.Select[Any]


def _details(condition: Any) -> _Details:
    return _Details(
        _ADDRESSES.where(condition(fixed_ips.c.instance_id)),
        _METADATA.where(condition(instance_metadata.c.instance_id)),
    )


_OF_ONE = _details(lambda column: column == sa.bindparam("number"))
_OF_SOME = _details(lambda column: column.in_(sa.bindparam("numbers", expanding=True)))


@lru_cache(maxsize=8)
def _of_range(everybody: bool) -> _Details:
    """Of a whole page: its numbers are those of the scope between two, which spares sending a thousand of them."""

    def condition(column: Any) -> sa.ColumnElement[bool]:
        scope = sa.select(instances.c.id).where(
            ALIVE, instances.c.id.between(sa.bindparam("low"), sa.bindparam("high"))
        )
        if not everybody:
            scope = scope.where(instances.c.project_id == sa.bindparam("project"))
        return sa.and_(column.in_(scope))

    return _details(condition)


@lru_cache(maxsize=8)
def _page(everybody: bool, detail: bool) -> sa.Select[Any]:
    query: sa.Select[Any] = sa.select(*_COLUMNS).select_from(_FROM) if detail else sa.select(*_BRIEF)
    if not everybody:
        query = query.where(instances.c.project_id == sa.bindparam("project"))
    return query.order_by(instances.c.id.desc()).limit(sa.bindparam("most"))


@lru_cache(maxsize=8)
def _plain_page(everybody: bool, detail: bool) -> sa.Select[Any]:
    """The page without filters: the statement that most lists are."""
    return _page(everybody, detail).where(ALIVE, instances.c.id < sa.bindparam("before"))


_BY_UUID: sa.Select[Any] = (
    sa.select(*_COLUMNS).select_from(_FROM).where(instances.c.uuid == sa.bindparam("uuid"), instances.c.deleted == 0)
)
_BY_NUMBER: sa.Select[Any] = (
    sa.select(*_COLUMNS).select_from(_FROM).where(instances.c.id == sa.bindparam("number"), instances.c.deleted == 0)
)
_MARKER: sa.Select[Any] = sa.select(instances.c.id, instances.c.project_id)


def find(
    conn: Connection,
    project: str | None,
    *,
    where: Sequence[sa.ColumnElement[bool]] | None = None,
    before: int,
    limit: int,
    offset: int = 0,
    detail: bool,
) -> ServerList:
    """A page of servers.

    :param project: whose; None for everybody's
    :param where: conditions in place of those that leave out what is deleted; None: those
    :param before: numbers have to be smaller: that of the last one of the page before
    :param limit: most rows
    :param offset: how many are left out at the beginning
    """
    scope: dict[str, Any] = {"most": limit} if project is None else {"most": limit, "project": project}
    everybody = project is None
    if where is None and not offset:
        rows = conn.execute(_plain_page(everybody, detail), {**scope, "before": before}).all()
    else:
        narrowed = (ALIVE,) if where is None else where
        query = _page(everybody, detail).where(instances.c.id < before, *narrowed).offset(offset)
        rows = conn.execute(query, scope).all()
    found = ServerList(rows)
    if detail and rows:
        if where is not None or len(rows) == 1:
            _add_of(conn, found)
        else:
            numbers = {"low": rows[-1].id, "high": rows[0].id}
            _add(conn, found, _of_range(everybody), numbers if everybody else {**numbers, "project": project})
    return found


def one(conn: Connection, context: RequestContext, text: str) -> ServerList:
    """A living server by its UUID or number; no row when it is not the caller's.

    :param text: as the caller wrote it
    """
    number = as_number(text)
    if not text.isprintable():  # a NUL or half a character: no database takes it, and no UUID has it
        return ServerList(())
    if number is not None:
        row = conn.execute(_BY_NUMBER, {"number": number}).first()
    else:
        row = conn.execute(_BY_UUID, {"uuid": text}).first()
    if row is None or not (context.is_admin or row.project_id == context.project_id):
        return ServerList(())
    found = ServerList([row])
    _add_of(conn, found)
    return found


def number_of_marker(conn: Connection, project: str | None, text: str) -> int | None:
    """The number of a server, living or not, that a page ended with."""
    number = as_number(text)
    if not text.isprintable():
        return None
    query = _MARKER.where(instances.c.uuid == text if number is None else instances.c.id == number)
    row = conn.execute(query).first()
    if row is None or (project is not None and row.project_id != project):
        return None
    return int(row.id)


def as_number(text: str) -> int | None:
    """The number that a text is; None for a UUID, and for digits beyond what a row can have."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else None


def _add_of(conn: Connection, found: ServerList) -> None:
    if len(found.rows) == 1:
        _add(conn, found, _OF_ONE, {"number": found.rows[0].id})
    else:
        _add(conn, found, _OF_SOME, {"numbers": [row.id for row in found.rows]})


def _add(conn: Connection, found: ServerList, queries: _Details, scope: dict[str, Any]) -> None:
    floating: list[tuple[int, str, str]] = []
    addresses, seen = found.addresses, (0, "", "")
    for server, label, address, public in conn.execute(queries.addresses, scope).all():
        if (server, label, address) != seen:
            addresses.setdefault(server, {}).setdefault(label, []).append(address)
            seen = (server, label, address)
        if public is not None:
            floating.append((server, label, public))
    for server, label, public in floating:
        addresses[server][label].append(public)
        found.floating.setdefault(server, []).append(public)
    metadata = found.metadata
    for server, key, value in conn.execute(queries.metadata, scope):
        metadata.setdefault(server, {})[key] = value
