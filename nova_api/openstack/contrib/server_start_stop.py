"""os-server-start-stop: power (spec openstack-extensions.md 3). No rule of its own; that of the action counts."""

from collections.abc import Iterable
from typing import Any

import webob
import webob.exc

from nova_api import errors
from nova_api.cloud import server_states as states
from nova_api.cloud.server_actions import Action
from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController
from nova_api.openstack.extensions import ControllerExtension, ExtensionDescriptor
from nova_api.openstack.server_input import refuse


class ServerStartStopActionController(ExtensionController):
    """``os-start`` and ``os-stop``."""

    @wsgi.action("os-start")
    def _start(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        return self._act(req, id, states.START)

    @wsgi.action("os-stop")
    def _stop(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        return self._act(req, id, states.STOP)

    def _act(self, req: wsgi.Request, server: str, action: Action) -> webob.Response:
        try:
            self.services.server_actions.act(req.context, server, action)
        except errors.InstanceNotFound:
            raise webob.exc.HTTPNotFound(explanation="Instance not found") from None
        except errors.ServerState as error:
            # A wrong state is a bad request here, unlike everywhere else.
            raise refuse(
                f"Instance {error.uuid} in {error.attribute} {error.value}. "
                f"Cannot {action.name} while the instance is in this state."
            ) from None
        return wsgi.accepted()


class Server_start_stop(ExtensionDescriptor):
    """Start and stop servers."""

    name = "ServerStartStop"
    alias = "os-server-start-stop"
    namespace = "http://docs.openstack.org/compute/ext/servers/api/v1.1"
    updated = "2012-01-23T00:00:00+00:00"

    def get_controller_extensions(self) -> Iterable[ControllerExtension]:
        yield ControllerExtension(self, "servers", ServerStartStopActionController())
