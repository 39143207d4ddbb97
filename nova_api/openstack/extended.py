"""What the extensions share: controllers behind a rule, numbers and texts from outside, pages by offset, times.

(Spec openstack-extensions.md 0.)
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from math import isfinite
from typing import Any, ClassVar, TypeVar

import webob.exc

from nova_api import limits
from nova_api.openstack import wsgi
from nova_api.openstack.extensions import authorize
from nova_api.openstack.paging import offset_page_of
from nova_api.openstack.server_input import storable
from nova_api.openstack.services import ServicesController

T = TypeVar("T")
#: More digits than any row number has.
_MAX_DIGITS = 18


class ExtensionController(ServicesController):
    """A controller whose methods ask the rule of their extension first.

    :param services: the runtime; the current one by default
    :cvar rule: after ``compute_extension:``
    """

    rule: ClassVar[str] = ""

    def authorize(self, req: wsgi.Request, action: str | None = None) -> None:
        """Refuse who may not.

        :param action: of extensions that have a rule for each of theirs
        :raises PolicyNotAuthorized: the rule says no
        """
        authorize(req.context, self.rule if action is None else f"{self.rule}:{action}")


def fields_of(body: Any, name: str) -> Mapping[str, Any]:
    """The only member of a body.

    :raises HTTPBadRequest: it is not there, or no object
    """
    found = body.get(name) if isinstance(body, dict) else None
    if not isinstance(found, dict):
        raise webob.exc.HTTPBadRequest
    return found


def number_in(text: object) -> int | None:
    """A row number from outside; None for what can be none."""
    shown = str(text) if isinstance(text, (int, str)) and not isinstance(text, bool) else ""
    if not (shown.isascii() and shown.isdigit() and len(shown) <= _MAX_DIGITS):
        return None
    return int(shown)


def number_or_404(text: object) -> int:
    """A row number from a path.

    :raises HTTPNotFound: no row can have it
    """
    number = number_in(text)
    if number is None:
        raise webob.exc.HTTPNotFound
    return number


def text_field(fields: Mapping[str, Any], name: str, most: int = limits.MAX_NAME) -> str | None:
    """A text that may be missing or null.

    :param most: characters
    :raises HTTPBadRequest: it is something else, or longer
    """
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or len(value) > most:
        raise webob.exc.HTTPBadRequest
    return storable(value)


def texts_of(value: Any, most: int = limits.MAX_NAME) -> dict[str, str]:
    """A mapping of texts, as specs and metadata are; numbers and truth values become texts.

    :raises HTTPBadRequest: it is none, or a key or value is longer than ``most`` characters
    """
    if not isinstance(value, dict) or len(value) > limits.MAX_SPECS:
        raise webob.exc.HTTPBadRequest
    found = {}
    for key, item in value.items():
        # Not a number, and infinity: Python reads them where JSON has none, and answers may echo what was read.
        known = isinstance(item, (str, int)) or (isinstance(item, float) and isfinite(item))
        if not known or not key or len(key) > most or len(str(item)) > most:
            raise webob.exc.HTTPBadRequest
        found[storable(key)] = storable(str(item))
    return found


def page_by_offset(req: wsgi.Request, items: Sequence[T], most: int) -> Sequence[T]:
    """The part of a list that ``offset`` and ``limit`` ask for (spec 0.7).

    :param most: items of a page at most; a limit of 0 means that too
    :raises HTTPBadRequest: one of them is no number, or negative
    """
    return offset_page_of(req, most).of(items)


def row_time(value: datetime | None) -> str | None:
    """A time as the extensions print it: that of the row, without a zone (spec 0.6)."""
    return None if value is None else value.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f")
