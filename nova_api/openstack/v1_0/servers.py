"""Servers (spec openstack-core.md 9.2)."""

from collections.abc import Mapping
from typing import Any

import webob
import webob.exc

from nova_api import errors
from nova_api.cloud.launch import LaunchSpec, ServerSpec
from nova_api.cloud.server_actions import RebuildSpec
from nova_api.cloud.servers import ServerQuery
from nova_api.db.server_lists import ServerList
from nova_api.openstack import paging, server_requests, wsgi
from nova_api.openstack import server_input as common
from nova_api.openstack.bodies import with_root
from nova_api.openstack.extended import fields_of
from nova_api.openstack.server_actions import CommonActions, argument_of, by_name
from nova_api.openstack.servers import started
from nova_api.openstack.v1_0 import given
from nova_api.openstack.v1_0.views import new_server_view, server_element, server_views, template
from nova_api.openstack.xml import Element, local_name

_ATTRIBUTES = ("name", "imageId", "flavorId", "sharedIpGroupId")
_INDEX = template(Element("servers", Element("server", select="servers", attributes=("id", "name"))))
_DETAIL = template(Element("servers", server_element("servers")))
_ONE = template(server_element("server"))
_NO_IMAGE, _NO_FLAVOR = "Can not find requested image", "Invalid flavorId provided."
#: What refuses a create, where it is not said as elsewhere.
_SAID: Mapping[type[errors.ApiError], str] = {
    errors.ImageNotFound: _NO_IMAGE,
    errors.FlavorNotFound: _NO_FLAVOR,
}
#: Characters of the passwords that are made here.
_PASSWORD = 16


def _server_of(root: Any) -> dict[str, Any]:
    found = {**server_requests.attributes_of(root, _ATTRIBUTES), **server_requests.parts_of(root)}
    return {"body": {local_name(root): found}}


class ServersController(CommonActions):
    """``/servers``.

    :param services: the runtime; the current one by default
    """

    # -- reading ---------------------------------------------------------------------------------------

    @wsgi.serializers(xml=_INDEX)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """Ids and names."""
        rows = self._page(req, detail=False).rows
        return {"servers": [{"id": row.id, "uuid": row.uuid, "name": row.display_name} for row in rows]}

    @wsgi.serializers(xml=_DETAIL)
    def detail(self, req: wsgi.Request) -> dict[str, Any]:
        """Servers with all there is to say of them."""
        return {"servers": self._views(self._page(req, detail=True))}

    def _page(self, req: wsgi.Request, *, detail: bool) -> ServerList:
        page = paging.offset_page_of(req, self.services.config.osapi_max_limit)
        query = ServerQuery(limit=page.limit, offset=page.offset)
        return self.services.servers.list(req.context, query, detail=detail)

    def _views(self, found: ServerList) -> list[dict[str, Any]]:
        shared = self.services.shared_ip_groups.addresses(row.id for row in found.rows)
        return server_views(self.services, found, shared)

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """One server."""
        return {"server": self._views(self.services.servers.get(req.context, id))[0]}

    # -- changing --------------------------------------------------------------------------------------

    @wsgi.response(202)
    @wsgi.serializers(xml=_ONE)
    @wsgi.deserializers(xml=with_root(_server_of))
    def create(self, req: wsgi.Request, body: Any) -> dict[str, Any]:
        """Start a server; its password is made here, and told once."""
        fields = fields_of(body, "server")
        config = self.services.config
        password = common.new_password(max(_PASSWORD, config.password_length))
        spec, server = self._specs(fields, password)
        row = started(self.services, req.context, spec, _SAID).server
        shown = new_server_view(self.services, row, spec.flavor or "", server.metadata)
        return {"server": {**shown, "adminPass": password} if config.enable_instance_password else shown}

    def _specs(self, fields: Mapping[str, Any], password: str) -> tuple[LaunchSpec, ServerSpec]:
        if "name" not in fields:
            raise common.refuse("Server name is not defined")
        name = common.name_of(fields["name"])
        image = given.image_of(self.services, given.id_of(fields, "imageId"))
        if image is None:
            raise common.refuse(_NO_IMAGE)
        server = ServerSpec(
            name=name,
            metadata=common.metadata_of(fields.get("metadata")),
            files=common.files_of(fields.get("personality")),
            admin_password=password,
            shared_ip_group=given.group_of(fields),
        )
        return LaunchSpec(image=image, flavor=self._flavor(fields), groups=("default",), server=server), server

    def _flavor(self, fields: Mapping[str, Any]) -> str:
        flavorid = given.flavor_of(self.services, given.id_of(fields, "flavorId"))
        if flavorid is None:
            raise common.refuse(_NO_FLAVOR)
        return flavorid

    def update(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        """Change the name, the administrator's password, or both."""
        fields = fields_of(body, "server")
        name = common.name_of(fields["name"]) if "name" in fields else None
        if "adminPass" in fields:
            password = common.password_of(fields["adminPass"])
            self.services.server_actions.set_password(req.context, id, password, name)
        else:
            self.services.servers.update(req.context, id, {} if name is None else {"display_name": name})
        return webob.Response(status=204)

    def delete(self, req: wsgi.Request, id: str) -> webob.Response:
        """End a server."""
        self.services.servers.delete(req.context, id)
        return wsgi.accepted()

    # -- actions ---------------------------------------------------------------------------------------

    @by_name("rebuild")
    def _action_rebuild(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        image = given.image_of(self.services, given.id_of(argument_of(body, "rebuild"), "imageId"))
        if image is None:
            raise common.refuse("Cannot find image for rebuild")
        try:
            # The answer has no document that could tell a new password: that of the image stays.
            self.services.server_actions.rebuild(req.context, id, RebuildSpec(image=image))
        except errors.ImageNotFound:
            raise common.refuse("Cannot find image for rebuild") from None
        return wsgi.accepted()

    @by_name("resize")
    def _action_resize(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        flavorid = self._flavor(argument_of(body, "resize"))
        try:
            self.services.server_actions.resize(req.context, id, flavorid)
        except errors.FlavorNotFound:
            raise common.refuse(_NO_FLAVOR) from None
        return wsgi.accepted()

    @by_name("changePassword")
    def _action_change_password(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        # 2011.3: these two came with 1.1.
        raise webob.exc.HTTPNotImplemented

    @by_name("createImage")
    def _action_create_image(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        raise webob.exc.HTTPNotImplemented


def create_resource() -> wsgi.Resource:
    """The resource of the router."""
    return wsgi.Resource(ServersController())
