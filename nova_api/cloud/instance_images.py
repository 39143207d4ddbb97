"""Images made of instances: of all an instance has for EC2, of its root disk for OpenStack.

(Spec ec2.md 4.10 CreateImage; openstack-core.md 5.8 createImage.)
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Connection, Row

from nova_api import errors, limits
from nova_api.cloud.image import COLUMNS, FIXED, LONGEST, ImageRecord, Images, owner_of, storage_of
from nova_api.cloud.keys import check_keys
from nova_api.cloud.policy import Policy
from nova_api.cloud.quota import UNLIMITED, Quotas
from nova_api.cloud.server_actions import Action, check
from nova_api.cloud.servers import Servers
from nova_api.context import RequestContext, new_uuid
from nova_api.db import images as queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.models import images
from nova_api.rpc.outbox import Outbox

_SNAPSHOT_STATES = ("active", "shutoff", "stopped")
_LIVE_SNAPSHOT_STATES = (*_SNAPSHOT_STATES, "paused", "suspended", "rescued")
SNAPSHOT = Action(
    name="createImage",
    policy="compute:snapshot",
    vm_states=("active", "shutoff"),
    values={"task_state": "image_snapshot"},
)


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotSpec:
    """An image to be made of a server's root disk.

    :ivar metadata: properties of the image
    :ivar backup_type: of a backup, ``daily`` for example; rotation: how many of them are kept
    """

    name: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    backup_type: str | None = None
    rotation: int | None = None


class InstanceImages:
    """Makes images of instances.

    :param servers: finds and moves servers
    """

    def __init__(
        self,
        db: Database,
        outbox: Outbox,
        policy: Policy,
        quotas: Quotas,
        images_: Images,
        servers: Servers,
    ) -> None:
        self.db, self.outbox, self.policy, self.quotas = db, outbox, policy, quotas
        self.images, self.servers = images_, servers

    # -- of a server's root disk -----------------------------------------------------------------------

    def of_server(self, context: RequestContext, text: str, spec: SnapshotSpec, action: Action = SNAPSHOT) -> str:
        """Start making an image of a server; its node finishes it.

        :param text: UUID or number of the server
        :param action: the states it may be in and the task that it goes to
        :returns: UUID of the image
        :raises ServerState: it is busy, or in a state that does not admit it
        :raises ImageMetadataLimitExceeded: too many properties
        """
        return self.db.write(
            lambda tx: self.begin(tx, context, self.servers.locked(tx, context, text, action.policy), spec, action)
        )

    def begin(self, tx: Transaction, context: RequestContext, row: Row[Any], spec: SnapshotSpec, action: Action) -> str:
        """:meth:`of_server` as a part of a transaction.

        :param context: of the owner of the image
        :param row: of the server, which the transaction has locked
        """
        kind, image_uuid = "backup" if spec.backup_type else "snapshot", new_uuid()
        check(context, row, action)
        check_image_metadata(self.quotas.limits_in(tx, row.project_id or ""), spec.metadata)
        if not queries.start_snapshot(tx, row.id, (row.vm_state,), action.values["task_state"]):
            raise errors.ServerState(action.name, "task_state", row.task_state, row.uuid)
        source = queries.find(tx.conn, context.elevated(), images.c.uuid == row.image_ref)
        values = {
            "user_id": context.user_id,
            "project_id": context.project_id,
            "uuid": image_uuid,
            "name": spec.name,
            "status": "queued",
            "progress": 0,
            "kernel_id": row.kernel_id or None,
            "ramdisk_id": row.ramdisk_id or None,
            "architecture": row.architecture,
            "instance_uuid": row.uuid,
            # What the drivers of 2012.1 wrote, and EC2 shows.
            "location": "snapshot",
            "min_ram": source[0].min_ram if source else 0,
            "min_disk": source[0].min_disk if source else 0,
            **storage_of(row.root_device_name, ()),
            **{COLUMNS[key]: value for key, value in spec.metadata.items() if key in COLUMNS},
        }
        free = {key: value for key, value in spec.metadata.items() if key not in COLUMNS and key not in FIXED}
        free["image_type"] = kind
        if spec.backup_type:
            free["backup_type"] = spec.backup_type
        queries.insert(tx, values, free)
        self._tell(tx, context, row, image_uuid, kind, spec)
        return image_uuid

    def _tell(
        self, tx: Transaction, context: RequestContext, row: Row[Any], image: str, kind: str, spec: SnapshotSpec
    ) -> None:
        self.outbox.cast(
            tx,
            context,
            f"compute.{row.host}",
            "snapshot_instance",
            instance_uuid=row.uuid,
            image_id=image,
            image_type=kind,
            backup_type=spec.backup_type,
            rotation=spec.rotation,
        )

    # -- of all that an instance has -------------------------------------------------------------------

    def of_instance(
        self,
        context: RequestContext,
        instance: int,
        ec2_id: str,
        *,
        name: str,
        description: str = "",
        no_reboot: bool = False,
    ) -> ImageRecord:
        """Start making an image of an instance; the nodes finish it (spec ec2.md 4.10 CreateImage, fix).

        Volumes of the instance are snapshotted, in use or not; the image becomes available when all of it is there.

        :param instance: number of the instance
        :param ec2_id: its id as the caller wrote it
        :param no_reboot: leave the instance running meanwhile
        :raises InstanceNotFound: it is not the project's
        :raises IncorrectInstanceState: it is busy, not placed yet, or neither running nor stopped
        :raises SnapshotLimitExceeded: its volumes need more snapshots than the project may have
        """
        number = self.db.write(
            lambda tx: self._start_image(tx, context, instance, ec2_id, name, description, no_reboot)
        )
        return self.images.get(context, f"ami-{number:08x}")

    def _start_image(
        self,
        tx: Transaction,
        context: RequestContext,
        number: int,
        ec2_id: str,
        name: str,
        description: str,
        no_reboot: bool,
    ) -> int:
        left = self.quotas.left(tx, context.project_id or "", "snapshots")["snapshots"]
        row = queries.instance_to_snapshot(tx.conn, number) if number <= limits.MAX_DATABASE_ID else None
        if row is None or not (context.is_admin or row.project_id == context.project_id):
            raise errors.InstanceNotFound(ec2_id)
        self.policy.check(context, "compute:snapshot", {"project_id": row.project_id})
        states = _LIVE_SNAPSHOT_STATES if no_reboot else _SNAPSHOT_STATES
        if row.host is None or not queries.start_snapshot(tx, row.id, states):
            raise errors.IncorrectInstanceState(
                f"The instance {ec2_id} is not in a state from which an image can be made."
            )
        devices = queries.devices(tx.conn, row.id)
        if sum(1 for device in devices if device.volume_id) > left:
            raise errors.SnapshotLimitExceeded
        mapping = [self._snapshot_device(tx, context, device) for device in devices if device.volume_id]
        image_uuid = new_uuid()
        values = {
            **owner_of(context),
            "uuid": image_uuid,
            "name": name,
            "description": description,
            "status": "saving",
            "progress": 0,
            "kernel_id": row.kernel_id or None,
            "ramdisk_id": row.ramdisk_id or None,
            "architecture": row.architecture,
            "instance_uuid": row.uuid,
            "mappings": self._inherited_mappings(tx.conn, context, row, devices),
            **storage_of(row.root_device_name, mapping),
        }
        image = queries.insert(tx, values, {"image_type": "snapshot"})
        self.outbox.cast(
            tx,
            context,
            f"compute.{row.host}",
            "snapshot_instance",
            instance_uuid=row.uuid,
            image_id=image_uuid,
            image_type="snapshot",
            backup_type=None,
            rotation=None,
            restart=not no_reboot,
        )
        return image

    @staticmethod
    def _snapshot_device(tx: Transaction, context: RequestContext, device: Row[Any]) -> dict[str, Any]:
        snapshot = queries.insert_volume_snapshot(
            tx,
            {
                "uuid": new_uuid(),
                "user_id": context.user_id,
                "project_id": context.project_id,
                "volume_id": device.volume_id,
                "volume_size": device.size,
                "status": "creating",
                "progress": "0%",
            },
        )
        return {
            "device_name": device.device_name,
            "snapshot_id": snapshot,
            "volume_size": device.size,
            "delete_on_termination": bool(device.delete_on_termination),
        }

    @staticmethod
    def _inherited_mappings(
        conn: Connection, context: RequestContext, row: Row[Any], devices: Sequence[Row[Any]]
    ) -> str:
        """The source image's swap and ephemeral devices that the instance really has."""
        source = queries.find(conn, context.elevated(), images.c.uuid == row.image_ref) if row.image_ref else ()
        held = {device.virtual_name for device in devices if device.virtual_name}
        entries = json.loads(source[0].mappings) if source else []
        return json.dumps([entry for entry in entries if entry.get("virtual") in held | {"root", "ami"}])


def check_image_metadata(allowed: Mapping[str, int], metadata: Mapping[str, str]) -> None:
    """Refuse more properties, or longer, than an image may have.

    :param allowed: limits of the project
    :raises ImageMetadataLimitExceeded: too many, or a key or value that is too long
    :raises InvalidParameterValue: as :func:`check_keys`
    """
    most = allowed["metadata_items"]
    if most != UNLIMITED and len(metadata) > most:
        raise errors.ImageMetadataLimitExceeded
    for key, value in metadata.items():
        most_text = LONGEST.get(key, limits.MAX_IMAGE_PROPERTY)
        if len(key) > limits.MAX_NAME or len(value) > most_text:
            raise errors.ImageMetadataLimitExceeded
    check_keys(metadata)
