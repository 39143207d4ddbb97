"""Heads of HTTP requests, read strictly: two readers of an ambiguous head are a hole."""

import re
from collections.abc import Callable
from dataclasses import dataclass

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21-\x7e]+) HTTP/1\.([01])\r?\n\Z")
_HEADER_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
#: Headers that must not come twice: what they mean would depend on who reads them.
_SINGLE = frozenset({"host", "content-length", "transfer-encoding", "content-type", "authorization"})


class BadRequest(Exception):
    """A request head that is not answered by an application.

    :param status: status line text
    """

    def __init__(self, status: str) -> None:
        self.status = status
        super().__init__(status)


class Headers:
    """The header fields of one request, as ``eventlet.wsgi`` reads them."""

    __slots__ = ("_headers", "_index")

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._headers = fields
        self._index = {name.lower(): value for name, value in reversed(fields)}

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of a field."""
        return self._index.get(name.lower(), default)

    def get_content_type(self) -> str:
        """The content type of a request that names none."""
        return ""


@dataclass(frozen=True, slots=True)
class Head:
    """:ivar version: ``HTTP/1.0`` or ``HTTP/1.1``
    :ivar target: path and query
    :ivar keep: the client wants to send another request over its connection
    """

    method: str
    target: str
    version: str
    headers: Headers
    keep: bool


def read(line: bytes, readline: Callable[[], bytes]) -> Head:
    """The head of a request.

    :param line: its first line
    :param readline: gives the following ones
    :raises BadRequest: it is ambiguous, or none
    """
    match = _REQUEST_LINE.match(line)
    if match is None:
        raise BadRequest("400 Bad Request")
    version = f"HTTP/1.{match[3].decode('ascii')}"
    target = _target(match[2].decode("ascii"))
    fields = _read_fields(readline)
    _check_fields(fields, version)
    headers = Headers(fields)
    connection = (headers.get("connection") or "").lower()
    keep = connection != "close" if version == "HTTP/1.1" else connection == "keep-alive"
    return Head(match[1].decode("ascii"), target, version, headers, keep)


def _target(text: str) -> str:
    if text.startswith("/"):
        return text
    # Absolute form, as sent to proxies: only the part after the authority names the resource.
    rest = text.partition("://")[2]
    slash = rest.find("/")
    if slash < 0:
        raise BadRequest("400 Bad Request")
    return rest[slash:]


def _read_fields(readline: Callable[[], bytes]) -> list[tuple[str, str]]:
    fields: list[tuple[str, str]] = []
    while True:
        line = readline()
        if line in (b"\r\n", b"\n"):
            return fields
        name, colon, value = line.rstrip(b"\r\n").partition(b":")
        if not colon or not line.endswith(b"\n") or not _HEADER_NAME.match(name) or _CONTROL.search(value):
            raise BadRequest("400 Bad Request")
        fields.append((name.decode("ascii"), value.strip(b" \t").decode("latin-1")))


def _check_fields(fields: list[tuple[str, str]], version: str) -> None:
    names = [name.lower() for name, _ in fields]
    if len(set(names)) != len(names) and any(n in _SINGLE and names.count(n) > 1 for n in names):
        raise BadRequest("400 Bad Request")
    if version == "HTTP/1.1" and "host" not in names:
        raise BadRequest("400 Bad Request")
    for name, value in fields:
        low = name.lower()
        if low == "content-length" and not (value.isascii() and value.isdigit() and len(value) < 19):
            raise BadRequest("400 Bad Request")
        if low == "transfer-encoding" and value.lower() != "chunked":
            raise BadRequest("501 Not Implemented")
