"""OS-FLV-EXT-DATA: the ephemeral disk of flavors."""

from collections.abc import Iterable
from typing import Any

from nova_api.openstack.extensions import AttributeExtension, ExtensionDescriptor, allowed
from nova_api.openstack.xml import Element, Template

_NAMESPACE = "http://docs.openstack.org/compute/ext/flavor_extra_data/api/v1.1"
#: The member of a flavor's document.
EPHEMERAL = "OS-FLV-EXT-DATA:ephemeral"


def _write(row: Any) -> str:
    return f',"{EPHEMERAL}":{row.ephemeral_gb}'


class Flavorextradata(ExtensionDescriptor):
    """Provide additional data for flavors"""

    name = "FlavorExtraData"
    alias = "OS-FLV-EXT-DATA"
    namespace = _NAMESPACE
    updated = "2011-09-14T00:00:00+00:00"

    def get_attributes(self) -> Iterable[AttributeExtension]:
        shown = {f"{{{_NAMESPACE}}}ephemeral": EPHEMERAL}
        one = Element("flavor", attributes=shown)
        listed = Element("flavors", Element("flavor", attributes=shown))
        may = allowed("flavorextradata")
        for root, on in ((one, ("show",)), (listed, ("detail",))):
            yield AttributeExtension("flavors", _write, Template(root, {self.alias: _NAMESPACE}), may, on=on)
