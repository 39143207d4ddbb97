"""Actions of servers (spec openstack-core.md 5.8). The form of a body is judged before the state of the server."""

from collections.abc import Callable, Mapping
from typing import Any

import webob
import webob.exc

from nova_api import errors, runtime
from nova_api.cloud.instance_images import SnapshotSpec
from nova_api.cloud.server_actions import RebuildSpec
from nova_api.context import RequestContext
from nova_api.openstack import server_input as given
from nova_api.openstack import server_requests, wsgi
from nova_api.openstack.extensions import allowed
from nova_api.openstack.services import ServicesController
from nova_api.openstack.views import server_xml
from nova_api.openstack.views.links import Links
from nova_api.openstack.views.servers import quoted

_may_lay_out = allowed("disk_config")


def by_name(name: str) -> Callable[[Any], Any]:
    """An action that can be asked for in XML too."""

    def mark(method: Any) -> Any:
        return wsgi.action(name)(wsgi.deserializers(xml=server_requests.server_action)(method))

    return mark


def argument_of(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """What an action is given.

    :raises HTTPBadRequest: it is no object
    """
    found = body.get(name)
    if not isinstance(found, dict):
        raise webob.exc.HTTPBadRequest
    return found


class CommonActions(ServicesController):
    """The actions that are the same in the APIs 1.0 and 1.1."""

    @staticmethod
    def disk_config(req: wsgi.Request, fields: Mapping[str, Any]) -> bool | None:
        """How the disk is to be laid out; who fails the rule of that extension has said nothing.

        :returns: whether by the host, None for as it is
        :raises HTTPBadRequest: neither AUTO nor MANUAL
        """
        return given.disk_config_of(fields) if _may_lay_out(req.context) else None

    @by_name("reboot")
    def _action_reboot(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        kind = argument_of(body, "reboot").get("type", "")
        if kind == "":
            raise given.refuse("Missing argument 'type' for reboot")
        if not isinstance(kind, str) or kind.upper() not in ("HARD", "SOFT"):
            raise given.refuse("Argument 'type' for reboot is not HARD or SOFT")
        self.services.server_actions.reboot(req.context, id, kind.upper())
        return wsgi.accepted()

    @by_name("confirmResize")
    def _action_confirm_resize(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        self.services.server_actions.confirm_resize(req.context, id)
        return webob.Response(status=204)

    @by_name("revertResize")
    def _action_revert_resize(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        self.services.server_actions.revert_resize(req.context, id)
        return wsgi.accepted()


class ActionsController(CommonActions):
    """The actions of the core."""

    def document(self, req: wsgi.Request, text: str, kind: str, more: str = "") -> wsgi.ResponseObject:
        """The document of a server."""
        raise NotImplementedError

    @by_name("changePassword")
    def _action_change_password(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        asked = body.get("changePassword")
        if not isinstance(asked, dict) or "adminPass" not in asked:
            raise given.refuse("No adminPass was specified")
        password = given.password_of(asked["adminPass"])
        try:
            self.services.server_actions.set_password(req.context, id, password)
        except errors.ServerState as error:
            # The one refusal of a state that is no conflict (spec 11.1, row 13).
            raise given.refuse(
                f"Instance {error.uuid} in {error.attribute} {error.value}. "
                "Cannot set_admin_password while the instance is in this state."
            ) from None
        return wsgi.accepted()

    @wsgi.response(202)
    @wsgi.serializers(xml=server_xml.ONE)
    @by_name("rebuild")
    def _action_rebuild(self, req: wsgi.Request, id: str, body: Any) -> wsgi.ResponseObject:
        fields = body.get("rebuild")
        missing = "Could not parse imageRef from request."
        if not isinstance(fields, dict):
            raise given.refuse(missing)
        disk_config = self.disk_config(req, fields)
        image = given.image_of(fields, missing)
        config = self.services.config
        password = (
            given.password_of(fields["adminPass"])
            if "adminPass" in fields
            else given.new_password(config.password_length)
        )
        values: dict[str, Any] = given.addresses_of(fields)
        if disk_config is not None:
            values["auto_disk_config"] = disk_config
        spec = RebuildSpec(
            image=image,
            admin_password=password,
            name=given.name_of(fields["name"]) if "name" in fields else None,
            metadata=_metadata(fields["metadata"], "Unable to parse metadata key/value pairs.")
            if "metadata" in fields
            else None,
            files=given.files_of(fields.get("personality")),
            values=values,
        )
        try:
            self.services.server_actions.rebuild(req.context, id, spec)
        except errors.ImageNotFound:
            raise given.refuse("Cannot find image for rebuild") from None
        more = f',"adminPass":{quoted(password)}' if config.enable_instance_password else ""
        answer = self.document(req, id, "update", more)
        answer["Location"] = location_of(req, self.services, "servers", id)
        return answer

    @by_name("resize")
    def _action_resize(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        asked = body.get("resize")
        disk_config = self.disk_config(req, asked) if isinstance(asked, dict) else None
        if not isinstance(asked, dict) or "flavorRef" not in asked:
            raise given.refuse("Resize requests require 'flavorRef' attribute.")
        # A URL is taken too, which 2012.1 did not (spec 11.1, row 19).
        flavorid = given.flavor_id(asked["flavorRef"])
        if not flavorid:
            raise given.refuse("Resize request has invalid 'flavorRef' attribute.")
        try:
            self.services.server_actions.resize(req.context, id, flavorid, disk_config)
        except errors.FlavorNotFound:
            raise given.refuse("Unable to locate requested flavor.") from None
        return wsgi.accepted()

    @by_name("createImage")
    def _action_create_image(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        asked = argument_of(body, "createImage")
        if not asked.get("name"):
            raise given.refuse("createImage entity requires name attribute")
        if not isinstance(asked["name"], str):
            raise webob.exc.HTTPBadRequest
        metadata = _metadata(asked.get("metadata") or {}, "Invalid metadata")
        spec = SnapshotSpec(name=given.storable(asked["name"])[:255], metadata=metadata)
        image = snapshot(self.services, req.context, id, spec)
        answer = wsgi.accepted()
        answer.headers["Location"] = location_of(req, self.services, "images", image)
        return answer


def snapshot(services: runtime.Runtime, context: RequestContext, server: str, spec: SnapshotSpec) -> str:
    """Start making an image of a server.

    :returns: UUID of the image
    :raises HTTPBadRequest: the configuration forbids it
    """
    if not services.config.allow_instance_snapshots:
        raise given.refuse("Instance snapshots are not permitted at this time.")
    return services.instance_images.of_server(context, server, spec)


def _metadata(value: Any, refusal: str) -> dict[str, str]:
    if not isinstance(value, dict):
        raise given.refuse(refusal)
    return given.metadata_of(value)


def location_of(req: wsgi.Request, services: runtime.Runtime, collection: str, item: str) -> str:
    """Where what an action has made is found."""
    return f"{Links.of(req, req.context, services.config).own}/{collection}/{item}"
