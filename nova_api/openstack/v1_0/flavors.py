"""Flavors (spec openstack-core.md 9.3)."""

from typing import Any

import webob.exc

from nova_api.openstack import paging, wsgi
from nova_api.openstack.services import ServicesController
from nova_api.openstack.v1_0 import given
from nova_api.openstack.v1_0.views import template
from nova_api.openstack.xml import Element

_BRIEF = ("id", "name")
_FULL = (*_BRIEF, "ram", "disk")
_INDEX = template(Element("flavors", Element("flavor", select="flavors", attributes=_BRIEF)))
_DETAIL = template(Element("flavors", Element("flavor", select="flavors", attributes=_FULL)))
_ONE = template(Element("flavor", select="flavor", attributes=_FULL))


class FlavorsController(ServicesController):
    """``/flavors``."""

    @wsgi.serializers(xml=_INDEX)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """Ids and names."""
        return self._listed(req, _BRIEF)

    @wsgi.serializers(xml=_DETAIL)
    def detail(self, req: wsgi.Request) -> dict[str, Any]:
        """All of them with their sizes."""
        return self._listed(req, _FULL)

    def _listed(self, req: wsgi.Request, names: tuple[str, ...]) -> dict[str, Any]:
        page = paging.offset_page_of(req, self.services.config.osapi_max_limit)
        shown = self._views(page.of(self.services.flavors.list()))
        return {"flavors": [{name: one[name] for name in names} for one in shown]}

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """One flavor."""
        flavorid = given.flavor_of(self.services, id)
        row = None if flavorid is None else self.services.flavors.get(flavorid)
        if row is None:
            raise webob.exc.HTTPNotFound
        return {"flavor": self._views([row])[0]}

    def _views(self, rows: Any) -> list[dict[str, Any]]:
        numbers = self.services.numbers.of_flavors([row.flavorid for row in rows])
        return [
            {"id": numbers[row.flavorid], "name": row.name, "ram": row.memory_mb, "disk": row.root_gb} for row in rows
        ]


def create_resource() -> wsgi.Resource:
    """The resource of the router."""
    return wsgi.Resource(FlavorsController())
