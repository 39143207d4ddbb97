"""The image catalogue by UUID, with what Glance called properties (spec openstack-core.md 6.2, 6.3).

Some properties are columns here, since EC2 asks for them; to an OpenStack client they are properties like the rest.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from nova_api import errors, limits
from nova_api.cloud.image import COLUMNS, FIXED, ImageRecord, is_owner, records_of
from nova_api.cloud.instance_images import check_image_metadata
from nova_api.cloud.quota import Quotas
from nova_api.context import RequestContext
from nova_api.db import images as queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.filters import wide
from nova_api.db.models import image_properties, images, now


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogueQuery:
    """What a list is narrowed to; every part is SQL.

    :ivar statuses: as the catalogue has them; None for any
    :ivar server: UUID of the server that images were made of
    :ivar min_ram: MB that the images ask for at least; min_disk: GB
    :ivar properties: each must have this value
    :ivar marker: UUID of the last image seen
    :ivar offset: how many are left out at the beginning
    """

    name: str | None = None
    statuses: Sequence[str] | None = None
    server: str | None = None
    changed_since: datetime | None = None
    min_ram: int | None = None
    min_disk: int | None = None
    properties: Mapping[str, str] = field(default_factory=dict)
    marker: str | None = None
    limit: int = 1000
    offset: int = 0


class Catalogue:
    """Images as the OpenStack door has them."""

    def __init__(self, db: Database, quotas: Quotas) -> None:
        self.db, self.quotas = db, quotas

    def list(self, context: RequestContext, query: CatalogueQuery) -> Sequence[ImageRecord]:
        """A page of the images that the caller sees, newest first.

        :raises ImageNotFound: the marker is none of them
        """
        with self.db.read() as conn:
            where = _conditions(query)
            if query.marker is not None:
                where.append(images.c.id < self._visible(conn, context, query.marker).number)
            if query.limit == 0:
                return ()
            rows = queries.find_newest(conn, context, *where, limit=query.limit, offset=query.offset)
            return records_of(conn, rows)

    def get(self, context: RequestContext, uuid: str) -> ImageRecord:
        """One image.

        :raises ImageNotFound: there is none that the caller may see
        """
        with self.db.read() as conn:
            return self._visible(conn, context, uuid)

    @staticmethod
    def _visible(conn: Connection, context: RequestContext, uuid: str) -> ImageRecord:
        rows = queries.find(conn, context, images.c.uuid == uuid) if len(uuid) <= limits.MAX_NAME else ()
        if not rows:
            raise errors.ImageNotFound(uuid)
        return records_of(conn, rows)[0]

    def _own(self, tx: Transaction, context: RequestContext, uuid: str) -> ImageRecord:
        """An image that the caller may change: in 2012.1 a public one without an owner was anybody's."""
        image = self._visible(tx.conn, context, uuid)
        if not context.is_admin and not is_owner(context, image):
            raise errors.NotImageOwner
        return image

    def delete(self, context: RequestContext, uuid: str) -> None:
        """End an image; servers made of it live on.

        :raises ImageNotFound: there is none that the caller may see
        :raises NotImageOwner: it is somebody else's
        """
        self.db.write(lambda tx: queries.delete(tx, self._own(tx, context, uuid).number))

    def set_properties(
        self, context: RequestContext, uuid: str, items: Mapping[str, str], *, replace: bool
    ) -> dict[str, str]:
        """Change the properties of an image.

        :param replace: drop what ``items`` does not name
        :returns: all of them
        :raises NotImageOwner: it is somebody else's
        :raises ImageMetadataLimitExceeded: there would be too many
        """

        def work(tx: Transaction) -> dict[str, str]:
            image = self._own(tx, context, uuid)
            given = {key: value for key, value in items.items() if key not in FIXED}
            current = properties_of(image)
            kept = {key: value for key, value in current.items() if key in FIXED or not replace}
            wanted = {**kept, **given}
            check_image_metadata(self.quotas.limits_in(tx, context.project_id or ""), wanted)
            _write(tx, image.number, given, replace=replace)
            return wanted

        return self.db.write(work)

    def delete_property(self, context: RequestContext, uuid: str, key: str) -> bool:
        """Drop a property.

        :returns: whether it was there, and could be dropped
        :raises NotImageOwner: it is somebody else's
        """

        def work(tx: Transaction) -> bool:
            image = self._own(tx, context, uuid)
            if key in FIXED or key not in properties_of(image):
                return False
            if key in COLUMNS:
                queries.update(tx, image.number, {COLUMNS[key]: None, "updated_at": now()})
            else:
                queries.remove_properties(tx, image.number, [key])
            return True

        return self.db.write(work)


def _write(tx: Transaction, number: int, given: Mapping[str, str], *, replace: bool) -> None:
    columns: dict[str, Any] = dict.fromkeys(COLUMNS.values()) if replace else {}
    columns |= {COLUMNS[key]: value for key, value in given.items() if key in COLUMNS}
    queries.update(tx, number, {**columns, "updated_at": now()})
    if replace:
        queries.remove_properties(tx, number)
    queries.set_properties(tx, number, {key: value for key, value in given.items() if key not in COLUMNS})


def properties_of(image: ImageRecord) -> dict[str, str]:
    """The properties of an image, with those that are columns."""
    found = {key: getattr(image, column) for key, column in {**COLUMNS, **FIXED}.items()}
    return {**image.properties, **{key: value for key, value in found.items() if value}}


def _conditions(query: CatalogueQuery) -> list[sa.ColumnElement[bool]]:
    where: list[sa.ColumnElement[bool]] = []
    if query.name is not None:
        where.append(images.c.name == query.name)
    if query.statuses is not None:
        where.append(images.c.status.in_(list(query.statuses)))
    if query.server is not None:
        where.append(images.c.instance_uuid == query.server)
    if query.changed_since is not None:
        changed = sa.func.coalesce(images.c.updated_at, images.c.created_at)
        where.append(sa.type_coerce(changed, images.c.created_at.type) > query.changed_since)
    if query.min_ram is not None:
        where.append(images.c.min_ram >= wide(query.min_ram))
    if query.min_disk is not None:
        where.append(images.c.min_disk >= wide(query.min_disk))
    where += [_has(key, value) for key, value in query.properties.items()]
    return where


def _has(key: str, value: str) -> sa.ColumnElement[bool]:
    column = {**COLUMNS, **FIXED}.get(key)
    if column is not None:
        return sa.and_(images.c[column] == value)
    held = sa.and_(image_properties.c.key == key, image_properties.c.value == value)
    return images.c.id.in_(sa.select(image_properties.c.image_id).where(held))
