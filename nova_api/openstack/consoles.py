"""Consoles of servers, as a resource (spec openstack-core.md 6.5)."""

from typing import Any

import webob
import webob.exc

from nova_api import errors
from nova_api import runtime as runtimes
from nova_api.cloud.consoles import Consoles
from nova_api.openstack import wsgi
from nova_api.openstack.xml import Element, Template


def _members(*names: str) -> tuple[Element, ...]:
    return tuple(Element(name, text=name) for name in names)


#: 2012.1: a console within a console, in JSON too; neither document has a namespace.
_LIST = Template(
    Element(
        "consoles",
        Element("console", Element("console", *_members("id", "console_type"), select="console"), select="consoles"),
    )
)
_ONE = Template(Element("console", *_members("id", "port", "host", "password", "console_type"), select="console"))


class ConsolesController(wsgi.Controller):
    """``/servers/{server_id}/consoles``.

    :param runtime: the services; the current ones by default
    """

    def __init__(self, runtime: runtimes.Runtime | None = None) -> None:
        self._runtime = runtime

    @property
    def consoles(self) -> Consoles:
        """The service."""
        return (self._runtime or runtimes.current()).consoles

    @wsgi.serializers(xml=_LIST)
    def index(self, req: wsgi.Request, server_id: str) -> dict[str, Any]:
        """Numbers and types."""
        found = self.consoles.list(req.context, server_id)
        return {"consoles": [{"console": {"id": one.id, "console_type": one.console_type}} for one in found]}

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, server_id: str, id: str) -> dict[str, Any]:
        """One console, with its password."""
        try:
            found = self.consoles.get(req.context, server_id, id)
        except errors.NotFound:
            raise webob.exc.HTTPNotFound from None
        return {
            "console": {
                "id": found.id,
                "console_type": found.console_type,
                "password": found.password,
                "instance_name": found.instance_name,
                "port": found.port,
                "host": found.host,
            }
        }

    def create(self, req: wsgi.Request, server_id: str) -> None:
        """Have a console made; a request with a body is refused, as in 2012.1."""
        self.consoles.create(req.context, server_id)

    def delete(self, req: wsgi.Request, server_id: str, id: str) -> webob.Response:
        """Have a console taken away."""
        try:
            self.consoles.delete(req.context, server_id, id)
        except errors.NotFound:
            raise webob.exc.HTTPNotFound from None
        return wsgi.accepted()

    def update(self, req: wsgi.Request, server_id: str, id: str) -> None:
        """Not there, and never was.

        :raises HTTPNotImplemented: always
        """
        raise webob.exc.HTTPNotImplemented


def create_resource() -> wsgi.Resource:
    """The resource of the routers."""
    return wsgi.Resource(ConsolesController())
