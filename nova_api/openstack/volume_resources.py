"""Volumes, snapshots and types as both OpenStack doors have them: the Compute API writes camelCase and numbers, the
Volume API snake_case and texts (spec openstack-extensions.md 11, 12)."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeVar

import webob
import webob.exc

from nova_api import errors, limits
from nova_api.cloud.volume import VolumeRecord, VolumeSpec
from nova_api.cloud.volume_types import VolumeType
from nova_api.openstack import wsgi
from nova_api.openstack.bodies import with_root
from nova_api.openstack.extended import number_in, number_or_404, page_by_offset, row_time, text_field, texts_of
from nova_api.openstack.server_input import refuse
from nova_api.openstack.server_requests import metadata_of
from nova_api.openstack.services import ServicesController
from nova_api.openstack.xml import Element, FreeElement, Template, child, children, local_name, to_plain

T = TypeVar("T")
_VOLUME = (
    *("status", "display_name", "availability_zone", "created_at", "display_description"),
    *("volume_type", "snapshot_id", "id", "size"),
)
_ATTACHMENT = ("device", "server_id", "id", "volume_id")
_SNAPSHOT = ("status", "display_name", "created_at", "display_description", "volume_id", "id", "size")


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """How a door writes.

    :ivar number: of a row number; name: of a member
    :ivar loose: the attachments of a volume that has none
    """

    number: Callable[[int], int | str]
    name: Callable[[str], str]
    loose: Sequence[Mapping[str, Any]]

    def attachment(self, row: Any) -> dict[str, Any]:
        """A volume that a server has."""
        number = self.number(row.id)
        found = {"id": number, "volume_id": number, "server_id": row.instance_uuid, "device": row.mountpoint}
        return self.renamed(found)

    def volume(self, record: VolumeRecord) -> dict[str, Any]:
        """A volume."""
        row = record.row
        attached = row.instance_uuid is not None
        return self.renamed(
            {
                "id": self.number(row.id),
                "status": row.status,
                "size": row.size,
                "availability_zone": row.availability_zone,
                "created_at": row_time(row.created_at),
                "display_name": row.display_name,
                "display_description": row.display_description,
                "attachments": [self.attachment(row)] if attached else list(self.loose),
                "volume_type": record.volume_type,
                "snapshot_id": None if row.snapshot_id is None else self.number(row.snapshot_id),
                "metadata": dict(record.metadata),
            }
        )

    def snapshot(self, row: Any) -> dict[str, Any]:
        """A snapshot."""
        return self.renamed(
            {
                "id": self.number(row.id),
                "volume_id": self.number(row.volume_id),
                "status": row.status,
                "size": row.volume_size,
                "created_at": row_time(row.created_at),
                "display_name": row.display_name,
                "display_description": row.display_description,
            }
        )

    def renamed(self, members: Mapping[str, Any]) -> dict[str, Any]:
        """The members as this door calls them."""
        return {self.name(name): value for name, value in members.items()}

    def names(self, names: Sequence[str]) -> list[str]:
        """Names as this door has them."""
        return [self.name(name) for name in names]


@dataclass(frozen=True, slots=True)
class Documents:
    """The XML of a door."""

    volume: Template
    volumes: Template
    snapshot: Template
    snapshots: Template

    @classmethod
    def of(cls, form: Form) -> "Documents":
        """Templates of a door's names."""
        inside = (
            Element(
                "attachments",
                Element("attachment", select=lambda found: found, attributes=form.names(_ATTACHMENT)),
                select=lambda volume: [volume["attachments"]],
            ),
            FreeElement("metadata", select=lambda volume: [volume["metadata"]]),
        )
        names, of_snapshot = form.names(_VOLUME), form.names(_SNAPSHOT)
        return cls(
            volume=Template(Element("volume", *inside, select="volume", attributes=names)),
            volumes=Template(Element("volumes", Element("volume", *inside, select="volumes", attributes=names))),
            snapshot=Template(Element("snapshot", select="snapshot", attributes=of_snapshot)),
            snapshots=Template(Element("snapshots", Element("snapshot", select="snapshots", attributes=of_snapshot))),
        )


def _camel(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part.capitalize() for part in rest)


COMPUTE = Form(int, _camel, ({},))
VOLUME = Form(str, str, ())
#: The documents of both doors.
XML = {COMPUTE: Documents.of(COMPUTE), VOLUME: Documents.of(VOLUME)}


class VolumeDoor(ServicesController):
    """The base of both doors' controllers."""

    form: ClassVar[Form] = VOLUME

    def admit(self, req: wsgi.Request) -> None:
        """Ask the rule of the extension, in the door that has one."""

    def page(self, req: wsgi.Request, found: Sequence[T]) -> Sequence[T]:
        """The part of a list that is asked for."""
        return page_by_offset(req, found, self.services.config.osapi_max_limit)


def entity(body: Any, name: str) -> Mapping[str, Any]:
    """The only member of a body.

    :raises HTTPUnprocessableEntity: there is no body in it
    :raises HTTPBadRequest: it is not there, or no object
    """
    if not isinstance(body, dict) or not body:
        raise webob.exc.HTTPUnprocessableEntity
    found = body.get(name)
    if not isinstance(found, dict):
        raise webob.exc.HTTPBadRequest
    return found


def stock_404(work: Callable[[], T]) -> T:
    """What is done; what is not there is told in the words of the status only, as in 2012.1."""
    try:
        return work()
    except errors.ZoneNotFound as error:
        raise refuse(error.message) from None
    except errors.NotFound:
        raise webob.exc.HTTPNotFound from None


def _volume_request(root: Any) -> dict[str, Any]:
    """A volume in XML: its members are attributes or children, its metadata children of either kind."""
    found = to_plain(root)
    fields = dict(found) if isinstance(found, dict) else {}
    metadata = child(root, "metadata")
    if metadata is not None and children(metadata, "meta"):
        fields["metadata"] = metadata_of(metadata)
    elif fields.get("metadata") == "":
        fields["metadata"] = {}
    return {"body": {local_name(root): fields}}


class VolumeResource(VolumeDoor):
    """Volumes."""

    def index(self, req: wsgi.Request) -> wsgi.ResponseObject:
        """The project's volumes; for administrators everybody's."""
        return self._listed(req)

    def detail(self, req: wsgi.Request) -> wsgi.ResponseObject:
        """As :meth:`index`."""
        return self._listed(req)

    def _listed(self, req: wsgi.Request) -> wsgi.ResponseObject:
        self.admit(req)
        found = self.page(req, self.services.volume.records(req.context))
        return wsgi.ResponseObject({"volumes": [self.form.volume(one) for one in found]}, xml=XML[self.form].volumes)

    def show(self, req: wsgi.Request, id: str) -> wsgi.ResponseObject:
        """One volume."""
        self.admit(req)
        number = number_or_404(id)
        (found,) = stock_404(lambda: self.services.volume.records(req.context, [number]))
        return self._document(found)

    def _document(self, found: VolumeRecord) -> wsgi.ResponseObject:
        return wsgi.ResponseObject({"volume": self.form.volume(found)}, xml=XML[self.form].volume)

    @wsgi.deserializers(xml=with_root(_volume_request))
    def create(self, req: wsgi.Request, body: Any) -> wsgi.ResponseObject:
        """Start making a volume."""
        self.admit(req)
        spec = _spec_of(entity(body, "volume"))
        try:
            row = stock_404(lambda: self.services.volume.create(req.context, spec))
        except errors.MissingParameter:
            raise webob.exc.HTTPBadRequest from None
        except errors.IncorrectState as error:
            raise refuse(f"Invalid snapshot: {error.reason}") from None
        # The row of its own transaction: read again, a fast node might have finished it already.
        return self._document(VolumeRecord(row, spec.metadata, spec.volume_type))

    def delete(self, req: wsgi.Request, id: str) -> webob.Response:
        """Start deleting a volume."""
        self.admit(req)
        try:
            stock_404(lambda: self.services.volume.delete(req.context, number_or_404(id)))
        except errors.VolumeNotDeletable as error:
            raise refuse(f"Invalid volume: {error.reason}") from None
        return wsgi.accepted()


def _spec_of(fields: Mapping[str, Any]) -> VolumeSpec:
    snapshot, metadata = fields.get("snapshot_id"), fields.get("metadata")
    return VolumeSpec(
        size=_size(fields.get("size")),
        snapshot=None if snapshot in (None, "") else number_or_404(snapshot),
        zone=text_field(fields, "availability_zone") or None,
        name=text_field(fields, "display_name"),
        description=text_field(fields, "display_description"),
        volume_type=text_field(fields, "volume_type") or None,
        metadata={} if metadata is None else texts_of(metadata),
    )


def _size(value: Any) -> int | None:
    if value is None or value == "":
        return None
    size = number_in(value)
    if size is None or not 0 < size <= limits.MAX_INTEGER:
        raise refuse("Volume size must be an integer and greater than 0")
    return size


class SnapshotResource(VolumeDoor):
    """Snapshots."""

    def index(self, req: wsgi.Request) -> wsgi.ResponseObject:
        """The project's snapshots; for administrators everybody's."""
        return self._listed(req)

    def detail(self, req: wsgi.Request) -> wsgi.ResponseObject:
        """As :meth:`index`."""
        return self._listed(req)

    def _listed(self, req: wsgi.Request) -> wsgi.ResponseObject:
        self.admit(req)
        found = self.page(req, self.services.volume.list_snapshots(req.context))
        shown = {"snapshots": [self.form.snapshot(row) for row in found]}
        return wsgi.ResponseObject(shown, xml=XML[self.form].snapshots)

    def show(self, req: wsgi.Request, id: str) -> wsgi.ResponseObject:
        """One snapshot."""
        self.admit(req)
        number = number_or_404(id)
        (row,) = stock_404(lambda: self.services.volume.list_snapshots(req.context, [number]))
        return self._document(row)

    def _document(self, row: Any) -> wsgi.ResponseObject:
        return wsgi.ResponseObject({"snapshot": self.form.snapshot(row)}, xml=XML[self.form].snapshot)

    def create(self, req: wsgi.Request, body: Any) -> wsgi.ResponseObject:
        """Start a snapshot of a volume."""
        self.admit(req)
        fields = entity(body, "snapshot")
        if "volume_id" not in fields:
            raise webob.exc.HTTPBadRequest
        volume, name = number_or_404(fields["volume_id"]), text_field(fields, "display_name")
        description = text_field(fields, "display_description")
        # Whatever is not nothing, as in 2012.1.
        force = bool(fields.get("force"))
        service = self.services.volume
        try:
            row = stock_404(lambda: service.create_snapshot(req.context, volume, description, name=name, force=force))
        except errors.IncorrectState as error:
            raise refuse(f"Invalid volume: {error.reason}") from None
        return self._document(row)

    def delete(self, req: wsgi.Request, id: str) -> webob.Response:
        """Start deleting a snapshot."""
        self.admit(req)
        try:
            stock_404(lambda: self.services.volume.delete_snapshot(req.context, number_or_404(id)))
        except errors.IncorrectState as error:
            raise refuse(f"Invalid volume: {error.reason}") from None
        return wsgi.accepted()


_SPECS = FreeElement("extra_specs", select="extra_specs")
_TYPE = Template(Element("volume_type", _SPECS, select="volume_type", attributes=("id", "name")))
_TYPES = Template(
    Element("volume_types", Element("volume_type", _SPECS, select="volume_types", attributes=("id", "name")))
)


def _type_view(found: VolumeType) -> dict[str, Any]:
    row = found.row
    return {
        "id": row.id,
        "name": row.name,
        "extra_specs": dict(found.extra_specs),
        "created_at": row_time(row.created_at),
        "updated_at": row_time(row.updated_at),
        "deleted": False,
        "deleted_at": None,
    }


class TypeResource(VolumeDoor):
    """Volume types. Their list has numbers in both doors, as in 2012.1."""

    @wsgi.serializers(xml=_TYPES)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """All types."""
        self.admit(req)
        return {"volume_types": [_type_view(one) for one in self.services.volume_types.list()]}

    @wsgi.serializers(xml=_TYPE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """One type."""
        self.admit(req)
        return self._document(stock_404(lambda: self.services.volume_types.get(number_or_404(id))))

    @wsgi.serializers(xml=_TYPE)
    def create(self, req: wsgi.Request, body: Any) -> dict[str, Any]:
        """A new type."""
        self.admit(req)
        fields = body.get("volume_type") if isinstance(body, dict) else None
        if not isinstance(fields, dict) or not fields.get("name"):
            raise webob.exc.HTTPUnprocessableEntity
        name, specs = text_field(fields, "name"), fields.get("extra_specs") or {}
        return self._document(self.services.volume_types.create(req.context, name or "", texts_of(specs)))

    def delete(self, req: wsgi.Request, id: str) -> None:
        """End a type."""
        self.admit(req)
        stock_404(lambda: self.services.volume_types.delete(req.context, number_or_404(id)))

    def _document(self, found: VolumeType) -> dict[str, Any]:
        shown = _type_view(found)
        return {"volume_type": {**shown, "id": self.form.number(shown["id"])}}
