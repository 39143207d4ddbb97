"""os-hosts: administration of hosts (spec openstack-extensions.md 10.1)."""

from collections.abc import Iterable, Mapping
from typing import Any

import webob.exc

from nova_api import errors, limits
from nova_api.openstack import wsgi
from nova_api.openstack.bodies import with_root
from nova_api.openstack.extended import ExtensionController
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.server_input import refuse
from nova_api.openstack.xml import Element, Template, local_name, text_of

_ALL = Template(Element("hosts", Element("host", select="hosts", attributes=("host_name", "service"))))
_RESOURCE = ("project", "memory_mb", "host", "cpu", "disk_gb")
_ONE = Template(
    Element(
        "host",
        Element(
            "resource",
            *(Element(name, text=name) for name in _RESOURCE),
            select=lambda data: [one["resource"] for one in data["host"]],
        ),
    )
)
_CHANGED = Template(Element("host", attributes=("host", "status", "maintenance_mode")))
_POWER = Template(Element("host", attributes=("host", "power_action")))
_SWITCHES = {"enable": True, "disable": False}
_RIGHT = {"status": ("enabled", "disabled"), "maintenance_mode": ("on_maintenance", "off_maintenance")}


def _settings(root: Any) -> dict[str, Any]:
    """The children of any root."""
    return {"body": {local_name(one): text_of(one) for one in root}}


class HostController(ExtensionController):
    """``/os-hosts``."""

    rule = "hosts"

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """Hosts with the services that they run."""
        self.authorize(req)
        return {"hosts": [{"host_name": host, "service": topic} for host, topic in self.services.hosts.list()]}

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """What a host has, and what is used of it."""
        if not req.context.is_admin:
            raise webob.exc.HTTPForbidden(explanation="Describe-resource is admin only functionality")
        try:
            found = self.services.hosts.resources(_name(id))
        except errors.NotFound:
            raise webob.exc.HTTPNotFound(explanation="Host not found") from None
        shown = [
            {"host": id, "project": one.project, "cpu": one.cpu, "memory_mb": one.memory_mb, "disk_gb": one.disk_gb}
            for one in found
        ]
        return {"host": [{"resource": one} for one in shown]}

    @wsgi.serializers(xml=_CHANGED)
    @wsgi.deserializers(xml=with_root(_settings))
    def update(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        """Take a host out of scheduling, or into maintenance, or back."""
        self.authorize(req)
        hosts, host = self.services.hosts, _name(id)
        hosts.require(host)
        wanted = _wanted(body)
        shown = {"host": host}
        for setting, on in wanted.items():
            change = hosts.set_enabled if setting == "status" else hosts.set_maintenance
            shown[setting] = change(req.context, host, on)
            if shown[setting] not in _RIGHT[setting]:
                raise refuse(shown[setting])
        return shown

    @wsgi.serializers(xml=_POWER)
    def startup(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """Start a host; by GET, as in 2012.1."""
        return self._power(req, id, "startup")

    @wsgi.serializers(xml=_POWER)
    def shutdown(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """Switch a host off."""
        return self._power(req, id, "shutdown")

    @wsgi.serializers(xml=_POWER)
    def reboot(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """Restart a host."""
        return self._power(req, id, "reboot")

    def _power(self, req: wsgi.Request, id: str, action: str) -> dict[str, Any]:
        self.authorize(req)
        host = _name(id)
        return {"host": host, "power_action": self.services.hosts.power(req.context, host, action)}


def _name(text: str) -> str:
    if not text.isprintable() or len(text) > limits.MAX_NAME:
        raise webob.exc.HTTPNotFound
    return text


def _wanted(body: Any) -> Mapping[str, bool]:
    """What a body asks for, in the order in which it says it; case and blanks do not matter."""
    if not isinstance(body, dict) or not body:
        raise webob.exc.HTTPBadRequest
    wanted = {}
    for name, value in body.items():
        setting = name.strip().lower()
        if setting not in _RIGHT:
            raise refuse(f"Invalid update setting: '{name[:40]}'")
        text = value.strip().lower() if isinstance(value, str) else None
        if text not in _SWITCHES:
            what = "status" if setting == "status" else "mode"
            raise refuse(f"Invalid {what}: '{str(value)[:40]}'")
        wanted[setting] = _SWITCHES[text]
    return wanted


class Hosts(ExtensionDescriptor):
    """Administration of hosts."""

    name = "Hosts"
    alias = "os-hosts"
    namespace = "http://docs.openstack.org/compute/ext/hosts/api/v1.1"
    updated = "2011-06-29T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        power = dict.fromkeys(("startup", "shutdown", "reboot"), "GET")
        yield ResourceExtension("os-hosts", HostController(), member_actions=power)
