"""OS-DCF: whether the disk of a server is laid out by the host (AUTO) or left as the image has it (MANUAL)."""

from collections.abc import Iterable
from typing import Any

from nova_api.openstack.extensions import AttributeExtension, ExtensionDescriptor, allowed, on_servers
from nova_api.openstack.server_input import truth
from nova_api.openstack.xml import Element, Template

_NAMESPACE = "http://docs.openstack.org/compute/ext/disk_config/api/v1.1"
_NAME = "OS-DCF:diskConfig"


def _of_server(row: Any) -> str:
    return f',"{_NAME}":"{"AUTO" if row.auto_disk_config else "MANUAL"}"'


def _of_image(properties: Any) -> str:
    given = properties.get("auto_disk_config")
    if given is None:
        return ""
    return f',"{_NAME}":"{"AUTO" if truth(given) else "MANUAL"}"'


class Disk_config(ExtensionDescriptor):
    """Disk Management Extension"""

    name = "DiskConfig"
    alias = "OS-DCF"
    namespace = _NAMESPACE
    updated = "2011-09-27T00:00:00+00:00"

    def get_attributes(self) -> Iterable[AttributeExtension]:
        may = allowed("disk_config")
        yield from on_servers(self, ("diskConfig",), _of_server, may, ("show", "detail", "create", "update"))
        shown = {self.xmlname("diskConfig"): _NAME}
        nsmap = {self.alias: _NAMESPACE}
        one, listed = Element("image", attributes=shown), Element("images", Element("image", attributes=shown))
        yield AttributeExtension("images", _of_image, Template(one, nsmap), may, on=("show",))
        yield AttributeExtension("images", _of_image, Template(listed, nsmap), may, on=("detail",))
