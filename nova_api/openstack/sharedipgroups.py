"""Shared IP groups of the 1.0 API, and the addresses that are shared through them (spec openstack-core.md 9.4)."""

from typing import Any

import webob
import webob.exc

from nova_api.cloud.shared_ip_groups import SharedIpGroup
from nova_api.openstack import wsgi
from nova_api.openstack.bodies import with_root
from nova_api.openstack.extended import fields_of, number_in, number_or_404, text_field
from nova_api.openstack.paging import offset_page_of
from nova_api.openstack.server_input import refuse
from nova_api.openstack.server_requests import attributes_of
from nova_api.openstack.services import ServicesController
from nova_api.openstack.v1_0 import given
from nova_api.openstack.v1_0.views import brief, template
from nova_api.openstack.xml import Element, attribute, child, local_name

_SERVERS = Element("servers", Element("server", select="servers", attributes={"id": lambda number: number}))
# A client takes a list of servers that is there, if only as an empty element, for all of them.
_INDEX = template(
    Element("sharedIpGroups", Element("sharedIpGroup", select="sharedIpGroups", attributes=("id", "name")))
)
_DETAIL = template(
    Element("sharedIpGroups", Element("sharedIpGroup", _SERVERS, select="sharedIpGroups", attributes=("id", "name")))
)
_ONE = template(Element("sharedIpGroup", _SERVERS, select="sharedIpGroup", attributes=("id", "name")))


def _group_of(root: Any) -> dict[str, Any]:
    found = attributes_of(root, ("name",))
    server = child(root, "server")
    if server is not None:
        found["server"] = attribute(server, "id") or ""
    return {"body": {local_name(root): found}}


def _share_of(root: Any) -> dict[str, Any]:
    found = attributes_of(root, ("sharedIpGroupId", "configureServer"))
    if "configureServer" in found:
        found["configureServer"] = given.xml_flag(found["configureServer"])
    return {"body": {local_name(root): found}}


def _view(group: SharedIpGroup) -> dict[str, Any]:
    return {"id": group.id, "name": group.name, "servers": list(group.servers)}


class Controller(ServicesController):
    """``/shared_ip_groups``."""

    @wsgi.serializers(xml=_INDEX)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """Ids and names."""
        return {"sharedIpGroups": brief(self._listed(req))}

    @wsgi.serializers(xml=_DETAIL)
    def detail(self, req: wsgi.Request) -> dict[str, Any]:
        """Groups with their servers."""
        return {"sharedIpGroups": self._listed(req)}

    def _listed(self, req: wsgi.Request) -> list[dict[str, Any]]:
        page = offset_page_of(req, self.services.config.osapi_max_limit)
        found = self.services.shared_ip_groups.list(req.context, offset=page.offset, limit=page.limit)
        return [_view(group) for group in found]

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """One group."""
        return {"sharedIpGroup": _view(self.services.shared_ip_groups.get(req.context, number_or_404(id)))}

    @wsgi.response(201)
    @wsgi.serializers(xml=_ONE)
    @wsgi.deserializers(xml=with_root(_group_of))
    def create(self, req: wsgi.Request, body: Any) -> dict[str, Any]:
        """Make a group, with a first server or without."""
        fields = fields_of(body, "sharedIpGroup")
        name = text_field(fields, "name")
        if name is None or not name.strip():
            raise refuse("Shared IP group name is not defined")
        server = None if fields.get("server") is None else given.server_of(fields, "server")
        return {"sharedIpGroup": _view(self.services.shared_ip_groups.create(req.context, name, server))}

    def update(self, req: wsgi.Request, id: str, body: Any = None) -> webob.Response:
        """A group cannot be changed."""
        raise webob.exc.HTTPMethodNotAllowed

    def delete(self, req: wsgi.Request, id: str) -> webob.Response:
        """End a group."""
        self.services.shared_ip_groups.delete(req.context, number_or_404(id))
        return webob.Response(status=204)


class SharedAddresses(ServicesController):
    """``/servers/ID/ips/public/ADDRESS``."""

    @wsgi.deserializers(xml=with_root(_share_of))
    def share(self, req: wsgi.Request, server_id: str, address: str, body: Any) -> webob.Response:
        """Let the server use an address of another one."""
        fields = fields_of(body, "shareIp")
        group = number_in(given.id_of(fields, "sharedIpGroupId"))
        if group is None:
            raise refuse("Invalid sharedIpGroupId provided.")
        configure = given.flag_of(fields, "configureServer", default=False)
        self.services.shared_ip_groups.share(req.context, server_id, address, group, configure=configure)
        return wsgi.accepted()

    def unshare(self, req: wsgi.Request, server_id: str, address: str) -> webob.Response:
        """Take an address from a server that shares it."""
        self.services.shared_ip_groups.unshare(req.context, server_id, address)
        return wsgi.accepted()


def create_resource() -> wsgi.Resource:
    """The resource of the router."""
    return wsgi.Resource(Controller())


def create_address_resource() -> wsgi.Resource:
    """The resource of shared addresses."""
    return wsgi.Resource(SharedAddresses())
