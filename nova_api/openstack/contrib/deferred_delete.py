"""os-deferred-delete: deleted servers that are kept for a while come back, or go at once.

(Spec openstack-extensions.md 3; they are kept where ``reclaim_instance_interval`` is set.)
"""

from collections.abc import Iterable
from typing import Any

import webob

from nova_api.cloud import server_states as states
from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController
from nova_api.openstack.extensions import ControllerExtension, ExtensionDescriptor


class DeferredDeleteController(ExtensionController):
    """``restore`` and ``forceDelete``."""

    rule = "deferred_delete"

    @wsgi.action("restore")
    def _restore(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        self.authorize(req)
        self.services.server_actions.act(req.context, id, states.RESTORE)
        return wsgi.accepted()

    @wsgi.action("forceDelete")
    def _force_delete(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        self.authorize(req)
        self.services.server_actions.act(req.context, id, states.FORCE_DELETE)
        return wsgi.accepted()


class Deferred_delete(ExtensionDescriptor):
    """Restore a deleted server, or end it before its time."""

    name = "DeferredDelete"
    alias = "os-deferred-delete"
    namespace = "http://docs.openstack.org/compute/ext/deferred-delete/api/v1.1"
    updated = "2011-09-01T00:00:00+00:00"

    def get_controller_extensions(self) -> Iterable[ControllerExtension]:
        yield ControllerExtension(self, "servers", DeferredDeleteController())
