"""Volumes on instances (spec ec2.md 4.5, openstack-extensions.md 11.2)."""

import re
import string
from collections.abc import Sequence
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_api import errors, limits
from nova_api.cloud.volume_rows import VolumeService, target_of
from nova_api.context import RequestContext
from nova_api.db import instances
from nova_api.db import volumes as queries
from nova_api.db.engine import Transaction
from nova_api.db.models import volumes

#: Where an instance sees a volume; no digits, a partition is not a device (spec ec2.md 4.5).
DEVICE = re.compile(r"/dev/x?[a-z]d[a-z]+\Z")
_ATTACHABLE = ("active", "paused", "suspended", "stopped", "shutoff", "rescued")
#: The devices that are given to those who name none, in this order; the first disk is the instance's own.
_DEVICES = tuple(f"/dev/vd{letter}" for letter in string.ascii_lowercase[1:])


class Attachments(VolumeService):
    """The part of the volume service that attaches."""

    def attach(self, context: RequestContext, number: int, instance: int, device: str) -> Row[Any]:
        """Start attaching a volume to an instance; the instance's node finishes it.

        :param device: where the instance sees it, ``/dev/vdb``
        :returns: the volume, on its way
        :raises InstanceNotFound: looked at first, as in 2012.1
        :raises InvalidParameterValue: no device name, which is looked at next
        :raises VolumeNotFound: it is not the project's
        :raises VolumeInUse: the volume is not free
        :raises IncorrectInstanceState: the instance cannot take it; it runs nowhere yet, or ends
        :raises DeviceInUse: the instance has something there
        """

        def work(tx: Transaction) -> Row[Any]:
            target = queries.lock_instance(tx, instance) if instance <= limits.MAX_DATABASE_ID else None
            if target is None or not (context.is_admin or target.project_id == context.project_id):
                raise errors.InstanceNotFound(f"i-{instance:08x}")
            return self._attach(tx, context, target, number, device)

        return self.db.write(work)

    def attach_to(self, context: RequestContext, server: str, number: int, device: str | None) -> Row[Any]:
        """:meth:`attach` to a server by its UUID or number.

        :param device: None takes the next free one
        :raises ServerLocked: an administrator has locked it
        """

        def work(tx: Transaction) -> Row[Any]:
            target = instances.locked_by(tx, context, server)
            if target is None:
                raise errors.InstanceNotFound(server)
            return self._attach(tx, context, target, number, device)

        return self.db.write(work)

    def _attach(
        self, tx: Transaction, context: RequestContext, target: Row[Any], number: int, device: str | None
    ) -> Row[Any]:
        for rule in ("compute:get", "compute:attach_volume"):
            self.policy.check(context, rule, target_of(target))
        _require_unlocked(context, target, "attach_volume")
        if device is not None and not DEVICE.match(device):
            raise errors.InvalidParameterValue(f"Value ({device}) for parameter device is invalid.")
        rules = ("volume:check_attach", "volume:reserve_volume", "volume:update")
        row = self.checked(tx.conn, context, number, *rules)
        if row.project_id != target.project_id:
            raise errors.VolumeNotFound(f"vol-{number:08x}")  # an administrator mixes up two projects
        if row.status != "available" or row.attach_status == "attached":
            raise errors.VolumeInUse
        if not target.host or target.vm_state not in _ATTACHABLE or target.task_state == "deleting":
            raise errors.IncorrectInstanceState(f"Instance i-{target.id:08x} cannot take a volume now.")
        place = device or _free_device(tx.conn, target.id)
        if queries.device_taken(tx.conn, target.id, place):
            raise errors.DeviceInUse(f"The device {place} is already in use.")
        values = {"status": "attaching", "instance_id": target.id, "mountpoint": place}
        if not queries.change_volume(tx, number, ("available",), values):
            raise errors.VolumeInUse
        told = {"volume_id": number, "mountpoint": place, "instance_uuid": target.uuid}
        self.outbox.cast(tx, context, f"compute.{target.host}", "attach_volume", **told)
        return self.get(tx.conn, context, number)

    def detach(self, context: RequestContext, number: int) -> Row[Any]:
        """Start detaching a volume; the instance's node finishes it.

        :returns: the volume as it was before
        :raises VolumeNotFound: it is not the project's
        :raises VolumeNotAttached: it is attached to nothing
        :raises IncorrectState: it is on its way already
        """
        return self.db.write(lambda tx: self._detach(tx, context, self.checked(tx.conn, context, number)))

    def detach_from(self, context: RequestContext, server: str, number: int) -> None:
        """:meth:`detach` from a server by its UUID or number.

        :raises InstanceNotFound: the server is not the caller's
        :raises VolumeNotFound: another server has the volume
        :raises ServerLocked: an administrator has locked the server
        """

        def work(tx: Transaction) -> None:
            target = instances.locked_by(tx, context, server)
            if target is None:
                raise errors.InstanceNotFound(server)
            row = self.checked(tx.conn, context, number)
            if row.instance_id is not None and row.instance_id != target.id:
                raise errors.VolumeNotFound(f"vol-{number:08x}")
            self._detach(tx, context, row)

        self.db.write(work)

    def _detach(self, tx: Transaction, context: RequestContext, row: Row[Any]) -> Row[Any]:
        for rule in ("compute:detach_volume", "volume:check_detach"):
            self.policy.check(context, rule, target_of(row))
        if row.status == "available" or row.instance_id is None:
            raise errors.VolumeNotAttached
        _require_unlocked(context, queries.lock_instance(tx, row.instance_id), "detach_volume")
        if not queries.change_volume(tx, row.id, ("in-use",), {"status": "detaching"}):
            raise errors.IncorrectState(f"Volume vol-{row.id:08x} is {row.status}.", f"status is {row.status}")
        told = {"volume_id": row.id, "instance_uuid": row.instance_uuid}
        self.outbox.cast(tx, context, f"compute.{row.instance_host}", "detach_volume", **told)
        return row

    def of_server(self, context: RequestContext, server: str) -> Sequence[Row[Any]]:
        """The volumes of a server, those on their way among them.

        :raises InstanceNotFound: it is not the caller's
        """
        with self.db.read() as conn:
            target = instances.named(conn, context, server)
            if target is None:
                raise errors.InstanceNotFound(server)
            self.policy.check(context, "compute:get", target_of(target))
            return queries.find_volumes(conn, context, volumes.c.instance_id == target.id)


def _require_unlocked(context: RequestContext, server: Row[Any] | None, action: str) -> None:
    if server is not None and server.locked and not context.is_admin:
        raise errors.ServerLocked(action)


def _free_device(conn: Connection, instance: int) -> str:
    place = next((one for one in _DEVICES if not queries.device_taken(conn, instance, one)), None)
    if place is None:
        raise errors.DeviceInUse("The instance has no free device left.")
    return place
