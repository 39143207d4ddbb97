"""What metadata of servers and of images have in common: bodies, and documents in XML."""

from collections.abc import Mapping
from typing import Any

import webob.exc

from nova_api.openstack.server_input import metadata_of, refuse
from nova_api.openstack.views.server_xml import metadata_element
from nova_api.openstack.xml import COMPUTE_NS, Element, Template

ITEMS = Template(metadata_element("metadata"), {None: COMPUTE_NS})


def _item(data: Mapping[str, Any]) -> Mapping[str, Any]:
    key, value = next(iter(data["meta"].items()))
    return {"key": key, "value": value}


ITEM = Template(Element("meta", select=_item, attributes=("key",), text="value"), {None: COMPUTE_NS})


def items_of(body: Any, refusal: str) -> dict[str, str]:
    """The items of a document.

    :param refusal: what is said of a document of another form
    :raises HTTPBadRequest: it is none, or a value is no text
    """
    if not isinstance(body, dict) or not isinstance(body.get("metadata"), dict):
        raise refuse(refusal)
    return metadata_of(body["metadata"])


def one_of(body: Any, key: str, refusal: str) -> dict[str, str]:
    """The item of a document, which the URL names too.

    :raises HTTPBadRequest: there is another one, or more than one
    """
    if not isinstance(body, dict) or not isinstance(body.get("meta"), dict):
        raise refuse(refusal)
    item = body["meta"]
    if key not in item:
        raise refuse("Request body and URI mismatch")
    if len(item) > 1:
        raise refuse("Request body contains too many items")
    return metadata_of(item)


def not_found(explanation: str) -> webob.exc.HTTPNotFound:
    """The refusal of something that is not there."""
    return webob.exc.HTTPNotFound(explanation=explanation)
