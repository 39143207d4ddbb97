"""OS-EXT-STS: what a server is really doing."""

from collections.abc import Iterable
from typing import Any

from nova_api.openstack.extensions import AttributeExtension, ExtensionDescriptor, allowed, on_servers
from nova_api.openstack.views.servers import quoted

_NAMESPACE = "http://docs.openstack.org/compute/ext/extended_status/api/v1.1"
_NAMES = ("task_state", "vm_state", "power_state")


def _write(row: Any) -> str:
    task = "null" if row.task_state is None else quoted(row.task_state)
    return (
        f',"OS-EXT-STS:task_state":{task},"OS-EXT-STS:vm_state":"{row.vm_state}",'
        f'"OS-EXT-STS:power_state":{row.power_state}'
    )


class Extended_status(ExtensionDescriptor):
    """Extended Status support"""

    name = "ExtendedStatus"
    alias = "OS-EXT-STS"
    namespace = _NAMESPACE
    updated = "2011-11-03T00:00:00+00:00"

    def get_attributes(self) -> Iterable[AttributeExtension]:
        return on_servers(self, _NAMES, _write, allowed("extended_status"))
