"""The image catalogue: what can be booted, who may boot it, and images made of instances.

The catalogue holds what Glance held for Nova 2012.1 (spec ec2.md 4.6). The EC2 number of an image is its row id.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api import errors, limits
from nova_api.cloud.keys import check_keys
from nova_api.config import Config
from nova_api.context import RequestContext, new_uuid
from nova_api.db import images as queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.filters import build
from nova_api.db.models import images, now

_EC2_ID = re.compile(r"(ami|aki|ari)-([0-9a-fA-F]{1,16})\Z")
DEFAULT_ROOT = "/dev/sda1"
#: Properties that are columns: a client may write them.
COLUMNS: Mapping[str, str] = {
    "architecture": "architecture",
    "image_location": "location",
    "kernel_id": "kernel_id",
    "ramdisk_id": "ramdisk_id",
    "root_device_name": "root_device_name",
}
#: Most characters of those.
LONGEST = {key: int(getattr(images.c[column].type, "length", 0)) for key, column in COLUMNS.items()}
#: Properties that say whose an image is: they outlive every change, and no user writes them (spec 6.3 [D]).
FIXED: Mapping[str, str] = {
    "instance_uuid": "instance_uuid",
    "owner_id": "project_id",
    "project_id": "project_id",
    "user_id": "user_id",
}


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
    instance_uuid: str | None
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

    def __init__(self, db: Database, config: Config) -> None:
        self.db, self.config = db, config

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
            return records_of(conn, rows)

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
        return records_of(conn, rows[:1])[0]

    def by_uuid(self, conn: Connection, context: RequestContext, uuid: str) -> ImageRecord:
        """An image by its UUID.

        :raises ImageNotFound: there is none that the caller may see
        """
        rows = queries.find(conn, context, images.c.uuid == uuid)
        if not rows:
            raise errors.ImageNotFound(uuid)
        return records_of(conn, rows)[0]

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

        :param properties: those that say whose the image is stay as they are; kernel and ramdisk by EC2 id, name or
            number
        :raises ImageNotFound: as :meth:`get`, also kernel or ramdisk
        :raises ImageNotAuthorized: it is somebody else's
        :raises InvalidParameterValue: a property that is too long, or as :func:`check_keys`
        """
        given = {"name": name, "description": description, "is_public": is_public}
        self._change(context, text, {k: v for k, v in given.items() if v is not None}, properties or {})
        return self.get(context, text if _EC2_ID.match(text) or name is None else name)

    def _change(self, context: RequestContext, text: str, values: dict[str, Any], properties: dict[str, str]) -> None:
        def work(tx: Transaction) -> None:
            image = self._own(tx.conn, context, text)
            free = {key: value for key, value in properties.items() if key not in COLUMNS and key not in FIXED}
            check_keys({**image.properties, **free})
            columns = {
                column: self._property(tx.conn, context, key, properties[key])
                for key, column in COLUMNS.items()
                if key in properties
            }
            queries.update(tx, image.number, {**values, **columns, "updated_at": now()})
            queries.set_properties(tx, image.number, free)

        self.db.write(work)

    def _property(self, conn: Connection, context: RequestContext, key: str, value: str) -> str | None:
        """What the column of a property keeps."""
        if not value:
            return None
        if key in ("kernel_id", "ramdisk_id") and value != self.config.null_kernel:
            if not (value.isascii() and value.isdigit()):
                return self.resolve(conn, context, value).uuid
            number = int(value) if len(value) <= 18 else 0  # more digits than a row has
            rows = queries.find(conn, context, images.c.id == number)
            if not rows:
                raise errors.ImageNotFound(value)
            return str(rows[0].uuid)
        if len(value) > LONGEST[key]:
            raise errors.InvalidParameterValue(f"The property {key} is longer than {LONGEST[key]} characters.")
        return value

    def deregister(self, context: RequestContext, text: str) -> None:
        """End an image; instances made of it live on.

        :raises ImageNotFound: as :meth:`get`
        :raises ImageNotAuthorized: it is somebody else's (2012.1 let anybody delete a public image without an owner)
        """
        self.db.write(lambda tx: queries.delete(tx, self._own(tx.conn, context, text).number))

    def _own(self, conn: Connection, context: RequestContext, text: str) -> ImageRecord:
        image = self.resolve(conn, context, text)
        if not context.is_admin and not is_owner(context, image):
            raise errors.ImageNotAuthorized(text)
        return image

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
                **owner_of(context),
                "name": spec.name,
                "description": spec.description,
                "location": spec.location,
                "kernel_id": kernel.uuid if kernel else None,
                "ramdisk_id": ramdisk.uuid if ramdisk else None,
                "architecture": spec.architecture or "x86_64",
                **storage_of(spec.root_device_name, spec.block_device_mapping),
            }
            return queries.insert(tx, values, {})

        number = self.db.write(work)
        return self.get(context, f"ami-{number:08x}")

    @staticmethod
    def _check_snapshots(conn: Connection, context: RequestContext, mapping: Sequence[dict[str, Any]]) -> None:
        wanted = [entry["snapshot_id"] for entry in mapping if entry.get("snapshot_id")]
        known = queries.own_snapshots(conn, context, filter(_storable, wanted))
        for number in wanted:
            if number not in known:
                raise errors.SnapshotNotFound(f"snap-{number:08x}")


def records_of(conn: Connection, rows: Sequence[Row[Any]]) -> Sequence[ImageRecord]:
    """Images out of rows, with their properties."""
    free = queries.properties(conn, [row.id for row in rows])
    return [_record(row, free.get(row.id, {})) for row in rows]


def is_owner(context: RequestContext, image: ImageRecord) -> bool:
    """Whether an image is the caller's project's, or without one the caller's own."""
    if image.project_id is not None:
        return image.project_id == context.project_id
    return image.user_id is not None and image.user_id == context.user_id


def _self(context: RequestContext, who: str) -> str | None:
    return context.project_id if who == "self" else who


def owner_of(context: RequestContext) -> dict[str, Any]:
    """Columns of a new image: whose it is."""
    return {"uuid": new_uuid(), "user_id": context.user_id, "project_id": context.project_id}


def storage_of(root: str | None, mapping: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Columns of a new image: what its devices are."""
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
        instance_uuid=row.instance_uuid,
        created_at=row.created_at,
        updated_at=row.updated_at,
        mappings=json.loads(row.mappings),
        block_device_mapping=json.loads(row.block_device_mapping),
        properties=properties,
    )
