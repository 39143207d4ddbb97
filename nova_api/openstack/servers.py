"""Servers (spec openstack-core.md 5)."""

from collections.abc import Mapping, Sequence
from typing import Any

import webob.exc

from nova_api import errors, runtime
from nova_api.cloud.launch import Device, LaunchSpec, ServerSpec
from nova_api.cloud.servers import Launched, MarkerNotFound, ServerQuery
from nova_api.context import RequestContext
from nova_api.openstack import paging, server_requests, wsgi
from nova_api.openstack import server_input as given
from nova_api.openstack.extensions import AttributeExtension, visible
from nova_api.openstack.server_actions import ActionsController
from nova_api.openstack.views import server_xml
from nova_api.openstack.views.links import Links, detailed
from nova_api.openstack.views.servers import ServerView, members_of, vm_states_of

#: Parameters of a list that are no filters of columns.
_OWN_PARAMETERS = frozenset({"status", "changes-since", "limit", "marker", "deleted", "all_tenants"})
#: What refuses a create, as 2012.1 said it; other refusals say it themselves.
_SAID: Mapping[type[errors.ApiError], str] = {
    errors.ImageNotFound: "Can not find requested image",
    errors.FlavorNotFound: "Invalid flavorRef provided.",
    errors.KeypairNotFound: "Invalid key_name provided.",
}
#: Refusals of something that the request names: the request is wrong, not its address.
_NAMED = (
    errors.NotFound,
    errors.FixedIpInUse,
    errors.ImageTooLarge,
    errors.ImageNotAvailable,
    errors.InvalidParameterValue,
    errors.IncorrectState,
)


class ServersController(ActionsController):
    """``/servers``.

    :param attributes: what extensions add to the documents
    :param services: the runtime; the current one by default
    """

    def __init__(self, attributes: Sequence[AttributeExtension] = (), services: runtime.Runtime | None = None) -> None:
        super().__init__(services)
        self.attributes = attributes

    # -- lists -----------------------------------------------------------------------------------------

    @wsgi.serializers(xml=server_xml.INDEX)
    def index(self, req: wsgi.Request) -> wsgi.ResponseObject:
        """Ids and names."""
        return self._listed(req, detail=False)

    @wsgi.serializers(xml=server_xml.DETAIL)
    def detail(self, req: wsgi.Request) -> wsgi.ResponseObject:
        """Servers with all there is to say of them."""
        return self._listed(req, detail=True)

    def _listed(self, req: wsgi.Request, *, detail: bool) -> wsgi.ResponseObject:
        context, config = req.context, self.services.config
        page = paging.page_of(req, config.osapi_max_limit)
        try:
            found = self.services.servers.list(context, _query(req, context, page), detail=detail)
        except MarkerNotFound as error:
            raise paging.no_marker(error.message) from None
        links = Links.of(req, context, config)
        added = visible(self.attributes, context, "detail") if detail else []
        view = ServerView(links, added)
        rows = found.rows
        written = [view.detail(row, found) for row in rows] if detail else [view.brief(row) for row in rows]
        tail = ""
        if page.is_full(len(rows)):
            following = links.next(req, detailed("servers", detail), rows[-1].uuid)
            tail = f',"servers_links":{members_of(following)}'
        text = f'{{"servers":[{",".join(written)}]{tail}}}'
        return wsgi.ResponseObject(text=text, slaves=[one.template for one in added])

    # -- one server ------------------------------------------------------------------------------------

    @wsgi.serializers(xml=server_xml.ONE)
    def show(self, req: wsgi.Request, id: str) -> wsgi.ResponseObject:
        """One server."""
        return self.document(req, id, "show")

    def document(self, req: wsgi.Request, text: str, kind: str, more: str = "") -> wsgi.ResponseObject:
        """The document of a server.

        :param kind: which attributes of extensions it has: ``show`` or ``update``
        :param more: further members as JSON, each after a comma
        """
        found = self.services.servers.get(req.context, text)
        added = visible(self.attributes, req.context, kind)
        view = ServerView(Links.of(req, req.context, self.services.config), added)
        written = view.detail(found.rows[0], found, more)
        return wsgi.ResponseObject(text=f'{{"server":{written}}}', slaves=[one.template for one in added])

    @wsgi.response(202)
    @wsgi.serializers(xml=server_xml.ONE)
    @wsgi.deserializers(xml=server_requests.create_server)
    def create(self, req: wsgi.Request, body: Any) -> wsgi.ResponseObject:
        """Start servers; the answer describes the first of them."""
        return self.launch(req, body)

    def launch(self, req: wsgi.Request, body: Any, devices: Sequence[Device] = ()) -> wsgi.ResponseObject:
        """Start servers.

        :param devices: volumes that they start with
        """
        fields = given.entity(body, "server")
        spec = self._spec(body, fields, devices, self.disk_config(req, fields))
        launched = started(self.services, req.context, spec, _SAID)
        if given.truth(fields.get("return_reservation_id", False)):
            # 2012.1 had no document of this in XML at all.
            return wsgi.ResponseObject({"reservation_id": launched.reservation_id}, xml=_Empty)
        row, links = launched.server, Links.of(req, req.context, self.services.config)
        shown: dict[str, Any] = {"id": row.uuid, "links": links.of_item("servers", row.uuid)}
        if self.services.config.enable_instance_password and spec.server is not None:
            shown["adminPass"] = spec.server.admin_password
        added = visible(self.attributes, req.context, "create")
        text = members_of([shown])[2:-2] + "".join(one.write(row) for one in added)
        answer = wsgi.ResponseObject(text=f'{{"server":{{{text}}}}}', slaves=[one.template for one in added])
        answer["Location"] = f"{links.own}/servers/{row.uuid}"
        return answer

    def _spec(
        self, body: Mapping[str, Any], fields: Mapping[str, Any], devices: Sequence[Device], disk_config: bool | None
    ) -> LaunchSpec:
        """A create, checked in the order of 2012.1: what extensions read comes first."""
        hints = given.hints_of(body, fields)
        password = given.password_of(fields["adminPass"]) if "adminPass" in fields else None
        if "name" not in fields:
            raise given.refuse("Server name is not defined")
        name = given.name_of(fields["name"])
        # Whoever starts from a volume may say that there is no image.
        image = "" if devices and fields.get("imageRef") == "" else given.image_of(fields)
        files = given.files_of(fields.get("personality"))
        groups = given.groups_of(fields.get("security_groups"))
        networks = given.networks_of(fields.get("networks"))
        addresses = given.addresses_of(fields)
        flavor = given.flavor_of(fields)
        user_data = given.user_data_of(fields.get("user_data"))
        least, most = given.counts_of(fields)
        return LaunchSpec(
            image=image,
            flavor=flavor,
            least=least,
            most=most,
            groups=groups,
            user_data=user_data,
            key_name=given.text_of(fields, "key_name"),
            zone=given.text_of(fields, "availability_zone"),
            devices=devices,
            server=ServerSpec(
                name=name,
                metadata=given.metadata_of(fields.get("metadata")),
                files=files,
                networks=networks,
                admin_password=password or given.new_password(self.services.config.password_length),
                config_drive=given.config_drive_of(fields.get("config_drive")),
                auto_disk_config=disk_config,
                hints=hints,
                access_ip_v4=addresses.get("access_ip_v4"),
                access_ip_v6=addresses.get("access_ip_v6"),
            ),
        )

    @wsgi.serializers(xml=server_xml.ONE)
    @wsgi.deserializers(xml=server_requests.update_server)
    def update(self, req: wsgi.Request, id: str, body: Any) -> wsgi.ResponseObject:
        """Change name, access addresses or disk layout."""
        fields = given.entity(body, "server")
        values: dict[str, Any] = {}
        disk_config = self.disk_config(req, fields)
        if disk_config is not None:
            values["auto_disk_config"] = disk_config
        if "name" in fields:
            values["display_name"] = given.name_of(fields["name"])
        if any(name in fields and fields[name] is None for name in ("accessIPv4", "accessIPv6")):
            raise webob.exc.HTTPBadRequest
        values |= given.addresses_of(fields)
        self.services.servers.update(req.context, id, values)
        return self.document(req, id, "update")

    @wsgi.response(204)
    def delete(self, req: wsgi.Request, id: str) -> None:
        """End a server."""
        self.services.servers.delete(req.context, id)


def started(
    services: runtime.Runtime, context: RequestContext, spec: LaunchSpec, said: Mapping[type[errors.ApiError], str]
) -> Launched:
    """Start servers.

    :param said: what is said of refusals, where it is not what these say themselves
    :raises HTTPBadRequest: the request names something that is not there, or cannot be had
    """
    try:
        return services.servers.create(context, spec)
    except _NAMED as error:
        raise given.refuse(said.get(type(error), error.message)) from None


class _Empty:
    """A document that is not there."""

    @staticmethod
    def serialize(data: Any) -> bytes:
        """Nothing."""
        return b""


def _query(req: wsgi.Request, context: RequestContext, page: paging.Page) -> ServerQuery:
    """What a list is narrowed to.

    :raises HTTPBadRequest: a status or time that is none
    """
    if not req.query_string:
        return ServerQuery(limit=page.limit)
    # Of repeated parameters the last one counts.
    asked = dict(req.GET)
    status, changed, deleted = asked.get("status"), asked.get("changes-since"), asked.get("deleted")
    vm_states = None
    if status is not None:
        vm_states = vm_states_of(status)
        if not vm_states:
            raise given.refuse(f"Invalid server status: {status}")
    return ServerQuery(
        filters={name: value for name, value in asked.items() if name not in _OWN_PARAMETERS},
        vm_states=vm_states,
        changed_since=None if changed is None else paging.moment_of(changed),
        deleted=bool(deleted) if context.is_admin and deleted is not None else None,
        all_projects=context.is_admin and "all_tenants" in asked,
        marker=page.marker,
        limit=page.limit,
    )


def create_resource(attributes: Sequence[AttributeExtension] = ()) -> wsgi.Resource:
    """The resource of the routers."""
    return wsgi.Resource(ServersController(attributes))
