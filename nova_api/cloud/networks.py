"""Networks as the operator sees them, and the network cards of servers (spec openstack-extensions.md 3, 6.4)."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from nova_api import errors, limits
from nova_api.cloud.policy import Policy
from nova_api.cloud.server_actions import ANY, Action, Prepared, ServerActions
from nova_api.cloud.servers import Servers
from nova_api.cloud.sharers import tell_sharers
from nova_api.context import RequestContext
from nova_api.db import networks as queries
from nova_api.db.engine import Database, Transaction

#: The address is the datastore's to give and to take; the node has the server's system follow.
_ADD = Action(
    name="addFixedIp",
    policy="compute:add_fixed_ip",
    vm_states=None,
    task_states=ANY,
    method="inject_network_info",
)
_REMOVE = Action(
    name="removeFixedIp",
    policy="compute:remove_fixed_ip",
    vm_states=None,
    task_states=ANY,
    method="inject_network_info",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkRecord:
    """A network with what follows from its range."""

    uuid: str
    label: str
    cidr: str
    netmask: str
    broadcast: str
    gateway: str | None
    dhcp_start: str
    dns1: str | None
    bridge: str
    project_id: str | None
    host: str | None
    created_at: datetime
    updated_at: datetime | None


class Networks:
    """Networks as a service."""

    def __init__(self, db: Database, policy: Policy, servers: Servers, actions: ServerActions) -> None:
        self.db, self.policy, self.servers, self.actions = db, policy, servers, actions
        self.outbox = servers.outbox

    def list(self, context: RequestContext) -> Sequence[NetworkRecord]:
        """All networks, oldest first."""
        self.policy.check(context, "network:get_all_networks")
        with self.db.read() as conn:
            return [_record(row) for row in queries.every(conn)]

    def get(self, context: RequestContext, uuid: str) -> NetworkRecord:
        """One network.

        :raises NetworkNotFound: there is none of that UUID
        """
        self.policy.check(context, "network:get_network")
        with self.db.read() as conn:
            row = queries.one(conn, uuid)
        if row is None or row.uuid != uuid:
            raise errors.NetworkNotFound(uuid)
        return _record(row)

    def delete(self, context: RequestContext, uuid: str) -> None:
        """End a network with its addresses.

        :raises NetworkNotFound: there is none of that UUID
        :raises IncorrectState: servers hold addresses of it
        """
        self.policy.check(context, "network:delete_network")

        def work(tx: Transaction) -> None:
            row = queries.one(tx.conn, uuid)
            if row is None or row.uuid != uuid:
                raise errors.NetworkNotFound(uuid)
            queries.delete(tx, row.uuid)

        self.db.write_racing(work)  # against a server that gets an address of it

    def disassociate(self, context: RequestContext, uuid: str) -> None:
        """Take a network from its project; it is everybody's then.

        :raises NetworkNotFound: there is none of that UUID
        """
        self.policy.check(context, "network:disassociate_network")

        def work(tx: Transaction) -> None:
            row = queries.one(tx.conn, uuid)
            if row is None or row.uuid != uuid:
                raise errors.NetworkNotFound(uuid)
            queries.set_project(tx, row.id, None)

        self.db.write(work)

    # -- cards of servers ------------------------------------------------------------------------------

    def interfaces(self, context: RequestContext, server: str) -> Sequence[Row[Any]]:
        """UUID and MAC of a server's network cards.

        :raises InstanceNotFound: it is not the caller's
        """
        self.policy.check(context, "network:get_vifs_by_instance")
        with self.db.read() as conn:
            return queries.interfaces(conn, self.servers.row(conn, context, server, "compute:get").id)

    def cards(self, context: RequestContext, server: str) -> Sequence[tuple[Row[Any], Sequence[str]]]:
        """A server's network cards, with UUID, MAC and the UUID of the network, each with its fixed addresses.

        :raises InstanceNotFound: it is not the caller's
        """
        self.policy.check(context, "network:get_vifs_by_instance")
        with self.db.read() as conn:
            rows = queries.addressed_interfaces(conn, self.servers.row(conn, context, server, "compute:get").id)
        by_card = {row.uuid: row for row in rows}
        return [
            (card, [row.fixed_address for row in rows if row.uuid == uuid and row.fixed_address])
            for uuid, card in by_card.items()
        ]

    def add_fixed_ip(self, context: RequestContext, server: str, network: str) -> None:
        """Give a server one more network card, with the lowest free address of a network.

        :param network: UUID, or number, of a network that the project may use
        :raises InstanceNotFound: the server is not the caller's
        :raises NetworkNotFound: no such network
        :raises NoMoreFixedIps: it is full
        :raises InvalidParameterValue: the server has as many cards as one may have
        """

        def prepare(tx: Transaction, row: Row[Any]) -> Prepared:
            found = queries.usable(tx.conn, row.project_id, network)
            if found is None:
                raise errors.NetworkNotFound(network)
            if len(queries.interfaces(tx.conn, row.id)) >= limits.MAX_NETWORKS:
                raise errors.InvalidParameterValue(f"A server has at most {limits.MAX_NETWORKS} network cards.")
            queries.allocate_on(tx, row.id, row.project_id, found.uuid)
            return {}, {}

        try:
            self.actions.act(context, server, _ADD, None, prepare)
        except IntegrityError:
            # The random hardware address was somebody's already.
            self.actions.act(context, server, _ADD, None, prepare)

    def remove_fixed_ip(self, context: RequestContext, server: str, address: str) -> None:
        """Take an address from a server, and the floating ones that lead there; one that it does not have is fine.

        :raises InstanceNotFound: the server is not the caller's
        """

        def prepare(tx: Transaction, row: Row[Any]) -> Prepared:
            floating, sharers = queries.give_back(tx, row.id, address)
            for one in floating:
                self.outbox.cast(tx, context, "network", "disassociate_floating_ip", address=one)
            tell_sharers(self.outbox, tx, context, sharers)
            return {}, {}

        self.actions.act(context, server, _REMOVE, None, prepare)


def _record(row: Row[Any]) -> NetworkRecord:
    block = ipaddress.IPv4Network(row.cidr, strict=False)
    return NetworkRecord(
        uuid=row.uuid,
        label=row.label,
        cidr=row.cidr,
        netmask=str(block.netmask),
        broadcast=str(block.broadcast_address),
        gateway=row.gateway,
        dhcp_start=str(block.network_address + 2),
        dns1=row.dns1,
        bridge=row.bridge,
        project_id=row.project_id,
        host=row.host,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )
