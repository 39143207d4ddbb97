"""os-create-server-ext: servers once more, which show their security groups (spec openstack-extensions.md 2.6)."""

import json
from collections.abc import Iterable

from nova_api.openstack import wsgi
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension, allowed
from nova_api.openstack.servers import ServersController
from nova_api.openstack.views import server_xml

_allowed = allowed("createserverext")


class CreateServerExtController(ServersController):
    """``/os-create-server-ext``: links lead to ``/servers``, and no other extension adds anything."""

    @wsgi.serializers(xml=server_xml.ONE)
    def show(self, req: wsgi.Request, id: str) -> wsgi.ResponseObject:
        """One server with its security groups."""
        more = ""
        if _allowed(req.context):
            groups = [{"name": row.name} for row, _ in self.services.project_groups.of_server(req.context, id)]
            more = f',"security_groups":{json.dumps(groups)}'
        return self.document(req, id, "show", more)


class Createserverext(ExtensionDescriptor):
    """Servers that show their security groups."""

    name = "Createserverext"
    alias = "os-create-server-ext"
    namespace = "http://docs.openstack.org/compute/ext/createserverext/api/v1.1"
    updated = "2011-07-19T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("os-create-server-ext", CreateServerExtController())
