"""Flavors: the sizes of servers (spec openstack-core.md 6.1)."""

from collections.abc import Mapping, Sequence
from typing import Any

import webob.exc

from nova_api import runtime
from nova_api.openstack import paging, wsgi
from nova_api.openstack.extensions import AttributeExtension, members, visible
from nova_api.openstack.services import ServicesController
from nova_api.openstack.views.links import Links, detailed, last_of
from nova_api.openstack.xml import COMPUTE_NSMAP, LINKS, Element, Template

_BRIEF = ("id", "name")
_FULL = (*_BRIEF, "ram", "disk", "vcpus", "swap", "rxtx_factor")


def _list(names: Sequence[str]) -> Template:
    return Template(Element("flavors", Element("flavor", LINKS, select="flavors", attributes=names)), COMPUTE_NSMAP)


_INDEX, _DETAIL = _list(_BRIEF), _list(_FULL)
ONE = Template(Element("flavor", LINKS, select="flavor", attributes=_FULL), COMPUTE_NSMAP)


class FlavorsController(ServicesController):
    """``/flavors``.

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
        """All of them with their sizes."""
        return self._listed(req, detail=True)

    def _listed(self, req: wsgi.Request, *, detail: bool) -> wsgi.ResponseObject:
        page = paging.page_of(req, self.services.config.osapi_max_limit)
        rows = self.services.flavors.list(
            min_ram=paging.number_of(paging.last(req, "minRam")),
            min_disk=paging.number_of(paging.last(req, "minDisk")),
        )
        if page.marker is not None:
            at = [row.flavorid for row in rows]
            if page.marker not in at:
                raise paging.no_marker(page.marker)
            rows = rows[at.index(page.marker) + 1 :]
        links = Links.of(req, req.context, self.services.config)
        added = visible(self.attributes, req.context, "detail") if detail else []
        shown = [flavor_view(row, links, added, detail=detail) for row in rows[: page.limit]]
        answer: dict[str, Any] = {"flavors": shown}
        if page.is_full(len(shown)):
            answer["flavors_links"] = links.next(req, detailed("flavors", detail), last_of(shown))
        return wsgi.ResponseObject(answer, slaves=[one.template for one in added])

    @wsgi.serializers(xml=ONE)
    def show(self, req: wsgi.Request, id: str) -> wsgi.ResponseObject:
        """One flavor."""
        row = self.services.flavors.get(id)
        if row is None:
            raise webob.exc.HTTPNotFound
        added = visible(self.attributes, req.context, "show")
        shown = flavor_view(row, Links.of(req, req.context, self.services.config), added)
        return wsgi.ResponseObject({"flavor": shown}, slaves=[one.template for one in added])


def flavor_view(
    row: Any, links: Links, attributes: Sequence[AttributeExtension] = (), *, detail: bool = True
) -> Mapping[str, Any]:
    """What a flavor looks like."""
    shown: dict[str, Any] = {"id": row.flavorid, "name": row.name, "links": links.of_item("flavors", row.flavorid)}
    if detail:
        shown |= {
            "ram": row.memory_mb,
            "disk": row.root_gb,
            "vcpus": row.vcpus,
            # An empty text for no swap is 2012.1's; clients of today need the factor to be a number (spec 6.1 [D]).
            "swap": row.swap or "",
            "rxtx_factor": row.rxtx_factor if row.rxtx_factor is not None else 1.0,
            **members(attributes, row),
        }
    return shown


def create_resource(attributes: Sequence[AttributeExtension] = ()) -> wsgi.Resource:
    """The resource of the routers."""
    return wsgi.Resource(FlavorsController(attributes))
