"""Shared IP groups: servers of a project that may use each other's public addresses (spec openstack-core.md 9.4).

An address stays its owner's, at every door: a share is a second server that answers to it, for as long as the address
hangs on its owner and both servers live. Locks are taken in one order: project, group, servers, address.
"""

import ipaddress
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_api import errors, limits
from nova_api.cloud.quota import Quotas
from nova_api.cloud.servers import Servers
from nova_api.cloud.sharers import tell_sharers
from nova_api.context import RequestContext
from nova_api.db import shared_ips as queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.shared_ips import Sharer
from nova_api.rpc.outbox import Outbox

_SHARE, _UNSHARE = "compute:share_ip", "compute:unshare_ip"
#: States of servers that cannot be given an address any more.
_GONE = ("error", "soft-delete")


@dataclass(frozen=True, slots=True)
class SharedIpGroup:
    """A group.

    :ivar servers: numbers of its servers, in the order in which they joined
    """

    id: int
    name: str
    servers: Sequence[int]


class SharedIpGroups:
    """Shared IP groups as a service.

    :param servers: finds servers
    """

    def __init__(self, db: Database, quotas: Quotas, outbox: Outbox, servers: Servers) -> None:
        self.db, self.quotas, self.outbox, self.servers = db, quotas, outbox, servers

    # -- groups ----------------------------------------------------------------------------------------

    def list(self, context: RequestContext, *, offset: int = 0, limit: int | None = None) -> Sequence[SharedIpGroup]:
        """The groups of the caller's project, oldest first.

        :param offset: how many are left out at the beginning
        :param limit: most of them
        """
        with self.db.read() as conn:
            rows = queries.find(conn, context, after=min(offset, limits.MAX_DATABASE_ID), limit=limit)
            return _groups(conn, rows)

    def get(self, context: RequestContext, number: int) -> SharedIpGroup:
        """One group.

        :raises SharedIpGroupNotFound: it is not the project's
        """
        with self.db.read() as conn:
            row = queries.one(conn, context, number)
            if row is None:
                raise errors.SharedIpGroupNotFound(number)
            return _groups(conn, [row])[0]

    def create(self, context: RequestContext, name: str, server: str | None = None) -> SharedIpGroup:
        """Make a group.

        :param server: UUID or number of its first server
        :raises SharedIpGroupLimitExceeded: quota
        :raises InstanceNotFound: the server is not the project's
        :raises InSharedIpGroup: it is in a group already
        :raises SharedIpGroupMemberLimitExceeded: a group may have no server
        """

        def work(tx: Transaction) -> SharedIpGroup:
            left = self.quotas.left(tx, context.project_id or "", "shared_ip_groups")
            if left["shared_ip_groups"] < 1:
                raise errors.SharedIpGroupLimitExceeded
            first = [] if server is None else [self._newcomer(tx, context, server)]
            number = queries.insert(tx, context, name)
            if self.quotas.shared_ip_members_left(tx, context.project_id or "", number) < len(first):
                raise errors.SharedIpGroupMemberLimitExceeded
            queries.add_members(tx, number, first)
            return SharedIpGroup(number, name, first)

        return self.db.write(work)

    def _newcomer(self, tx: Transaction, context: RequestContext, server: str) -> int:
        """The number of a server that may join a group; it is locked."""
        row = self.servers.locked(tx, context, server, _SHARE)
        if row.project_id != context.project_id:
            raise errors.InstanceNotFound(server)  # an administrator sees it, but the group is of another project
        if queries.group_of(tx.conn, row.id) is not None:
            raise errors.InSharedIpGroup(server)
        return int(row.id)

    def delete(self, context: RequestContext, number: int) -> None:
        """End a group; its servers are in none then.

        :raises SharedIpGroupNotFound: it is not the project's
        :raises SharedIpGroupInUse: addresses are shared through it
        """

        def work(tx: Transaction) -> None:
            self._locked(tx, context, number)
            if queries.in_use(tx.conn, number):
                raise errors.SharedIpGroupInUse(number)
            queries.delete(tx, number)

        self.db.write(work)

    @staticmethod
    def _locked(tx: Transaction, context: RequestContext, number: int) -> None:
        if queries.locked(tx, context, number) is None:
            raise errors.SharedIpGroupNotFound(number)

    # -- addresses -------------------------------------------------------------------------------------

    def addresses(self, numbers: Iterable[int]) -> Mapping[int, Sequence[str]]:
        """The addresses that servers share with their owners.

        :param numbers: of servers that the caller has been found to see
        :returns: in the order in which they were shared, by the number of the server
        """
        with self.db.read() as conn:
            return queries.addresses(conn, numbers)

    def share(self, context: RequestContext, server: str, address: str, group: int, *, configure: bool) -> None:
        """Let a server use the public address of another one of its group; one that it shares already is fine.

        :param server: UUID or number of the server that is to use it
        :param configure: have its host set the address up
        :raises InstanceNotFound: the server is not the caller's
        :raises SharedIpGroupNotFound: the group is not the project's
        :raises InvalidParameterValue: no address, the server is not in the group, or nobody else in it has the address
        :raises ServerLocked: an administrator has locked it
        :raises ServerState: it has failed, or is going
        """
        wanted = _address(address)

        def work(tx: Transaction) -> None:
            number = self.servers.row(tx.conn, context, server, _SHARE).id
            self._locked(tx, context, group)
            held = queries.owner(tx.conn, wanted)
            queries.lock_members(tx, {number} if held is None else {number, held.instance_id})
            row = self.servers.row(tx.conn, context, server, _SHARE)
            if queries.group_of(tx.conn, row.id) != group:
                raise errors.InvalidParameterValue(f"Server {server} is not in the shared IP group {group}.")
            if queries.shared(tx.conn, row.id, wanted) is not None:
                return
            _require_unlocked(context, row, "shareIp")
            _check_living(row)
            owner = None if held is None else self._owner(tx, wanted, group, held.instance_id)
            if owner is None or owner == row.id:
                raise errors.InvalidParameterValue(
                    f"{wanted} is no public address of another server of the shared IP group {group}."
                )
            queries.share(tx, wanted, owner, row.id, group, configured=configure)
            self._tell(tx, context, row, configure)

        self.db.write(work)

    @staticmethod
    def _owner(tx: Transaction, address: str, group: int, locked: int) -> int | None:
        """The server of a group that an address hangs on, if it is the one that is locked."""
        held = queries.locked_owner(tx, address)
        if held is None or held.instance_id != locked or queries.group_of(tx.conn, locked) != group:
            return None
        return locked

    def unshare(self, context: RequestContext, server: str, address: str) -> None:
        """Take an address from a server that shares it; its owner keeps it.

        :param server: UUID or number of the server that shares it
        :raises InstanceNotFound: the server is not the caller's
        :raises SharedIpNotFound: it shares no such address
        :raises NotAuthorized: the address is the server's own
        :raises ServerLocked: an administrator has locked it
        """

        def work(tx: Transaction) -> None:
            row = self.servers.locked(tx, context, server, _UNSHARE)
            wanted = _known(address)
            found = queries.shared(tx.conn, row.id, wanted)
            if found is None:
                held = queries.owner(tx.conn, wanted)
                if held is not None and held.instance_id == row.id:
                    raise errors.NotAuthorized(f"{wanted} is the server's own address.")
                raise errors.SharedIpNotFound(wanted)
            _require_unlocked(context, row, "unshareIp")
            if queries.unshare(tx, found.id):
                self._tell(tx, context, row, found.configured)

        self.db.write(work)

    def _tell(self, tx: Transaction, context: RequestContext, row: Row[Any], configured: bool) -> None:
        if configured and row.host:
            tell_sharers(self.outbox, tx, context, [Sharer(row.uuid, row.host)])


def _groups(conn: Connection, rows: Sequence[Row[Any]]) -> list[SharedIpGroup]:
    members = queries.members(conn, [row.id for row in rows]) if rows else {}
    return [SharedIpGroup(row.id, row.name, members.get(row.id, [])) for row in rows]


def _require_unlocked(context: RequestContext, row: Row[Any], action: str) -> None:
    if row.locked and not context.is_admin:
        raise errors.ServerLocked(action)


def _check_living(row: Row[Any]) -> None:
    if row.vm_state in _GONE:
        raise errors.ServerState("shareIp", "vm_state", row.vm_state, row.uuid)
    if row.task_state == "deleting":
        raise errors.ServerState("shareIp", "task_state", row.task_state, row.uuid)


def _address(text: str) -> str:
    """An address as rows have it.

    :raises InvalidParameterValue: it is none
    """
    try:
        return _known(text)
    except errors.SharedIpNotFound:
        raise errors.InvalidParameterValue(f"{text} is no IP address.") from None


def _known(text: str) -> str:
    """An address as rows have it.

    :raises SharedIpNotFound: it is none, so nobody shares it
    """
    try:
        if "%" in text:  # a zone may be any text
            raise ValueError(text)
        return str(ipaddress.ip_address(text))
    except ValueError:
        raise errors.SharedIpNotFound(text) from None
