"""Volumes and images of instances, as nodes read and change them: compare and set, like :mod:`nova_api.db.guests`."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction
from nova_api.db.models import block_devices, image_properties, images, instances, now, snapshots, volumes

_DEVICES: sa.Select[Any] = (
    sa.select(
        block_devices.c.device_name,
        block_devices.c.snapshot_id,
        block_devices.c.volume_id,
        block_devices.c.connection_info,
        volumes.c.host,
        volumes.c.status,
        volumes.c.project_id,
        volumes.c.availability_zone,
    )
    .join_from(block_devices, volumes, volumes.c.id == block_devices.c.volume_id)
    .where(
        block_devices.c.instance_id == sa.bindparam("owner"),
        ~block_devices.c.no_device,
    )
    .order_by(block_devices.c.device_name)
)
_IMAGE: sa.Select[Any] = sa.select(
    images.c.id, images.c.status, images.c.block_device_mapping, images.c.instance_uuid
).where(images.c.uuid == sa.bindparam("image"), images.c.deleted == 0)

#: Of an image that is being made.
UNFINISHED_IMAGE = ("queued", "saving")


# -- volumes ----------------------------------------------------------------------------------------------


def devices(conn: Connection, instance_id: int) -> Sequence[Row[Any]]:
    """Volumes of an instance, made or still to be made, with host, zone, status and project."""
    return conn.execute(_DEVICES, {"owner": instance_id}).all()


def claim_volume(tx: Transaction, volume_id: int, instance_id: int, device: str) -> bool:
    """Reserve a free volume for an instance that is being built; one that is reserved for it already is fine.

    :returns: whether the instance has it now
    """
    mine = sa.and_(volumes.c.instance_id == instance_id, volumes.c.status.in_(["attaching", "in-use"]))
    query = (
        sa.update(volumes)
        .where(volumes.c.id == volume_id, volumes.c.deleted == 0, sa.or_(volumes.c.status == "available", mine))
        .values(
            status=sa.case((volumes.c.status == "in-use", "in-use"), else_="attaching"),
            instance_id=instance_id,
            mountpoint=device,
        )
    )
    return bool(tx.execute(query).rowcount)


def place_volume(tx: Transaction, volume_id: int, host: str) -> None:
    """Give a volume that is to be made its host, unless it has one."""
    query = sa.update(volumes).where(volumes.c.id == volume_id, volumes.c.host.is_(None))
    tx.execute(query.values(host=host, scheduled_at=now()))


def attached(
    tx: Transaction, volume_id: int, instance_id: int, device: str, connection_info: Mapping[str, Any]
) -> bool:
    """Note that a volume is attached; its block device row is made unless it is there.

    :returns: whether it was on its way to this instance
    """
    query = (
        sa.update(volumes)
        .where(
            volumes.c.id == volume_id,
            volumes.c.deleted == 0,
            volumes.c.instance_id == instance_id,
            volumes.c.status == "attaching",
        )
        .values(status="in-use", attach_status="attached", mountpoint=device, attach_time=now())
    )
    if not tx.execute(query).rowcount:
        return False
    info = json.dumps(dict(connection_info))
    mine = sa.and_(block_devices.c.instance_id == instance_id, block_devices.c.device_name == device)
    update = sa.update(block_devices).where(mine).values(volume_id=volume_id, connection_info=info, no_device=False)
    if not tx.execute(update).rowcount:
        row = {"instance_id": instance_id, "device_name": device, "volume_id": volume_id}
        tx.execute(sa.insert(block_devices).values(connection_info=info, **row))
    return True


def detached(tx: Transaction, volume_id: int, instance_id: int, status: str) -> bool:
    """Note that a volume is free again, and drop its block device row.

    :param status: what the volume has to be in
    :returns: whether it was, and belonged to the instance
    """
    query = (
        sa.update(volumes)
        .where(
            volumes.c.id == volume_id,
            volumes.c.deleted == 0,
            volumes.c.instance_id == instance_id,
            volumes.c.status == status,
        )
        .values(status="available", attach_status="detached", instance_id=None, mountpoint=None, attach_time=None)
    )
    if not tx.execute(query).rowcount:
        return False
    mine = sa.and_(block_devices.c.volume_id == volume_id, block_devices.c.instance_id == instance_id)
    tx.execute(sa.delete(block_devices).where(mine))
    return True


def keep_volume(tx: Transaction, volume_id: int) -> None:
    """Note that a volume could not be detached."""
    query = sa.update(volumes).where(volumes.c.id == volume_id, volumes.c.status == "detaching")
    tx.execute(query.values(status="in-use"))


def get_volume(conn: Connection, volume_id: int) -> Row[Any] | None:
    """A living volume."""
    query = sa.select(volumes).where(volumes.c.id == volume_id, volumes.c.deleted == 0)
    return conn.execute(query).first()


def used_from(conn: Connection, volume_id: int, host: str) -> bool:
    """Whether an instance on a host uses a volume, or is about to; one that a move has just taken away does not."""
    query = (
        sa.select(volumes.c.id)
        .join_from(volumes, instances, instances.c.id == volumes.c.instance_id)
        .where(
            volumes.c.id == volume_id,
            volumes.c.status.in_(["attaching", "in-use"]),
            instances.c.host == host,
            instances.c.deleted == 0,
            sa.func.coalesce(instances.c.task_state, "").not_in(["resize_migrated", "resize_reverting"]),
        )
    )
    return conn.execute(query).first() is not None


def get_snapshot(conn: Connection, snapshot_id: int) -> Row[Any] | None:
    """A living snapshot with the host of its volume."""
    query: sa.Select[Any] = (
        sa.select(*snapshots.c, volumes.c.host)
        .join_from(snapshots, volumes, volumes.c.id == snapshots.c.volume_id)
        .where(snapshots.c.id == snapshot_id, snapshots.c.deleted == 0)
    )
    return conn.execute(query).first()


# -- images -----------------------------------------------------------------------------------------------


def get_image(conn: Connection, uuid: str) -> Row[Any] | None:
    """State and mapping of a living image."""
    return conn.execute(_IMAGE, {"image": uuid}).first()


def snapshots_of_image(conn: Connection, mapping: str) -> Sequence[Row[Any]]:
    """The snapshots that an image's mapping names and that are not made yet, with the hosts of their volumes.

    :param mapping: JSON text of ``images.block_device_mapping``
    """
    wanted = [entry["snapshot_id"] for entry in json.loads(mapping) if entry.get("snapshot_id")]
    if not wanted:
        return ()
    query: sa.Select[Any] = (
        sa.select(snapshots.c.id, snapshots.c.volume_id, volumes.c.host)
        .join_from(snapshots, volumes, volumes.c.id == snapshots.c.volume_id)
        .where(snapshots.c.id.in_(wanted), snapshots.c.deleted == 0, snapshots.c.status == "creating")
        .order_by(snapshots.c.id)
    )
    return conn.execute(query).all()


def finish_image(tx: Transaction, uuid: str, *, status: str, size: int = 0) -> bool:
    """End the making of an image.

    :param status: ``active``, or ``killed`` when it failed
    :param size: bytes
    :returns: whether it was being made
    """
    query = (
        sa.update(images)
        .where(images.c.uuid == uuid, images.c.deleted == 0, images.c.status.in_(UNFINISHED_IMAGE))
        .values(status=status, size=size, progress=100 if status == "active" else 0)
    )
    return bool(tx.execute(query).rowcount)


def rotate_backups(tx: Transaction, instance_uuid: str, backup_type: str, rotation: int) -> None:
    """End the oldest backups of an instance that are ready.

    :param backup_type: of which kind, the property ``backup_type``
    :param rotation: how many of them stay
    """
    query = (
        sa.select(images.c.id)
        .join_from(images, image_properties, image_properties.c.image_id == images.c.id)
        .where(
            images.c.instance_uuid == instance_uuid,
            images.c.deleted == 0,
            images.c.status == "active",
            image_properties.c.key == "backup_type",
            image_properties.c.value == backup_type,
        )
        .order_by(images.c.id.desc())
    )
    surplus = [row.id for row in tx.execute(query)][max(0, rotation) :]
    if surplus:
        gone = {"deleted": images.c.id, "deleted_at": now(), "status": "deleted"}
        tx.execute(sa.update(images).where(images.c.id.in_(surplus)).values(**gone))
