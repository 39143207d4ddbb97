"""Volumes: what the doors may do with them (spec ec2.md 4.5, openstack-extensions.md 11).

Snapshots and attachments are parts of the same service, each in a file of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Row

from nova_api import errors, limits
from nova_api.cloud.attachments import Attachments
from nova_api.cloud.keys import check_keys
from nova_api.cloud.snapshots import Snapshots
from nova_api.cloud.volume_rows import require, storable
from nova_api.context import RequestContext, new_uuid
from nova_api.db import volume_types
from nova_api.db import volumes as queries
from nova_api.db.engine import Transaction
from nova_api.db.filters import build
from nova_api.db.models import volumes


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeSpec:
    """A volume to be made.

    :ivar size: GB; None takes the snapshot's
    :ivar snapshot: number of the snapshot to start from
    :ivar zone: availability zone; administrators may pin a host with ``zone:host``
    :ivar name: as it was given, an empty one too; None when it was not; description likewise
    :ivar volume_type: name of its type
    """

    size: int | None = None
    snapshot: int | None = None
    zone: str | None = None
    name: str | None = None
    description: str | None = None
    volume_type: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VolumeRecord:
    """A volume with its metadata and the name of its type."""

    row: Row[Any]
    metadata: Mapping[str, str]
    volume_type: str | None


class Volumes(Snapshots, Attachments):
    """Volumes and snapshots as a service."""

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
        wanted = None if numbers is None else list(dict.fromkeys(numbers))
        if wanted is None:
            self.policy.check(context, "volume:get_all")
        where = build(queries.VOLUME_FILTERS, filters)
        with self.db.read() as conn:
            if wanted is None:
                return queries.find_volumes(conn, context, *where, after=after, limit=limit)
            known = queries.find_volumes(conn, context, volumes.c.id.in_(storable(wanted)))
            require({row.id for row in known}, wanted, errors.VolumeNotFound, "vol-%08x")
            self.check_named(context, known, "volume:get")
            if not where and not after and limit is None:
                return known
            narrowed = (volumes.c.id.in_(wanted), *where)
            return queries.find_volumes(conn, context, *narrowed, after=after, limit=limit)

    def records(self, context: RequestContext, numbers: Iterable[int] | None = None) -> Sequence[VolumeRecord]:
        """:meth:`list` with everything that the OpenStack doors show.

        :raises VolumeNotFound: one of ``numbers`` is not the project's
        """
        rows = self.list(context, numbers)
        with self.db.read() as conn:
            metadata = queries.metadata(conn, [row.id for row in rows])
            names = volume_types.names(conn, {row.volume_type_id for row in rows if row.volume_type_id is not None})
        return [VolumeRecord(row, metadata.get(row.id, {}), names.get(row.volume_type_id)) for row in rows]

    def create(self, context: RequestContext, spec: VolumeSpec) -> Row[Any]:
        """Start making a volume; a volume node finishes it.

        :raises SnapshotNotFound: the snapshot is not the project's
        :raises IncorrectState: it is not complete
        :raises VolumeTypeNotFound: no such type
        :raises ZoneNotFound: no service is in the zone
        :raises InvalidParameterValue: as :func:`check_keys`
        :raises VolumeLimitExceeded: number of volumes
        :raises VolumeSizeTooLarge: gigabytes
        """
        self.policy.check(context, "volume:create")
        check_keys(spec.metadata)
        return self.db.write(lambda tx: self._create(tx, context, spec))

    def _create(self, tx: Transaction, context: RequestContext, spec: VolumeSpec) -> Row[Any]:
        left = self.quotas.left(tx, context.project_id or "", "volumes", "gigabytes")
        snapshot, kind = spec.snapshot, self._type_of(tx, spec)
        size = self._size(tx, context, spec)
        where, host = self._place(tx, context, spec.zone)
        if left["volumes"] < 1:
            raise errors.VolumeLimitExceeded
        if left["gigabytes"] < size:
            raise errors.VolumeSizeTooLarge
        if size > limits.MAX_VOLUME_GB:
            raise errors.InvalidParameterValue(f"A volume has at most {limits.MAX_VOLUME_GB} GB.")
        values = {
            "uuid": new_uuid(),
            "user_id": context.user_id,
            "project_id": context.project_id,
            "snapshot_id": snapshot,
            "size": size,
            "availability_zone": where,
            "host": host,
            "status": "creating",
            "display_name": spec.name,
            "display_description": spec.description,
            "volume_type_id": kind,
        }
        number = queries.insert_volume(tx, values)
        queries.add_metadata(tx, number, spec.metadata)
        if host:
            wanted = {"volume_id": number, "snapshot_id": snapshot}
            self.outbox.cast(tx, context, f"volume.{host}", "create_volume", **wanted)
        else:
            message = {"topic": "volume", "volume_id": number, "snapshot_id": snapshot}
            self.outbox.cast(tx, context, "scheduler", "create_volume", **message)
        return self.get(tx.conn, context, number)

    @staticmethod
    def _type_of(tx: Transaction, spec: VolumeSpec) -> int | None:
        if not spec.volume_type:
            return None
        found = volume_types.by_name(tx.conn, spec.volume_type)
        if found is None:
            raise errors.VolumeTypeNotFound(spec.volume_type)
        return int(found.id)

    def _size(self, tx: Transaction, context: RequestContext, spec: VolumeSpec) -> int:
        size = spec.size
        if spec.snapshot is not None:
            source = self.checked_snapshot(tx.conn, context, spec.snapshot)
            if source.status != "available":
                text = f"Snapshot snap-{spec.snapshot:08x} is not available."
                raise errors.IncorrectState(text, "status must be available")
            size = size or source.volume_size
        if size is None:
            raise errors.MissingParameter("Size")
        return size

    def _place(self, tx: Transaction, context: RequestContext, zone: str | None) -> tuple[str, str | None]:
        """Zone and, if an administrator has pinned one, host."""
        where, _, pinned = (zone or self.config.storage_availability_zone).partition(":")
        host = pinned if pinned and context.is_admin else None
        if zone and not queries.zone_exists(tx.conn, where):
            raise errors.ZoneNotFound(where)
        if host and not queries.volume_host_exists(tx.conn, host):
            raise errors.InvalidParameterValue(f"No volume service runs on the host {host}.")
        return where, host

    def delete(self, context: RequestContext, number: int) -> None:
        """Start deleting a volume; one that no host holds is gone at once, whatever its status.

        :raises VolumeNotFound: it is not the project's
        :raises PolicyNotAuthorized: the policy says no
        :raises VolumeNotDeletable: it is in use, busy or has snapshots
        """

        def work(tx: Transaction) -> None:
            queries.lock_volume(tx, number)  # no snapshot of it begins meanwhile
            row = self.checked(tx.conn, context, number, "volume:delete")
            dependent = queries.count_snapshots(tx.conn, number)
            if row.status in ("available", "error") and dependent:
                raise errors.VolumeNotDeletable(f"Volume still has {dependent} dependent snapshots")
            if not row.host and queries.end_unplaced_volume(tx, number):
                return
            if not row.host or not queries.change_volume(tx, number, ("available", "error"), {"status": "deleting"}):
                raise errors.VolumeNotDeletable("Volume status must be available or error")
            self.outbox.cast(tx, context, f"volume.{row.host}", "delete_volume", volume_id=number)

        self.db.write(work)
