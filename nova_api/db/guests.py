"""What nodes read of instances, and how they move them from state to state: always compare and set.

An update names the states that it starts from; when another message was there first, nothing changes and the
caller learns it. So a message that comes twice does nothing the second time.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction
from nova_api.db.models import block_devices, instances, now, shared_ips

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

# -- reading -----------------------------------------------------------------------------------------------


def get(conn: Connection, uuid: str) -> Row[Any] | None:
    """A living instance; ``has_devices`` tells whether :func:`nova_api.db.disks.devices` finds anything,
    ``has_shares`` whether its host is to set up addresses that it shares.
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
