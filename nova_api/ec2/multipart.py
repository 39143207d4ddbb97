"""Parameters in a body of ``multipart/form-data`` (spec ec2.md 1.1)."""

import re
from collections.abc import Iterable

from nova_api import errors, limits

TYPE = "multipart/form-data"
_DISPOSITION = re.compile(r"^content-disposition:(.*)$", re.I | re.M)
_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))', re.A)
_QUOTED = re.compile(r"\\(.)")


def pairs(content_type: str, body: bytes) -> Iterable[tuple[str, str]]:
    """Names and values of a form. Uploaded files are left out, as in 2012.1.

    :param content_type: the header, with the boundary of the parts
    :param body: bytes of the form
    :raises MalformedQueryString: no boundary, no end, more parts than the limit, or no UTF-8
    """
    boundary = _parameters(content_type).get("boundary")
    if not boundary:
        raise errors.MalformedQueryString("The form in the request body has no boundary.")
    delimiter = b"\r\n--" + boundary.encode("latin-1", "replace")  # the header's bytes, as WSGI has them
    if body.count(delimiter) > limits.MAX_PARAMETERS:
        raise errors.MalformedQueryString(f"A request has at most {limits.MAX_PARAMETERS} parameters.")
    _, *parts = (b"\r\n" + body).split(delimiter)
    for part in parts:
        if part.startswith(b"--"):
            return
        head, _, value = part.partition(b"\r\n\r\n")
        name = _name(_decoded(head))
        if name is not None:
            yield name, _decoded(value)
    raise errors.MalformedQueryString("The form in the request body has no end.")


def _name(head: str) -> str | None:
    """The parameter that a part holds; None for a file, and for what has no name."""
    disposition = _DISPOSITION.search(head)
    found = _parameters(disposition[1]) if disposition else {}
    return None if {"filename", "filename*"} & found.keys() else found.get("name")


def _parameters(header: str) -> dict[str, str]:
    """``; name=value`` of a header."""
    return {
        match[1].lower(): match[3] if match[2] is None else _QUOTED.sub(r"\1", match[2])
        for match in _PARAMETER.finditer(header)
    }


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        raise errors.MalformedQueryString("A parameter is no UTF-8 text.") from None
