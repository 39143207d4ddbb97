"""Queries of moves: resizes and migrations, the table ``migrations``.

The status of a move goes ``migrating`` (its source has work to do), ``post-migrating`` (its destination has),
``finished`` (it waits for the owner's word), and from there to ``confirmed``, or to ``reverted``, on the way to
which it is ``reverting`` while its source has the last word. ``error`` ends it wherever it is.
"""

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction, new_id
from nova_api.db.models import block_devices, flavors, instances, migrations

_ONE: sa.Select[Any] = sa.select(migrations).where(migrations.c.id == sa.bindparam("move"))
_LATEST: sa.Select[Any] = (
    sa.select(migrations)
    .where(migrations.c.instance_id == sa.bindparam("moved"))
    .order_by(migrations.c.id.desc())
    .limit(1)
)
_FLAVOR: sa.Select[Any] = sa.select(flavors).where(flavors.c.id == sa.bindparam("flavor"))
_INCOMING: sa.Select[Any] = (
    sa.select(
        migrations.c.dest_compute.label("host"),
        sa.func.sum(flavors.c.vcpus).label("vcpus"),
        sa.func.sum(flavors.c.memory_mb).label("memory_mb"),
        sa.func.sum(flavors.c.root_gb + flavors.c.ephemeral_gb).label("local_gb"),
    )
    .join_from(migrations, instances, instances.c.id == migrations.c.instance_id)
    .join(flavors, flavors.c.id == migrations.c.new_instance_type_id)
    .where(
        migrations.c.status.in_(["migrating", "post-migrating"]),
        instances.c.deleted == 0,
        instances.c.host != migrations.c.dest_compute,
    )
    .group_by(migrations.c.dest_compute)
)


class Sizes(NamedTuple):
    """What an instance takes of a host.

    :ivar memory_mb: MB; ``local_gb`` is GB
    """

    vcpus: int
    memory_mb: int
    local_gb: int
    availability_zone: str | None = None


def get(conn: Connection, number: int) -> Row[Any] | None:
    """A move."""
    return conn.execute(_ONE, {"move": number}).first()


def latest(conn: Connection, instance_id: int) -> Row[Any] | None:
    """The last move of an instance, whatever has become of it."""
    return conn.execute(_LATEST, {"moved": instance_id}).first()


def insert(tx: Transaction, instance: Row[Any], dest: str, flavor_id: int) -> int:
    """A new move, whose source has work to do.

    :param instance: of :func:`nova_api.db.guests.lock`
    :param dest: host that it goes to
    :param flavor_id: number of its new flavor
    :returns: its number
    """
    query = sa.insert(migrations).values(
        instance_id=instance.id,
        source_compute=instance.host,
        dest_compute=dest,
        status="migrating",
        old_instance_type_id=instance.instance_type_id,
        new_instance_type_id=flavor_id,
    )
    return new_id(tx.execute(query))


def change(tx: Transaction, number: int, statuses: Sequence[str], status: str) -> bool:
    """Compare and set.

    :param statuses: what the move may be in
    :returns: whether it was
    """
    query = sa.update(migrations).where(migrations.c.id == number, migrations.c.status.in_(list(statuses)))
    return bool(tx.execute(query.values(status=status)).rowcount)


def confirm_unfinished(tx: Transaction, instance_id: int) -> Sequence[Row[Any]]:
    """Confirm what nobody has confirmed: the next move of an instance leaves no way back to those before.

    :returns: number and source of those moves
    """
    waiting = sa.and_(migrations.c.instance_id == instance_id, migrations.c.status == "finished")
    rows = tx.execute(sa.select(migrations.c.id, migrations.c.source_compute).where(waiting)).all()
    if rows:
        tx.execute(sa.update(migrations).where(waiting).values(status="confirmed"))
    return rows


def flavor(conn: Connection, number: int) -> Row[Any] | None:
    """A flavor, also one that has ended."""
    return conn.execute(_FLAVOR, {"flavor": number}).first()


def sizes(conn: Connection, flavor_id: int) -> dict[str, Any]:
    """The columns of an instance that its flavor decides.

    :raises LookupError: there never was such a flavor
    """
    row = flavor(conn, flavor_id)
    if row is None:
        raise LookupError(f"no flavor has the number {flavor_id}")
    return {
        "instance_type_id": row.id,
        "memory_mb": row.memory_mb,
        "vcpus": row.vcpus,
        "root_gb": row.root_gb,
        "ephemeral_gb": row.ephemeral_gb,
    }


def incoming(conn: Connection) -> dict[str, Sizes]:
    """What instances that are on their way to a host will take of it, by host."""
    # MariaDB sums integers into decimals.
    return {row.host: Sizes(int(row.vcpus), int(row.memory_mb), int(row.local_gb)) for row in conn.execute(_INCOMING)}


def reconnect(tx: Transaction, instance_id: int, connections: Mapping[int, Mapping[str, Any]]) -> None:
    """Note how the new host of an instance reaches its volumes.

    :param connections: by number of the volume
    """
    for volume_id, info in connections.items():
        mine = sa.and_(block_devices.c.instance_id == instance_id, block_devices.c.volume_id == volume_id)
        tx.execute(sa.update(block_devices).where(mine).values(connection_info=json.dumps(dict(info))))
