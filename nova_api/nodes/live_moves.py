"""Moves of instances that run meanwhile.

The scheduler has chosen the destination, written the move's row and told the destination, which makes ready: it
reaches the volumes, and its hypervisor prepares. It tells the source, which moves the guest, and which tells the
destination again, for good. What fails before the guest has moved leaves the instance active where it was. As in
:mod:`nova_api.nodes.moves` each step is a compare-and-set, and one that comes twice does nothing.
"""

import logging
from collections.abc import Callable
from typing import Any

from sqlalchemy.engine import Row

from nova_api.context import RequestContext
from nova_api.db import disks, guests, moves
from nova_api.db.engine import Transaction
from nova_api.nodes.drivers.hypervisor import BlockDevice
from nova_api.nodes.guest_node import GuestNode, attached_devices, fault_of, guest_of, interfaces_of

log = logging.getLogger(__name__)

#: The tasks of an instance in the state ``migrating``: its destination prepares, its source moves it, it has arrived.
PREPARING, MOVING, ARRIVED = "migrating-prepare", "migrating", "migrating-finish"


class LiveMoves(GuestNode):
    """The part of the compute node that moves running instances; each method says on which of the two hosts it runs."""

    def pre_live_migration(
        self, context: RequestContext, instance_uuid: str, migration_id: int, block_migration: bool = False
    ) -> None:
        """Destination: make ready.

        :param migration_id: number of the move
        :param block_migration: the disk comes too, the hosts share none
        """
        found = self._live(instance_uuid, migration_id, PREPARING, "migrating")
        if found is None:
            return
        row, move = found
        reached: list[BlockDevice] = []

        def prepare() -> None:
            with self.db.read() as conn:
                interfaces = interfaces_of(conn, row)
            reached[:] = self._reachable(context, row)
            self.driver.prepare_live_migration(guest_of(row), interfaces, reached)

        if not self._live_step(context, row, move, PREPARING, prepare):
            return
        args = {"instance_uuid": row.uuid, "migration_id": move.id, "block_migration": block_migration}

        def go_on(tx: Transaction) -> None:
            if guests.change(tx, row.id, (PREPARING,), {"task_state": MOVING}):
                self.outbox.cast(tx, context, f"compute.{move.source_compute}", "live_migration", **args)
            elif _ends(tx, row):
                self._call_off(tx, context, row, self.host)
                for device in reached:
                    volume = disks.get_volume(tx.conn, device.volume_id)
                    if volume is not None:
                        gone = {"volume_id": volume.id, "host": self.host}
                        self.outbox.cast(tx, context, f"volume.{volume.host}", "terminate_connection", **gone)

        self.db.write(go_on)

    def live_migration(
        self, context: RequestContext, instance_uuid: str, migration_id: int, block_migration: bool = False
    ) -> None:
        """Source: move the guest.

        :param migration_id: number of the move; ``block_migration`` as before
        """
        found = self._live(instance_uuid, migration_id, MOVING, "migrating")
        if found is None:
            return
        row, move = found
        dest = move.dest_compute

        def go() -> None:
            self.driver.live_migrate(guest_of(row), dest, block_migration=block_migration)

        if not self._live_step(context, row, move, MOVING, go):
            return

        def hand_on(tx: Transaction) -> bool:
            if not guests.change(tx, row.id, (MOVING,), {"task_state": ARRIVED, "host": dest}):
                if _ends(tx, row):
                    self._call_off(tx, context, row, dest)
                return False
            moves.change(tx, move.id, ("migrating",), "post-migrating")
            self._part(tx, context, row, self.host)
            args = {"instance_uuid": row.uuid, "migration_id": move.id}
            self.outbox.cast(tx, context, f"compute.{dest}", "post_live_migration_at_destination", **args)
            return True

        if not self.db.write(hand_on):
            self._give_way(row)

    def post_live_migration_at_destination(
        self, context: RequestContext, instance_uuid: str, migration_id: int
    ) -> None:
        """Destination: the guest is here.

        :param migration_id: number of the move
        """
        found = self._live(instance_uuid, migration_id, ARRIVED, "post-migrating")
        if found is None:
            return
        row, move = found

        def arrive() -> None:
            reached = {device.volume_id: device.connection_info for device in self._reachable(context, row)}
            self.db.write(lambda tx: moves.reconnect(tx, row.id, reached))
            with self.db.read() as conn:
                interfaces, devices = interfaces_of(conn, row), attached_devices(conn, row)
            self.driver.finish_live_migration(guest_of(row), interfaces, devices)

        if not self._attempt(
            row, (ARRIVED,), arrive, lambda tx: moves.change(tx, move.id, ("post-migrating",), "error")
        ):
            return

        def finish(tx: Transaction) -> bool:
            if not guests.change(tx, row.id, (ARRIVED,), {"vm_state": "active", "task_state": None}):
                return False
            return moves.change(tx, move.id, ("post-migrating",), "confirmed")

        if not self.db.write(finish):
            self._give_way(row)

    def rollback_live_migration_at_destination(self, context: RequestContext, instance_uuid: str) -> None:
        """Destination: the guest does not come, or its instance ends; drop what was made ready for it, or has come."""
        with self.db.read() as conn:
            row = guests.get_ever(conn, instance_uuid)
        if row is None or (row.host == self.host and not row.deleted):
            return

        def drop() -> None:
            self.driver.cancel_live_migration(guest_of(row))
            if row.deleted or row.task_state == "deleting":
                self.driver.destroy(guest_of(row))

        fault = fault_of(drop)
        if fault is not None:
            log.error("%s: what was ready for instance %s stays: %s", self.host, row.uuid, fault)

    # -- what the steps share

    def _live(self, uuid: str, migration_id: int, task: str, status: str) -> tuple[Row[Any], Row[Any]] | None:
        """The instance and its last move, if both are where a step starts from."""
        with self.db.read() as conn:
            row = guests.get(conn, uuid)
            if row is None or row.vm_state != "migrating" or row.task_state != task:
                return None
            move = moves.latest(conn, row.id)
        return (row, move) if move is not None and move.id == migration_id and move.status == status else None

    def _live_step(
        self, context: RequestContext, row: Row[Any], move: Row[Any], task: str, action: Callable[[], object]
    ) -> bool:
        """Have a driver do something; when it cannot, the instance stays where it is.

        :returns: whether it was done
        """
        fault = fault_of(action)
        if fault is None:
            return True
        log.error("%s: instance %s stays on %s: %s", self.host, row.uuid, move.source_compute, fault)

        def stay(tx: Transaction) -> None:
            values = {"vm_state": "active", **guests.fault_values(f"Live migration failed: {fault}")}
            if guests.change(tx, row.id, (task,), values):
                moves.change(tx, move.id, ("migrating",), "error")
                self._part(tx, context, row, move.dest_compute)
                self._call_off(tx, context, row, move.dest_compute)

        self.db.write(stay)
        return False

    def _reachable(self, context: RequestContext, row: Row[Any]) -> list[BlockDevice]:
        """The volumes of an instance as this host reaches them.

        :raises RemoteError: a store could not
        :raises ServiceUnavailable: a volume node does not answer
        """
        if not row.has_devices:
            return []
        with self.db.read() as conn:
            held = [device for device in disks.devices(conn, row.id) if device.connection_info]
        return [
            BlockDevice(one.device_name, one.volume_id, self._connect(context, row, one.volume_id, one.host))
            for one in held
        ]

    def _call_off(self, tx: Transaction, context: RequestContext, row: Row[Any], dest: str) -> None:
        """Tell the destination that nothing comes, and that nothing that has come stays."""
        method = "rollback_live_migration_at_destination"
        self.outbox.cast(tx, context, f"compute.{dest}", method, instance_uuid=row.uuid)

    def _part(self, tx: Transaction, context: RequestContext, row: Row[Any], host: str) -> None:
        """Tell the volume nodes that a host no longer uses the volumes of an instance."""
        for device in disks.devices(tx.conn, row.id) if row.has_devices else ():
            if device.connection_info and device.host:
                gone = {"volume_id": device.volume_id, "host": host}
                self.outbox.cast(tx, context, f"volume.{device.host}", "terminate_connection", **gone)


def _ends(tx: Transaction, row: Row[Any]) -> bool:
    """Whether an instance has ended, or is about to."""
    current = guests.get(tx.conn, row.uuid)
    return current is None or current.task_state == "deleting"
