"""The image catalogue: what can be booted, who may boot it, and images made of instances.

The catalogue holds what Glance held for Nova 2012.1 (spec ec2.md 4.6). The EC2 number of an image is its row id.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api import errors, limits
from nova_api.cloud.policy import Policy
from nova_api.cloud.quota import Quotas
from nova_api.config import Config
from nova_api.context import RequestContext, new_uuid
from nova_api.db import images as queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.filters import build
from nova_api.db.models import images, now
from nova_api.rpc.outbox import Outbox

_EC2_ID = re.compile(r"(ami|aki|ari)-([0-9a-fA-F]{1,16})\Z")
DEFAULT_ROOT = "/dev/sda1"
_SNAPSHOT_STATES = ("active", "shutoff", "stopped")
_LIVE_SNAPSHOT_STATES = (*_SNAPSHOT_STATES, "paused", "suspended", "rescued")


@dataclass(frozen=True, slots=True)
class ImageRecord:
    """One image as the doors read it.

    :ivar number: its EC2 number; ``kind`` is ``ami``, ``aki`` or ``ari``
    :ivar mappings: virtual devices, ``[{"virtual": "swap", "device": "sda3"}]``
    :ivar block_device_mapping: volumes and snapshots by device name
    :ivar properties: what has no column of its own
    """

    number: int
    uuid: str
    name: str
    description: str
    kind: str
    container_format: str
    disk_format: str
    status: str
    progress: int
    is_public: bool
    location: str | None
    user_id: str | None
    project_id: str | None
    kernel_id: str | None
    kernel_number: int | None
    ramdisk_id: str | None
    ramdisk_number: int | None
    architecture: str | None
    root_device_name: str | None
    root_device_type: str
    min_ram: int
    min_disk: int
    size: int
    checksum: str | None
    created_at: datetime
    updated_at: datetime | None
    mappings: list[dict[str, Any]] = field(default_factory=list)
    block_device_mapping: list[dict[str, Any]] = field(default_factory=list)
    properties: dict[str, str] = field(default_factory=dict)

    @property
    def state(self) -> str:
        """The state EC2 shows: the property ``image_state``, else the catalogue's with ``active`` as ``available``."""
        return self.properties.get("image_state") or ("available" if self.status == "active" else self.status)

    @property
    def root_device(self) -> str:
        """The root device: the image's own, else that of the virtual device ``root``, else the usual one."""
        if self.root_device_name:
            return self.root_device_name
        for entry in self.mappings:
            if entry.get("virtual") == "root" and entry.get("device"):
                device = str(entry["device"])
                return device if device.startswith("/dev/") else f"/dev/{device}"
        return DEFAULT_ROOT


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageQuery:
    """What a list is narrowed to; every part is SQL.

    :ivar ids: ids or names as the caller wrote them; each must exist
    :ivar owners: project ids, or ``self``
    :ivar executable_by: ``self``, ``all`` or project ids
    :ivar filters: names and values, as EC2 calls them
    """

    ids: Sequence[str] = ()
    owners: Sequence[str] = ()
    executable_by: Sequence[str] = ()
    filters: Sequence[tuple[str, Sequence[str]]] = ()
    after: int = 0
    limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSpec:
    """An image to register."""

    name: str
    location: str | None = None
    description: str = ""
    kernel: str | None = None
    ramdisk: str | None = None
    architecture: str | None = None
    root_device_name: str | None = None
    block_device_mapping: Sequence[dict[str, Any]] = ()


class Images:
    """The catalogue as a service."""

    def __init__(
        self, db: Database, outbox: Outbox, policy: Policy, config: Config, quotas: Quotas | None = None
    ) -> None:
        self.db, self.outbox, self.policy, self.config = db, outbox, policy, config
        self.quotas = quotas or Quotas(config, db)

    # -- reading ---------------------------------------------------------------------------------------

    def list(self, context: RequestContext, query: ImageQuery) -> Sequence[ImageRecord]:
        """Images that the caller sees, oldest first.

        :raises ImageNotFound: one of ``query.ids`` names none
        :raises InvalidParameterValue: an unknown filter
        """
        with self.db.read() as conn:
            where = [*build(queries.FILTERS, query.filters), *self._narrowed(context, query)]
            if query.ids:
                wanted = [self.resolve(conn, context, text).number for text in query.ids]
                where.append(images.c.id.in_(wanted))
            rows = queries.find(conn, context, *where, after=query.after, limit=query.limit)
            return self._records(conn, rows)

    @staticmethod
    def _narrowed(context: RequestContext, query: ImageQuery) -> Sequence[sa.ColumnElement[bool]]:
        where: list[sa.ColumnElement[bool]] = []
        if query.owners:
            names = [context.project_id if owner == "self" else owner for owner in query.owners]
            where.append(images.c.project_id.in_(names))
        if query.executable_by:
            options: list[sa.ColumnElement[bool]] = []
            for who in query.executable_by:
                options.append(images.c.is_public if who == "all" else images.c.project_id == _self(context, who))
            where.append(sa.or_(*options))
        return where

    def get(self, context: RequestContext, text: str) -> ImageRecord:
        """One image.

        :param text: ``ami-…``, ``aki-…``, ``ari-…``, or the name of one of the project's images
        :raises ImageNotFound: there is none that the caller may see
        """
        with self.db.read() as conn:
            return self.resolve(conn, context, text)

    def resolve(self, conn: Connection, context: RequestContext, text: str) -> ImageRecord:
        """:meth:`get` inside of a transaction.

        The prefix must be the image's kind. Text that is no id is taken for a name, among the project's own images
        only: a public image called like somebody's id must not be found by it (spec ec2.md 9, row 13).
        """
        match = _EC2_ID.match(text)
        if match:
            number = int(match[2], 16)
            rows = queries.find(conn, context, images.c.id == number) if _storable(number) else ()
            rows = [row for row in rows if _kind(row.container_format) == match[1]]
        elif 0 < len(text) <= limits.MAX_NAME:
            rows = queries.find(conn, context, images.c.name == text, queries.owned(context), limit=1)
        else:
            rows = ()
        if not rows:
            raise errors.ImageNotFound(text)
        return self._records(conn, rows[:1])[0]

    def by_uuid(self, conn: Connection, context: RequestContext, uuid: str) -> ImageRecord:
        """An image by its UUID.

        :raises ImageNotFound: there is none that the caller may see
        """
        rows = queries.find(conn, context, images.c.uuid == uuid)
        if not rows:
            raise errors.ImageNotFound(uuid)
        return self._records(conn, rows)[0]

    @staticmethod
    def _records(conn: Connection, rows: Sequence[Row[Any]]) -> Sequence[ImageRecord]:
        free = queries.properties(conn, [row.id for row in rows])
        return [_record(row, free.get(row.id, {})) for row in rows]

    # -- changing --------------------------------------------------------------------------------------

    def set_public(self, context: RequestContext, text: str, public: bool) -> None:
        """Give everybody the image, or take it back.

        :raises ImageNotFound: as :meth:`get`
        :raises ImageNotAuthorized: it is somebody else's
        """
        self._change(context, text, {"is_public": public}, {})

    def update(
        self,
        context: RequestContext,
        text: str,
        *,
        name: str | None = None,
        description: str | None = None,
        is_public: bool | None = None,
        properties: dict[str, str] | None = None,
    ) -> ImageRecord:
        """Change an image; what is None stays, properties are merged (spec ec2.md 4.6 UpdateImage, fix).

        :raises ImageNotFound: as :meth:`get`
        :raises ImageNotAuthorized: it is somebody else's
        """
        given = {"name": name, "description": description, "is_public": is_public}
        self._change(context, text, {k: v for k, v in given.items() if v is not None}, properties or {})
        return self.get(context, text if _EC2_ID.match(text) or name is None else name)

    def _change(self, context: RequestContext, text: str, values: dict[str, Any], properties: dict[str, str]) -> None:
        def work(tx: Transaction) -> None:
            image = self._own(tx.conn, context, text)
            queries.update(tx, image.number, {**values, "updated_at": now()})
            queries.set_properties(tx, image.number, properties)

        self.db.write(work)

    def deregister(self, context: RequestContext, text: str) -> None:
        """End an image; instances made of it live on.

        :raises ImageNotFound: as :meth:`get`
        :raises ImageNotAuthorized: it is somebody else's (2012.1 let anybody delete a public image without an owner)
        """
        self.db.write(lambda tx: queries.delete(tx, self._own(tx.conn, context, text).number))

    def _own(self, conn: Connection, context: RequestContext, text: str) -> ImageRecord:
        image = self.resolve(conn, context, text)
        if not context.is_admin and not self._is_owner(context, image):
            raise errors.ImageNotAuthorized(text)
        return image

    @staticmethod
    def _is_owner(context: RequestContext, image: ImageRecord) -> bool:
        if image.project_id is not None:
            return image.project_id == context.project_id
        return image.user_id is not None and image.user_id == context.user_id

    def register(self, context: RequestContext, spec: ImageSpec) -> ImageRecord:
        """Record an image of the project.

        :raises ImageNotFound: kernel or ramdisk
        :raises SnapshotNotFound: a snapshot of the mapping that is not the project's
        """

        def work(tx: Transaction) -> int:
            kernel = self.resolve(tx.conn, context, spec.kernel) if spec.kernel else None
            ramdisk = self.resolve(tx.conn, context, spec.ramdisk) if spec.ramdisk else None
            self._check_snapshots(tx.conn, context, spec.block_device_mapping)
            values = {
                **_owner(context),
                "name": spec.name,
                "description": spec.description,
                "location": spec.location,
                "kernel_id": kernel.uuid if kernel else None,
                "ramdisk_id": ramdisk.uuid if ramdisk else None,
                "architecture": spec.architecture or "x86_64",
                **_storage(spec.root_device_name, spec.block_device_mapping),
            }
            return queries.insert(tx, values, {})

        number = self.db.write(work)
        return self.get(context, f"ami-{number:08x}")

    @staticmethod
    def _check_snapshots(conn: Connection, context: RequestContext, mapping: Sequence[dict[str, Any]]) -> None:
        wanted = [entry["snapshot_id"] for entry in mapping if entry.get("snapshot_id")]
        known = queries.own_snapshots(conn, context, wanted)
        for number in wanted:
            if number not in known:
                raise errors.SnapshotNotFound(f"snap-{number:08x}")

    # -- images of instances ---------------------------------------------------------------------------

    def create_from_instance(
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
        return self.get(context, f"ami-{number:08x}")

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
        row = queries.instance_to_snapshot(tx.conn, number)
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
            **_owner(context),
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
            **_storage(row.root_device_name, mapping),
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


def _self(context: RequestContext, who: str) -> str | None:
    return context.project_id if who == "self" else who


def _owner(context: RequestContext) -> dict[str, Any]:
    return {"uuid": new_uuid(), "user_id": context.user_id, "project_id": context.project_id}


def _storage(root: str | None, mapping: Sequence[dict[str, Any]]) -> dict[str, Any]:
    on_volume = any(
        entry.get("device_name") == (root or DEFAULT_ROOT)
        and (entry.get("snapshot_id") or entry.get("volume_id"))
        and not entry.get("no_device")
        for entry in mapping
    )
    return {
        "root_device_name": root,
        "root_device_type": "ebs" if on_volume else "instance-store",
        "block_device_mapping": json.dumps(list(mapping)),
    }


def _kind(container_format: str) -> str:
    return container_format if container_format in ("aki", "ari") else "ami"


def _storable(number: int) -> bool:
    return number <= limits.MAX_DATABASE_ID


def _record(row: Row[Any], properties: dict[str, str]) -> ImageRecord:
    return ImageRecord(
        number=row.id,
        uuid=row.uuid,
        name=row.name,
        description=row.description,
        kind=_kind(row.container_format),
        container_format=row.container_format,
        disk_format=row.disk_format,
        status=row.status,
        progress=row.progress,
        is_public=bool(row.is_public),
        location=row.location,
        user_id=row.user_id,
        project_id=row.project_id,
        kernel_id=row.kernel_id,
        kernel_number=row.kernel_number,
        ramdisk_id=row.ramdisk_id,
        ramdisk_number=row.ramdisk_number,
        architecture=row.architecture,
        root_device_name=row.root_device_name,
        root_device_type=row.root_device_type,
        min_ram=row.min_ram,
        min_disk=row.min_disk,
        size=row.size,
        checksum=row.checksum,
        created_at=row.created_at,
        updated_at=row.updated_at,
        mappings=json.loads(row.mappings),
        block_device_mapping=json.loads(row.block_device_mapping),
        properties=properties,
    )
