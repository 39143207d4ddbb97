"""Bodies of requests: from bytes to what a method is given (spec openstack-core.md 1.5, 8.3)."""

import json
from collections.abc import Callable, Mapping
from typing import Any

import webob
import webob.exc

from nova_api.openstack import xml
from nova_api.openstack.media import CLASSES, body_type
from nova_api.wsgi import read_body


def body_of(request: webob.Request) -> tuple[str | None, bytes]:
    """The body with its type; no type that is read, or nothing in it, is no body."""
    content_type = body_type(request.environ.get("CONTENT_TYPE") or "")
    body = b"" if content_type is None else read_body(request.environ)
    return (content_type, body) if body else (None, b"")


def action_of(content_type: str | None, body: bytes) -> str:
    """The name of an action: the only key of a JSON body, the root of an XML one."""
    if content_type is None:
        return "None"
    if CLASSES[content_type] == "xml":
        return xml.local_name(_parsed_xml(body))
    document = _parsed_json(body)
    if not isinstance(document, dict) or len(document) != 1:
        raise malformed()
    return str(next(iter(document)))


def malformed(text: str = "Malformed request body") -> webob.exc.HTTPBadRequest:
    """The refusal of a body that cannot be read."""
    return webob.exc.HTTPBadRequest(explanation=text)


def _parsed_json(body: bytes) -> Any:
    try:
        return json.loads(body.decode("utf-8"))
    except (ValueError, RecursionError):
        raise malformed() from None


def _parsed_xml(body: bytes) -> Any:
    try:
        return xml.parse(body)
    except xml.MalformedXML:
        raise malformed() from None


def read_xml(plurals: Mapping[str, str] | None = None) -> Callable[[bytes], dict[str, Any]]:
    """A deserializer for documents without a form of their own."""

    def read(body: bytes) -> dict[str, Any]:
        root = _parsed_xml(body)
        # A document with nothing in it is one without members, not an empty text.
        return {"body": {xml.local_name(root): xml.to_plain(root, plurals) or {}}}

    return read


_default_xml = read_xml({"metadata": "meta"})


def with_root(made: Callable[[Any], dict[str, Any]]) -> Callable[[bytes], dict[str, Any]]:
    """A deserializer from a function of the document's root element."""

    def read(body: bytes) -> dict[str, Any]:
        return made(_parsed_xml(body))

    return read


def arguments_of(own: Callable[[bytes], dict[str, Any]] | None, content_type: str, body: bytes) -> dict[str, Any]:
    """What a body gives a method.

    :param own: the method's own deserializer for the type
    :raises HTTPBadRequest: the body cannot be read
    """
    kind = CLASSES[content_type]
    if own is not None:
        return dict(own(body))
    return _default_xml(body) if kind == "xml" else {"body": _parsed_json(body)}
