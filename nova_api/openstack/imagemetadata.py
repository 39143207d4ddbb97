"""Metadata of images: their properties (spec openstack-core.md 6.3)."""

from typing import Any

import webob.exc

from nova_api.cloud.catalogue import properties_of
from nova_api.openstack import server_requests, wsgi
from nova_api.openstack.images import found
from nova_api.openstack.metadata_input import ITEM, ITEMS, items_of, not_found, one_of
from nova_api.openstack.services import ServicesController

_REFUSAL = "Incorrect request body format"


class ImageMetadataController(ServicesController):
    """``/images/ID/metadata``."""

    @wsgi.serializers(xml=ITEMS)
    def index(self, req: wsgi.Request, image_id: str) -> dict[str, Any]:
        """All of it."""
        return {"metadata": self._read(req, image_id)}

    @wsgi.serializers(xml=ITEM)
    def show(self, req: wsgi.Request, image_id: str, id: str) -> dict[str, Any]:
        """One item."""
        properties = self._read(req, image_id)
        if id not in properties:
            raise webob.exc.HTTPNotFound
        return {"meta": {id: properties[id]}}

    @wsgi.serializers(xml=ITEMS)
    @wsgi.deserializers(xml=server_requests.set_metadata)
    def create(self, req: wsgi.Request, image_id: str, body: Any) -> dict[str, Any]:
        """Add items."""
        # The one method that takes a document without items for one that has none, as 2012.1 did.
        items = items_of(body, _REFUSAL) if body != {} else {}
        return {"metadata": self._write(req, image_id, items, replace=False)}

    @wsgi.serializers(xml=ITEMS)
    @wsgi.deserializers(xml=server_requests.set_metadata)
    def update_all(self, req: wsgi.Request, image_id: str, body: Any) -> dict[str, Any]:
        """Put items in place of all there were; those that say whose the image is stay."""
        items = items_of(body, _REFUSAL) if body != {} else {}
        return {"metadata": self._write(req, image_id, items, replace=True)}

    @wsgi.serializers(xml=ITEM)
    @wsgi.deserializers(xml=server_requests.set_item)
    def update(self, req: wsgi.Request, image_id: str, id: str, body: Any) -> dict[str, Any]:
        """Set one item."""
        item = one_of(body, id, _REFUSAL)
        self._write(req, image_id, item, replace=False)
        return {"meta": item}

    @wsgi.response(204)
    def delete(self, req: wsgi.Request, image_id: str, id: str) -> None:
        """Drop one item."""
        catalogue = self.services.catalogue
        if not found(lambda: catalogue.delete_property(req.context, image_id, id)):
            raise not_found("Invalid metadata key")

    def _read(self, req: wsgi.Request, image: str) -> dict[str, str]:
        return properties_of(found(lambda: self.services.catalogue.get(req.context, image)))

    def _write(self, req: wsgi.Request, image: str, items: dict[str, str], *, replace: bool) -> dict[str, str]:
        catalogue = self.services.catalogue
        return found(lambda: catalogue.set_properties(req.context, image, items, replace=replace))


def create_resource() -> wsgi.Resource:
    """The resource of the routers."""
    return wsgi.Resource(ImageMetadataController())
