"""Queries of networks, fixed addresses and virtual interfaces.

An address is a row from the beginning of its network; allocating one is claiming the lowest free row.
SQLite's writers run one at a time; on the databases that run them in parallel, claimers skip rows that
another one is just taking.
"""

import ipaddress
import secrets
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api import errors
from nova_api.context import new_uuid
from nova_api.db import shared_ips
from nova_api.db.engine import Transaction, new_id
from nova_api.db.models import fixed_ips, floating_ips, instances, networks, now, virtual_interfaces

_NETWORKS = (
    sa.select(networks.c.id, networks.c.cidr, networks.c.gateway, networks.c.bridge)
    .where(sa.or_(networks.c.project_id == sa.bindparam("project"), networks.c.project_id.is_(None)))
    .order_by(networks.c.project_id.is_(None), networks.c.id)
)
# ``reserved`` is compared, not negated: only so is it a column of the index that finds the row.
_FREE = (
    sa.select(fixed_ips.c.id, fixed_ips.c.address)
    .where(
        fixed_ips.c.network_id == sa.bindparam("network"),
        fixed_ips.c.instance_id.is_(None),
        fixed_ips.c.reserved == sa.false(),
    )
    .order_by(fixed_ips.c.id)
    .limit(1)
    .with_for_update(skip_locked=True)
)
_INSERT_CARD = sa.insert(virtual_interfaces)
_CLAIM = (
    sa.update(fixed_ips)
    .where(fixed_ips.c.id == sa.bindparam("row"), fixed_ips.c.instance_id.is_(None))
    .values(
        instance_id=sa.bindparam("owner"),
        virtual_interface_id=sa.bindparam("card"),
        leased=True,
        updated_at=sa.bindparam("at"),
    )
)
_CARDS: sa.Select[Any] = (
    sa.select(
        virtual_interfaces.c.id,
        virtual_interfaces.c.uuid,
        virtual_interfaces.c.address.label("mac"),
        fixed_ips.c.address,
        networks.c.label,
        networks.c.cidr,
        networks.c.gateway,
        networks.c.bridge,
    )
    .join_from(fixed_ips, virtual_interfaces, virtual_interfaces.c.id == fixed_ips.c.virtual_interface_id)
    .join(networks, networks.c.id == fixed_ips.c.network_id)
    .where(fixed_ips.c.instance_id == sa.bindparam("owner"))
    .order_by(virtual_interfaces.c.id, fixed_ips.c.id)
)
_HOLDER = (
    sa.select(fixed_ips.c.instance_id)
    .join_from(fixed_ips, instances, instances.c.id == fixed_ips.c.instance_id)
    .where(fixed_ips.c.address == sa.bindparam("address"), instances.c.deleted == 0)
)
_OWNERS: sa.BindParameter[int] = sa.bindparam("owners", expanding=True)
_FLOATING = (
    sa.select(floating_ips.c.id, floating_ips.c.address)
    .join_from(floating_ips, fixed_ips, fixed_ips.c.id == floating_ips.c.fixed_ip_id)
    .where(fixed_ips.c.instance_id.in_(_OWNERS))
    .order_by(floating_ips.c.id)
)
_DROP_FLOATING = (
    sa.update(floating_ips)
    .where(floating_ips.c.id.in_(sa.bindparam("rows", expanding=True)))
    .values(fixed_ip_id=None, updated_at=sa.bindparam("at"))
)
_RETURN = (
    sa.update(fixed_ips)
    .where(fixed_ips.c.instance_id.in_(_OWNERS))
    .values(instance_id=None, virtual_interface_id=None, leased=False, updated_at=sa.bindparam("at"))
)
_DROP_CARDS = sa.delete(virtual_interfaces).where(virtual_interfaces.c.instance_id.in_(_OWNERS))
_BOUND = (
    sa.select(floating_ips.c.address, fixed_ips.c.address.label("fixed"))
    .join_from(floating_ips, fixed_ips, fixed_ips.c.id == floating_ips.c.fixed_ip_id)
    .order_by(floating_ips.c.id)
)


class Allocation(NamedTuple):
    """A fixed address that an instance has got.

    :ivar mac: hardware address of the network card that holds it
    :ivar network: ``id``, ``cidr``, ``gateway`` and ``bridge`` of its network
    """

    mac: str
    address: str
    network: Row[Any]


def allocate(tx: Transaction, instance_id: int, project_id: str | None = None) -> Allocation:
    """Give an instance a network card with the lowest free address of the first of its networks that has one.

    :param project_id: its networks come first, then those of everybody
    :raises NoMoreFixedIps: there is no network, or every one is full
    :raises sqlalchemy.exc.IntegrityError: the random hardware address exists already, once in many thousand
        times: run the transaction again
    """
    for network in tx.execute(_NETWORKS, {"project": project_id}).all():
        found = tx.execute(_FREE, {"network": network.id}).first()
        if found is not None:
            return _claim(tx, instance_id, network, found)
    raise errors.NoMoreFixedIps


def allocate_on(
    tx: Transaction, instance_id: int, project_id: str | None, uuid: str, address: str | None = None
) -> Allocation:
    """Give an instance a network card on a network of its choice.

    :param uuid: of the network
    :param address: the fixed address it wants; the lowest free one without it
    :raises NetworkNotFound: the network is not one that the project may use
    :raises NoMoreFixedIps: it is full
    :raises FixedIpInvalid: the address is none of its addresses
    :raises FixedIpInUse: the address is somebody else's; the transaction must :func:`free` what it has taken
    :raises sqlalchemy.exc.IntegrityError: as :func:`allocate`
    """
    network = of_project(tx.conn, project_id, uuid)
    if network is None:
        raise errors.NetworkNotFound(uuid)
    if address is None:
        found = tx.execute(_FREE, {"network": network.id}).first()
        if found is None:
            raise errors.NoMoreFixedIps
        return _claim(tx, instance_id, network, found)
    found = fixed_address(tx.conn, network.id, address)
    if found is None:
        raise errors.FixedIpInvalid(address)
    if found.reserved:
        raise errors.FixedIpInUse(address)
    return _claim(tx, instance_id, network, found)


def _claim(tx: Transaction, instance_id: int, network: Row[Any], found: Row[Any]) -> Allocation:
    """Make a network card with an address.

    :raises FixedIpInUse: somebody has the address
    """
    mac = new_mac()
    values = {"uuid": new_uuid(), "address": mac, "network_id": network.id, "instance_id": instance_id}
    card = new_id(tx.execute(_INSERT_CARD, values))
    claim = {"row": found.id, "owner": instance_id, "card": card, "at": now()}
    if tx.execute(_CLAIM, claim).rowcount != 1:
        raise errors.FixedIpInUse(found.address)
    return Allocation(mac, found.address, network)


def new_mac() -> str:
    """A random address of the block that 2012.1 took them from, which is locally administered."""
    return "fa:16:3e:" + ":".join(f"{byte:02x}" for byte in secrets.token_bytes(3))


def cards(conn: Connection, instance_id: int) -> Sequence[Row[Any]]:
    """Network cards of an instance with address and network, in the order in which it got them."""
    return conn.execute(_CARDS, {"owner": instance_id}).all()


def free(tx: Transaction, instance_ids: Iterable[int]) -> list[shared_ips.Sharer]:
    """Return the addresses of instances to their pools, and remove their network cards.

    Floating addresses that pointed to them stay with their project; nobody shares them any more.

    :returns: who shared them: whoever calls tells their hosts
    """
    owners = {"owners": list(instance_ids)}
    sharers = _drop_floating(tx, tx.execute(_FLOATING, owners).all())
    tx.execute(_RETURN, {**owners, "at": now()})
    tx.execute(_DROP_CARDS, owners)
    return sharers


def _drop_floating(tx: Transaction, rows: Sequence[Row[Any]]) -> list[shared_ips.Sharer]:
    if not rows:
        return []
    tx.execute(_DROP_FLOATING, {"rows": [row.id for row in rows], "at": now()})
    return shared_ips.end_of_addresses(tx, [row.address for row in rows])


def give_back(tx: Transaction, instance_id: int, address: str) -> tuple[list[str], list[shared_ips.Sharer]]:
    """Return one address of an instance to its pool; a network card without another address goes.

    :returns: floating addresses that led there, which stay with their project, and who shared them
    """
    mine = sa.and_(fixed_ips.c.instance_id == instance_id, fixed_ips.c.address == address)
    found = tx.execute(sa.select(fixed_ips.c.id, fixed_ips.c.virtual_interface_id).where(mine)).first()
    if found is None:
        return [], []
    leading = sa.select(floating_ips.c.id, floating_ips.c.address).where(floating_ips.c.fixed_ip_id == found.id)
    floating = tx.execute(leading).all()
    sharers = _drop_floating(tx, floating)
    returned = sa.update(fixed_ips).where(fixed_ips.c.id == found.id)
    tx.execute(returned.values(instance_id=None, virtual_interface_id=None, leased=False, updated_at=now()))
    card = found.virtual_interface_id
    left = tx.execute(sa.select(fixed_ips.c.id).where(fixed_ips.c.virtual_interface_id == card).limit(1)).first()
    if left is None:
        tx.execute(sa.delete(virtual_interfaces).where(virtual_interfaces.c.id == card))
    return [row.address for row in floating], sharers


def floating_of(conn: Connection, instance_id: int) -> list[str]:
    """The floating addresses that point to an instance."""
    return [row.address for row in conn.execute(_FLOATING, {"owners": [instance_id]})]


def bound_floating_addresses(conn: Connection) -> dict[str, str]:
    """Every floating address that points to a fixed one, with that one."""
    return {row.address: row.fixed for row in conn.execute(_BOUND)}


def fixed_address_of(conn: Connection, floating: str) -> str | None:
    """The fixed address that a floating one points to, or None."""
    row = conn.execute(_BOUND.where(floating_ips.c.address == floating)).first()
    return None if row is None else str(row.fixed)


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
    :raises Duplicate: the label is taken, or some of the addresses are another network's
    """
    try:
        block = ipaddress.IPv4Network(cidr)
    except ValueError as error:
        raise errors.InvalidParameterValue(f"{cidr} is no IPv4 network: {error}") from error
    if not 4 <= block.num_addresses <= limit:
        raise errors.InvalidParameterValue(f"A network has between 4 and {limit} addresses.")
    if tx.execute(sa.select(networks.c.id).where(networks.c.label == label)).first() is not None:
        raise errors.Duplicate(f"Network {label} exists already.")
    for row in every(tx.conn):
        # Metadata are told to an address: it must not be one of two servers.
        if block.overlaps(ipaddress.IPv4Network(row.cidr, strict=False)):
            raise errors.Duplicate(f"The range {cidr} conflicts with that of network {row.label}.")
    gateway = str(block.network_address + 1)
    values = {"uuid": uuid or new_uuid(), "label": label, "cidr": cidr, "gateway": gateway, "dns1": "8.8.4.4"}
    number = new_id(tx.execute(sa.insert(networks).values(**values)))
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


def one(conn: Connection, name: str) -> Row[Any] | None:
    """A network by its UUID or its label, whosever it is."""
    named = sa.or_(networks.c.uuid == name, networks.c.label == name)
    return conn.execute(sa.select(networks).where(named).order_by(networks.c.uuid != name).limit(1)).first()


def set_project(tx: Transaction, number: int, project: str | None) -> None:
    """Give a network to a project, or to everybody."""
    tx.execute(sa.update(networks).where(networks.c.id == number).values(project_id=project))


def interfaces(conn: Connection, instance_id: int) -> Sequence[Row[Any]]:
    """UUID and MAC of an instance's network cards, in the order in which it got them."""
    query: sa.Select[Any] = sa.select(virtual_interfaces.c.uuid, virtual_interfaces.c.address.label("mac"))
    mine = virtual_interfaces.c.instance_id == instance_id
    return conn.execute(query.where(mine).order_by(virtual_interfaces.c.id)).all()


def addressed_interfaces(conn: Connection, instance_id: int) -> Sequence[Row[Any]]:
    """An instance's network cards as :func:`interfaces`, with ``network`` (UUID), a row per ``fixed_address``."""
    query: sa.Select[Any] = (
        sa.select(
            virtual_interfaces.c.uuid,
            virtual_interfaces.c.address.label("mac"),
            networks.c.uuid.label("network"),
            fixed_ips.c.address.label("fixed_address"),
        )
        .join(networks, networks.c.id == virtual_interfaces.c.network_id)
        .outerjoin(fixed_ips, fixed_ips.c.virtual_interface_id == virtual_interfaces.c.id)
    )
    mine = virtual_interfaces.c.instance_id == instance_id
    return conn.execute(query.where(mine).order_by(virtual_interfaces.c.id, fixed_ips.c.id)).all()


def delete(tx: Transaction, name: str) -> bool:
    """End a network.

    :param name: its label or UUID
    :returns: whether it was there
    :raises IncorrectState: instances hold addresses of it
    """
    row = one(tx.conn, name)
    if row is None:
        return False
    label = row.label
    used = sa.select(fixed_ips.c.id).where(fixed_ips.c.network_id == row.id, fixed_ips.c.instance_id.is_not(None))
    if tx.execute(used.limit(1)).first() is not None:
        raise errors.IncorrectState(f"Network {label} has addresses in use.")
    tx.execute(sa.delete(fixed_ips).where(fixed_ips.c.network_id == row.id))
    tx.execute(sa.delete(networks).where(networks.c.id == row.id))
    return True


def of_project(conn: Connection, project: str | None, uuid: str) -> Row[Any] | None:
    """A network that a project may use: its own, or one of everybody's."""
    mine = sa.or_(networks.c.project_id == project, networks.c.project_id.is_(None))
    return conn.execute(sa.select(networks).where(networks.c.uuid == uuid, mine)).first()


def usable(conn: Connection, project: str | None, text: str) -> Row[Any] | None:
    """:func:`of_project` by UUID or row number.

    :param text: as the caller wrote it
    """
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        return of_project(conn, project, text) if text.isprintable() else None
    found = conn.execute(sa.select(networks.c.uuid).where(networks.c.id == int(text))).scalar()
    return None if found is None else of_project(conn, project, found)


def fixed_address(conn: Connection, network_id: int, address: str) -> Row[Any] | None:
    """An address of a network, with the instance that has it."""
    query = sa.select(fixed_ips).where(fixed_ips.c.network_id == network_id, fixed_ips.c.address == address)
    return conn.execute(query).first()
