"""Images: what servers are made of (spec openstack-core.md 6.2)."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

import webob
import webob.exc

from nova_api import errors, runtime
from nova_api.cloud.catalogue import CatalogueQuery, properties_of
from nova_api.cloud.image import ImageRecord
from nova_api.openstack import paging, wsgi
from nova_api.openstack.extensions import AttributeExtension, members, visible
from nova_api.openstack.server_input import reference
from nova_api.openstack.services import ServicesController
from nova_api.openstack.views.links import Links, detailed, last_of
from nova_api.openstack.views.server_xml import metadata_element
from nova_api.openstack.views.servers import stamp
from nova_api.openstack.xml import COMPUTE_NSMAP, LINKS, Element, Template

T = TypeVar("T")
#: State of the catalogue -> status and progress.
_STATUS: Mapping[str, tuple[str, int]] = {
    "active": ("ACTIVE", 100),
    "queued": ("SAVING", 25),
    "saving": ("SAVING", 50),
    "deleted": ("DELETED", 0),
    "pending_delete": ("DELETED", 0),
    "killed": ("ERROR", 0),
}
_MOST_FILTERS = 32

_BRIEF = ("id", "name")
_FULL = (*_BRIEF, "created", "updated", "status", "progress", "minRam", "minDisk")
_PARTS = (Element("server", LINKS, select="server", attributes=("id",)), metadata_element(), LINKS)
_NEXT = Element(LINKS.tag, select="images_links", attributes=("rel", "type", "href"))
_INDEX = Template(Element("images", Element("image", LINKS, select="images", attributes=_BRIEF), _NEXT), COMPUTE_NSMAP)
_DETAIL = Template(Element("images", Element("image", *_PARTS, select="images", attributes=_FULL)), COMPUTE_NSMAP)
_ONE = Template(Element("image", *_PARTS, select="image", attributes=_FULL), COMPUTE_NSMAP)


def found(work: Callable[[], T]) -> T:
    """Run something that needs an image.

    :raises HTTPNotFound: there is none, in the words of 2012.1
    """
    try:
        return work()
    except errors.ImageNotFound:
        raise webob.exc.HTTPNotFound(explanation="Image not found.") from None


class ImagesController(ServicesController):
    """``/images``.

    :param attributes: what extensions add to the documents
    :param services: the runtime; the current one by default
    """

    def __init__(self, attributes: Sequence[AttributeExtension] = (), services: runtime.Runtime | None = None) -> None:
        super().__init__(services)
        self.attributes = attributes

    @wsgi.serializers(xml=_INDEX)
    def index(self, req: wsgi.Request) -> wsgi.ResponseObject:
        """Ids and names."""
        return self._listed(req, detail=False)

    @wsgi.serializers(xml=_DETAIL)
    def detail(self, req: wsgi.Request) -> wsgi.ResponseObject:
        """Images with all there is to say of them."""
        return self._listed(req, detail=True)

    def _listed(self, req: wsgi.Request, *, detail: bool) -> wsgi.ResponseObject:
        config = self.services.config
        page = paging.page_of(req, config.osapi_max_limit)
        try:
            records = self.services.catalogue.list(req.context, _query(req, page))
        except errors.ImageNotFound:
            raise paging.no_marker(page.marker or "") from None
        links = Links.of(req, req.context, config)
        added = visible(self.attributes, req.context, "detail") if detail else []
        shown = [image_view(one, links, added, detail=detail) for one in records]
        answer: dict[str, Any] = {"images": shown}
        if page.is_full(len(shown)):
            answer["images_links"] = links.next(req, detailed("images", detail), last_of(shown))
        return wsgi.ResponseObject(answer, slaves=[one.template for one in added])

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> wsgi.ResponseObject:
        """One image."""
        image = found(lambda: self.services.catalogue.get(req.context, id))
        added = visible(self.attributes, req.context, "show")
        shown = image_view(image, Links.of(req, req.context, self.services.config), added)
        return wsgi.ResponseObject({"image": shown}, slaves=[one.template for one in added])

    def delete(self, req: wsgi.Request, id: str) -> webob.Response:
        """End an image."""
        found(lambda: self.services.catalogue.delete(req.context, id))
        answer = webob.Response(status=204)
        answer.headers["Content-Type"] = "text/html; charset=UTF-8"
        return answer

    def create(self, *args: Any, **kwargs: Any) -> None:
        """Images are made of servers, or registered with the image service."""
        raise webob.exc.HTTPMethodNotAllowed


def _query(req: wsgi.Request, page: paging.Page) -> CatalogueQuery:
    """What a list is narrowed to; parameters that are no filters are not heeded."""
    asked = dict(req.GET)
    properties = {name[9:]: value for name, value in asked.items() if name.startswith("property-")}
    if len(properties) > _MOST_FILTERS:
        raise webob.exc.HTTPBadRequest
    if "type" in asked:
        properties["image_type"] = asked["type"]
    status, changed, server = asked.get("status"), asked.get("changes-since"), asked.get("server")
    return CatalogueQuery(
        name=asked.get("name"),
        statuses=None if status is None else _statuses(status),
        server=None if server is None else reference(server),
        changed_since=None if changed is None else paging.moment_of(changed),
        min_ram=paging.number_of(asked.get("minRam")),
        min_disk=paging.number_of(asked.get("minDisk")),
        properties=properties,
        marker=page.marker,
        limit=page.limit,
    )


def _statuses(status: str) -> list[str]:
    """The catalogue's states behind a status; those of the catalogue itself are understood too."""
    wanted = status.upper()
    return [state for state, (shown, _) in _STATUS.items() if shown == wanted] or [status.lower()]


def image_view(
    image: ImageRecord, links: Links, attributes: Sequence[AttributeExtension] = (), *, detail: bool = True
) -> dict[str, Any]:
    """What an image looks like."""
    alternate = {
        "rel": "alternate",
        "type": "application/vnd.openstack.image",
        "href": f"{links.images}/images/{image.uuid}",
    }
    shown: dict[str, Any] = {
        "id": image.uuid,
        "name": image.name,
        "links": [*links.of_item("images", image.uuid), alternate],
    }
    if not detail:
        return shown
    status, progress = _STATUS.get(image.status, ("UNKNOWN", 0))
    properties = properties_of(image)
    shown |= {
        "status": status,
        "progress": progress,
        "created": stamp(image.created_at),
        "updated": stamp(image.updated_at or image.created_at),
        "minRam": image.min_ram,
        "minDisk": image.min_disk,
        "metadata": properties,
    }
    if image.instance_uuid:
        server = image.instance_uuid
        shown["server"] = {"id": server, "links": links.of_item("servers", server)}
    written = "".join(one.write(properties) for one in attributes)
    return {**shown, **members(attributes, properties)} if written else shown


def create_resource(attributes: Sequence[AttributeExtension] = ()) -> wsgi.Resource:
    """The resource of the routers."""
    return wsgi.Resource(ImagesController(attributes))
