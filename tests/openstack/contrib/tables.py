"""Bodies that no extension can use, for every one of them."""

from typing import Any

import webob

from tests.openstack.fakes import Door

#: Whatever stands where an object or a field should be.
ODD: list[Any] = [
    None,
    [],
    "",
    "x",
    5,
    -1,
    True,
    {},
    {"x": "y"},
    [[]],
    "\x00",
    "\ud800",
    "x" * 5000,
    10**30,
    {"": None},
]


def refusals(door: Door, method: str, path: str, *, root: str, fields: dict[str, Any], **options: Any) -> list[int]:
    """The answers to a good document with one part of it exchanged for something odd; none of them a defect.

    :param root: the only member of the document
    :param fields: what it holds
    """
    documents: list[Any] = [*ODD, *({root: odd} for odd in ODD)]
    documents += [{root: {**fields, name: odd}} for name in fields for odd in ODD]
    documents += [{root: {key: fields[key] for key in fields if key != name}} for name in fields]
    found = []
    for document in documents:
        answer = door.ask(path, method, document, **options)
        assert answer.status_int < 500 or answer.status_int == 501, f"{document!r}: {answer.text}"
        found.append(answer.status_int)
    return found


def text(answer: webob.Response) -> str:
    """An XML answer without the declaration."""
    head = "<?xml version='1.0' encoding='UTF-8'?>\n"
    assert answer.status_int == 200, answer.text
    assert answer.text.startswith(head)
    return str(answer.text[len(head) :])
