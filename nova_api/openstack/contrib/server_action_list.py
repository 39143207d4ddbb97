"""os-server-action-list: what happened to a server on its node (spec openstack-extensions.md 3).

Of the drivers of 2012.1 one wrote such records; those that are shipped here write none.
"""

from collections.abc import Iterable
from typing import Any

from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController, row_time
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.xml import COMPUTE_NS, Element, Template

_ALL = Template(
    Element("actions", Element("action", select="actions", attributes=("created_at", "action", "error"))),
    {None: COMPUTE_NS},
)


class ServerActionListController(ExtensionController):
    """``/servers/{server_id}/actions``."""

    rule = "server_action_list"

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request, server_id: str) -> dict[str, Any]:
        """The records, oldest first."""
        self.authorize(req)
        found = self.services.server_reports.actions(req.context, server_id)
        shown = [{"created_at": row_time(row.created_at), "action": row.action, "error": row.error} for row in found]
        return {"actions": shown}


class Server_action_list(ExtensionDescriptor):
    """Records of what happened to servers, for administrators."""

    name = "ServerActionList"
    alias = "os-server-action-list"
    namespace = "http://docs.openstack.org/compute/ext/server-actions-list/api/v1.1"
    updated = "2011-12-21T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        parent = {"member_name": "server", "collection_name": "servers"}
        yield ResourceExtension("actions", ServerActionListController(), parent)
