"""Building an instance: addresses, volumes, guest.

Three steps, each of which finds what a process that died before has left: one transaction takes addresses
and moves the task to ``spawning``; the volumes are made and attached; the guest is made, and a second
transaction says so. An instance that was terminated meanwhile wins: what was built is taken down again.
"""

import logging
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Row
from sqlalchemy.exc import IntegrityError

from nova_api.context import RequestContext
from nova_api.db import disks, guests, networks, services, takeovers
from nova_api.db.engine import Transaction
from nova_api.errors import FixedIpInUse, FixedIpInvalid, NetworkNotFound, NoMoreFixedIps
from nova_api.nodes.drivers.hypervisor import BlockDevice, HypervisorError, Interface, PowerState
from nova_api.nodes.guest_node import GuestNode, attached_devices, files_of, guest_of, interfaces_of, is_late

log = logging.getLogger(__name__)

#: Tasks of an instance that is being built.
BUILDING = ("scheduling", "networking", "block_device_mapping", "spawning")
#: Network and, if any, fixed address of each card that an instance asked for.
Requested = Sequence[tuple[str, str | None]]
#: Tries until a random hardware address is a new one.
_MAC_TRIES = 5


class VolumeNotReady(HypervisorError):
    """A volume that the instance asked for cannot be had."""


class Builds(GuestNode):
    """The part of the compute node that builds."""

    def run_instance(
        self,
        context: RequestContext,
        instance_uuid: str,
        admin_password: str | None = None,
        injected_files: Sequence[Sequence[str]] | None = None,
        requested_networks: Requested | None = None,
        **_unused: object,
    ) -> None:
        """Build an instance that the scheduler has placed here.

        :param injected_files: path and content (base64) of files for it
        :param requested_networks: UUID and, if any, fixed address of the networks that it gets a card on, in this
            order; without any it gets one on a network of its project
        """
        prepared = self._prepare(instance_uuid, requested_networks or ())
        if prepared is None:
            return
        row, interfaces = prepared
        guest = guest_of(row)

        def build() -> None:
            devices = self._volumes(context, row) if row.has_devices else []
            files = files_of(injected_files)
            self.driver.spawn(guest, interfaces, devices, files=files, admin_password=admin_password)

        if not self._attempt(row, BUILDING, build):
            return

        def finish(tx: Transaction) -> bool:
            if not guests.finish_spawning(tx, row.id, PowerState.RUNNING, self.host):
                return False
            takeovers.forget_builds(tx, [row.id])
            return True

        if not self.db.write(finish):
            self._drop_stray(row)

    def _drop_stray(self, row: Row[Any]) -> None:
        """Take down what was built if it was in vain: it was terminated meanwhile, or another host builds it now."""
        self._give_way(row)
        with self.db.read() as conn:
            current = guests.get_ever(conn, row.uuid)
            stray = current is not None and self._is_stray(conn, current)
        if stray:
            self._attempt(row, (), lambda: self.driver.destroy(guest_of(row)))

    def _prepare(self, uuid: str, requested: Requested) -> tuple[Row[Any], list[Interface]] | None:
        """Take addresses, once; None when there is nothing to build."""
        for attempt in range(1, _MAC_TRIES + 1):
            try:
                return self.db.write(lambda tx: self._prepare_in(tx, uuid, requested))
            except IntegrityError:
                if attempt == _MAC_TRIES:
                    raise
        raise AssertionError("unreachable")

    def _prepare_in(self, tx: Transaction, uuid: str, requested: Requested) -> tuple[Row[Any], list[Interface]] | None:
        row = guests.lock(tx, uuid)
        if row is None or row.vm_state != "building" or row.task_state not in BUILDING:
            return None
        if row.host not in (None, self.host):  # this comes late: another host builds it now
            return None
        if row.task_state == "spawning":  # a second delivery: the first one has taken the addresses
            return row, interfaces_of(tx.conn, row)
        try:
            if requested:
                for network, address in requested:
                    networks.allocate_on(tx, row.id, row.project_id, network, address)
            else:
                networks.allocate(tx, row.id, row.project_id)
        except (FixedIpInUse, FixedIpInvalid, NetworkNotFound, NoMoreFixedIps) as error:
            networks.free(tx, [row.id])
            guests.fail(tx, row.id, BUILDING, error.message)
            return None
        guests.start_spawning(tx, row.id)
        return row, interfaces_of(tx.conn, row)

    # -- once more

    def rebuild_instance(
        self,
        context: RequestContext,
        instance_uuid: str,
        new_pass: str | None = None,
        injected_files: Sequence[Sequence[str]] | None = None,
        **_unused: object,
    ) -> None:
        """Build an instance anew, of an image that the API has written into its row; addresses and volumes stay.

        :param new_pass: of its administrator
        :param injected_files: path and content (base64) of files for it
        """
        row = self.db.write(lambda tx: self._start_rebuild(tx, context, instance_uuid))
        if row is None:
            return
        with self.db.read() as conn:
            interfaces, devices = interfaces_of(conn, row), attached_devices(conn, row)

        def build() -> None:
            files = files_of(injected_files)
            self.driver.rebuild(guest_of(row), interfaces, devices, files=files, admin_password=new_pass)

        if not self._attempt(row, ("spawning",), build):
            return
        running = PowerState.RUNNING
        if not self.db.write(lambda tx: guests.finish_spawning(tx, row.id, running, self.host, before="rebuilding")):
            self._give_way(row)

    @staticmethod
    def _start_rebuild(tx: Transaction, context: RequestContext, uuid: str) -> Row[Any] | None:
        row = guests.lock(tx, uuid)
        if row is None or row.vm_state != "rebuilding" or row.task_state not in (None, "spawning"):
            return None
        if is_late(context, row):
            return None
        guests.start_spawning(tx, row.id)
        return row

    # -- volumes

    def _volumes(self, context: RequestContext, row: Row[Any]) -> list[BlockDevice]:
        """Make and attach the volumes that the instance was started with.

        :raises VolumeNotReady: one of them cannot be had
        :raises RemoteError: a volume node could not
        :raises ServiceUnavailable: a volume node does not answer
        """
        self.db.write(lambda tx: self._claim_volumes(tx, row))
        with self.db.read() as conn:
            ordered = disks.devices(conn, row.id)
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
            self._check_mine(tx, row)
            for device in connections:
                disks.attached(tx, device.volume_id, row.id, device.device, device.connection_info)

        self.db.write(attach)
        with self.db.read() as conn:
            return list(attached_devices(conn, row))

    def _check_mine(self, tx: Transaction, row: Row[Any]) -> None:
        """Leave the volumes of an instance alone that another host builds now.

        :raises VolumeNotReady: it does
        """
        current = guests.lock(tx, row.uuid)
        if current is not None and current.host != self.host:
            raise VolumeNotReady("Another host builds the instance now.")

    def _claim_volumes(self, tx: Transaction, row: Row[Any]) -> None:
        self._check_mine(tx, row)
        for device in disks.devices(tx.conn, row.id):
            if device.status == "creating":
                if device.host is None:
                    self._place_volume(tx, device)
            elif device.status == "available" and device.project_id != row.project_id:
                raise _not_available(device.volume_id)
            elif not disks.claim_volume(tx, device.volume_id, row.id, device.device_name):
                raise _not_available(device.volume_id)

    def _place_volume(self, tx: Transaction, device: Row[Any]) -> None:
        """Choose the node that makes a volume: in the volume's zone, or wherever there is one."""
        zone = device.availability_zone
        place = services.volume_host(tx.conn, self.down_time, zone)
        place = place or services.volume_host(tx.conn, self.down_time)
        if place is None:
            raise VolumeNotReady("No volume service is up.")
        disks.place_volume(tx, device.volume_id, place.host)


def _not_available(volume_id: int) -> VolumeNotReady:
    return VolumeNotReady(f"Volume vol-{volume_id:08x} is not available.")
