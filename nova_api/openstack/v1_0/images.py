"""Images: what servers are made of, and are made into (spec openstack-core.md 9.3)."""

from collections.abc import Sequence
from typing import Any

import webob

from nova_api.cloud.catalogue import CatalogueQuery
from nova_api.cloud.image import ImageRecord
from nova_api.cloud.instance_images import SnapshotSpec
from nova_api.openstack import paging, wsgi
from nova_api.openstack.extended import fields_of
from nova_api.openstack.images import found
from nova_api.openstack.server_actions import snapshot
from nova_api.openstack.services import ServicesController
from nova_api.openstack.v1_0 import given
from nova_api.openstack.v1_0.views import brief, image_views, template
from nova_api.openstack.xml import Element

_FULL = ("id", "name", "created", "updated", "status", "progress", "serverId")
_INDEX = template(Element("images", Element("image", select="images", attributes=("id", "name"))))
_DETAIL = template(Element("images", Element("image", select="images", attributes=_FULL)))
_ONE = template(Element("image", select="image", attributes=_FULL))


class ImagesController(ServicesController):
    """``/images``."""

    @wsgi.serializers(xml=_INDEX)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """Ids and names."""
        return {"images": brief(self._listed(req))}

    @wsgi.serializers(xml=_DETAIL)
    def detail(self, req: wsgi.Request) -> dict[str, Any]:
        """Images with all there is to say of them."""
        return {"images": self._listed(req)}

    def _listed(self, req: wsgi.Request) -> list[dict[str, Any]]:
        page = paging.offset_page_of(req, self.services.config.osapi_max_limit)
        query = CatalogueQuery(limit=page.limit, offset=page.offset)
        return self._views(req, self.services.catalogue.list(req.context, query))

    def _views(self, req: wsgi.Request, images: Sequence[ImageRecord]) -> list[dict[str, Any]]:
        return image_views(self.services, req.context, images)

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """One image."""
        uuid = given.image_or_404(self.services, id)
        image = found(lambda: self.services.catalogue.get(req.context, uuid))
        return {"image": self._views(req, [image])[0]}

    @wsgi.response(202)
    @wsgi.serializers(xml=_ONE)
    def create(self, req: wsgi.Request, body: Any) -> dict[str, Any]:
        """Start making an image of a server."""
        fields = fields_of(body, "image")
        spec = SnapshotSpec(name=given.image_name_of(fields))
        uuid = snapshot(self.services, req.context, given.server_of(fields, "serverId"), spec)
        return {"image": self._views(req, [self.services.catalogue.get(req.context, uuid)])[0]}

    def delete(self, req: wsgi.Request, id: str) -> webob.Response:
        """End an image."""
        uuid = given.image_or_404(self.services, id)
        found(lambda: self.services.catalogue.delete(req.context, uuid))
        return webob.Response(status=204)


def create_resource() -> wsgi.Resource:
    """The resource of the router."""
    return wsgi.Resource(ImagesController())
