"""Queries that change instances, or look at a few of them. Tenancy is in :func:`owned`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.context import RequestContext
from nova_api.db import backup_schedules, networks, shared_ips
from nova_api.db.engine import Transaction
from nova_api.db.models import (
    block_devices,
    client_tokens,
    flavors,
    instance_actions,
    instance_groups,
    instance_metadata,
    instances,
    now,
    security_groups,
    volumes,
)

_ONE: sa.Select[Any] = sa.select(instances).where(instances.c.id == sa.bindparam("number"), instances.c.deleted == 0)
_BY_UUID = sa.select(instances).where(instances.c.uuid == sa.bindparam("uuid"))
_GROUPS: sa.Select[Any] = (
    sa.select(security_groups.c.id, security_groups.c.name)
    .join_from(instance_groups, security_groups, security_groups.c.id == instance_groups.c.security_group_id)
    .where(instance_groups.c.instance_id == sa.bindparam("instance"))
    .order_by(security_groups.c.name)
)
_DEVICES: sa.Select[Any] = (
    sa.select(
        block_devices,
        volumes.c.status.label("volume_status"),
        volumes.c.host.label("volume_host"),
        volumes.c.attach_time,
        volumes.c.snapshot_id.label("source_snapshot"),
        volumes.c.attach_status,
    )
    .join_from(block_devices, volumes, volumes.c.id == block_devices.c.volume_id, isouter=True)
    .where(block_devices.c.instance_id == sa.bindparam("instance"), ~block_devices.c.no_device)
    .order_by(block_devices.c.device_name)
)


def owned(context: RequestContext) -> sa.ColumnElement[bool]:
    """The living instances of the caller's project; all living ones for administrators."""
    alive = instances.c.deleted == 0
    return alive if context.is_admin else sa.and_(alive, instances.c.project_id == context.project_id)


def one(conn: Connection, context: RequestContext, number: int) -> Row[Any] | None:
    """An instance of the caller."""
    row = conn.execute(_ONE, {"number": number}).first()
    if row is not None and not context.is_admin and row.project_id != context.project_id:
        return None
    return row


def by_uuid(conn: Connection, uuid: str) -> Row[Any] | None:
    """An instance, ended or not, whosever it is: for the nodes."""
    return conn.execute(_BY_UUID, {"uuid": uuid}).first()


def locked(tx: Transaction, context: RequestContext, numbers: Iterable[int]) -> dict[int, Row[Any]]:
    """Instances of the caller by number, kept from changing until the transaction ends."""
    query = sa.select(instances).where(owned(context), instances.c.id.in_(list(numbers)))
    rows = tx.execute(query.order_by(instances.c.id).with_for_update())
    return {row.id: row for row in rows}


def locked_by(tx: Transaction, context: RequestContext, text: str) -> Row[Any] | None:
    """An instance of the caller by UUID or number, kept from changing until the transaction ends.

    :param text: as the caller wrote it
    """
    if not text.isprintable():
        return None
    return tx.execute(_named(context, text).with_for_update()).first()


def named(conn: Connection, context: RequestContext, text: str) -> Row[Any] | None:
    """:func:`locked_by` for those who only look."""
    return conn.execute(_named(context, text)).first() if text.isprintable() else None


def _named(context: RequestContext, text: str) -> sa.Select[Any]:
    is_number = text.isascii() and text.isdigit() and len(text) <= 18
    return sa.select(instances).where(
        owned(context), instances.c.id == int(text) if is_number else instances.c.uuid == text
    )


def flavor_name(conn: Connection, number: int) -> str:
    """The name of an instance's flavor, also of one that has ended."""
    return str(conn.execute(sa.select(flavors.c.name).where(flavors.c.id == number)).scalar() or "")


def groups(conn: Connection, instance_id: int) -> Sequence[Row[Any]]:
    """Number and name of an instance's security groups."""
    return conn.execute(_GROUPS, {"instance": instance_id}).all()


def devices(conn: Connection, instance_id: int) -> Sequence[Row[Any]]:
    """Block devices of an instance with their volumes."""
    return conn.execute(_DEVICES, {"instance": instance_id}).all()


def insert(tx: Transaction, common: dict[str, Any], each: Sequence[dict[str, Any]]) -> list[int]:
    """New instances.

    :param common: columns that are the same for all
    :param each: the other columns, one dict per instance
    :returns: their numbers, in the same order
    """
    query = sa.insert(instances).returning(instances.c.id, sort_by_parameter_order=True)
    return [int(number) for number in tx.execute(query, [{**common, **own} for own in each]).scalars()]


def name_by_number(tx: Transaction, reservation: str) -> None:
    """Give the instances of a reservation the names that 2012.1 made of their numbers."""
    number = sa.cast(instances.c.id, sa.String(20))
    tx.execute(
        sa.update(instances)
        .where(instances.c.reservation_id == reservation)
        .values(display_name=sa.literal("Server ") + number, hostname=sa.literal("server-") + number)
    )


def add_metadata(tx: Transaction, numbers: Iterable[int], metadata: Mapping[str, str]) -> None:
    """Metadata of new instances."""
    values = [{"instance_id": n, "key": key, "value": value} for n in numbers for key, value in metadata.items()]
    if values:
        tx.execute(sa.insert(instance_metadata), values)


def metadata(conn: Connection, number: int) -> dict[str, str]:
    """The metadata of an instance."""
    query = sa.select(instance_metadata.c.key, instance_metadata.c.value)
    rows = conn.execute(query.where(instance_metadata.c.instance_id == number).order_by(instance_metadata.c.key))
    return {key: value for key, value in rows}


def remove_metadata(tx: Transaction, number: int, keys: Iterable[str] | None = None) -> int:
    """Drop metadata of an instance.

    :param keys: which; all without it
    :returns: how many there were
    """
    query = sa.delete(instance_metadata).where(instance_metadata.c.instance_id == number)
    if keys is not None:
        query = query.where(instance_metadata.c.key.in_(list(keys)))
    return int(tx.execute(query).rowcount)


def put_into_groups(tx: Transaction, numbers: Iterable[int], group_ids: Sequence[int]) -> None:
    """Members of security groups."""
    values = [{"instance_id": n, "security_group_id": group} for n in numbers for group in group_ids]
    if values:
        tx.execute(sa.insert(instance_groups), values)


def take_out_of_group(tx: Transaction, number: int, group: int) -> None:
    """End a membership of a security group."""
    mine = sa.and_(instance_groups.c.instance_id == number, instance_groups.c.security_group_id == group)
    tx.execute(sa.delete(instance_groups).where(mine))


def add_devices(tx: Transaction, values: Sequence[dict[str, Any]]) -> None:
    """Block device mappings."""
    if values:
        tx.execute(sa.insert(block_devices), list(values))


def actions(conn: Connection, number: int) -> Sequence[Row[Any]]:
    """What happened to an instance on its node, oldest first."""
    mine = instance_actions.c.instance_id == number
    return conn.execute(sa.select(instance_actions).where(mine).order_by(instance_actions.c.id)).all()


def client_token(conn: Connection, project: str | None, token: str) -> Row[Any] | None:
    """The reservation that a client token has made, and a fingerprint of what it was made of."""
    query = sa.select(client_tokens).where(client_tokens.c.project_id == project, client_tokens.c.token == token)
    return conn.execute(query).first()


def put_client_token(tx: Transaction, project: str | None, token: str, fingerprint: str, reservation: str) -> None:
    """Remember a client token; two requests with the same one cannot both."""
    values = {
        "project_id": project,
        "token": token,
        "fingerprint": fingerprint,
        "reservation_id": reservation,
    }
    tx.execute(sa.insert(client_tokens).values(**values))


def of_reservation(conn: Connection, reservation: str) -> list[int]:
    """Numbers of the instances of a reservation, also of those that have ended."""
    query = sa.select(instances.c.id).where(instances.c.reservation_id == reservation)
    return list(conn.execute(query.order_by(instances.c.id)).scalars())


def change(
    tx: Transaction,
    numbers: Sequence[int],
    values: dict[str, Any],
    *,
    vm_states: Iterable[str] | None = None,
    task_states: Iterable[str | None] | None = None,
    host: str | None = None,
) -> int:
    """Compare and set.

    :param vm_states: states the instances may be in; any without it
    :param task_states: tasks they may be at, None among them; any without it
    :param host: where they must be
    :returns: how many were in such a state
    """
    query = sa.update(instances).where(instances.c.id.in_(list(numbers)), instances.c.deleted == 0)
    if vm_states is not None:
        query = query.where(instances.c.vm_state.in_(list(vm_states)))
    if task_states is not None:
        tasks = list(task_states)
        options = [instances.c.task_state.in_([task for task in tasks if task is not None])]
        if None in tasks:
            options.append(instances.c.task_state.is_(None))
        query = query.where(sa.or_(*options))
    if host is not None:
        query = query.where(instances.c.host == host)
    return int(tx.execute(query.values(**values)).rowcount)


class Left(NamedTuple):
    """What the end of instances leaves to do for their nodes: whoever ends them sends the messages.

    :ivar volumes: number and host of those that end with them
    :ivar sharers: who shared their addresses
    """

    volumes: list[tuple[int, str]]
    sharers: list[shared_ips.Sharer]


def delete(tx: Transaction, numbers: Sequence[int]) -> Left:
    """End instances: their addresses return to the pools, their volumes are free or on their way out."""
    ids = list(numbers)
    shared_ips.lock_members(tx, ids)
    sharers = networks.free(tx, ids)
    shared_ips.end_of_members(tx, ids)
    backup_schedules.delete(tx, ids)
    tx.execute(sa.delete(instance_groups).where(instance_groups.c.instance_id.in_(ids)))
    tx.execute(sa.delete(instance_metadata).where(instance_metadata.c.instance_id.in_(ids)))
    ending = sa.select(block_devices.c.volume_id).where(
        block_devices.c.instance_id.in_(ids),
        block_devices.c.delete_on_termination,
        block_devices.c.volume_id.is_not(None),
    )
    mine = sa.and_(volumes.c.instance_id.in_(ids), volumes.c.deleted == 0)
    doomed = tx.execute(sa.select(volumes.c.id, volumes.c.host).where(mine, volumes.c.id.in_(ending))).all()
    loose = {"attach_status": "detached", "instance_id": None, "mountpoint": None, "attach_time": None}
    with_host = [row.id for row in doomed if row.host]
    without = [row.id for row in doomed if not row.host]
    if with_host:
        tx.execute(sa.update(volumes).where(volumes.c.id.in_(with_host)).values(status="deleting", **loose))
    if without:
        gone = {"status": "deleted", "deleted": volumes.c.id, "deleted_at": now()}
        tx.execute(sa.update(volumes).where(volumes.c.id.in_(without)).values(**gone, **loose))
    # What is still to be made, or could not be, is not there to be had.
    after = sa.case((volumes.c.status.in_(["creating", "error"]), volumes.c.status), else_="available")
    tx.execute(sa.update(volumes).where(mine).values(status=after, **loose))
    tx.execute(sa.delete(block_devices).where(block_devices.c.instance_id.in_(ids)))
    tx.execute(
        sa.update(instances)
        .where(instances.c.id.in_(ids), instances.c.deleted == 0)
        .values(
            vm_state="deleted",
            task_state=None,
            power_state=0,
            terminated_at=now(),
            deleted_at=now(),
            deleted=instances.c.id,
        )
    )
    return Left([(row.id, row.host) for row in doomed if row.host], sharers)
