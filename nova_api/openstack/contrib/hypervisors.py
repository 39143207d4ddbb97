"""os-hypervisors: what compute nodes have and what is used of it (of later releases than 2012.1)."""

from collections.abc import Iterable, Sequence
from typing import Any

import webob.exc

from nova_api.openstack import wsgi
from nova_api.openstack.extended import number_in
from nova_api.openstack.extensions import ExtensionDescriptor, ResourceExtension
from nova_api.openstack.later import AdministratorsController

_SUMS = ("vcpus", "memory_mb", "local_gb", "vcpus_used", "memory_mb_used", "local_gb_used", "running_vms")


def _brief(node: Any) -> dict[str, Any]:
    # The name of the host does where the hypervisor has none of its own.
    return {"id": node.id, "hypervisor_hostname": node.hypervisor_hostname or node.host}


def _with_rest(shown: dict[str, Any]) -> dict[str, Any]:
    shown["free_ram_mb"] = shown["memory_mb"] - shown["memory_mb_used"]
    shown["free_disk_gb"] = shown["disk_available_least"] = shown["local_gb"] - shown["local_gb_used"]
    return shown


def _detail(node: Any) -> dict[str, Any]:
    shown = {
        **_brief(node),
        "service": {"id": node.service_id, "host": node.host},
        "hypervisor_type": node.hypervisor_type,
        "hypervisor_version": 0,
        "cpu_info": "",
        "current_workload": int(node.current_workload),
        **{name: int(getattr(node, name)) for name in _SUMS},
    }
    return _with_rest(shown)


class HypervisorsController(AdministratorsController):
    """``/os-hypervisors``."""

    rule = "hypervisors"

    def _nodes(self, req: wsgi.Request) -> Sequence[Any]:
        self.authorize(req)
        return self.services.hosts.nodes()

    def _matching(self, req: wsgi.Request, text: str) -> Sequence[Any]:
        found = [one for one in self._nodes(req) if text in _brief(one)["hypervisor_hostname"]]
        if not found:
            raise webob.exc.HTTPNotFound(explanation=f"No hypervisor matching '{text[:255]}' could be found.")
        return found

    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """Number and name of each."""
        return {"hypervisors": [_brief(one) for one in self._nodes(req)]}

    def detail(self, req: wsgi.Request) -> dict[str, Any]:
        """All there is to say of each."""
        return {"hypervisors": [_detail(one) for one in self._nodes(req)]}

    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """One, by its number."""
        number = number_in(id)
        for one in self._nodes(req):
            if one.id == number:
                return {"hypervisor": _detail(one)}
        raise webob.exc.HTTPNotFound(explanation=f"Hypervisor with ID '{id[:255]}' could not be found.")

    def search(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """Those whose name contains a text."""
        return {"hypervisors": [_brief(one) for one in self._matching(req, id)]}

    def servers(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """Those whose name contains a text, with the servers on them."""
        nodes = self._matching(req, id)
        found = self.services.hosts.servers([one.host for one in nodes])
        shown = []
        for node in nodes:
            held = [{"uuid": one.uuid, "name": f"instance-{one.id:08x}"} for one in found if one.host == node.host]
            shown.append({**_brief(node), **({"servers": held} if held else {})})
        return {"hypervisors": shown}

    def statistics(self, req: wsgi.Request) -> dict[str, Any]:
        """The sums over all."""
        nodes = self._nodes(req)
        sums = {name: sum(int(getattr(one, name)) for one in nodes) for name in (*_SUMS, "current_workload")}
        return {"hypervisor_statistics": _with_rest({"count": len(nodes), **sums})}


class Hypervisors(ExtensionDescriptor):
    """Compute nodes, for administrators."""

    name = "Hypervisors"
    alias = "os-hypervisors"
    namespace = "http://docs.openstack.org/compute/ext/hypervisors/api/v1.1"
    updated = "2012-06-21T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension(
            "os-hypervisors",
            HypervisorsController(),
            collection_actions={"detail": "GET", "statistics": "GET"},
            member_actions={"search": "GET", "servers": "GET"},
        )
