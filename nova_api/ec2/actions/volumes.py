"""Volume actions (spec ec2.md 4.5)."""

from collections.abc import Sequence
from typing import Any

from nova_api import errors, limits
from nova_api.cloud.volume import VolumeSpec
from nova_api.context import RequestContext
from nova_api.ec2 import ids
from nova_api.ec2.dialect import ESSEX, Dialect
from nova_api.ec2.paging import Page, page_of
from nova_api.ec2.params import Filter, Filters, Integer, ListOf, Text
from nova_api.ec2.table import SYSADMIN, Action

ACTIONS: tuple[Action, ...] = (
    Action(
        "DescribeVolumes",
        "describe_volumes",
        SYSADMIN,
        {
            "VolumeId": ListOf(Text(), most=limits.MAX_IDS),
            "Filter": Filters(),
            "MaxResults": Integer(limits.MIN_PAGE, limits.MAX_PAGE),
            "NextToken": Text(),
        },
    ),
    Action(
        "CreateVolume",
        "create_volume",
        SYSADMIN,
        {
            # The quota goes before the most that a volume may have, as in 2012.1.
            "Size": Integer(1, limits.MAX_INTEGER),
            "SnapshotId": Text(),
            "AvailabilityZone": Text(max=limits.MAX_NAME),
        },
    ),
    Action("DeleteVolume", "delete_volume", SYSADMIN, {"VolumeId": Text(required=True)}),
    Action(
        "AttachVolume",
        "attach_volume",
        SYSADMIN,
        {"VolumeId": Text(required=True), "InstanceId": Text(required=True), "Device": Text(required=True)},
    ),
    Action("DetachVolume", "detach_volume", SYSADMIN, {"VolumeId": Text(required=True)}),
)


class VolumeActions:
    """The volume actions of CloudController."""

    runtime: Any

    def describe_volumes(
        self,
        context: RequestContext,
        volume_id: Sequence[str] | None = None,
        *,
        filter: Sequence[Filter] = (),
        max_results: int | None = None,
        next_token: str | None = None,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Volumes of the project, oldest first.

        :param volume_id: each must exist
        :raises VolumeNotFound: one of them does not
        """
        page = Page(max_results, next_token)
        found, token = page_of(
            page,
            self.runtime.volume.list(
                context,
                None if not volume_id else [volume_number(one, dialect) for one in volume_id],
                filters=[(one.name, one.values) for one in filter],
                after=page.after,
                limit=page.limit,
            ),
            lambda row: row.id,
        )
        answer: dict[str, object] = {"volumeSet": [_volume(row, context, dialect) for row in found]}
        return answer if token is None else {**answer, "nextToken": token}

    def create_volume(
        self,
        context: RequestContext,
        *,
        size: int | None = None,
        snapshot_id: str | None = None,
        availability_zone: str | None = None,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Start making a volume.

        :param size: GB; the snapshot's without it
        :raises MissingParameter: neither size nor snapshot
        """
        snapshot = None if not snapshot_id else snapshot_number(snapshot_id)
        row = self.runtime.volume.create(
            context, VolumeSpec(size=size, snapshot=snapshot, zone=availability_zone or None)
        )
        return _volume(row, context, dialect)

    def delete_volume(
        self, context: RequestContext, volume_id: str, *, dialect: Dialect = ESSEX, **kwargs: object
    ) -> bool:
        """Start deleting a volume."""
        self.runtime.volume.delete(context, volume_number(volume_id, dialect))
        return True

    def attach_volume(
        self,
        context: RequestContext,
        volume_id: str,
        instance_id: str,
        device: str,
        *,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Start attaching a volume; the instance's id is looked at first, as in 2012.1."""
        instance = ids.parse(instance_id, "i")
        if instance is None:
            raise errors.InvalidInstanceIDMalformed(instance_id)
        row = self.runtime.volume.attach(context, volume_number(volume_id, dialect), instance, device)
        if dialect.attachment_in_progress:
            return _attachment(row, "attaching", row.mountpoint, dialect)
        # 2012.1: the answer shows the volume as it was before the node has acted.
        return _attachment(row, "detached", None, dialect)

    def detach_volume(
        self, context: RequestContext, volume_id: str, *, dialect: Dialect = ESSEX, **kwargs: object
    ) -> dict[str, object]:
        """Start detaching a volume."""
        row = self.runtime.volume.detach(context, volume_number(volume_id, dialect))
        status = "detaching" if dialect.attachment_in_progress else row.attach_status
        return _attachment(row, status, row.mountpoint, dialect)


def volume_number(text: str, dialect: Dialect) -> int:
    """The number in a volume id.

    :raises InvalidInstanceIDMalformed: it is none, in 2012.1's words
    :raises MalformedId: it is none, in today's
    """
    number = ids.parse(text, "vol")
    if number is None:
        if dialect.modern_elements:
            raise errors.MalformedId("InvalidVolumeID.Malformed", text)
        raise errors.InvalidInstanceIDMalformed(text)
    return number


def snapshot_number(text: str) -> int:
    """The number in a snapshot id.

    :raises MalformedId: it is none; 2012.1 gave the generic error
    """
    number = ids.parse(text, "snap")
    if number is None:
        raise errors.MalformedId("InvalidSnapshotID.Malformed", text)
    return number


def _volume(row: Any, context: RequestContext, dialect: Dialect) -> dict[str, object]:
    attached = row.attach_status == "attached" and row.instance_id is not None
    return {
        "volumeId": ids.volume_id(row.id),
        "size": row.size,
        "snapshotId": ids.snapshot_id(row.snapshot_id) if row.snapshot_id else "",
        "availabilityZone": row.availability_zone,
        "status": _status(row, context, dialect),
        "createTime": row.created_at,
        "attachmentSet": [_attached(row, dialect)] if attached else [],
        **dialect.added({"volumeType": "standard", "encrypted": False, "tagSet": []}),
    }


def _status(row: Any, context: RequestContext, dialect: Dialect) -> str:
    """The state; administrators of 2012.1 also read project, host, instance and device in it."""
    if not (context.is_admin and dialect.administrator_texts):
        return str(row.status)
    instance = f"{ids.instance_id(row.instance_id)}[{row.instance_host}]" if row.instance_id else None
    return f"{row.status} ({row.project_id}, {row.host}, {instance}, {row.mountpoint or None})"


def _attached(row: Any, dialect: Dialect) -> dict[str, object]:
    shown: dict[str, object] = {
        "volumeId": ids.volume_id(row.id),
        "instanceId": ids.instance_id(row.instance_id),
        "device": row.mountpoint,
        "status": {"detaching": "detaching"}.get(row.status, "attached") if dialect.modern_elements else "attached",
        # 2012.1: constant, whatever the mapping says.
        "deleteOnTermination": bool(row.delete_on_termination) if dialect.modern_elements else False,
    }
    return shown | _time(row, dialect)


def _attachment(row: Any, status: str, device: str | None, dialect: Dialect) -> dict[str, object]:
    """The answer of Attach and Detach; its request id is the envelope's."""
    return {
        "volumeId": ids.volume_id(row.id),
        "instanceId": ids.instance_id(row.instance_id),
        "device": device,
        "status": status,
        **_time(row, dialect),
    }


def _time(row: Any, dialect: Dialect) -> dict[str, object]:
    """``attachTime`` where it is known; where it is not, 2012.1 sent it empty, which today's SDKs cannot read."""
    if row.attach_time or dialect.empty_times:
        return {"attachTime": row.attach_time}
    return {}
