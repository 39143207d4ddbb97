"""os-flavor-manage: flavors are made and deleted (spec openstack-extensions.md 9.1)."""

from collections.abc import Iterable, Mapping
from typing import Any

import webob
import webob.exc

from nova_api import limits
from nova_api.cloud.flavors import FlavorSpec
from nova_api.context import new_uuid
from nova_api.openstack import wsgi
from nova_api.openstack.bodies import with_root
from nova_api.openstack.contrib.flavorextradata import EPHEMERAL, Flavorextradata
from nova_api.openstack.extended import ExtensionController, fields_of
from nova_api.openstack.extensions import ControllerExtension, ExtensionDescriptor, ExtensionManager, visible
from nova_api.openstack.flavors import ONE, flavor_view
from nova_api.openstack.server_input import refuse, storable
from nova_api.openstack.views.links import Links
from nova_api.openstack.xml import local_name, to_plain


def _flavor_request(root: Any) -> dict[str, Any]:
    """A flavor in XML: its members are attributes or children, the ephemeral disk in the namespace it is shown in."""
    found = to_plain(root)
    fields = dict(found) if isinstance(found, dict) else {}
    name = f"{{{Flavorextradata.namespace}}}ephemeral"
    ephemeral = root.get(name, root.findtext(name))
    if ephemeral is not None:
        fields[EPHEMERAL] = ephemeral
    return {"body": {local_name(root): fields}}


class FlavorManageController(ExtensionController):
    """``POST /flavors`` and ``DELETE /flavors/{id}``.

    :param ext_mgr: knows what other extensions add to the document
    """

    rule = "flavormanage"

    def __init__(self, ext_mgr: ExtensionManager) -> None:
        super().__init__()
        self.ext_mgr = ext_mgr

    @wsgi.serializers(xml=ONE)
    @wsgi.deserializers(xml=with_root(_flavor_request))
    @wsgi.action("create")
    def _create(self, req: wsgi.Request, body: Any) -> wsgi.ResponseObject:
        self.authorize(req)
        row = self.services.flavors.create(_spec_of(fields_of(body, "flavor")))
        added = visible(self.ext_mgr.get_attributes("flavors"), req.context, "show")
        shown = flavor_view(row, Links.of(req, req.context, self.services.config), added)
        return wsgi.ResponseObject({"flavor": shown}, slaves=[one.template for one in added])

    @wsgi.action("delete")
    def _delete(self, req: wsgi.Request, id: str) -> webob.Response:
        self.authorize(req)
        self.services.flavors.delete(storable(id))
        return wsgi.accepted()


def _spec_of(fields: Mapping[str, Any]) -> FlavorSpec:
    if "name" not in fields or "id" not in fields or any(fields.get(name) is None for name in ("ram", "vcpus", "disk")):
        raise webob.exc.HTTPBadRequest
    return FlavorSpec(
        name=_text(fields["name"]),
        # Null, and nothing, are what later clients send for "any".
        flavorid=new_uuid() if fields["id"] in (None, "") else _text(fields["id"]),
        memory_mb=_number(fields["ram"], least=1),
        vcpus=_number(fields["vcpus"], least=1),
        root_gb=_number(fields["disk"]),
        ephemeral_gb=_number(fields.get(EPHEMERAL) or 0),
        swap=_number(fields.get("swap") or 0),
        rxtx_factor=_factor(fields.get("rxtx_factor")),
    )


def _text(value: Any) -> str:
    if not isinstance(value, (str, int)) or isinstance(value, bool) or len(str(value)) > limits.MAX_FLAVOR_ID:
        raise webob.exc.HTTPBadRequest
    return storable(str(value))


def _refused() -> webob.exc.HTTPBadRequest:
    return refuse("Invalid input received: create arguments must be positive integers")


def _number(value: Any, least: int = 0) -> int:
    text = str(value).strip() if isinstance(value, (int, str)) and not isinstance(value, bool) else ""
    if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= limits.MAX_INTEGER):
        raise _refused()
    return int(text)


def _factor(value: Any) -> float:
    if value is None or value == "":
        return 1.0
    try:
        factor = float(value) if isinstance(value, (int, float, str)) and not isinstance(value, bool) else -1.0
    except (ValueError, OverflowError):
        raise _refused() from None
    if not 0 <= factor < limits.MAX_INTEGER:
        raise _refused()
    return factor


class Flavormanage(ExtensionDescriptor):
    """Make and delete flavors."""

    name = "FlavorManage"
    alias = "os-flavor-manage"
    namespace = "http://docs.openstack.org/compute/ext/flavor_manage/api/v1.1"
    updated = "2012-01-19T00:00:00+00:00"

    def __init__(self, ext_mgr: ExtensionManager) -> None:
        super().__init__(ext_mgr)
        self.ext_mgr = ext_mgr

    def get_controller_extensions(self) -> Iterable[ControllerExtension]:
        yield ControllerExtension(self, "flavors", FlavorManageController(self.ext_mgr))
