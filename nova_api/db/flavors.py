"""Queries of flavors, the instance types."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.db.engine import Transaction, new_id
from nova_api.db.filters import wide
from nova_api.db.models import flavor_extra_specs, flavors, now

_ALL: sa.Select[Any] = sa.select(flavors).where(flavors.c.deleted == 0).order_by(flavors.c.id)
_BY_NAME: sa.Select[Any] = sa.select(flavors).where(flavors.c.deleted == 0, flavors.c.name == sa.bindparam("name"))
_BY_FLAVORID = sa.select(flavors).where(flavors.c.deleted == 0, flavors.c.flavorid == sa.bindparam("flavorid"))


def every(conn: Connection) -> Sequence[Row[Any]]:
    """All flavors."""
    return conn.execute(_ALL).all()


def find(conn: Connection, *, min_ram: int | None = None, min_disk: int | None = None) -> Sequence[Row[Any]]:
    """Flavors by name.

    :param min_ram: MB that they have at least; min_disk: GB of the root disk
    """
    query: sa.Select[Any] = sa.select(flavors).where(flavors.c.deleted == 0)
    if min_ram is not None:
        query = query.where(flavors.c.memory_mb >= wide(min_ram))
    if min_disk is not None:
        query = query.where(flavors.c.root_gb >= wide(min_disk))
    return conn.execute(query.order_by(flavors.c.name)).all()


def by_name(conn: Connection, name: str) -> Row[Any] | None:
    """The flavor with a name, such as ``m1.small``."""
    return conn.execute(_BY_NAME, {"name": name}).first()


def by_flavorid(conn: Connection, flavorid: str) -> Row[Any] | None:
    """The flavor with an id as the OpenStack API shows it."""
    return conn.execute(_BY_FLAVORID, {"flavorid": flavorid}).first()


def by_number(conn: Connection, number: int) -> Row[Any]:
    """The flavor of a server, living or not."""
    return conn.execute(sa.select(flavors).where(flavors.c.id == number)).one()


def locked(tx: Transaction, flavorid: str) -> Row[Any] | None:
    """:func:`by_flavorid`, kept from changing until the transaction ends."""
    return tx.execute(_BY_FLAVORID.with_for_update(), {"flavorid": flavorid}).first()


def insert(tx: Transaction, values: dict[str, Any]) -> int:
    """A new flavor.

    :returns: its row number
    """
    return new_id(tx.execute(sa.insert(flavors).values(**values)))


def delete(tx: Transaction, name: str) -> bool:
    """End a flavor; instances of it live on.

    :returns: whether it was there
    """
    query = sa.update(flavors).where(flavors.c.name == name, flavors.c.deleted == 0)
    return bool(tx.execute(query.values(deleted=flavors.c.id, deleted_at=now())).rowcount)


def delete_flavorid(tx: Transaction, flavorid: str) -> bool:
    """:func:`delete`, by the id that the OpenStack API shows."""
    query = sa.update(flavors).where(flavors.c.flavorid == flavorid, flavors.c.deleted == 0)
    return bool(tx.execute(query.values(deleted=flavors.c.id, deleted_at=now())).rowcount)


def extra_specs(conn: Connection, number: int) -> dict[str, str]:
    """The extra specs of a flavor, by key.

    :param number: of its row
    """
    query = sa.select(flavor_extra_specs.c.key, flavor_extra_specs.c.value)
    mine = flavor_extra_specs.c.instance_type_id == number
    return {key: value for key, value in conn.execute(query.where(mine).order_by(flavor_extra_specs.c.key))}


def set_extra_specs(tx: Transaction, number: int, specs: Mapping[str, str]) -> None:
    """Add extra specs to a flavor, which the transaction has locked, or change them."""
    remove_extra_specs(tx, number, specs)
    rows = [{"instance_type_id": number, "key": key, "value": value} for key, value in specs.items()]
    if rows:
        tx.execute(sa.insert(flavor_extra_specs), rows)


def remove_extra_specs(tx: Transaction, number: int, keys: Iterable[str]) -> None:
    """Drop extra specs of a flavor."""
    mine = sa.and_(flavor_extra_specs.c.instance_type_id == number, flavor_extra_specs.c.key.in_(list(keys)))
    tx.execute(sa.delete(flavor_extra_specs).where(mine))
