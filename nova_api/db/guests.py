"""What nodes read of instances, and how they move them from state to state: always compare and set.

An update names the states that it starts from; when another message was there first, nothing changes and the
caller learns it. So a message that comes twice does nothing the second time.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction
from nova_api.db.models import block_devices, image_properties, images, instances, now, shared_ips, snapshots, volumes

_EVER: sa.Select[Any] = sa.select(
    instances.c.id,
    instances.c.uuid,
    instances.c.hostname,
    instances.c.user_id,
    instances.c.project_id,
    instances.c.image_ref,
    instances.c.kernel_id,
    instances.c.ramdisk_id,
    instances.c.instance_type_id,
    instances.c.vcpus,
    instances.c.memory_mb,
    instances.c.root_gb,
    instances.c.ephemeral_gb,
    instances.c.key_name,
    instances.c.key_data,
    instances.c.user_data,
    instances.c.root_device_name,
    instances.c.availability_zone,
    instances.c.host,
    instances.c.vm_state,
    instances.c.task_state,
    instances.c.task_request,
    instances.c.power_state,
    instances.c.deleted,
    sa.exists().where(block_devices.c.instance_id == instances.c.id, ~block_devices.c.no_device).label("has_devices"),
    sa.exists().where(shared_ips.c.instance_id == instances.c.id, shared_ips.c.configured).label("has_shares"),
).where(instances.c.uuid == sa.bindparam("guest"))
_GUEST: sa.Select[Any] = _EVER.where(instances.c.deleted == 0)
_LOCKED_GUEST: sa.Select[Any] = _GUEST.with_for_update(of=instances)
_WAITING = (
    sa.select(
        instances.c.id,
        instances.c.uuid,
        instances.c.project_id,
        instances.c.instance_type_id,
        instances.c.availability_zone,
        instances.c.vcpus,
        instances.c.memory_mb,
        (instances.c.root_gb + instances.c.ephemeral_gb).label("local_gb"),
    )
    .where(
        instances.c.uuid.in_(sa.bindparam("uuids", expanding=True)),
        instances.c.deleted == 0,
        instances.c.host.is_(None),
        instances.c.vm_state == "building",
        instances.c.task_state == "scheduling",
    )
    .order_by(instances.c.id)
    .with_for_update()
)
_PLACE = (
    sa.update(instances)
    .where(instances.c.id.in_(sa.bindparam("numbers", expanding=True)), instances.c.host.is_(None))
    .values(host=sa.bindparam("place"), scheduled_at=sa.bindparam("at"), task_state="networking")
)
_FAIL_MANY = (
    sa.update(instances)
    .where(instances.c.id.in_(sa.bindparam("numbers", expanding=True)))
    .values(
        vm_state="error",
        task_state=None,
        fault_code=500,
        fault_message=sa.bindparam("fault"),
        fault_at=sa.bindparam("at"),
    )
)
_TO_SPAWNING = sa.update(instances).where(instances.c.id == sa.bindparam("number")).values(task_state="spawning")
_TO_ACTIVE = (
    sa.update(instances)
    .where(
        instances.c.id == sa.bindparam("number"),
        instances.c.deleted == 0,
        instances.c.vm_state == sa.bindparam("before"),
        instances.c.task_state == "spawning",
        instances.c.host == sa.bindparam("place"),
    )
    .values(
        vm_state="active",
        task_state=None,
        power_state=sa.bindparam("power"),
        launched_at=sa.bindparam("at"),
        terminated_at=None,
        progress=100,
    )
)
_ON_HOST: sa.Select[Any] = sa.select(instances.c.id, instances.c.power_state, instances.c.launched_at).where(
    instances.c.host == sa.bindparam("place"),
    instances.c.deleted == 0,
    instances.c.launched_at.is_not(None),
    # What has left and has not arrived is no guest of any host.
    sa.func.coalesce(instances.c.task_state, "") != "resize_migrated",
)
_RECLAIMABLE: sa.Select[Any] = (
    sa.select(instances.c.id, instances.c.uuid)
    .where(
        instances.c.host == sa.bindparam("place"),
        instances.c.deleted == 0,
        instances.c.vm_state == "soft-delete",
        sa.func.coalesce(instances.c.task_state, "") != "deleting",
        instances.c.deleted_at < sa.bindparam("before"),
    )
    .order_by(instances.c.id)
    .limit(sa.bindparam("most"))
    .with_for_update()
)
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


# -- reading -----------------------------------------------------------------------------------------------


def get(conn: Connection, uuid: str) -> Row[Any] | None:
    """A living instance; ``has_devices`` tells whether :func:`devices` finds anything, ``has_shares`` whether its host
    is to set up addresses that it shares.
    """
    return conn.execute(_GUEST, {"guest": uuid}).first()


def get_ever(conn: Connection, uuid: str) -> Row[Any] | None:
    """:func:`get`, also of an instance that has ended: ``deleted`` is not 0 then."""
    return conn.execute(_EVER, {"guest": uuid}).first()


def get_ever_numbered(conn: Connection, number: int) -> Row[Any] | None:
    """:func:`get_ever`, by the number of the instance."""
    uuid = conn.execute(sa.select(instances.c.uuid).where(instances.c.id == number)).scalar()
    return None if uuid is None else get_ever(conn, uuid)


def lock(tx: Transaction, uuid: str) -> Row[Any] | None:
    """:func:`get`, kept from changing until the transaction ends."""
    return tx.execute(_LOCKED_GUEST, {"guest": uuid}).first()


def lock_number(tx: Transaction, number: int) -> Row[Any] | None:
    """:func:`lock`, by the number of the instance."""
    uuid = tx.execute(sa.select(instances.c.uuid).where(instances.c.id == number)).scalar()
    return None if uuid is None else lock(tx, uuid)


def on_host(conn: Connection, host: str) -> Sequence[Row[Any]]:
    """Number, power state and launch time of the instances that a host has started."""
    return conn.execute(_ON_HOST, {"place": host}).all()


def devices(conn: Connection, instance_id: int) -> Sequence[Row[Any]]:
    """Volumes of an instance, made or still to be made, with host, zone, status and project."""
    return conn.execute(_DEVICES, {"owner": instance_id}).all()


# -- scheduling --------------------------------------------------------------------------------------------


def waiting(tx: Transaction, uuids: Iterable[str]) -> Sequence[Row[Any]]:
    """Those of the instances that have no host yet and wait for one; locked, oldest first."""
    return tx.execute(_WAITING, {"uuids": list(uuids)}).all()


def hosts_of(conn: Connection, project: str | None, uuids: Iterable[str]) -> set[str]:
    """The hosts of a project's living instances."""
    query = sa.select(instances.c.host).where(
        instances.c.uuid.in_(list(uuids)),
        instances.c.project_id == project,
        instances.c.deleted == 0,
        instances.c.host.is_not(None),
    )
    return set(conn.execute(query).scalars())


def place(tx: Transaction, numbers: Iterable[int], host: str) -> None:
    """Give instances found by :func:`waiting` their host."""
    tx.execute(_PLACE, {"numbers": list(numbers), "place": host, "at": now()})


def fail_many(tx: Transaction, numbers: Iterable[int], fault: str) -> None:
    """Put instances found by :func:`waiting` into the state ``error``."""
    tx.execute(_FAIL_MANY, {"numbers": list(numbers), "fault": fault[:255], "at": now()})


# -- changing ----------------------------------------------------------------------------------------------


def start_spawning(tx: Transaction, number: int) -> None:
    """Move an instance that this transaction has locked, and that is being built, to the task ``spawning``."""
    tx.execute(_TO_SPAWNING, {"number": number})


def finish_spawning(tx: Transaction, number: int, power_state: int, host: str, *, before: str = "building") -> bool:
    """Make a spawned instance active.

    :param host: that has spawned it; it is no longer the instance's when others have given it up for dead
    :param before: the state it was spawned in, ``building`` or ``rebuilding``
    :returns: whether it was still waiting for that
    """
    values = {"number": number, "power": power_state, "at": now(), "before": before, "place": host}
    return bool(tx.execute(_TO_ACTIVE, values).rowcount)


def change(
    tx: Transaction, number: int, task_states: Iterable[str], values: Mapping[str, Any], host: str | None = None
) -> bool:
    """Compare and set: change a living instance if its task is one of ``task_states``.

    :param host: where it has to be
    :returns: whether it was
    """
    query = sa.update(instances).where(
        instances.c.id == number, instances.c.deleted == 0, instances.c.task_state.in_(list(task_states))
    )
    if host is not None:
        query = query.where(instances.c.host == host)
    return bool(tx.execute(query.values(**values)).rowcount)


def change_idle(tx: Transaction, number: int, values: Mapping[str, Any]) -> bool:
    """:func:`change` of an instance that is at no task.

    :returns: whether it was
    """
    idle = sa.and_(instances.c.id == number, instances.c.deleted == 0, instances.c.task_state.is_(None))
    return bool(tx.execute(sa.update(instances).where(idle).values(**values)).rowcount)


def fail(tx: Transaction, number: int, task_states: Iterable[str], fault: str, host: str | None = None) -> bool:
    """:func:`change` to the state ``error`` with a text for the owner; it can no longer be restored from there."""
    return change(tx, number, task_states, {"vm_state": "error", "deleted_at": None, **fault_values(fault)}, host)


def fault_values(fault: str) -> dict[str, Any]:
    """The columns of an instance whose task has come to nothing.

    :param fault: for its owner
    """
    return {"task_state": None, "fault_code": 500, "fault_message": fault[:255], "fault_at": now()}


def start_reclaiming(tx: Transaction, host: str, before: datetime, most: int) -> list[str]:
    """Move instances of a host that were deleted, and not restored in time, to the task ``deleting``.

    :param before: those that were deleted earlier than this
    :param most: how many at a time
    :returns: their UUIDs; whoever calls sends the messages
    """
    rows = tx.execute(_RECLAIMABLE, {"place": host, "before": before, "most": most}).all()
    if rows:
        chosen = sa.update(instances).where(instances.c.id.in_([row.id for row in rows]))
        tx.execute(chosen.values(task_state="deleting", progress=0))
    return [row.uuid for row in rows]


# -- volumes of instances ----------------------------------------------------------------------------------


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


# -- images of instances -----------------------------------------------------------------------------------


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
