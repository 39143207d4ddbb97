"""os-server-diagnostics: the hypervisor's counters of a server (spec openstack-extensions.md 3)."""

from collections.abc import Iterable
from typing import Any

from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.xml import COMPUTE_NS, FreeElement, Template

_ALL = Template(FreeElement("diagnostics"), {None: COMPUTE_NS})


class ServerDiagnosticsController(ExtensionController):
    """``/servers/{server_id}/diagnostics``."""

    rule = "server_diagnostics"

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request, server_id: str) -> dict[str, Any]:
        """What the hypervisor counts, under its own names."""
        self.authorize(req)
        return dict(self.services.server_reports.diagnostics(req.context, server_id))


class Server_diagnostics(ExtensionDescriptor):
    """Counters of servers, for administrators."""

    name = "ServerDiagnostics"
    alias = "os-server-diagnostics"
    namespace = "http://docs.openstack.org/compute/ext/server-diagnostics/api/v1.1"
    updated = "2011-12-21T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        parent = {"member_name": "server", "collection_name": "servers"}
        yield ResourceExtension("diagnostics", ServerDiagnosticsController(), parent)
