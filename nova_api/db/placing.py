"""What schedulers read of instances that have no host yet, and how they give them one."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction
from nova_api.db.models import instances, now

#: What a scheduler has to know of an instance.
TO_PLACE: tuple[sa.ColumnElement[Any], ...] = (
    instances.c.id,
    instances.c.uuid,
    instances.c.project_id,
    instances.c.instance_type_id,
    instances.c.availability_zone,
    instances.c.vcpus,
    instances.c.memory_mb,
    (instances.c.root_gb + instances.c.ephemeral_gb).label("local_gb"),
)
_WAITING = (
    sa.select(*TO_PLACE)
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


def waiting(tx: Transaction, uuids: Iterable[str]) -> Sequence[Row[Any]]:
    """Those of the instances that have no host yet and wait for one; locked, oldest first."""
    return tx.execute(_WAITING, {"uuids": list(uuids)}).all()


def hosts_of(conn: Connection, project: str | None, uuids: Iterable[str]) -> set[str]:
    """The hosts of a project's living instances."""
    query = sa.select(instances.c.host).where(
        # A NUL or half a character: no database can be asked for it, and no UUID has it.
        instances.c.uuid.in_([uuid for uuid in uuids if uuid.isprintable()]),
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
