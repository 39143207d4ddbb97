"""Moves of instances to another size, another host, or both: a resize is a move, and so is a migration.

The scheduler has written the move's row and told the source, which switches the guest off and tells the
destination, which starts it. Then the owner confirms, and the source drops what it kept, or reverts: the
destination takes the guest down and tells the source, which starts what it kept. Each step begins by looking
whether the state of the instance and of the move is the one that it starts from, and ends with a compare-and-set
of both; so a step that comes twice, or after the instance was terminated, does nothing.
"""

import logging
from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_api.context import RequestContext
from nova_api.db import disks, guests, moves
from nova_api.db.engine import Transaction
from nova_api.nodes.drivers.hypervisor import BlockDevice, Guest, Interface, PowerState
from nova_api.nodes.guest_node import GuestNode, attached_devices, fault_of, guest_of, interfaces_of

log = logging.getLogger(__name__)

#: A method of a driver that starts a guest.
Start = Callable[[Guest, Sequence[Interface], Sequence[BlockDevice]], None]


class Moves(GuestNode):
    """The part of the compute node that moves instances; each method says on which of the two hosts it runs."""

    # -- there

    def resize_instance(self, context: RequestContext, instance_uuid: str, migration_id: int) -> None:
        """Source: switch the guest off, keep its disk, and hand it on.

        :param migration_id: number of the move
        """
        with self.db.read() as conn:
            row = guests.get(conn, instance_uuid)
            move = _move_of(conn, row, migration_id, ("resize_migrating",), "migrating")
        if row is None or move is None:
            return
        dest = move.dest_compute
        if not self._step(row, move, "resize_migrating", lambda: self.driver.migrate_off(guest_of(row), dest)):
            return

        def hand_on(tx: Transaction) -> bool:
            values = {"task_state": "resize_migrated", "power_state": int(PowerState.SHUTDOWN)}
            if not guests.change(tx, row.id, ("resize_migrating",), values):
                return False
            moves.change(tx, move.id, ("migrating",), "post-migrating")
            self._disconnect(tx, context, row, move)
            args = {"instance_uuid": row.uuid, "migration_id": move.id}
            self.outbox.cast(tx, context, f"compute.{dest}", "finish_resize", **args)
            return True

        if not self.db.write(hand_on):
            self._give_way(row)

    def finish_resize(self, context: RequestContext, instance_uuid: str, migration_id: int) -> None:
        """Destination: start the guest with its new size; it waits for its owner's word then.

        :param migration_id: number of the move
        """

        def claim(tx: Transaction) -> Row[Any] | None:
            row = guests.lock(tx, instance_uuid)
            tasks = ("resize_migrated", "resize_finish")
            move = _move_of(tx.conn, row, migration_id, tasks, "post-migrating")
            if row is None or move is None:
                return None
            values = {**moves.sizes(tx.conn, move.new_instance_type_id), "host": self.host}
            guests.change(tx, row.id, tasks, {"task_state": "resize_finish", **values})
            return move

        move = self.db.write(claim)
        if move is not None:
            start = self.driver.finish_migration
            self._start(context, instance_uuid, move, start, ("resize_finish", "resize_verify"), "finished")

    def confirm_resize(self, context: RequestContext, instance_uuid: str, migration_id: int) -> None:
        """Source: drop what the move has left here. The API has done the rest, or the instance has ended.

        :param migration_id: number of the move
        """
        with self.db.read() as conn:
            row, move = guests.get_ever(conn, instance_uuid), moves.get(conn, migration_id)
            latest = None if row is None else moves.latest(conn, row.id)
        if row is None or move is None or latest is None or move.instance_id != row.id:
            return
        if move.status != "confirmed" and not row.deleted:
            return
        if latest.id != move.id and self.host in (latest.source_compute, latest.dest_compute):
            return  # this comes late: what is kept here now belongs to a later move
        fault = fault_of(lambda: self.driver.confirm_migration(guest_of(row)))
        if fault is not None:
            log.error("%s: what a move of instance %s has left stays: %s", self.host, row.uuid, fault)

    # -- and back

    def revert_resize(self, context: RequestContext, instance_uuid: str, migration_id: int) -> None:
        """Destination: take the guest down, and give it back.

        :param migration_id: number of the move
        """
        with self.db.read() as conn:
            row = guests.get(conn, instance_uuid)
            move = _move_of(conn, row, migration_id, ("resize_reverting",), "reverted")
        if row is None or move is None:
            return
        if not self._step(row, move, "resize_reverting", lambda: self.driver.revert_migration(guest_of(row))):
            return

        def hand_back(tx: Transaction) -> bool:
            values = {"power_state": int(PowerState.SHUTDOWN)}
            if not guests.change(tx, row.id, ("resize_reverting",), values):
                return False
            # From now on this message may come again without ending what the source has started, perhaps here.
            if moves.change(tx, move.id, ("reverted",), "reverting"):
                self._disconnect(tx, context, row, move)
                args = {"instance_uuid": row.uuid, "migration_id": move.id}
                self.outbox.cast(tx, context, f"compute.{move.source_compute}", "finish_revert_resize", **args)
            return True

        if not self.db.write(hand_back):
            self._give_way(row)

    def finish_revert_resize(self, context: RequestContext, instance_uuid: str, migration_id: int) -> None:
        """Source: start the guest that the move has left here, with its old size.

        :param migration_id: number of the move
        """

        def claim(tx: Transaction) -> Row[Any] | None:
            row = guests.lock(tx, instance_uuid)
            move = _move_of(tx.conn, row, migration_id, ("resize_reverting",), "reverting")
            if row is None or move is None:
                return None
            values = {**moves.sizes(tx.conn, move.old_instance_type_id), "host": self.host}
            guests.change(tx, row.id, ("resize_reverting",), values)
            return move

        move = self.db.write(claim)
        if move is not None:
            start = self.driver.finish_revert_migration
            self._start(context, instance_uuid, move, start, ("resize_reverting", None), "reverted")

    # -- what the steps share

    def _start(
        self,
        context: RequestContext,
        uuid: str,
        move: Row[Any],
        start: Start,
        tasks: tuple[str, str | None],
        status: str,
    ) -> None:
        """Have the driver start a guest that has just become this host's.

        :param tasks: of the instance, now and once it runs
        :param status: of the move then
        """
        task, task_after = tasks
        with self.db.read() as conn:
            row = guests.get(conn, uuid)
            interfaces = interfaces_of(conn, row) if row is not None else []
        if row is None:
            return

        def arrive() -> None:
            start(guest_of(row), interfaces, self._reach_devices(context, row, move))

        if not self._step(row, move, task, arrive):
            return
        values = {
            "vm_state": "active",
            "task_state": task_after,
            "power_state": int(PowerState.RUNNING),
            "progress": 100,
        }

        def finish(tx: Transaction) -> bool:
            if not guests.change(tx, row.id, (task,), values):
                return False
            return moves.change(tx, move.id, (move.status,), status)

        if not self.db.write(finish):
            self._give_way(row)

    def _step(self, row: Row[Any], move: Row[Any], task: str, action: Callable[[], object]) -> bool:
        """:meth:`_attempt` for a move, which fails together with the instance."""
        return self._attempt(row, (task,), action, lambda tx: moves.change(tx, move.id, (move.status,), "error"))

    def _disconnect(self, tx: Transaction, context: RequestContext, row: Row[Any], move: Row[Any]) -> None:
        """Tell the volume nodes that an instance leaves this host."""
        if not row.has_devices or move.source_compute == move.dest_compute:
            return
        for device in disks.devices(tx.conn, row.id):
            if device.connection_info and device.host:
                gone = {"volume_id": device.volume_id, "host": self.host}
                self.outbox.cast(tx, context, f"volume.{device.host}", "terminate_connection", **gone)

    def _reach_devices(self, context: RequestContext, row: Row[Any], move: Row[Any]) -> Sequence[BlockDevice]:
        """The volumes of an instance as this host reaches them.

        :raises RemoteError: a store could not
        :raises ServiceUnavailable: a volume node does not answer
        """
        if row.has_devices and move.source_compute != move.dest_compute:
            with self.db.read() as conn:
                held = [device for device in disks.devices(conn, row.id) if device.connection_info]
            found = {device.volume_id: self._connect(context, row, device.volume_id, device.host) for device in held}
            self.db.write(lambda tx: moves.reconnect(tx, row.id, found))
        with self.db.read() as conn:
            return attached_devices(conn, row)


def _move_of(
    conn: Connection, row: Row[Any] | None, migration_id: int, tasks: Sequence[str], status: str
) -> Row[Any] | None:
    """The move, if it is the instance's last one, and both are where a step starts from."""
    if row is None or row.vm_state != "resizing" or row.task_state not in tasks:
        return None
    move = moves.latest(conn, row.id)
    return move if move is not None and move.id == migration_id and move.status == status else None
