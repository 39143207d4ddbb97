"""The end of an instance in the datastore, whoever takes its guest down, and whenever."""

from typing import Any

from sqlalchemy.engine import Row

from nova_api.context import RequestContext
from nova_api.db import disks, instances, moves, networks
from nova_api.db.engine import Transaction
from nova_api.nodes.sharing import to_sharers
from nova_api.rpc.outbox import Outbox


def end(tx: Transaction, outbox: Outbox, context: RequestContext, row: Row[Any], host: str) -> None:
    """End an instance: what it held is free, and whoever has to know is told.

    :param row: of :func:`nova_api.db.guests.get`
    :param host: that its guest is on, or was
    """
    held = disks.devices(tx.conn, row.id) if row.has_devices else ()
    floating = networks.floating_of(tx.conn, row.id)
    ended = instances.delete(tx, [row.id])
    messages: list[tuple[str, str, dict[str, Any]]] = [
        (f"volume.{place}", "delete_volume", {"volume_id": number}) for number, place in ended.volumes
    ]
    messages += to_sharers(ended.sharers)
    for device in held:
        if device.connection_info and device.host:
            gone = {"volume_id": device.volume_id, "host": host}
            messages.append((f"volume.{device.host}", "terminate_connection", gone))
    left = moves.latest(tx.conn, row.id)
    if left is not None and left.status != "confirmed" and left.source_compute != host:
        # Nobody will ask for what a move has left there.
        drop = {"instance_uuid": row.uuid, "migration_id": left.id}
        messages.append((f"compute.{left.source_compute}", "confirm_resize", drop))
    if left is not None and row.vm_state == "migrating" and left.dest_compute != host:
        # It was made ready for there, and may be there by now.
        for device in held:
            if device.connection_info and device.host:
                gone = {"volume_id": device.volume_id, "host": left.dest_compute}
                messages.append((f"volume.{device.host}", "terminate_connection", gone))
        method = "rollback_live_migration_at_destination"
        messages.append((f"compute.{left.dest_compute}", method, {"instance_uuid": row.uuid}))
    messages += [("network", "disassociate_floating_ip", {"address": one}) for one in floating]
    outbox.cast_many(tx, context, messages)
