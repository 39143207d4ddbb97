"""os-rescue: a server boots a rescue system beside its own disk (spec openstack-extensions.md 3)."""

from collections.abc import Iterable
from typing import Any

import webob

from nova_api.cloud import server_states as states
from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController
from nova_api.openstack.extensions import ControllerExtension, ExtensionDescriptor
from nova_api.openstack.server_input import new_password, password_of


class RescueController(ExtensionController):
    """``rescue`` and ``unrescue``."""

    rule = "rescue"

    @wsgi.action("rescue")
    def _rescue(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        self.authorize(req)
        given = body["rescue"]
        wanted = given.get("adminPass") if isinstance(given, dict) else None
        password = new_password(self.services.config.password_length) if wanted is None else password_of(wanted)
        self.services.server_actions.act(req.context, id, states.RESCUE, {"rescue_password": password})
        return {"adminPass": password}

    @wsgi.action("unrescue")
    def _unrescue(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        self.authorize(req)
        self.services.server_actions.act(req.context, id, states.UNRESCUE)
        return wsgi.accepted()


class Rescue(ExtensionDescriptor):
    """Rescue mode of servers."""

    name = "Rescue"
    alias = "os-rescue"
    namespace = "http://docs.openstack.org/compute/ext/rescue/api/v1.1"
    updated = "2011-08-18T00:00:00+00:00"

    def get_controller_extensions(self) -> Iterable[ControllerExtension]:
        yield ControllerExtension(self, "servers", RescueController())
