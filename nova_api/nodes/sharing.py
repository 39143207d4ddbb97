"""What the compute node does with addresses that servers share (spec openstack-core.md 9.4).

The API changes the datastore and tells the node afterwards. The node looks at the datastore anew and gives the guest
all that it shares, so that messages in any order, or twice, end in what is true.
"""

import logging
from collections.abc import Iterable
from typing import Any

from sqlalchemy.engine import Row

from nova_api.context import RequestContext
from nova_api.db import shared_ips
from nova_api.db.shared_ips import Sharer
from nova_api.errors import ServiceUnavailable
from nova_api.nodes.guest_node import GuestNode, fault_of, guest_of, interfaces_of

log = logging.getLogger(__name__)

#: States and tasks of an instance that is just being given its addresses: whether these are among them nobody knows.
_UNSETTLED = ("building", "rebuilding", "resizing", "migrating", "starting", "powering-on", "rescuing")


class Sharing(GuestNode):
    """The part of the compute node that sets up shared addresses."""

    def configure_shared_ips(self, context: RequestContext, instance_uuid: str) -> None:
        """The addresses that an instance shares have changed.

        :raises ServiceUnavailable: it is being built or moved; the message comes again
        """
        row = self._find(instance_uuid)
        if row is None or not row.host:
            return
        if row.host != self.host:  # it has moved meanwhile
            topic, method = f"compute.{row.host}", "configure_shared_ips"
            self.db.write(lambda tx: self.outbox.cast(tx, context, topic, method, instance_uuid=row.uuid))
        elif _unsettled(row):
            raise ServiceUnavailable(f"Instance {row.uuid} is {row.task_state or row.vm_state}.")
        else:
            self._set_up(row)

    def set_up_shared_ips(self) -> None:
        """Set up what guests of this host shared before this process began."""
        with self.db.read() as conn:
            uuids = shared_ips.configured_on(conn, self.host)
        for uuid in uuids:
            row = self._find(uuid)
            if row is not None and not _unsettled(row):
                self._set_up(row)

    def _set_up(self, row: Row[Any]) -> None:
        def inject() -> None:
            with self.db.read() as conn:
                interfaces = interfaces_of(conn, row)
            self.driver.inject_network_info(guest_of(row), interfaces)

        fault = fault_of(inject)
        if fault is not None:
            log.error("%s: instance %s: %s", self.host, row.uuid, fault)


def _unsettled(row: Row[Any]) -> bool:
    return row.vm_state in _UNSETTLED or row.task_state in _UNSETTLED


def to_sharers(sharers: Iterable[Sharer]) -> list[tuple[str, str, dict[str, Any]]]:
    """Topic, method and arguments of the messages that tell the hosts of servers to look anew at what these share."""
    return [(f"compute.{one.host}", "configure_shared_ips", {"instance_uuid": one.uuid}) for one in sharers]
