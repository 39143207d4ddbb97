"""Volumes and snapshots: what the doors may do with them (spec ec2.md 4.5)."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api import errors, limits
from nova_api.cloud.policy import Policy
from nova_api.cloud.quota import Quotas
from nova_api.config import Config
from nova_api.context import RequestContext, new_uuid
from nova_api.db import volumes as queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.filters import build
from nova_api.db.models import snapshots, volumes
from nova_api.rpc.outbox import Outbox

#: Where an instance sees a volume; no digits, a partition is not a device (spec ec2.md 4.5).
DEVICE = re.compile(r"/dev/x?[a-z]d[a-z]+\Z")
_ATTACHABLE = ("active", "paused", "suspended", "stopped", "shutoff", "rescued")


class Volumes:
    """Volumes and snapshots as a service."""

    def __init__(self, db: Database, quotas: Quotas, outbox: Outbox, policy: Policy, config: Config) -> None:
        self.db, self.quotas, self.outbox, self.policy, self.config = db, quotas, outbox, policy, config

    # -- volumes ---------------------------------------------------------------------------------------

    def list(
        self,
        context: RequestContext,
        numbers: Iterable[int] | None = None,
        *,
        filters: Sequence[tuple[str, Sequence[str]]] = (),
        after: int = 0,
        limit: int | None = None,
    ) -> Sequence[Row[Any]]:
        """Volumes with what they are attached to, oldest first.

        :param numbers: only these; each must exist
        :param filters: names and values, as EC2 calls them
        :param after: number of the last one of the page before
        :raises VolumeNotFound: one of ``numbers`` is not the project's
        """
        self.policy.check(context, "volume:get_all")
        wanted = None if numbers is None else list(dict.fromkeys(numbers))
        where = build(queries.VOLUME_FILTERS, filters)
        with self.db.read() as conn:
            if wanted is None:
                return queries.find_volumes(conn, context, *where, after=after, limit=limit)
            known = queries.find_volumes(conn, context, volumes.c.id.in_(_storable(wanted)))
            _require({row.id for row in known}, wanted, errors.VolumeNotFound, "vol-%08x")
            if not where and not after and limit is None:
                return known
            narrowed = (volumes.c.id.in_(wanted), *where)
            return queries.find_volumes(conn, context, *narrowed, after=after, limit=limit)

    def get(self, conn: Connection, context: RequestContext, number: int) -> Row[Any]:
        """One volume.

        :raises VolumeNotFound: it is not the project's
        """
        rows = queries.find_volumes(conn, context, volumes.c.id.in_(_storable([number])))
        if not rows:
            raise errors.VolumeNotFound(f"vol-{number:08x}")
        return rows[0]

    def create(
        self,
        context: RequestContext,
        *,
        size: int | None = None,
        snapshot: int | None = None,
        zone: str | None = None,
        name: str = "",
        description: str = "",
    ) -> Row[Any]:
        """Start making a volume; a volume node finishes it.

        :param size: GB; None takes the snapshot's
        :param snapshot: number of the snapshot to start from
        :param zone: availability zone; administrators may pin a host with ``zone:host``
        :raises SnapshotNotFound: the snapshot is not the project's
        :raises IncorrectState: it is not complete
        :raises ZoneNotFound: no service is in the zone
        :raises VolumeLimitExceeded: number of volumes
        :raises VolumeSizeTooLarge: gigabytes
        """
        self.policy.check(context, "volume:create")
        return self.db.write(lambda tx: self._create(tx, context, size, snapshot, zone, name, description))

    def _create(
        self,
        tx: Transaction,
        context: RequestContext,
        size: int | None,
        snapshot: int | None,
        zone: str | None,
        name: str,
        description: str,
    ) -> Row[Any]:
        project = context.project_id or ""
        left = self.quotas.left(tx, project, "volumes", "gigabytes")
        if snapshot is not None:
            source = self.get_snapshot(tx.conn, context, snapshot)
            if source.status != "available":
                raise errors.IncorrectState(f"Snapshot snap-{snapshot:08x} is not available.")
            size = size or source.volume_size
        if size is None:
            raise errors.MissingParameter("Size")
        where, _, pinned = (zone or self.config.storage_availability_zone).partition(":")
        host = pinned if pinned and context.is_admin else None
        if zone and not queries.zone_exists(tx.conn, where):
            raise errors.ZoneNotFound(where)
        if host and not queries.volume_host_exists(tx.conn, host):
            raise errors.InvalidParameterValue(f"No volume service runs on the host {host}.")
        if left["volumes"] < 1:
            raise errors.VolumeLimitExceeded
        if left["gigabytes"] < size:
            raise errors.VolumeSizeTooLarge
        values = {
            "uuid": new_uuid(),
            "user_id": context.user_id,
            "project_id": context.project_id,
            "snapshot_id": snapshot,
            "size": size,
            "availability_zone": where,
            "host": host,
            "status": "creating",
            "display_name": name,
            "display_description": description,
        }
        number = queries.insert_volume(tx, values)
        if host:
            wanted = {"volume_id": number, "snapshot_id": snapshot}
            self.outbox.cast(tx, context, f"volume.{host}", "create_volume", **wanted)
        else:
            message = {"topic": "volume", "volume_id": number, "snapshot_id": snapshot}
            self.outbox.cast(tx, context, "scheduler", "create_volume", **message)
        return self.get(tx.conn, context, number)

    def delete(self, context: RequestContext, number: int) -> None:
        """Start deleting a volume; one that no host holds is gone at once.

        :raises VolumeNotFound: it is not the project's
        :raises VolumeNotDeletable: it is in use, busy or has snapshots
        """

        def work(tx: Transaction) -> None:
            row = self.get(tx.conn, context, number)
            self.policy.check(context, "volume:delete", _target(row))
            if queries.has_snapshots(tx.conn, number):
                raise errors.VolumeNotDeletable
            values: dict[str, Any] = {"status": "deleting"}
            if not row.host:
                values |= queries.ended(volumes)
            if not queries.change_volume(tx, number, ("available", "error"), values):
                raise errors.VolumeNotDeletable
            if row.host:
                self.outbox.cast(tx, context, f"volume.{row.host}", "delete_volume", volume_id=number)

        self.db.write(work)

    def attach(self, context: RequestContext, number: int, instance: int, device: str) -> Row[Any]:
        """Start attaching a volume to an instance; the instance's node finishes it.

        :param device: where the instance sees it, ``/dev/vdb``
        :returns: the volume, on its way
        :raises InstanceNotFound: looked at first, as in 2012.1
        :raises VolumeNotFound: it is not the project's
        :raises InvalidParameterValue: no device name
        :raises VolumeInUse: the volume is not free
        :raises IncorrectInstanceState: the instance cannot take it; it runs nowhere yet, or ends
        :raises DeviceInUse: the instance has something there
        """

        def work(tx: Transaction) -> Row[Any]:
            target = queries.lock_instance(tx, instance) if instance <= limits.MAX_DATABASE_ID else None
            if target is None or not (context.is_admin or target.project_id == context.project_id):
                raise errors.InstanceNotFound(f"i-{instance:08x}")
            row = self.get(tx.conn, context, number)
            self.policy.check(context, "compute:attach_volume", _target(target))
            if not DEVICE.match(device):
                raise errors.InvalidParameterValue(f"Value ({device}) for parameter device is invalid.")
            if row.status != "available" or row.attach_status == "attached":
                raise errors.VolumeInUse
            if not target.host or target.vm_state not in _ATTACHABLE or target.task_state == "deleting":
                raise errors.IncorrectInstanceState(f"Instance i-{instance:08x} cannot take a volume now.")
            if queries.device_taken(tx.conn, target.id, device):
                raise errors.DeviceInUse(f"The device {device} is already in use.")
            values = {"status": "attaching", "instance_id": target.id, "mountpoint": device}
            if not queries.change_volume(tx, number, ("available",), values):
                raise errors.VolumeInUse
            self.outbox.cast(
                tx,
                context,
                f"compute.{target.host}",
                "attach_volume",
                volume_id=number,
                mountpoint=device,
                instance_uuid=target.uuid,
            )
            return self.get(tx.conn, context, number)

        return self.db.write(work)

    def detach(self, context: RequestContext, number: int) -> Row[Any]:
        """Start detaching a volume; the instance's node finishes it.

        :returns: the volume as it was before
        :raises VolumeNotFound: it is not the project's
        :raises VolumeNotAttached: it is attached to nothing
        :raises IncorrectState: it is on its way already
        """

        def work(tx: Transaction) -> Row[Any]:
            row = self.get(tx.conn, context, number)
            self.policy.check(context, "compute:detach_volume", _target(row))
            if row.status == "available" or row.instance_id is None:
                raise errors.VolumeNotAttached
            if not queries.change_volume(tx, number, ("in-use",), {"status": "detaching"}):
                raise errors.IncorrectState(f"Volume vol-{number:08x} is {row.status}.")
            self.outbox.cast(
                tx,
                context,
                f"compute.{row.instance_host}",
                "detach_volume",
                volume_id=number,
                instance_uuid=row.instance_uuid,
            )
            return row

        return self.db.write(work)

    # -- snapshots -------------------------------------------------------------------------------------

    def list_snapshots(
        self,
        context: RequestContext,
        numbers: Iterable[int] | None = None,
        *,
        filters: Sequence[tuple[str, Sequence[str]]] = (),
        after: int = 0,
        limit: int | None = None,
    ) -> Sequence[Row[Any]]:
        """Snapshots, oldest first; parameters as :meth:`list`.

        :raises SnapshotNotFound: one of ``numbers`` is not the project's
        """
        self.policy.check(context, "volume:get_all_snapshots")
        wanted = None if numbers is None else list(dict.fromkeys(numbers))
        where = build(queries.SNAPSHOT_FILTERS, filters)
        with self.db.read() as conn:
            if wanted is not None:
                known = queries.find_snapshots(conn, context, snapshots.c.id.in_(_storable(wanted)))
                _require({row.id for row in known}, wanted, errors.SnapshotNotFound, "snap-%08x")
                where = [snapshots.c.id.in_(wanted), *where]
            return queries.find_snapshots(conn, context, *where, after=after, limit=limit)

    def get_snapshot(self, conn: Connection, context: RequestContext, number: int) -> Row[Any]:
        """One snapshot.

        :raises SnapshotNotFound: it is not the project's
        """
        rows = queries.find_snapshots(conn, context, snapshots.c.id.in_(_storable([number])))
        if not rows:
            raise errors.SnapshotNotFound(f"snap-{number:08x}")
        return rows[0]

    def create_snapshot(self, context: RequestContext, volume: int, description: str = "") -> Row[Any]:
        """Start a snapshot of a volume, in use or not (spec ec2.md 4.5, fix); its node finishes it.

        :raises VolumeNotFound: it is not the project's
        :raises IncorrectState: the volume is neither available nor in use
        :raises SnapshotLimitExceeded: quota
        """

        def work(tx: Transaction) -> Row[Any]:
            left = self.quotas.left(tx, context.project_id or "", "snapshots")
            row = self.get(tx.conn, context, volume)
            self.policy.check(context, "volume:create_snapshot", _target(row))
            if row.status not in ("available", "in-use") or not row.host:
                raise errors.IncorrectState(f"Volume vol-{volume:08x} is {row.status}.")
            if left["snapshots"] < 1:
                raise errors.SnapshotLimitExceeded
            values = {
                "uuid": new_uuid(),
                "user_id": context.user_id,
                "project_id": context.project_id,
                "volume_id": volume,
                "volume_size": row.size,
                "status": "creating",
                "progress": "0%",
                "display_description": description,
            }
            number = queries.insert_snapshot(tx, values)
            message = {"volume_id": volume, "snapshot_id": number}
            self.outbox.cast(tx, context, f"volume.{row.host}", "create_snapshot", **message)
            return self.get_snapshot(tx.conn, context, number)

        return self.db.write(work)

    def delete_snapshot(self, context: RequestContext, number: int) -> None:
        """Start deleting a snapshot.

        :raises SnapshotNotFound: it is not the project's
        :raises SnapshotInUse: an image is made of it
        :raises IncorrectState: it is neither available nor failed
        """

        def work(tx: Transaction) -> None:
            row = self.get_snapshot(tx.conn, context, number)
            self.policy.check(context, "volume:delete_snapshot", _target(row))
            image = queries.image_of_snapshot(tx.conn, number)
            if image is not None:
                raise errors.SnapshotInUse(f"The snapshot snap-{number:08x} is in use by ami-{image:08x}.")
            if not queries.change_snapshot(tx, number, ("available", "error"), {"status": "deleting"}):
                raise errors.IncorrectState(f"Snapshot snap-{number:08x} is {row.status}.")
            host = tx.execute(sa.select(volumes.c.host).where(volumes.c.id == row.volume_id)).scalar()
            self.outbox.cast(tx, context, f"volume.{host}", "delete_snapshot", snapshot_id=number)

        self.db.write(work)


def _storable(numbers: Iterable[int]) -> Sequence[int]:
    """Those that can be row numbers at all."""
    return [number for number in numbers if number <= limits.MAX_DATABASE_ID]


def _target(row: Row[Any]) -> dict[str, Any]:
    """What a policy rule compares the caller with."""
    return {"project_id": row.project_id, "user_id": row.user_id}


def _require(known: set[int], wanted: Iterable[int], error: type[errors.NotFound], form: str) -> None:
    for number in wanted:
        if number not in known:
            raise error(form % number)
