"""Queries of networks, fixed addresses and virtual interfaces.

An address is claimed by compare-and-set on its row: whoever changes ``instance_id`` from NULL has it. On the databases
that run writers in parallel, claimers skip rows that another one is just taking.
"""

import ipaddress
import secrets
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api import errors
from nova_api.context import new_uuid
from nova_api.db.engine import Transaction
from nova_api.db.models import fixed_ips, floating_ips, instances, networks, now, virtual_interfaces

_FREE = (
    sa.select(fixed_ips.c.id, fixed_ips.c.address)
    .where(
        fixed_ips.c.network_id == sa.bindparam("network"),
        fixed_ips.c.instance_id.is_(None),
        ~fixed_ips.c.reserved,
    )
    .order_by(fixed_ips.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_HELD = sa.select(fixed_ips.c.address).where(fixed_ips.c.instance_id == sa.bindparam("instance"))
_HOLDER = (
    sa.select(fixed_ips.c.instance_id)
    .join_from(fixed_ips, instances, instances.c.id == fixed_ips.c.instance_id)
    .where(fixed_ips.c.address == sa.bindparam("address"), instances.c.deleted == 0)
)
_CLAIM = (
    sa.update(fixed_ips)
    .where(fixed_ips.c.id == sa.bindparam("row"), fixed_ips.c.instance_id.is_(None))
    .values(
        instance_id=sa.bindparam("instance"),
        virtual_interface_id=sa.bindparam("vif"),
        leased=True,
        updated_at=sa.bindparam("at"),
    )
)
_INTERFACE = sa.select(virtual_interfaces.c.id).where(virtual_interfaces.c.instance_id == sa.bindparam("instance"))


def allocate(tx: Transaction, instance_id: int) -> str:
    """Give an instance an interface with the lowest free address of the first network that has one.

    Called again for the same instance it returns the address that it has.

    :raises NoMoreFixedIps: every network is full, or there is none
    """
    held = tx.execute(_HELD, {"instance": instance_id}).scalar()
    if held is not None:
        return str(held)
    for network in every(tx.conn):
        for _ in range(100):
            row = tx.execute(_FREE, {"network": network.id}).first()
            if row is None:
                break
            vif = _interface(tx, network.id, instance_id)
            taken = tx.execute(
                _CLAIM, {"row": row.id, "instance": instance_id, "vif": vif, "at": now()}
            ).rowcount
            if taken:
                return str(row.address)
    raise errors.NoMoreFixedIps


def _interface(tx: Transaction, network_id: int, instance_id: int) -> int:
    found = tx.execute(_INTERFACE, {"instance": instance_id}).scalar()
    if found is not None:
        return int(found)
    while True:
        address = new_mac()
        clash = sa.select(virtual_interfaces.c.id).where(virtual_interfaces.c.address == address)
        if tx.execute(clash).first() is None:
            break
    values = {"uuid": new_uuid(), "address": address, "network_id": network_id, "instance_id": instance_id}
    return int(tx.execute(sa.insert(virtual_interfaces).values(**values)).inserted_primary_key[0])


def new_mac() -> str:
    """A random address of the block that is locally administered."""
    return "02:16:3e:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))


def free(tx: Transaction, instance_ids: Sequence[int]) -> None:
    """Return the addresses of instances to their pools, with the floating addresses that hang on them."""
    ids = list(instance_ids)
    held = sa.select(fixed_ips.c.id).where(fixed_ips.c.instance_id.in_(ids)).scalar_subquery()
    tx.execute(sa.update(floating_ips).where(floating_ips.c.fixed_ip_id.in_(held)).values(fixed_ip_id=None))
    tx.execute(
        sa.update(fixed_ips)
        .where(fixed_ips.c.instance_id.in_(ids))
        .values(instance_id=None, virtual_interface_id=None, leased=False, updated_at=now())
    )
    tx.execute(sa.delete(virtual_interfaces).where(virtual_interfaces.c.instance_id.in_(ids)))


def holder(conn: Connection, address: str) -> int | None:
    """The number of the living instance that holds a fixed address."""
    return conn.execute(_HOLDER, {"address": address}).scalar()


def every(conn: Connection) -> Sequence[Row[Any]]:
    """All networks, oldest first."""
    return conn.execute(sa.select(networks).order_by(networks.c.id)).all()


def create(tx: Transaction, label: str, cidr: str, *, uuid: str | None = None, limit: int = 65536) -> int:
    """A network with all its addresses; those of the network, its gateway and broadcast are reserved.

    :param cidr: IPv4
    :param limit: most addresses
    :returns: its row number
    :raises InvalidParameterValue: no IPv4 network, or a larger one
    :raises Duplicate: the label is taken
    """
    try:
        block = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise errors.InvalidParameterValue(f"{cidr} is no IPv4 network: {error}") from error
    if not 4 <= block.num_addresses <= limit:
        raise errors.InvalidParameterValue(f"A network has between 4 and {limit} addresses.")
    if tx.execute(sa.select(networks.c.id).where(networks.c.label == label)).first() is not None:
        raise errors.Duplicate(f"Network {label} exists already.")
    gateway = str(block.network_address + 1)
    values = {"uuid": uuid or new_uuid(), "label": label, "cidr": cidr, "gateway": gateway, "dns1": "8.8.4.4"}
    number = int(tx.execute(sa.insert(networks).values(**values)).inserted_primary_key[0])
    first, last = int(block.network_address), int(block.broadcast_address)
    kept = {first, first + 1, last}
    tx.execute(
        sa.insert(fixed_ips),
        [
            {
                "address": f"{at >> 24}.{at >> 16 & 255}.{at >> 8 & 255}.{at & 255}",
                "network_id": number,
                "reserved": at in kept,
            }
            for at in range(first, last + 1)
        ],
    )
    return number


def delete(tx: Transaction, label: str) -> bool:
    """End a network.

    :returns: whether it was there
    :raises IncorrectState: instances hold addresses of it
    """
    row = tx.execute(sa.select(networks.c.id).where(networks.c.label == label)).first()
    if row is None:
        return False
    used = sa.select(fixed_ips.c.id).where(fixed_ips.c.network_id == row.id, fixed_ips.c.instance_id.is_not(None))
    if tx.execute(used.limit(1)).first() is not None:
        raise errors.IncorrectState(f"Network {label} has addresses in use.")
    tx.execute(sa.delete(fixed_ips).where(fixed_ips.c.network_id == row.id))
    tx.execute(sa.delete(networks).where(networks.c.id == row.id))
    return True
