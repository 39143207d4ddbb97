"""Metadata of servers (spec openstack-core.md 6.3)."""

from collections.abc import Callable
from typing import Any, TypeVar

import webob.exc

from nova_api import errors
from nova_api.openstack import server_requests, wsgi
from nova_api.openstack.metadata_input import ITEM, ITEMS, items_of, one_of
from nova_api.openstack.services import ServicesController

T = TypeVar("T")


class ServerMetadataController(ServicesController):
    """``/servers/ID/metadata``."""

    @wsgi.serializers(xml=ITEMS)
    def index(self, req: wsgi.Request, server_id: str) -> dict[str, Any]:
        """All of it."""
        return {"metadata": self._read(req, server_id)}

    @wsgi.serializers(xml=ITEM)
    def show(self, req: wsgi.Request, server_id: str, id: str) -> dict[str, Any]:
        """One item."""
        found = self._read(req, server_id)
        if id not in found:
            raise _no_item()
        return {"meta": {id: found[id]}}

    @wsgi.serializers(xml=ITEMS)
    @wsgi.deserializers(xml=server_requests.set_metadata)
    def create(self, req: wsgi.Request, server_id: str, body: Any) -> dict[str, Any]:
        """Add items."""
        return {"metadata": self._write(req, server_id, items_of(body, "Malformed request body"), replace=False)}

    @wsgi.serializers(xml=ITEMS)
    @wsgi.deserializers(xml=server_requests.set_metadata)
    def update_all(self, req: wsgi.Request, server_id: str, body: Any) -> dict[str, Any]:
        """Put items in place of all there were."""
        return {"metadata": self._write(req, server_id, items_of(body, "Malformed request body"), replace=True)}

    @wsgi.serializers(xml=ITEM)
    @wsgi.deserializers(xml=server_requests.set_item)
    def update(self, req: wsgi.Request, server_id: str, id: str, body: Any) -> dict[str, Any]:
        """Set one item."""
        item = one_of(body, id, "Malformed request body")
        self._write(req, server_id, item, replace=False)
        return {"meta": item}

    @wsgi.response(204)
    def delete(self, req: wsgi.Request, server_id: str, id: str) -> None:
        """Drop one item."""
        servers = self.services.servers
        if not _found(lambda: servers.delete_metadata(req.context, server_id, id)):
            raise _no_item()

    def _read(self, req: wsgi.Request, server: str) -> dict[str, str]:
        return _found(lambda: self.services.servers.metadata(req.context, server))

    def _write(self, req: wsgi.Request, server: str, items: dict[str, str], *, replace: bool) -> dict[str, str]:
        servers = self.services.servers
        return _found(lambda: servers.set_metadata(req.context, server, items, replace=replace))


def _found(work: Callable[[], T]) -> T:
    try:
        return work()
    except errors.InstanceNotFound:
        raise webob.exc.HTTPNotFound(explanation="Server does not exist") from None


def _no_item() -> webob.exc.HTTPNotFound:
    return webob.exc.HTTPNotFound(explanation="Metadata item was not found")


def create_resource() -> wsgi.Resource:
    """The resource of the routers."""
    return wsgi.Resource(ServerMetadataController())
