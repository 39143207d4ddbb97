"""Queries of volumes and snapshots. Tenancy is in :func:`own_volumes` and :func:`own_snapshots`."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api import limits
from nova_api.context import RequestContext
from nova_api.db import filters
from nova_api.db.engine import Transaction, new_id
from nova_api.db.models import (
    block_devices,
    images,
    instances,
    now,
    services,
    snapshots,
    volume_metadata,
    volumes,
)

_VOLUMES: sa.Select[Any] = sa.select(
    *volumes.c,
    instances.c.host.label("instance_host"),
    instances.c.uuid.label("instance_uuid"),
    block_devices.c.delete_on_termination,
).select_from(
    volumes.outerjoin(instances, instances.c.id == volumes.c.instance_id).outerjoin(
        block_devices,
        (block_devices.c.volume_id == volumes.c.id) & (block_devices.c.instance_id == volumes.c.instance_id),
    )
)
_SNAPSHOTS: sa.Select[Any] = sa.select(*snapshots.c)

#: What lists of volumes can be narrowed by, under EC2's names.
VOLUME_FILTERS: Mapping[str, filters.Condition] = {
    "volume-id": filters.number(volumes.c.id, "vol"),
    "size": filters.integer(volumes.c.size),
    "status": filters.text(volumes.c.status),
    "snapshot-id": filters.number(volumes.c.snapshot_id, "snap"),
    "availability-zone": filters.text(volumes.c.availability_zone),
    "create-time": filters.time(volumes.c.created_at),
    "attachment.instance-id": filters.number(volumes.c.instance_id, "i"),
    "attachment.device": filters.text(volumes.c.mountpoint),
    "attachment.status": filters.text(volumes.c.attach_status),
    "attachment.delete-on-termination": filters.boolean(block_devices.c.delete_on_termination),
    "volume-type": filters.constant("standard"),
    "encrypted": filters.constant("false"),
}
#: What lists of snapshots can be narrowed by, under EC2's names.
SNAPSHOT_FILTERS: Mapping[str, filters.Condition] = {
    "snapshot-id": filters.number(snapshots.c.id, "snap"),
    "volume-id": filters.number(snapshots.c.volume_id, "vol"),
    "volume-size": filters.integer(snapshots.c.volume_size),
    "status": filters.choice(snapshots.c.status, {"pending": ("creating",), "completed": ("available", "deleting")}),
    "owner-id": filters.text(snapshots.c.project_id),
    "description": filters.text(sa.func.coalesce(snapshots.c.display_description, "")),
    "progress": filters.text(snapshots.c.progress),
    "start-time": filters.time(snapshots.c.created_at),
    "encrypted": filters.constant("false"),
}
_INSTANCE: sa.Select[Any] = sa.select(
    instances.c.id,
    instances.c.uuid,
    instances.c.host,
    instances.c.vm_state,
    instances.c.task_state,
    instances.c.project_id,
    instances.c.locked,
    instances.c.user_id,
).where(instances.c.id == sa.bindparam("number"), instances.c.deleted == 0)


def own_volumes(context: RequestContext) -> sa.ColumnElement[bool]:
    """The living volumes of the caller's project; all living ones for administrators."""
    alive = volumes.c.deleted == 0
    return alive if context.is_admin else sa.and_(alive, volumes.c.project_id == context.project_id)


def own_snapshots(context: RequestContext) -> sa.ColumnElement[bool]:
    """The living snapshots of the caller's project; all living ones for administrators."""
    alive = snapshots.c.deleted == 0
    return alive if context.is_admin else sa.and_(alive, snapshots.c.project_id == context.project_id)


def find_volumes(
    conn: Connection,
    context: RequestContext,
    *where: sa.ColumnElement[bool],
    after: int = 0,
    limit: int | None = None,
) -> Sequence[Row[Any]]:
    """Volumes with what they are attached to, oldest first.

    :param after: number of the last one of the page before
    :param limit: most rows
    """
    query = _VOLUMES.where(own_volumes(context), *where)
    if after:
        query = query.where(volumes.c.id > after)
    return conn.execute(query.order_by(volumes.c.id).limit(limit)).all()


def find_snapshots(
    conn: Connection,
    context: RequestContext,
    *where: sa.ColumnElement[bool],
    after: int = 0,
    limit: int | None = None,
) -> Sequence[Row[Any]]:
    """Snapshots, oldest first; parameters as :func:`find_volumes`."""
    query = _SNAPSHOTS.where(own_snapshots(context), *where)
    if after:
        query = query.where(snapshots.c.id > after)
    return conn.execute(query.order_by(snapshots.c.id).limit(limit)).all()


def insert_volume(tx: Transaction, values: dict[str, Any]) -> int:
    """A new volume.

    :returns: its number
    """
    return new_id(tx.execute(sa.insert(volumes).values(**values)))


def insert_snapshot(tx: Transaction, values: dict[str, Any]) -> int:
    """A new snapshot.

    :returns: its number
    """
    return new_id(tx.execute(sa.insert(snapshots).values(**values)))


def lock_volume(tx: Transaction, number: int) -> None:
    """Keep a volume from changing until the transaction ends."""
    tx.execute(sa.select(volumes.c.id).where(volume_is(number)).with_for_update())


def change_volume(
    tx: Transaction, number: int, states: Iterable[str], values: dict[str, Any], host: str | None = None
) -> bool:
    """Compare and set: change a living volume if its status is one of ``states``.

    :param host: where it has to be
    :returns: whether it was
    """
    query = sa.update(volumes).where(volumes.c.id == number, volumes.c.deleted == 0, volumes.c.status.in_(list(states)))
    if host is not None:
        query = query.where(volumes.c.host == host)
    return bool(tx.execute(query.values(**values)).rowcount)


def end_unplaced_volume(tx: Transaction, number: int) -> bool:
    """End a living volume that no host holds, unless an instance waits for it.

    :returns: whether it was one
    """
    mine = (volumes.c.id == number, volumes.c.deleted == 0, volumes.c.host.is_(None), volumes.c.instance_id.is_(None))
    values = {"status": "deleted", "terminated_at": now(), **ended(volumes)}
    return bool(tx.execute(sa.update(volumes).where(*mine).values(**values)).rowcount)


def change_snapshot(tx: Transaction, number: int, states: Iterable[str], values: dict[str, Any]) -> bool:
    """Compare and set: change a living snapshot if its status is one of ``states``.

    :returns: whether it was
    """
    query = (
        sa.update(snapshots)
        .where(snapshots.c.id == number, snapshots.c.deleted == 0, snapshots.c.status.in_(list(states)))
        .values(**values)
    )
    return bool(tx.execute(query).rowcount)


def ended(table: sa.Table) -> dict[str, Any]:
    """The values that end a row of volumes or snapshots."""
    return {"deleted": table.c.id, "deleted_at": now()}


def count_snapshots(conn: Connection, number: int) -> int:
    """How many living snapshots a volume has."""
    living = sa.and_(snapshots.c.volume_id == number, snapshots.c.deleted == 0)
    return int(conn.execute(sa.select(sa.func.count()).select_from(snapshots).where(living)).scalar_one())


def metadata(conn: Connection, numbers: Iterable[int]) -> dict[int, dict[str, str]]:
    """Metadata by volume."""
    found: dict[int, dict[str, str]] = {}
    query = sa.select(volume_metadata).where(volume_metadata.c.volume_id.in_(list(numbers)))
    for row in conn.execute(query.order_by(volume_metadata.c.key)):
        found.setdefault(row.volume_id, {})[row.key] = row.value
    return found


def add_metadata(tx: Transaction, number: int, items: Mapping[str, str]) -> None:
    """Metadata of a new volume."""
    rows = [{"volume_id": number, "key": key, "value": value} for key, value in items.items()]
    if rows:
        tx.execute(sa.insert(volume_metadata), rows)


def image_of_snapshot(conn: Connection, number: int) -> int | None:
    """The number of an image that refers to a snapshot, or None."""
    # The mapping is JSON that this project writes: the number is followed by a comma or the closing brace.
    text = images.c.block_device_mapping
    marks = (text.contains(f'"snapshot_id": {number}{end}', autoescape=True) for end in (",", "}"))
    query = sa.select(images.c.id).where(images.c.deleted == 0, sa.or_(*marks)).limit(1)
    return conn.execute(query).scalar()


def instance(conn: Connection, number: int) -> Row[Any] | None:
    """The instance that a volume is to be attached to."""
    return conn.execute(_INSTANCE, {"number": number}).first()


def lock_instance(tx: Transaction, number: int) -> Row[Any] | None:
    """:func:`instance`, kept from changing until the transaction ends."""
    return tx.execute(_INSTANCE.with_for_update(), {"number": number}).first()


def device_taken(conn: Connection, instance_id: int, device: str) -> bool:
    """Whether an instance uses a device name, or a volume on its way to it does."""
    mapped = sa.select(block_devices.c.id).where(
        block_devices.c.instance_id == instance_id,
        block_devices.c.device_name == device,
        ~block_devices.c.no_device,
        block_devices.c.volume_id.is_not(None),
    )
    coming = sa.select(volumes.c.id).where(
        volumes.c.instance_id == instance_id, volumes.c.mountpoint == device, volumes.c.deleted == 0
    )
    return any(conn.execute(query.limit(1)).first() is not None for query in (mapped, coming))


def zone_exists(conn: Connection, zone: str) -> bool:
    """Whether an enabled service is in the zone."""
    query = sa.select(services.c.id).where(services.c.availability_zone == zone, ~services.c.disabled)
    return conn.execute(query.limit(1)).first() is not None


def volume_host_exists(conn: Connection, host: str) -> bool:
    """Whether an enabled volume service runs on the host."""
    query = sa.select(services.c.id).where(services.c.host == host, services.c.topic == "volume", ~services.c.disabled)
    return conn.execute(query.limit(1)).first() is not None


def volume_is(number: int) -> sa.ColumnElement[bool]:
    """The condition that a volume has a number, which may be larger than any row's."""
    condition: sa.ColumnElement[bool] = volumes.c.id == number
    return condition if number <= limits.MAX_DATABASE_ID else sa.false()


def snapshot_is(number: int) -> sa.ColumnElement[bool]:
    """The condition that a snapshot has a number, which may be larger than any row's."""
    condition: sa.ColumnElement[bool] = snapshots.c.id == number
    return condition if number <= limits.MAX_DATABASE_ID else sa.false()
