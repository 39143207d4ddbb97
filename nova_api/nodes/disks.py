"""What the compute node does with disks: volumes that come and go, images made of instances."""

import logging
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_api.context import RequestContext
from nova_api.db import disks, guests, services
from nova_api.db.engine import Transaction
from nova_api.errors import ServiceUnavailable
from nova_api.nodes.drivers.hypervisor import BlockDevice, PowerState
from nova_api.nodes.guest_node import GuestNode, attached_devices, fault_of, guest_of, interfaces_of

log = logging.getLogger(__name__)

_MOVING = ("resizing", "migrating")
SNAPSHOT_TASKS = ("image_snapshot", "image_backup")


class Disks(GuestNode):
    """The part of the compute node that deals with disks."""

    def attach_volume(self, context: RequestContext, volume_id: int, mountpoint: str, instance_uuid: str) -> None:
        """Attach a volume that the API has moved to ``attaching``; when that fails it is ``available`` again.

        :param volume_id: number of the volume
        :param mountpoint: where the instance sees it, ``/dev/vdb``
        """
        with self._turn_of(volume_id):
            self._attach(context, volume_id, mountpoint, instance_uuid)

    def _turn_of(self, volume_id: int) -> AbstractContextManager[None]:
        """One delivery after the other: of two at a time, the slower one would undo what has been done since."""
        return self.turns.of(f"volume-{volume_id}")

    def _is_here(self, context: RequestContext, row: Row[Any], method: str, **args: Any) -> bool:
        """Whether the instance of a message is on this host; where it has moved meanwhile, the message follows it.

        :raises ServiceUnavailable: it is on its way; the message comes again
        """
        if row.vm_state in _MOVING and row.task_state is not None:
            raise ServiceUnavailable(f"Instance {row.uuid} is {row.task_state}.")
        if row.host in (None, self.host):
            return True
        topic = f"compute.{row.host}"
        self.db.write(lambda tx: self.outbox.cast(tx, context, topic, method, instance_uuid=row.uuid, **args))
        return False

    def _attach(self, context: RequestContext, volume_id: int, mountpoint: str, instance_uuid: str) -> None:
        with self.db.read() as conn:
            row, volume = guests.get(conn, instance_uuid), disks.get_volume(conn, volume_id)
        if volume is None or volume.status != "attaching":
            return
        if row is None or volume.instance_id != row.id:
            return  # whoever deleted the instance has freed its volumes
        if not self._is_here(context, row, "attach_volume", volume_id=volume_id, mountpoint=mountpoint):
            return
        mountpoint = volume.mountpoint or mountpoint  # a message that comes late may name the place of an earlier time

        def attach() -> None:
            info = self._connect(context, row, volume_id, volume.host)
            self.driver.attach_volume(guest_of(row), BlockDevice(mountpoint, volume_id, info))
            if not self.db.write(lambda tx: disks.attached(tx, volume_id, row.id, mountpoint, info)):
                self.driver.detach_volume(guest_of(row), mountpoint, volume_id)

        fault = fault_of(attach)
        if fault is not None:
            log.error("%s: volume %d is not attached to %s: %s", self.host, volume_id, row.uuid, fault)
            self.db.write(lambda tx: self._free(tx, context, volume, row, "attaching"))

    def detach_volume(self, context: RequestContext, volume_id: int, instance_uuid: str) -> None:
        """Detach a volume that the API has moved to ``detaching``; one that the guest keeps is ``in-use``
        again.

        :param volume_id: number of the volume
        """
        with self._turn_of(volume_id):
            self._detach(context, volume_id, instance_uuid)

    def _detach(self, context: RequestContext, volume_id: int, instance_uuid: str) -> None:
        with self.db.read() as conn:
            row, volume = guests.get(conn, instance_uuid), disks.get_volume(conn, volume_id)
        if row is None or volume is None or volume.status != "detaching" or volume.instance_id != row.id:
            return
        if not self._is_here(context, row, "detach_volume", volume_id=volume_id):
            return
        fault = fault_of(lambda: self.driver.detach_volume(guest_of(row), volume.mountpoint, volume_id))
        if fault is not None:
            log.error("%s: volume %d stays with %s: %s", self.host, volume_id, row.uuid, fault)
            self.db.write(lambda tx: disks.keep_volume(tx, volume_id))
            return
        self.db.write(lambda tx: self._free(tx, context, volume, row, "detaching"))

    def _free(self, tx: Transaction, context: RequestContext, volume: Row[Any], row: Row[Any], status: str) -> None:
        if disks.detached(tx, volume.id, row.id, status):
            self.outbox.cast(
                tx,
                context,
                f"volume.{volume.host}",
                "terminate_connection",
                volume_id=volume.id,
                host=self.host,
            )

    def snapshot_instance(
        self,
        context: RequestContext,
        instance_uuid: str,
        image_id: str,
        image_type: str = "snapshot",
        backup_type: str | None = None,
        rotation: int | None = None,
        restart: bool = False,
    ) -> None:
        """Fill an image with an instance's disk, and make the volume snapshots that the image names.

        :param image_id: UUID of the image
        :param image_type: ``snapshot``, or ``backup``: older ones give way to it
        :param backup_type: of a backup: which ones
        :param rotation: of a backup: how many of them stay
        :param restart: stop the instance for it when it runs, and start it again
        """
        row = self._find(instance_uuid)
        if row is None:
            self.db.write(lambda tx: disks.finish_image(tx, image_id, status="killed"))
            return
        if not self._wanted(row, image_id):
            return
        fault, size = self._copy(context, row, image_id, stop=restart and row.power_state == PowerState.RUNNING)

        def finish(tx: Transaction) -> None:
            status = "active" if fault is None else "killed"
            if not disks.finish_image(tx, image_id, status=status, size=size) and disks.get_image(tx.conn, image_id):
                return  # another delivery was first; the task may be that of the next image
            guests.change(tx, row.id, SNAPSHOT_TASKS, {"task_state": None})
            if fault is None and image_type == "backup" and backup_type and rotation is not None:
                disks.rotate_backups(tx, row.uuid, backup_type, rotation)

        self.db.write(finish)

    def _copy(self, context: RequestContext, row: Row[Any], image_id: str, *, stop: bool) -> tuple[str | None, int]:
        """Copy an instance's disk.

        :param stop: the instance is off meanwhile, and no longer than that
        :returns: the fault, if any, and the size of the image
        :raises ServiceUnavailable: a volume node does not answer; the message comes again
        """
        guest, sizes, again = guest_of(row), [0], None
        if stop:
            self._require_stores(image_id)

        def copy() -> None:
            if stop:
                self.driver.power_off(guest)
            self._snapshot_volumes(context, image_id)
            sizes[0] = self.driver.snapshot(guest, image_id)

        try:
            fault = fault_of(copy)
        finally:
            if stop:
                again = fault_of(lambda: self._start_again(row))
        fault = again or fault
        if fault is not None:
            log.error("%s: no image of %s: %s", self.host, row.uuid, fault)
        return fault, sizes[0]

    def _wanted(self, row: Row[Any], image_id: str) -> bool:
        """Whether an image is still to be made: its own state says so, the task may be that of a later one."""
        with self.db.read() as conn:
            image = disks.get_image(conn, image_id)
        if image is None:  # its owner has deleted it
            self.db.write(lambda tx: guests.change(tx, row.id, SNAPSHOT_TASKS, {"task_state": None}))
        return image is not None and image.status in disks.UNFINISHED_IMAGE

    def _require_stores(self, image_id: str) -> None:
        """Stop no instance for volumes that cannot be copied now.

        :raises ServiceUnavailable: a volume node that has to make a snapshot is down; the message comes again
        """
        with self.db.read() as conn:
            for host in {snapshot.host for snapshot in _snapshots(conn, image_id)}:
                if services.all_down(conn, f"volume.{host}", self.down_time):
                    raise ServiceUnavailable(f"The volume service on {host} is down.")

    def _snapshot_volumes(self, context: RequestContext, image_id: str) -> None:
        with self.db.read() as conn:
            wanted = _snapshots(conn, image_id)
        for snapshot in wanted:
            self.rpc.call(
                context,
                f"volume.{snapshot.host}",
                "create_snapshot",
                volume_id=snapshot.volume_id,
                snapshot_id=snapshot.id,
            )

    def _start_again(self, row: Row[Any]) -> None:
        with self.db.read() as conn:
            interfaces, devices = interfaces_of(conn, row), attached_devices(conn, row)
        self.driver.power_on(guest_of(row), interfaces, devices)


def _snapshots(conn: Connection, image_id: str) -> Sequence[Row[Any]]:
    """The snapshots that an image waits for."""
    image = disks.get_image(conn, image_id)
    return disks.snapshots_of_image(conn, image.block_device_mapping) if image else ()
