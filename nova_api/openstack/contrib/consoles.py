"""os-consoles: the screen of a server in a browser (spec openstack-extensions.md 3)."""

from collections.abc import Iterable
from typing import Any

import webob.exc

from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController
from nova_api.openstack.extensions import ControllerExtension, ExtensionDescriptor


class ConsolesController(ExtensionController):
    """``os-getVNCConsole``."""

    rule = "consoles"

    @wsgi.action("os-getVNCConsole")
    def _get(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        self.authorize(req)
        given = body["os-getVNCConsole"]
        kind = given.get("type") if isinstance(given, dict) else None
        if not isinstance(kind, str) or not kind:
            raise webob.exc.HTTPBadRequest
        url = self.services.consoles.vnc(req.context, id, kind)
        return {"console": {"type": kind, "url": url}}


class Consoles(ExtensionDescriptor):
    """VNC consoles of servers."""

    name = "Consoles"
    alias = "os-consoles"
    namespace = "http://docs.openstack.org/compute/ext/os-consoles/api/v2"
    updated = "2011-12-23T00:00:00+00:00"

    def get_controller_extensions(self) -> Iterable[ControllerExtension]:
        yield ControllerExtension(self, "servers", ConsolesController())
