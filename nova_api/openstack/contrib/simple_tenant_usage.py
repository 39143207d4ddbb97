"""os-simple-tenant-usage: hours of servers, for bills (spec openstack-extensions.md 8)."""

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from nova_api.cloud.usage import TenantUsage
from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController, row_time
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension, authorize
from nova_api.openstack.paging import last
from nova_api.openstack.server_input import refuse, storable
from nova_api.openstack.xml import Element, Template

_FORMATS = ("%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S.%f", "%Y-%m-%d %H:%M:%S.%f")
_SERVER = (
    *("name", "hours", "memory_mb", "local_gb", "vcpus", "tenant_id"),
    *("flavor", "started_at", "ended_at", "state", "uptime"),
)
_TENANT = (
    *("tenant_id", "total_local_gb_usage", "total_vcpus_usage", "total_memory_mb_usage"),
    *("total_hours", "start", "stop"),
)


_SERVERS = Element(
    "server_usages",
    Element("server_usage", *(Element(name, text=name) for name in _SERVER), select="server_usages"),
)
#: All of them, always; what is not there is the text None, as everywhere in XML.
_MEMBERS = (*(Element(name, text=name) for name in _TENANT), _SERVERS)
_ONE = Template(Element("tenant_usage", *_MEMBERS, select="tenant_usage"))
_ALL = Template(Element("tenant_usages", Element("tenant_usage", *_MEMBERS, select="tenant_usages")))


class SimpleTenantUsageController(ExtensionController):
    """``/os-simple-tenant-usage``."""

    rule = "simple_tenant_usage"

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """The usage of all projects."""
        self.authorize(req, "list")
        start, end = _window(req)
        # Any value, as in 2012.1, also 0.
        found = self.services.usage.every(start, end, detailed=bool(last(req, "detailed")))
        return {"tenant_usages": [_view(one, start, end) for one in found]}

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """The usage of one project, with its servers."""
        tenant = storable(id)
        authorize(req.context, f"{self.rule}:show", {"project_id": tenant})
        start, end = _window(req)
        found = self.services.usage.of(tenant, start, end)
        return {"tenant_usage": {} if found is None else _view(found, start, end)}


def _window(req: wsgi.Request) -> tuple[datetime, datetime]:
    start, end = _moment(req, "start"), _moment(req, "end")
    if end < start:
        raise refuse("end must not be before start")
    return start, end


def _moment(req: wsgi.Request, name: str) -> datetime:
    text = last(req, name)
    if not text:
        return datetime.now(UTC)
    for form in _FORMATS:
        try:
            return datetime.strptime(text, form).replace(tzinfo=UTC)
        except ValueError:
            continue
    raise refuse(f"{name} is no time, such as 2012-01-31T23:59:59")


def _view(usage: TenantUsage, start: datetime, end: datetime) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "tenant_id": usage.tenant,
        "start": str(start.replace(tzinfo=None)),
        "stop": str(end.replace(tzinfo=None)),
        "total_hours": usage.hours,
        "total_vcpus_usage": usage.vcpus,
        "total_memory_mb_usage": usage.memory_mb,
        "total_local_gb_usage": usage.local_gb,
    }
    if usage.servers is not None:
        shown["server_usages"] = [_server(row) for row in usage.servers]
    return shown


def _server(row: Any) -> dict[str, Any]:
    ended = row.terminated_at
    return {
        "name": row.display_name,
        "hours": float(row.seconds) / 3600.0,
        "memory_mb": row.memory_mb,
        "local_gb": row.local_gb,
        "vcpus": row.vcpus,
        "tenant_id": row.project_id,
        "flavor": row.flavor,
        "started_at": row_time(row.launched_at),
        "ended_at": row_time(ended),
        "state": "terminated" if ended else row.vm_state,
        "uptime": int(((ended or datetime.now(UTC)) - row.launched_at).total_seconds()),
    }


class Simple_tenant_usage(ExtensionDescriptor):
    """Hours and resources that projects have used."""

    name = "SimpleTenantUsage"
    alias = "os-simple-tenant-usage"
    namespace = "http://docs.openstack.org/compute/ext/os-simple-tenant-usage/api/v1.1"
    updated = "2011-08-19T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("os-simple-tenant-usage", SimpleTenantUsageController())
