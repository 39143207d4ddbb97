"""Snapshots of volumes (spec ec2.md 4.5, openstack-extensions.md 11.3)."""

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Row

from nova_api import errors
from nova_api.cloud.volume_rows import VolumeService, require, storable
from nova_api.context import RequestContext, new_uuid
from nova_api.db import volumes as queries
from nova_api.db.engine import Transaction
from nova_api.db.filters import build
from nova_api.db.models import snapshots, volumes


class Snapshots(VolumeService):
    """The part of the volume service that makes snapshots."""

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
        wanted = None if numbers is None else list(dict.fromkeys(numbers))
        if wanted is None:
            self.policy.check(context, "volume:get_all_snapshots")
        where = build(queries.SNAPSHOT_FILTERS, filters)
        with self.db.read() as conn:
            if wanted is not None:
                known = queries.find_snapshots(conn, context, snapshots.c.id.in_(storable(wanted)))
                require({row.id for row in known}, wanted, errors.SnapshotNotFound, "snap-%08x")
                self.check_named(context, known, "volume:get_snapshot")
                where = [snapshots.c.id.in_(wanted), *where]
            return queries.find_snapshots(conn, context, *where, after=after, limit=limit)

    def create_snapshot(
        self,
        context: RequestContext,
        volume: int,
        description: str | None = None,
        *,
        name: str | None = None,
        force: bool = True,
    ) -> Row[Any]:
        """Start a snapshot of a volume; its node finishes it.

        :param description: as it was given, an empty one too; name likewise
        :param force: also of a volume in use, which EC2 always does (spec ec2.md 4.5, fix)
        :raises VolumeNotFound: it is not the project's
        :raises IncorrectState: the volume is neither available nor in use
        :raises SnapshotLimitExceeded: quota
        """

        def work(tx: Transaction) -> Row[Any]:
            left = self.quotas.left(tx, context.project_id or "", "snapshots")
            queries.lock_volume(tx, volume)  # so that it is not deleted as one without snapshots
            row = self.checked(tx.conn, context, volume, "volume:create_snapshot")
            if row.status not in (("available", "in-use") if force else ("available",)) or not row.host:
                raise errors.IncorrectState(f"Volume vol-{volume:08x} is {row.status}.", "must be available")
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
                "display_name": name,
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
            row = self.checked_snapshot(tx.conn, context, number, "volume:delete_snapshot")
            image = queries.image_of_snapshot(tx.conn, number)
            if image is not None:
                raise errors.SnapshotInUse(f"The snapshot snap-{number:08x} is in use by ami-{image:08x}.")
            if not queries.change_snapshot(tx, number, ("available", "error"), {"status": "deleting"}):
                reason = "Volume Snapshot status must be available or error"
                raise errors.IncorrectState(f"Snapshot snap-{number:08x} is {row.status}.", reason)
            host = tx.execute(sa.select(volumes.c.host).where(volumes.c.id == row.volume_id)).scalar()
            self.outbox.cast(tx, context, f"volume.{host}", "delete_snapshot", snapshot_id=number)

        self.db.write(work)
