"""Queries of the image catalogue. Tenancy is in :func:`visible` and :func:`owned`, and nowhere else."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.context import RequestContext
from nova_api.db import filters
from nova_api.db.engine import Transaction, new_id
from nova_api.db.models import block_devices, image_properties, images, instances, now, snapshots, volumes

_KERNELS = images.alias("kernels")
_RAMDISKS = images.alias("ramdisks")
#: Every column of an image, and the EC2 numbers of its kernel and ramdisk.
_SELECT: sa.Select[Any] = sa.select(
    *images.c, _KERNELS.c.id.label("kernel_number"), _RAMDISKS.c.id.label("ramdisk_number")
).select_from(
    images.outerjoin(_KERNELS, _KERNELS.c.uuid == images.c.kernel_id).outerjoin(
        _RAMDISKS, _RAMDISKS.c.uuid == images.c.ramdisk_id
    )
)
_PROPERTIES = sa.select(image_properties).where(image_properties.c.image_id.in_(sa.bindparam("ids", expanding=True)))
#: What EC2 calls the kinds; every container format that is neither is a machine image.
_TYPES = {"machine": "ami", "kernel": "aki", "ramdisk": "ari"}


def _of_kind(kind: str) -> sa.ColumnElement[bool]:
    if kind == "ami":
        return images.c.container_format.not_in(("aki", "ari"))
    return images.c.container_format == kind


def _by_id(values: Sequence[str]) -> sa.ColumnElement[bool]:
    """``image-id``: the prefix has to be the image's kind."""
    kinds = {value.partition("-")[0] for value in values} & set(_TYPES.values())
    matches = (sa.and_(filters.number(images.c.id, kind)(values), _of_kind(kind)) for kind in sorted(kinds))
    return sa.or_(sa.false(), *matches)


def _by_type(values: Sequence[str]) -> sa.ColumnElement[bool]:
    return sa.or_(sa.false(), *(_of_kind(_TYPES[value]) for value in values if value in _TYPES))


#: What lists of images can be narrowed by, under EC2's names.
FILTERS: Mapping[str, filters.Condition] = {
    "image-id": _by_id,
    "image-type": _by_type,
    "state": filters.choice(images.c.status, {"available": ("active",), "pending": ("queued", "saving")}),
    "is-public": filters.boolean(images.c.is_public),
    "name": filters.text(images.c.name),
    "description": filters.text(images.c.description),
    "manifest-location": filters.text(images.c.location),
    "architecture": filters.text(images.c.architecture),
    "owner-id": filters.text(images.c.project_id),
    "root-device-name": filters.text(sa.func.coalesce(images.c.root_device_name, "/dev/sda1")),
    "root-device-type": filters.text(images.c.root_device_type),
    "kernel-id": filters.number(_KERNELS.c.id, "aki"),
    "ramdisk-id": filters.number(_RAMDISKS.c.id, "ari"),
    "creation-date": filters.time(images.c.created_at),
    "virtualization-type": filters.constant("hvm"),
    "hypervisor": filters.constant("xen"),
}
_INSTANCE: sa.Select[Any] = (
    sa.select(
        instances.c.id,
        instances.c.uuid,
        instances.c.host,
        instances.c.vm_state,
        instances.c.task_state,
        instances.c.project_id,
        instances.c.architecture,
        instances.c.root_device_name,
        instances.c.image_ref,
        instances.c.kernel_id,
        instances.c.ramdisk_id,
        instances.c.memory_mb,
    )
    .where(instances.c.id == sa.bindparam("number"), instances.c.deleted == 0)
    .with_for_update(of=instances)
)
_DEVICES: sa.Select[Any] = (
    sa.select(
        block_devices.c.device_name,
        block_devices.c.virtual_name,
        block_devices.c.delete_on_termination,
        block_devices.c.volume_id,
        volumes.c.size,
        volumes.c.host,
        volumes.c.project_id,
    )
    .join_from(block_devices, volumes, volumes.c.id == block_devices.c.volume_id, isouter=True)
    .where(block_devices.c.instance_id == sa.bindparam("instance"), ~block_devices.c.no_device)
    .order_by(block_devices.c.device_name)
)


def visible(context: RequestContext) -> sa.ColumnElement[bool]:
    """Images that the caller may use: public ones and the project's own; all of them for administrators."""
    if context.is_admin:
        return sa.true()
    return sa.or_(images.c.is_public, owned(context))


def owned(context: RequestContext) -> sa.ColumnElement[bool]:
    """The project's images, and those without a project that are the user's."""
    mine = sa.and_(images.c.project_id.is_(None), images.c.user_id == context.user_id)
    return sa.or_(images.c.project_id == context.project_id, mine)


def find(
    conn: Connection,
    context: RequestContext,
    *where: sa.ColumnElement[bool],
    after: int = 0,
    limit: int | None = None,
) -> Sequence[Row[Any]]:
    """Images that the caller sees, oldest first.

    :param where: further conditions
    :param after: number of the last image of the page before
    :param limit: most rows
    """
    query = _SELECT.where(images.c.deleted == 0, visible(context), *where)
    if after:
        query = query.where(images.c.id > after)
    return conn.execute(query.order_by(images.c.id).limit(limit)).all()


def find_newest(
    conn: Connection, context: RequestContext, *where: sa.ColumnElement[bool], limit: int, offset: int = 0
) -> Sequence[Row[Any]]:
    """Images that the caller sees, newest first.

    :param limit: most rows
    :param offset: how many are left out at the beginning
    """
    query = _SELECT.where(images.c.deleted == 0, visible(context), *where)
    return conn.execute(query.order_by(images.c.id.desc()).limit(limit).offset(offset or None)).all()


def properties(conn: Connection, ids: Sequence[int]) -> dict[int, dict[str, str]]:
    """The free properties of images, by number."""
    found: dict[int, dict[str, str]] = {}
    if ids:
        for row in conn.execute(_PROPERTIES, {"ids": list(ids)}):
            found.setdefault(row.image_id, {})[row.key] = row.value
    return found


def insert(tx: Transaction, values: dict[str, Any], free: dict[str, str]) -> int:
    """A new image.

    :param values: columns
    :param free: properties that have no column
    :returns: its number
    """
    number = new_id(tx.execute(sa.insert(images).values(**values)))
    set_properties(tx, number, free)
    return number


def set_properties(tx: Transaction, number: int, free: dict[str, str]) -> None:
    """Merge properties into those the image has."""
    if not free:
        return
    mine = image_properties.c.image_id == number
    tx.execute(sa.delete(image_properties).where(mine, image_properties.c.key.in_(list(free))))
    tx.execute(sa.insert(image_properties), [{"image_id": number, "key": k, "value": v} for k, v in free.items()])


def remove_properties(tx: Transaction, number: int, keys: Sequence[str] | None = None) -> None:
    """Drop properties of an image.

    :param keys: which; all without it
    """
    query = sa.delete(image_properties).where(image_properties.c.image_id == number)
    tx.execute(query if keys is None else query.where(image_properties.c.key.in_(list(keys))))


def update(tx: Transaction, number: int, values: dict[str, Any]) -> bool:
    """Change columns of a living image.

    :returns: whether it was there
    """
    query = sa.update(images).where(images.c.id == number, images.c.deleted == 0).values(**values)
    return bool(tx.execute(query).rowcount)


def delete(tx: Transaction, number: int) -> bool:
    """End an image.

    :returns: whether it was there
    """
    return update(tx, number, {"deleted": images.c.id, "deleted_at": now(), "status": "deleted"})


def instance_to_snapshot(conn: Connection, number: int) -> Row[Any] | None:
    """What an image of an instance needs to know of it; the row is locked."""
    return conn.execute(_INSTANCE, {"number": number}).first()


def devices(conn: Connection, instance_id: int) -> Sequence[Row[Any]]:
    """Block devices of an instance with their volumes."""
    return conn.execute(_DEVICES, {"instance": instance_id}).all()


def start_snapshot(tx: Transaction, instance_id: int, vm_states: Iterable[str], task: str = "image_snapshot") -> bool:
    """Move an idle instance to the task of having an image made of it.

    :param vm_states: states it may be in
    :returns: whether it was idle and in one of them
    """
    query = (
        sa.update(instances)
        .where(
            instances.c.id == instance_id,
            instances.c.deleted == 0,
            instances.c.task_state.is_(None),
            instances.c.vm_state.in_(list(vm_states)),
        )
        .values(task_state=task)
    )
    return bool(tx.execute(query).rowcount)


def insert_volume_snapshot(tx: Transaction, values: dict[str, Any]) -> int:
    """A snapshot of a volume that an image will refer to.

    :returns: its number
    """
    return new_id(tx.execute(sa.insert(snapshots).values(**values)))


def own_snapshots(conn: Connection, context: RequestContext, numbers: Iterable[int]) -> dict[int, Row[Any]]:
    """Those of the snapshots that the caller may use, by number."""
    query: sa.Select[Any] = sa.select(snapshots.c.id, snapshots.c.status, snapshots.c.volume_size).where(
        snapshots.c.id.in_(list(numbers)), snapshots.c.deleted == 0
    )
    if not context.is_admin:
        query = query.where(snapshots.c.project_id == context.project_id)
    return {row.id: row for row in conn.execute(query)}
