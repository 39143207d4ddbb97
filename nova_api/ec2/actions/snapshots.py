"""Snapshot actions (spec ec2.md 4.5)."""

from collections.abc import Sequence
from typing import Any

from nova_api import limits
from nova_api.context import RequestContext
from nova_api.ec2 import ids
from nova_api.ec2.actions.volumes import snapshot_number, volume_number
from nova_api.ec2.dialect import ESSEX, Dialect
from nova_api.ec2.paging import Page, page_of
from nova_api.ec2.params import Filter, Filters, Integer, ListOf, Text
from nova_api.ec2.table import ALL, SYSADMIN, Action

ACTIONS: tuple[Action, ...] = (
    Action(
        "DescribeSnapshots",
        "describe_snapshots",
        ALL,
        {
            "SnapshotId": ListOf(Text(), most=limits.MAX_IDS),
            "Owner": ListOf(Text()),
            "RestorableBy": ListOf(Text()),
            "Filter": Filters(),
            "MaxResults": Integer(limits.MIN_PAGE, limits.MAX_PAGE),
            "NextToken": Text(),
        },
    ),
    Action(
        "CreateSnapshot",
        "create_snapshot",
        SYSADMIN,
        {"VolumeId": Text(required=True), "Description": Text(max=limits.MAX_DESCRIPTION)},
    ),
    Action("DeleteSnapshot", "delete_snapshot", SYSADMIN, {"SnapshotId": Text(required=True)}),
)


class SnapshotActions:
    """The snapshot actions of CloudController."""

    runtime: Any

    def describe_snapshots(
        self,
        context: RequestContext,
        snapshot_id: Sequence[str] | None = None,
        owner: Sequence[str] | None = None,
        restorable_by: Sequence[str] | None = None,
        *,
        filter: Sequence[Filter] = (),
        max_results: int | None = None,
        next_token: str | None = None,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Snapshots of the project, oldest first.

        :param snapshot_id: each must exist
        :param owner: project ids or ``self``
        :param restorable_by: as ``owner``: a snapshot is of use to its own project only
        :raises SnapshotNotFound: one of ``snapshot_id`` does not exist
        """
        page = Page(max_results, next_token)
        filters = [(one.name, one.values) for one in filter]
        for who in (owner, restorable_by):
            if who:
                names = [context.project_id or "" if name == "self" else name for name in who]
                filters.append(("owner-id", names))
        found, token = page_of(
            page,
            self.runtime.volume.list_snapshots(
                context,
                None if not snapshot_id else [snapshot_number(one) for one in snapshot_id],
                filters=filters,
                after=page.after,
                limit=page.limit,
            ),
            lambda row: row.id,
        )
        answer: dict[str, object] = {"snapshotSet": [_snapshot(row, dialect) for row in found]}
        return answer if token is None else {**answer, "nextToken": token}

    def create_snapshot(
        self,
        context: RequestContext,
        volume_id: str,
        *,
        description: str | None = None,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Start a snapshot of a volume, in use or not."""
        number = volume_number(volume_id, dialect)
        return _snapshot(self.runtime.volume.create_snapshot(context, number, description), dialect)

    def delete_snapshot(self, context: RequestContext, snapshot_id: str, **kwargs: object) -> bool:
        """Start deleting a snapshot."""
        self.runtime.volume.delete_snapshot(context, snapshot_number(snapshot_id))
        return True


def _snapshot(row: Any, dialect: Dialect) -> dict[str, object]:
    return {
        "snapshotId": ids.snapshot_id(row.id),
        "volumeId": ids.volume_id(row.volume_id),
        "status": dialect.snapshot_states.get(row.status, row.status),
        "startTime": row.created_at,
        "progress": row.progress,
        "ownerId": row.project_id,
        "volumeSize": row.volume_size,
        "description": row.display_description,
        **dialect.added({"encrypted": False, "tagSet": []}),
    }
