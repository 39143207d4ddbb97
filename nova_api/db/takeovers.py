"""Queries of what a host that died has left undone: builds, ends of instances, and volumes to be made.

A build's message is with the host that was to carry it out, and with it what is written nowhere else: password, files,
networks, hints. The table ``instance_builds`` keeps that until the build has ended, so that another host can be told.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction
from nova_api.db.models import block_devices, instance_builds, instances, now, volumes
from nova_api.db.placing import TO_PLACE

_STRANDED: sa.Select[Any] = (
    sa.select(*TO_PLACE, instances.c.host, instance_builds.c.arguments)
    .select_from(instances.outerjoin(instance_builds, instance_builds.c.instance_id == instances.c.id))
    .where(
        instances.c.host.in_(sa.bindparam("hosts", expanding=True)),
        instances.c.deleted == 0,
        instances.c.vm_state == "building",
        instances.c.task_state.in_(sa.bindparam("tasks", expanding=True)),
        instances.c.id > sa.bindparam("after"),
    )
    .order_by(instances.c.id)
    .limit(sa.bindparam("most"))
    .with_for_update(of=instances)
)
_ENDING: sa.Select[Any] = (
    sa.select(instances.c.id, instances.c.uuid)
    .where(
        instances.c.host.in_(sa.bindparam("hosts", expanding=True)),
        instances.c.deleted == 0,
        instances.c.task_state == "deleting",
        instances.c.id > sa.bindparam("after"),
    )
    .order_by(instances.c.id)
    .limit(sa.bindparam("most"))
)
_UNMADE: sa.Select[Any] = (
    sa.select(volumes.c.id, volumes.c.host, volumes.c.availability_zone, volumes.c.snapshot_id)
    .where(
        volumes.c.host.in_(sa.bindparam("hosts", expanding=True)),
        volumes.c.deleted == 0,
        volumes.c.status == "creating",
        volumes.c.id > sa.bindparam("after"),
    )
    .order_by(volumes.c.id)
    .limit(sa.bindparam("most"))
)
_DONE = (
    sa.select(instance_builds.c.instance_id)
    .join_from(instance_builds, instances, instances.c.id == instance_builds.c.instance_id)
    .where(sa.or_(instances.c.deleted != 0, instances.c.vm_state != "building"))
)


# -- what builds were told ---------------------------------------------------------------------------------


def remember_builds(tx: Transaction, numbers: Iterable[int], arguments: Mapping[str, Any]) -> None:
    """Keep what the builds of instances were told until they have ended.

    :param arguments: can travel as JSON
    """
    text = json.dumps(dict(arguments))
    rows = [{"instance_id": number, "arguments": text} for number in numbers]
    if rows:
        tx.execute(sa.insert(instance_builds), rows)


def forget_builds(tx: Transaction, numbers: Sequence[int]) -> None:
    """These builds have ended."""
    tx.execute(sa.delete(instance_builds).where(instance_builds.c.instance_id.in_(list(numbers))))


def ended_builds(conn: Connection) -> Sequence[int]:
    """Instances that are not being built any more and of which something is still kept: those that failed or ended."""
    return conn.execute(_DONE).scalars().all()


# -- what was left -----------------------------------------------------------------------------------------


def stranded(tx: Transaction, hosts: Iterable[str], tasks: Iterable[str], after: int, most: int) -> Sequence[Row[Any]]:
    """Instances that hosts have not finished building, locked, with ``arguments`` (JSON text or None).

    :param after: those with a greater number
    :param most: how many
    """
    values = {"hosts": sorted(hosts), "tasks": list(tasks), "after": after, "most": most}
    return tx.execute(_STRANDED, values).all()


def move_build(tx: Transaction, number: int, source: str, dest: str) -> bool:
    """Compare and set: give a build to another host. Its addresses are the instance's, and stay.

    :returns: whether it was still the first one's
    """
    query = (
        sa.update(instances)
        .where(
            instances.c.id == number,
            instances.c.deleted == 0,
            instances.c.host == source,
            instances.c.vm_state == "building",
        )
        .values(host=dest, scheduled_at=now())
    )
    return bool(tx.execute(query).rowcount)


def disconnect(tx: Transaction, number: int) -> list[tuple[int, str]]:
    """Have the volumes of an instance that is built elsewhere from now on attached anew.

    :returns: number and host of those that were attached already
    """
    mine = sa.and_(block_devices.c.instance_id == number, block_devices.c.connection_info.is_not(None))
    query = sa.select(volumes.c.id, volumes.c.host).join_from(
        block_devices, volumes, volumes.c.id == block_devices.c.volume_id
    )
    found = tx.execute(query.where(mine, volumes.c.host.is_not(None))).all()
    ids = [row.id for row in found]
    if ids:
        attached = sa.and_(volumes.c.id.in_(ids), volumes.c.instance_id == number, volumes.c.status == "in-use")
        tx.execute(sa.update(volumes).where(attached).values(status="attaching", attach_status="detached"))
        tx.execute(sa.update(block_devices).where(mine).values(connection_info=None))
    return [(row.id, row.host) for row in found]


def ending(conn: Connection, hosts: Iterable[str], after: int, most: int) -> Sequence[Row[Any]]:
    """Number and UUID of instances that hosts have not finished ending."""
    return conn.execute(_ENDING, {"hosts": sorted(hosts), "after": after, "most": most}).all()


def unmade_volumes(conn: Connection, hosts: Iterable[str], after: int, most: int) -> Sequence[Row[Any]]:
    """Volumes that hosts have not made."""
    return conn.execute(_UNMADE, {"hosts": sorted(hosts), "after": after, "most": most}).all()


def move_volume(tx: Transaction, number: int, source: str, dest: str) -> bool:
    """Compare and set: have a volume made by another host.

    :returns: whether it was still the first one's to make
    """
    query = sa.update(volumes).where(
        volumes.c.id == number, volumes.c.deleted == 0, volumes.c.host == source, volumes.c.status == "creating"
    )
    return bool(tx.execute(query.values(host=dest, scheduled_at=now())).rowcount)
