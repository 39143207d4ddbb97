"""The volume node: makes and removes volumes and snapshots, and hands volumes to compute nodes."""

import logging
from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

from nova_api.context import RequestContext
from nova_api.db import disks
from nova_api.db import volumes as queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.models import now, snapshots, volumes
from nova_api.errors import ApiError, VolumeNotFound
from nova_api.nodes.drivers.volumestore import VolumeStore, VolumeStoreError

T = TypeVar("T")

log = logging.getLogger(__name__)


class VolumeFailed(ApiError):
    """The store could not do it; the row says so, and another delivery would not help."""


class VolumeManager:
    """Answers ``volume`` and ``volume.HOST``.

    :param db: the datastore
    :param store: the driver
    :param host: name of this node
    """

    methods: ClassVar[tuple[str, ...]] = (
        "create_volume",
        "delete_volume",
        "create_snapshot",
        "delete_snapshot",
        "initialize_connection",
        "terminate_connection",
    )
    binary: ClassVar[str] = "nova-volume"

    def __init__(self, db: Database, store: VolumeStore, host: str) -> None:
        self.db, self.store, self.host = db, store, host

    def start(self) -> None:
        """Nothing to take up: what a killed node left in the middle is in the outbox."""

    def create_volume(self, context: RequestContext, volume_id: int, snapshot_id: int | None = None) -> None:
        """Make a volume; one ordered for an instance goes on to ``attaching``, any other to ``available``.

        :raises VolumeFailed: the store could not; the volume is in ``error``
        """
        with self.db.read() as conn:
            row = disks.get_volume(conn, volume_id)
        if row is not None and row.host not in (None, self.host):
            self.store.delete(volume_id)  # this comes late: another host makes it now; here it may be half made
            return
        if row is None or row.status != "creating":
            return
        place = self._do(
            lambda: self.store.create(volume_id, row.size, snapshot_id),
            lambda tx: queries.change_volume(tx, volume_id, ("creating",), {"status": "error"}, row.host),
        )

        def made(tx: Transaction) -> bool:
            values = {"host": self.host, "provider_location": place, "launched_at": now()}
            current = disks.get_volume(tx.conn, volume_id)
            waited_for = current is not None and current.instance_id is not None
            status = "attaching" if waited_for else "available"
            return queries.change_volume(tx, volume_id, ("creating",), {**values, "status": status}, row.host)

        if not self.db.write(made):
            with self.db.read() as conn:
                current = disks.get_volume(conn, volume_id)
            if current is None or current.status == "deleting" or current.host != self.host:
                # Its instance ended meanwhile, and it was to end with it; or another host has made it.
                self.store.delete(volume_id)

    def delete_volume(self, context: RequestContext, volume_id: int) -> None:
        """Remove a volume.

        :raises VolumeFailed: the store could not; the volume is in ``error_deleting``
        """
        with self.db.read() as conn:
            row = disks.get_volume(conn, volume_id)
        if row is None or row.status != "deleting":
            return
        self._do(
            lambda: self.store.delete(volume_id),
            lambda tx: queries.change_volume(tx, volume_id, ("deleting",), {"status": "error_deleting"}),
        )
        ended = {**queries.ended(volumes), "status": "deleted", "terminated_at": now()}
        self.db.write(lambda tx: queries.change_volume(tx, volume_id, ("deleting",), ended))

    def create_snapshot(self, context: RequestContext, volume_id: int, snapshot_id: int) -> None:
        """Make a snapshot of a volume.

        :raises VolumeFailed: the store could not; the snapshot is in ``error``
        """
        with self.db.read() as conn:
            row = disks.get_snapshot(conn, snapshot_id)
        if row is None or row.status != "creating":
            return
        self._do(
            lambda: self.store.create_snapshot(volume_id, snapshot_id),
            lambda tx: queries.change_snapshot(tx, snapshot_id, ("creating",), {"status": "error"}),
        )
        values = {"status": "available", "progress": "100%"}
        if not self.db.write(lambda tx: queries.change_snapshot(tx, snapshot_id, ("creating",), values)):
            with self.db.read() as conn:
                current = disks.get_snapshot(conn, snapshot_id)
            if current is None or current.status == "deleting":
                self.store.delete_snapshot(snapshot_id)  # another delivery was quicker, and its owner too

    def delete_snapshot(self, context: RequestContext, snapshot_id: int) -> None:
        """Remove a snapshot.

        :raises VolumeFailed: the store could not; the snapshot is in ``error_deleting``
        """
        with self.db.read() as conn:
            row = disks.get_snapshot(conn, snapshot_id)
        if row is None or row.status != "deleting":
            return
        self._do(
            lambda: self.store.delete_snapshot(snapshot_id),
            lambda tx: queries.change_snapshot(tx, snapshot_id, ("deleting",), {"status": "error_deleting"}),
        )
        ended = {**queries.ended(snapshots), "status": "deleted"}
        self.db.write(lambda tx: queries.change_snapshot(tx, snapshot_id, ("deleting",), ended))

    def initialize_connection(self, context: RequestContext, volume_id: int, host: str) -> dict[str, Any]:
        """Let a compute node use a volume (a call).

        :param host: name of the compute node
        :returns: what its hypervisor driver needs
        :raises VolumeNotFound: there is no such volume
        :raises VolumeFailed: the store could not
        """
        with self.db.read() as conn:
            if disks.get_volume(conn, volume_id) is None:
                raise VolumeNotFound(f"vol-{volume_id:08x}")
        try:
            return self.store.initialize_connection(volume_id, host)
        except VolumeStoreError as error:
            raise VolumeFailed(str(error)) from error

    def terminate_connection(self, context: RequestContext, volume_id: int, host: str) -> None:
        """A compute node no longer uses a volume; one that does so again keeps it: this message comes late.

        :param host: name of the compute node
        """
        with self.db.read() as conn:
            if disks.used_from(conn, volume_id, host):
                return
        try:
            self.store.terminate_connection(volume_id, host)
        except VolumeStoreError as error:
            raise VolumeFailed(str(error)) from error

    def _do(self, action: Callable[[], T], failed: Callable[[Transaction], object]) -> T:
        try:
            return action()
        except VolumeStoreError as error:
            log.error("%s: %s", self.host, error)
            self.db.write(failed)
            raise VolumeFailed(str(error)) from error
