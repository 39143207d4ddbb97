"""Floating addresses (spec ec2.md 4.4).

What 2012.1 handed to the network node without waiting is decided here, so that a refusal reaches the caller; the node
is then told to program the host.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Row

from nova_api import errors, limits
from nova_api.cloud.policy import Policy
from nova_api.cloud.quota import Quotas
from nova_api.cloud.servers import target_of
from nova_api.cloud.sharers import tell_sharers
from nova_api.config import Config
from nova_api.context import RequestContext
from nova_api.db import floating as queries
from nova_api.db import instances as instance_queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.filters import build
from nova_api.rpc.outbox import Outbox


class Network:
    """Floating addresses as a service."""

    def __init__(self, db: Database, quotas: Quotas, outbox: Outbox, policy: Policy, config: Config) -> None:
        self.db, self.quotas, self.outbox, self.policy, self.config = db, quotas, outbox, policy, config

    def list(
        self,
        context: RequestContext,
        addresses: Sequence[str] | None = None,
        *,
        filters: Sequence[tuple[str, Sequence[str]]] = (),
    ) -> Sequence[Row[Any]]:
        """Addresses of the caller's project, for administrators too, in the order of the pool.

        :param addresses: only these; each must be the project's
        :raises FloatingIpNotFound: one of them is not
        """
        where = build(queries.FILTERS, filters)
        with self.db.read() as conn:
            found = queries.of_project(conn, context.project_id, *where)
            if not addresses:
                return found
            mine = (
                {row.address for row in queries.of_project(conn, context.project_id)}
                if where
                else {row.address for row in found}
            )
        for address in addresses:
            if address not in mine:
                raise errors.FloatingIpNotFound(address)
        wanted = set(addresses)
        return [row for row in found if row.address in wanted]

    def allocate(self, context: RequestContext, pool: str | None = None) -> str:
        """Take an address for the project.

        :param pool: ``default_floating_pool`` without one
        :raises AddressLimitExceeded: quota
        :raises NoMoreFloatingIps: the pool is empty
        """
        self.policy.check(context, "network:allocate_floating_ip")

        def work(tx: Transaction) -> str:
            left = self.quotas.left(tx, context.project_id or "", "floating_ips")
            if left["floating_ips"] < 1:
                raise errors.AddressLimitExceeded
            address = queries.claim(tx, pool or self.config.default_floating_pool, context.project_id or "")
            if address is None:
                raise errors.NoMoreFloatingIps
            return address

        return self.db.write(work)

    def release(self, context: RequestContext, address: str) -> None:
        """Return an address to its pool.

        :raises FloatingIpNotFound: it is not the project's
        :raises AddressInUse: an instance holds it
        """
        self.policy.check(context, "network:deallocate_floating_ip")

        def work(tx: Transaction) -> None:
            row = self._own(tx, context, address)
            if row.fixed_ip_id is not None or not queries.release(tx, row.id, row.project_id):
                raise errors.AddressInUse(address)

        self.db.write(work)

    def associate(self, context: RequestContext, instance: int, ec2_id: str, address: str) -> None:
        """Hang an address on the first fixed address of an instance, beside those that hang there already.

        :param ec2_id: the instance as the caller wrote it
        :raises InstanceNotFound: looked at first, as in 2012.1
        :raises FixedIpNotFoundForInstance: the instance has no address yet, which is looked at next
        :raises FloatingIpNotFound: the address is not the project's
        :raises AddressAssociated: an instance holds it
        """

        def work(tx: Transaction) -> None:
            wanted = [instance] if instance <= limits.MAX_DATABASE_ID else []
            self._hang(tx, context, instance_queries.locked(tx, context, wanted).get(instance), ec2_id, address)

        self.db.write(work)

    def put_on(self, context: RequestContext, server: str, address: str, fixed: str | None = None) -> None:
        """:meth:`associate` for a server by its UUID or number.

        :param fixed: the fixed address of the server that is meant; its first one without it
        :raises FixedIpNotFoundForInstance: the server has no address, or not that one
        """

        def work(tx: Transaction) -> None:
            self._hang(tx, context, instance_queries.locked_by(tx, context, server), server, address, fixed)

        self.db.write(work)

    def _hang(
        self,
        tx: Transaction,
        context: RequestContext,
        row: Row[Any] | None,
        text: str,
        address: str,
        wanted: str | None = None,
    ) -> None:
        """Hang an address on an instance.

        :param row: of the instance, locked: its end would leave the address on a fixed one that is the next one's
        """
        if row is None:
            raise errors.InstanceNotFound(text)
        for rule in ("compute:get", "compute:associate_floating_ip"):
            self.policy.check(context, rule, target_of(row))
        if row.locked and not context.is_admin:
            raise errors.ServerLocked("addFloatingIp")
        fixed = queries.first_fixed(tx.conn, row.id, wanted)
        if fixed is None:
            raise errors.FixedIpNotFoundForInstance(row.uuid)
        floating = self._own(tx, context, address)
        if floating.fixed_ip_id is not None or not queries.associate(tx, floating.id, fixed.id):
            raise errors.AddressAssociated(address)
        told = {"floating_address": address, "fixed_address": fixed.address, "affect_auto_assigned": False}
        self.outbox.cast(tx, context, "network", "associate_floating_ip", **told)

    def take_off(self, context: RequestContext, server: str, address: str) -> None:
        """:meth:`disassociate` for a request that names a server, which may be another one than has the address.

        :raises InstanceNotFound: the server is not the caller's
        """
        with self.db.read() as conn:
            if instance_queries.named(conn, context, server) is None:
                raise errors.InstanceNotFound(server)
        self.disassociate(context, address)

    def show(self, context: RequestContext, number: int) -> Row[Any]:
        """One address of the caller, by its number.

        :raises FloatingIpNotFound: it is not the project's
        """
        with self.db.read() as conn:
            return self._mine(context, queries.by_number(conn, number), str(number))

    def give_back(self, context: RequestContext, number: int) -> None:
        """Take an address off its server, if it hangs on one, and return it to its pool: both, or nothing.

        :raises FloatingIpNotFound: it is not the project's
        """
        self.policy.check(context, "network:deallocate_floating_ip")

        def work(tx: Transaction) -> None:
            row = self._mine(context, queries.by_number(tx.conn, number), str(number))
            self._unhang(tx, context, row)
            if not queries.release(tx, row.id, row.project_id):
                raise errors.AddressInUse(row.address)  # somebody has hung it up again meanwhile

        self.db.write(work)

    def pools(self, context: RequestContext) -> Sequence[str]:
        """The names of the pools, in order."""
        self.policy.check(context, "network:get_floating_ip_pools")
        with self.db.read() as conn:
            return queries.pools(conn)

    def disassociate(self, context: RequestContext, address: str) -> None:
        """Take an address off its instance; one that hangs on nothing stays as it is.

        :raises FloatingIpNotFound: it is not the project's
        """
        self.policy.check(context, "network:disassociate_floating_ip")

        def work(tx: Transaction) -> None:
            self._unhang(tx, context, self._own(tx, context, address))

        self.db.write(work)

    def _unhang(self, tx: Transaction, context: RequestContext, row: Row[Any]) -> None:
        """Take an address off what it hangs on, and from those that share it.

        :raises ServerLocked: an administrator has locked the server that it hangs on
        """
        if row.instance_locked and not context.is_admin:
            raise errors.ServerLocked("removeFloatingIp")
        sharers = queries.disassociate(tx, row.id, row.address)
        if sharers is not None:
            self.outbox.cast(tx, context, "network", "disassociate_floating_ip", address=row.address)
            tell_sharers(self.outbox, tx, context, sharers)

    def _own(self, tx: Transaction, context: RequestContext, address: str) -> Row[Any]:
        return self._mine(context, queries.by_address(tx.conn, address), address)

    @staticmethod
    def _mine(context: RequestContext, row: Row[Any] | None, address: str) -> Row[Any]:
        mine = row is not None and row.project_id is not None and not row.auto_assigned
        if row is None or not mine or not (context.is_admin or row.project_id == context.project_id):
            raise errors.FloatingIpNotFound(address)
        return row
