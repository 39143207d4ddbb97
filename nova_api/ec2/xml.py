"""Answers as XML (spec ec2.md 1.7, 2.11).

Rendering goes straight to text: no tree is built. Client text is escaped by markupsafe, in C; characters that XML 1.0
does not have are left out, since 2012.1 sent them raw and no client could read the answer.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, overload

from lxml import etree
from markupsafe import escape as _escape

_ILLEGAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
_HEAD = '<?xml version="1.0" ?>'
_ERROR_HEAD = '<?xml version="1.0"?>\n'


def escape(text: str) -> str:
    """Text as it may stand in an element or an attribute."""
    if not text.isprintable():
        text = _ILLEGAL.sub("", text)
    # str() of the class itself: further string methods of Markup would escape again.
    escaped = str.__str__(_escape(text))
    # 2012.1 left an apostrophe alone and named the quotation mark (spec ec2.md 1.7).
    return escaped.replace("&#39;", "'").replace("&#34;", "&quot;") if "&#3" in escaped else escaped


def timestamp(value: datetime) -> str:
    """``2011-02-21T20:14:10.634Z``: milliseconds, cut off, always three digits."""
    value = value.astimezone(UTC) if value.tzinfo is not None else value
    return value.strftime("%Y-%m-%dT%H:%M:%S.") + f"{value.microsecond // 1000:03d}Z"


@lru_cache(maxsize=2048)
def element_name(key: str) -> str:
    """The element of a dict key: ``instance_id`` and ``InstanceId`` become ``instanceId``."""
    name = "".join(part[:1].upper() + part[1:] for part in key.split("_"))
    return name[:1].lower() + name[1:]


class Markup(Sequence[Any]):
    """A list that is rendered already.

    Inserted as it is into an answer; to Python code it is a list of dicts, read from the XML when it is asked for.

    :param text: ``<item>…</item>`` once per entry
    """

    __slots__ = ("_items", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self._items: list[Any] | None = None

    def _parsed(self) -> list[Any]:
        if self._items is None:
            root = etree.fromstring(f"<x>{self.text}</x>", _PARSER)
            self._items = [_value(child) for child in root]
        return self._items

    @overload
    def __getitem__(self, index: int) -> Any: ...
    @overload
    def __getitem__(self, index: slice) -> list[Any]: ...
    def __getitem__(self, index: int | slice) -> Any:
        return self._parsed()[index]

    def __len__(self) -> int:
        return len(self._parsed())

    def __iter__(self) -> Iterator[Any]:
        return iter(self._parsed())

    def __repr__(self) -> str:
        return repr(self._parsed())


_PARSER = etree.XMLParser(resolve_entities=False, no_network=True, load_dtd=False, huge_tree=True)


def _value(element: etree._Element) -> Any:
    children = list(element)
    if not children:
        return element.text
    if all(child.tag == "item" for child in children):
        return [_value(child) for child in children]
    return {str(child.tag): _value(child) for child in children}


def render(action: str, version: str, request_id: str, result: Any) -> bytes:
    """A successful answer.

    :param action: as the client sent it; names the root element, so it must be a name of the action table
    :param version: as the client sent it; ends up in the namespace
    :param result: a dict, or True for ``<return>true</return>``
    """
    # Braces are what parsers write around a namespace themselves; some cannot read one that has any.
    space = escape(version).replace("{", "%7B").replace("}", "%7D")
    parts = [
        f'{_HEAD}<{action}Response xmlns="http://ec2.amazonaws.com/doc/{space}/"><requestId>{request_id}</requestId>'
    ]
    if result is True:
        parts.append("<return>true</return>")
    else:
        _fields(parts.append, result)
    parts.append(f"</{action}Response>")
    return "".join(parts).encode("utf-8")


def render_error(code: str, message: str, request_id: str) -> bytes:
    """An error document: no namespace, no trailing newline."""
    return (
        f"{_ERROR_HEAD}<Response><Errors><Error><Code>{escape(code)}</Code><Message>{escape(message)}</Message>"
        f"</Error></Errors><RequestID>{escape(request_id)}</RequestID></Response>"
    ).encode()


def _fields(emit: Callable[[str], None], fields: Mapping[str, Any]) -> None:
    for key, value in fields.items():
        _element(emit, element_name(key), value)


def _element(emit: Callable[[str], None], name: str, value: Any) -> None:
    kind = type(value)
    if kind is str:
        emit(f"<{name}>{escape(value)}</{name}>")
    elif value is None:
        emit(f"<{name}/>")
    elif kind is bool:
        emit(f"<{name}>{'true' if value else 'false'}</{name}>")
    elif kind is int or kind is float:
        emit(f"<{name}>{value}</{name}>")
    elif kind is Markup:
        emit(f"<{name}>{value.text}</{name}>" if value.text else f"<{name}/>")
    elif isinstance(value, Mapping):
        _nested(emit, name, value, lambda: _fields(emit, value))
    elif isinstance(value, (list, tuple)):
        _nested(emit, name, value, lambda: _items(emit, value))
    elif isinstance(value, datetime):
        emit(f"<{name}>{timestamp(value)}</{name}>")
    else:
        emit(f"<{name}>{escape(str(value))}</{name}>")


def _nested(emit: Callable[[str], None], name: str, value: Any, content: Callable[[], None]) -> None:
    if not value:
        emit(f"<{name}/>")
        return
    emit(f"<{name}>")
    content()
    emit(f"</{name}>")


def _items(emit: Callable[[str], None], items: Sequence[Any]) -> None:
    for item in items:
        _element(emit, "item", item)
