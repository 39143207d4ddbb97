"""An extension as somebody else would write one: a resource, an action, a hook and an attribute of servers."""

from collections.abc import Iterable, Iterator
from typing import Any

from nova_api.openstack import wsgi
from nova_api.openstack.extensions import (
    AttributeExtension,
    ControllerExtension,
    ExtensionDescriptor,
    ResourceExtension,
    on_servers,
)


class BadgesController(wsgi.Controller):
    """``/badges``."""

    def index(self, req: wsgi.Request) -> dict[str, Any]:
        return {"badges": [{"id": "gold", "of": req.context.project_id}]}

    def polish(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        return {"badge": {"id": id, "shine": True}}


class ServerBadges(wsgi.Controller):
    """What servers get."""

    @wsgi.action("award")
    def _award(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        return {"awarded": {"server": id, "badge": body["award"]}}

    @wsgi.extends
    def show(self, req: wsgi.Request, id: str) -> Iterator[None]:
        answer = yield
        answer.obj["server"]["BADGE:seen"] = True


class Badges(ExtensionDescriptor):
    """Badges for
    good servers"""

    name = "Badges"
    alias = "BADGE"
    namespace = "http://example.org/badges"
    updated = "2026-11-24T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        return [ResourceExtension("badges", BadgesController(), member_actions={"polish": "GET"})]

    def get_controller_extensions(self) -> Iterable[ControllerExtension]:
        return [ControllerExtension(self, "servers", ServerBadges()), ControllerExtension(self, "no", ServerBadges())]

    def get_attributes(self) -> Iterable[AttributeExtension]:
        return on_servers(self, ("letters",), lambda row: f',"BADGE:letters":{len(row.display_name)}', own=True)
