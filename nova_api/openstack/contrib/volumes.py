"""os-volumes: volumes, their snapshots, and servers that have them (spec openstack-extensions.md 11)."""

from collections.abc import Iterable, Mapping
from typing import Any

import webob
import webob.exc

from nova_api import errors, limits
from nova_api.cloud.launch import Device
from nova_api.openstack import server_input as given
from nova_api.openstack import server_requests, wsgi
from nova_api.openstack.extended import ExtensionController, number_in, number_or_404, page_by_offset, text_field
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension, authorize
from nova_api.openstack.servers import ServersController
from nova_api.openstack.views import server_xml
from nova_api.openstack.volume_resources import COMPUTE, SnapshotResource, VolumeResource, entity, stock_404
from nova_api.openstack.xml import Element, Template

_SHOWN = ("device", "serverId", "id", "volumeId")
_ONE = Template(Element("volumeAttachment", select="volumeAttachment", attributes=_SHOWN))
_ALL = Template(
    Element("volumeAttachments", Element("volumeAttachment", select="volumeAttachments", attributes=_SHOWN))
)


class VolumeController(VolumeResource):
    """``/os-volumes``."""

    form = COMPUTE

    def admit(self, req: wsgi.Request) -> None:
        authorize(req.context, "volumes")


class SnapshotController(SnapshotResource):
    """``/os-snapshots``."""

    form = COMPUTE

    def admit(self, req: wsgi.Request) -> None:
        authorize(req.context, "volumes")


class VolumeAttachmentController(ExtensionController):
    """``/servers/{server_id}/os-volume_attachments``; an attachment's id is its volume's."""

    rule = "volumes"

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request, server_id: str) -> dict[str, Any]:
        """The volumes of a server."""
        self.authorize(req)
        rows = page_by_offset(
            req, self.services.volume.of_server(req.context, server_id), self.services.config.osapi_max_limit
        )
        return {"volumeAttachments": [COMPUTE.attachment(row) for row in rows]}

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, server_id: str, id: str) -> dict[str, Any]:
        """One of them."""
        self.authorize(req)
        number = number_or_404(id)
        rows = self.services.volume.of_server(req.context, server_id)
        found = next((row for row in rows if row.id == number), None)
        if found is None:
            raise webob.exc.HTTPNotFound
        return {"volumeAttachment": COMPUTE.attachment(found)}

    @wsgi.serializers(xml=_ONE)
    def create(self, req: wsgi.Request, server_id: str, body: Any) -> dict[str, Any]:
        """Start attaching a volume, whose number comes back as sent; without a device the next free one is taken."""
        self.authorize(req)
        fields = entity(body, "volumeAttachment")
        if "volumeId" not in fields:
            raise webob.exc.HTTPBadRequest
        volume, device = number_or_404(fields["volumeId"]), text_field(fields, "device") or None
        try:
            row = stock_404(lambda: self.services.volume.attach_to(req.context, server_id, volume, device))
        except errors.InvalidParameterValue:
            raise given.refuse(f"The supplied device path ({device}) is invalid.") from None
        except errors.VolumeInUse as error:
            raise given.refuse(f"Invalid volume: {error.reason}") from None
        sent = dict.fromkeys(("id", "volumeId"), fields["volumeId"])
        return {"volumeAttachment": {**COMPUTE.attachment(row), **sent}}

    def update(self, req: wsgi.Request, server_id: str, id: str, body: Any = None) -> None:
        """An attachment cannot be changed.

        :raises HTTPBadRequest: always, as in 2012.1
        """
        self.authorize(req)
        raise webob.exc.HTTPBadRequest

    def delete(self, req: wsgi.Request, server_id: str, id: str) -> webob.Response:
        """Start detaching a volume."""
        self.authorize(req)
        number = number_or_404(id)
        try:
            stock_404(lambda: self.services.volume.detach_from(req.context, server_id, number))
        except (errors.VolumeNotAttached, errors.IncorrectState) as error:
            raise given.refuse(f"Invalid volume: {error.reason}") from None
        return wsgi.accepted()


class BootController(ServersController):
    """``/os-volumes_boot``: servers once more, which start with volumes."""

    @wsgi.response(202)
    @wsgi.serializers(xml=server_xml.ONE)
    @wsgi.deserializers(xml=server_requests.create_server)
    def create(self, req: wsgi.Request, body: Any) -> wsgi.ResponseObject:
        """Start servers with the volumes of ``block_device_mapping``."""
        fields = given.entity(body, "server")
        return self.launch(req, body, _devices(fields.get("block_device_mapping")))


def _devices(value: Any) -> list[Device]:
    if value is None:
        return []
    if not isinstance(value, list) or len(value) > limits.MAX_BLOCK_DEVICES:
        raise webob.exc.HTTPBadRequest
    return [_device(one) for one in value]


def _device(fields: Any) -> Device:
    if not isinstance(fields, dict):
        raise webob.exc.HTTPBadRequest
    name = text_field(fields, "device_name") or ""
    path = name if name.startswith("/dev/") else f"/dev/{name}"
    volume, snapshot = _number(fields, "volume_id"), _number(fields, "snapshot_id")
    if not name or len(path) > limits.MAX_NAME or (volume is None) == (snapshot is None):
        raise webob.exc.HTTPBadRequest
    size = _number(fields, "volume_size")
    if size is not None and size > limits.MAX_VOLUME_GB:
        raise webob.exc.HTTPBadRequest
    kept = fields.get("delete_on_termination")
    return Device(
        name=path,
        volume=volume,
        snapshot=snapshot,
        size=size,
        # Who does not say so wants to keep it; EC2 has it the other way round.
        delete_on_termination=False if kept in (None, "") else given.truth(kept),
    )


def _number(fields: Mapping[str, Any], name: str) -> int | None:
    value = fields.get(name)
    if value in (None, ""):
        return None
    number = number_in(value)
    if not number:
        raise webob.exc.HTTPBadRequest
    return number


class Volumes(ExtensionDescriptor):
    """Volumes, snapshots, and servers that have them."""

    name = "Volumes"
    alias = "os-volumes"
    namespace = "http://docs.openstack.org/compute/ext/volumes/api/v1.1"
    updated = "2011-03-25T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        detail = {"detail": "GET"}
        yield ResourceExtension("os-volumes", VolumeController(), collection_actions=detail)
        parent = {"member_name": "server", "collection_name": "servers"}
        yield ResourceExtension("os-volume_attachments", VolumeAttachmentController(), parent)
        yield ResourceExtension("os-snapshots", SnapshotController(), collection_actions=detail)
        action = {"action": "POST"}
        yield ResourceExtension("os-volumes_boot", BootController(), collection_actions=detail, member_actions=action)
