"""What operators do to the host of a compute node."""

from nova_api.context import RequestContext
from nova_api.db import aggregates, hosts, services
from nova_api.db.engine import Transaction
from nova_api.errors import IncorrectState
from nova_api.nodes.drivers.hypervisor import HypervisorError, PowerAction
from nova_api.nodes.guest_node import GuestNode


class HostAdmin(GuestNode):
    """The part of the compute node that administers its host. All but the aggregates are calls."""

    def set_host_enabled(self, context: RequestContext, enabled: bool, **_unused: object) -> str:
        """Let the scheduler place instances here, or keep it from that.

        :returns: ``enabled`` or ``disabled``
        """
        self.db.write(lambda tx: services.set_disabled(tx, self.host, "compute", not enabled))
        return "enabled" if enabled else "disabled"

    def host_maintenance_mode(self, context: RequestContext, mode: bool, **_unused: object) -> str:
        """Begin or end maintenance: no instance is placed here meanwhile, those that are here stay.

        :returns: ``on_maintenance`` or ``off_maintenance``
        """
        self.db.write(lambda tx: hosts.set_maintenance(tx, self.host, bool(mode)))
        return "on_maintenance" if mode else "off_maintenance"

    def host_power_action(self, context: RequestContext, action: PowerAction, **_unused: object) -> str:
        """Start the host up, shut it down or reboot it.

        :returns: the action
        :raises IncorrectState: the hypervisor cannot
        """
        try:
            self.driver.host_power_action(action)
        except HypervisorError as error:
            raise IncorrectState(str(error)) from error
        return action

    def add_aggregate_host(self, context: RequestContext, aggregate_id: str, host: str) -> None:
        """This host has come into an aggregate: the first one makes it active.

        :param aggregate_id: its number
        """

        def work(tx: Transaction) -> None:
            if aggregates.aggregate_of(tx.conn, self.host) == int(aggregate_id):
                aggregates.settle(tx, int(aggregate_id))

        self.db.write(work)

    def remove_aggregate_host(self, context: RequestContext, aggregate_id: str, host: str) -> None:
        """This host has left an aggregate; hypervisors without pools have nothing to do."""
