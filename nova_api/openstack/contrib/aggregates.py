"""os-aggregates: hosts that belong together (spec openstack-extensions.md 10.2). In XML a child per member."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import webob.exc

from nova_api import errors, limits
from nova_api.cloud.aggregates import Aggregate
from nova_api.openstack import wsgi
from nova_api.openstack.bodies import read_xml
from nova_api.openstack.extended import ExtensionController, fields_of, number_or_404, row_time
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.server_input import refuse, storable

_FIELDS = ("name", "availability_zone")


def _view(found: Aggregate) -> dict[str, Any]:
    row = found.row
    return {
        "aggregate": {
            "id": row.id,
            "name": row.name,
            "availability_zone": row.availability_zone,
            "operational_state": row.operational_state,
            "hosts": list(found.hosts),
            "metadata": dict(found.metadata),
            "created_at": row_time(row.created_at),
            "updated_at": row_time(row.updated_at),
            "deleted": False,
            "deleted_at": None,
        }
    }


def _stock(work: Callable[[], Aggregate]) -> dict[str, Any]:
    """The document of what is done; refusals have the texts of their status only, as in 2012.1."""
    try:
        return _view(work())
    except errors.NotFound:
        raise webob.exc.HTTPNotFound from None
    except errors.Conflict:
        raise webob.exc.HTTPConflict from None


class AggregateController(ExtensionController):
    """``/os-aggregates``."""

    rule = "aggregates"

    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """All aggregates."""
        self.authorize(req)
        return {"aggregates": [_view(one)["aggregate"] for one in self.services.aggregates.list()]}

    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """One of them."""
        self.authorize(req)
        return _stock(lambda: self.services.aggregates.get(number_or_404(id)))

    def create(self, req: wsgi.Request, body: Any) -> dict[str, Any]:
        """A new one."""
        self.authorize(req)
        given = _texts(_only(body, "aggregate"))
        if set(given) != set(_FIELDS):
            raise webob.exc.HTTPBadRequest
        return _stock(lambda: self.services.aggregates.create(given["name"], given["availability_zone"]))

    def update(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        """Change name or zone."""
        self.authorize(req)
        given = _texts(_only(body, "aggregate"))
        if not given or not set(given) <= set(_FIELDS):
            raise webob.exc.HTTPBadRequest
        return _stock(lambda: self.services.aggregates.update(number_or_404(id), given))

    def delete(self, req: wsgi.Request, id: str) -> None:
        """End one that has no hosts."""
        self.authorize(req)
        try:
            self.services.aggregates.delete(number_or_404(id))
        except errors.NotFound:
            raise webob.exc.HTTPNotFound from None

    @wsgi.deserializers(xml=read_xml())
    def action(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        """``add_host``, ``remove_host`` or ``set_metadata``."""
        self.authorize(req)
        if not isinstance(body, dict) or not body:
            raise refuse("Invalid request body")
        known = {"add_host": self._add_host, "remove_host": self._remove_host, "set_metadata": self._set_metadata}
        for name in body:
            if name not in known:
                raise refuse(f"Aggregates does not have {name[:40]} action")
        name = next(iter(body))
        return known[name](req, number_or_404(id), _only(body, name))

    def _add_host(self, req: wsgi.Request, number: int, given: Mapping[str, Any]) -> dict[str, Any]:
        host = _host(given)
        return _stock(lambda: self.services.aggregates.add_host(req.context, number, host))

    def _remove_host(self, req: wsgi.Request, number: int, given: Mapping[str, Any]) -> dict[str, Any]:
        host = _host(given)
        return _stock(lambda: self.services.aggregates.remove_host(req.context, number, host))

    def _set_metadata(self, req: wsgi.Request, number: int, given: Mapping[str, Any]) -> dict[str, Any]:
        if set(given) != {"metadata"} or not isinstance(given["metadata"], dict):
            raise webob.exc.HTTPBadRequest
        items = _items(given["metadata"])
        return _stock(lambda: self.services.aggregates.set_metadata(number, items))


def _only(body: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(body, dict) or set(body) != {name}:
        raise webob.exc.HTTPBadRequest
    return fields_of(body, name)


def _texts(fields: Mapping[str, Any]) -> dict[str, str]:
    for value in fields.values():
        if not isinstance(value, str) or not 0 < len(value) <= limits.MAX_NAME:
            raise webob.exc.HTTPBadRequest
    return {name: storable(value) for name, value in fields.items()}


def _host(given: Mapping[str, Any]) -> str:
    if set(given) != {"host"}:
        raise webob.exc.HTTPBadRequest
    return _texts(given)["host"]


def _items(given: Mapping[str, Any]) -> dict[str, str | None]:
    """Metadata: what is empty is dropped."""
    if len(given) > limits.MAX_SPECS:
        raise webob.exc.HTTPBadRequest
    found: dict[str, str | None] = {}
    for key, value in given.items():
        if isinstance(value, (dict, list)) or not 0 < len(key) <= limits.MAX_NAME or len(str(value)) > limits.MAX_NAME:
            raise webob.exc.HTTPBadRequest
        found[storable(key)] = storable(str(value)) if value else None
    return found


class Aggregates(ExtensionDescriptor):
    """Host aggregates, for administrators."""

    name = "Aggregates"
    alias = "os-aggregates"
    namespace = "http://docs.openstack.org/compute/ext/aggregates/api/v1.1"
    updated = "2012-01-12T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("os-aggregates", AggregateController(), member_actions={"action": "POST"})
