"""OS-EXT-SRV-ATTR: where a server is, for administrators."""

from collections.abc import Iterable
from typing import Any

from nova_api.openstack.extensions import AttributeExtension, ExtensionDescriptor, allowed, on_servers
from nova_api.openstack.views.servers import quoted

_NAMESPACE = "http://docs.openstack.org/compute/ext/extended_status/api/v1.1"


def _write(row: Any) -> str:
    host = "null" if row.host is None else quoted(row.host)
    hypervisor = "null" if row.hypervisor_hostname is None else quoted(row.hypervisor_hostname)
    return (
        f',"OS-EXT-SRV-ATTR:instance_name":"instance-{row.id:08x}","OS-EXT-SRV-ATTR:host":{host},'
        f'"OS-EXT-SRV-ATTR:hypervisor_hostname":{hypervisor}'
    )


class Extended_server_attributes(ExtensionDescriptor):
    """Extended Server Attributes support."""

    name = "ExtendedServerAttributes"
    alias = "OS-EXT-SRV-ATTR"
    namespace = _NAMESPACE
    updated = "2011-11-03T00:00:00+00:00"

    def get_attributes(self) -> Iterable[AttributeExtension]:
        # hypervisor_hostname was never in the XML.
        return on_servers(self, ("instance_name", "host"), _write, allowed("extended_server_attributes"), own=True)
