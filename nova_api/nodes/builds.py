"""Building an instance: address, volumes, guest.

Three steps, each of which finds what a process that died before has left: one transaction takes an address
and moves the task to ``spawning``; the volumes are made and attached; the guest is made, and a second
transaction says so. An instance that was terminated meanwhile wins: what was built is taken down again.
"""

import logging
from typing import Any

from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from nova_api.context import RequestContext
from nova_api.db import guests, networks, services
from nova_api.db.engine import Transaction
from nova_api.errors import NoMoreFixedIps
from nova_api.nodes.drivers.hypervisor import BlockDevice, HypervisorError, Interface, PowerState
from nova_api.nodes.guest_node import GuestNode, attached_devices, guest_of, interfaces_of

log = logging.getLogger(__name__)

#: Tasks of an instance that is being built.
BUILDING = ("scheduling", "networking", "block_device_mapping", "spawning")
#: Tries until a random hardware address is a new one.
_MAC_TRIES = 5


class VolumeNotReady(HypervisorError):
    """A volume that the instance asked for cannot be had."""


class Builds(GuestNode):
    """The part of the compute node that builds."""

    def run_instance(self, context: RequestContext, instance_uuid: str, **_unused: object) -> None:
        """Build an instance that the scheduler has placed here."""
        prepared = self._prepare(instance_uuid)
        if prepared is None:
            return
        row, interfaces = prepared
        guest = guest_of(row)

        def build() -> None:
            devices = self._volumes(context, row) if row.has_devices else []
            self.driver.spawn(guest, interfaces, devices)

        if not self._attempt(row, BUILDING, build):
            return
        done = self.db.write(lambda tx: guests.finish_spawning(tx, row.id, PowerState.RUNNING))
        if not done:
            self._give_way(row)

    def _prepare(self, uuid: str) -> tuple[Row[Any], list[Interface]] | None:
        """Take an address, once; None when there is nothing to build."""
        for attempt in range(1, _MAC_TRIES + 1):
            try:
                return self.db.write(lambda tx: self._prepare_in(tx, uuid))
            except IntegrityError:
                if attempt == _MAC_TRIES:
                    raise
        raise AssertionError("unreachable")

    def _prepare_in(self, tx: Transaction, uuid: str) -> tuple[Row[Any], list[Interface]] | None:
        row = guests.lock(tx, uuid)
        if row is None or row.vm_state != "building" or row.task_state not in BUILDING:
            return None
        if row.task_state == "spawning":  # a second delivery: the first one has taken the address
            return row, interfaces_of(tx.conn, row)
        try:
            got = networks.allocate(tx, row.id, row.project_id)
        except NoMoreFixedIps as error:
            guests.fail(tx, row.id, BUILDING, error.message)
            return None
        guests.start_spawning(tx, row.id)
        net = got.network
        return row, [Interface(got.mac, got.address, net.cidr, net.gateway, net.bridge)]

    def _give_way(self, row: Row[Any]) -> None:
        """Take down what was built for an instance that was terminated meanwhile."""
        current = self._find(row.uuid)
        if current is None or current.task_state == "deleting":
            self._attempt(row, (), lambda: self.driver.destroy(guest_of(row)))

    # -- volumes

    def _volumes(self, context: RequestContext, row: Row[Any]) -> list[BlockDevice]:
        """Make and attach the volumes that the instance was started with.

        :raises VolumeNotReady: one of them cannot be had
        :raises RemoteError: a volume node could not
        :raises ServiceUnavailable: a volume node does not answer
        """
        self.db.write(lambda tx: self._claim_volumes(tx, row))
        with self.db.read() as conn:
            ordered = guests.devices(conn, row.id)
        connections: list[BlockDevice] = []
        for device in ordered:
            if device.status == "creating":
                self.rpc.call(
                    context,
                    f"volume.{device.host}",
                    "create_volume",
                    volume_id=device.volume_id,
                    snapshot_id=device.snapshot_id,
                )
            info = self._connect(context, row, device.volume_id, device.host)
            connections.append(BlockDevice(device.device_name, device.volume_id, info))

        def attach(tx: Transaction) -> None:
            for device in connections:
                guests.attached(tx, device.volume_id, row.id, device.device, device.connection_info)

        self.db.write(attach)
        with self.db.read() as conn:
            return list(attached_devices(conn, row))

    def _claim_volumes(self, tx: Transaction, row: Row[Any]) -> None:
        for device in guests.devices(tx.conn, row.id):
            if device.status == "creating":
                if device.host is None:
                    self._place_volume(tx, device)
            elif device.status == "available" and device.project_id != row.project_id:
                raise _not_available(device.volume_id)
            elif not guests.claim_volume(tx, device.volume_id, row.id, device.device_name):
                raise _not_available(device.volume_id)

    def _place_volume(self, tx: Transaction, device: Row[Any]) -> None:
        """Choose the node that makes a volume: in the volume's zone, or wherever there is one."""
        zone = device.availability_zone
        place = services.volume_host(tx.conn, self.down_time, zone)
        place = place or services.volume_host(tx.conn, self.down_time)
        if place is None:
            raise VolumeNotReady("No volume service is up.")
        guests.place_volume(tx, device.volume_id, place.host)


def _not_available(volume_id: int) -> VolumeNotReady:
    return VolumeNotReady(f"Volume vol-{volume_id:08x} is not available.")
