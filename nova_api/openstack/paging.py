"""``limit`` and ``marker`` of list requests (spec openstack-core.md 5.4), or ``limit`` and ``offset`` (9.1)."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

import webob
import webob.exc

from nova_api import limits

T = TypeVar("T")
#: More digits than any number that a client means.
_MAX_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is asked for.

    :ivar limit: most items
    :ivar marker: id of the last item seen, or None
    """

    limit: int
    marker: str | None

    def is_full(self, items: int) -> bool:
        """Whether a link to the next page belongs to a page of so many items; it may turn out to be empty."""
        return 0 < self.limit == items


def page_of(req: webob.Request, most: int) -> Page:
    """What a request says of its page.

    :param most: items that a page holds at most
    :raises HTTPBadRequest: ``limit`` is no number that can be meant
    """
    text = last(req, "limit")
    if text is None:
        return Page(most, last(req, "marker") or None)
    try:
        limit = int(text) if len(text) <= _MAX_DIGITS else most
    except ValueError:
        raise webob.exc.HTTPBadRequest(explanation="limit param must be an integer") from None
    if limit < 0:
        raise webob.exc.HTTPBadRequest(explanation="limit param must be positive")
    return Page(min(limit, most), last(req, "marker") or None)


@dataclass(frozen=True, slots=True)
class OffsetPage:
    """Which part of a list is asked for, by its place.

    :ivar offset: items before it
    :ivar limit: most items
    """

    offset: int
    limit: int

    def of(self, items: Sequence[T]) -> Sequence[T]:
        """That part of a list."""
        return items[self.offset : self.offset + self.limit]


def offset_page_of(req: webob.Request, most: int) -> OffsetPage:
    """What a request says of its page.

    :param most: items that a page holds at most; a limit of 0 means that too
    :raises HTTPBadRequest: ``limit`` or ``offset`` is no number, or negative
    """
    offset, limit = _count(req, "offset"), _count(req, "limit")
    return OffsetPage(offset, min(limit or most, most))


def _count(req: webob.Request, name: str) -> int:
    text = last(req, name)
    if text is None:
        return 0
    try:
        number = int(text) if len(text) <= _MAX_DIGITS else limits.MAX_DATABASE_ID
    except ValueError:
        raise webob.exc.HTTPBadRequest(explanation=f"{name} param must be an integer") from None
    if number < 0:
        raise webob.exc.HTTPBadRequest(explanation=f"{name} param must be positive")
    return number


def last(req: webob.Request, name: str) -> str | None:
    """A parameter of the query; of repeated ones the last one counts.

    :raises HTTPBadRequest: the query is no UTF-8
    """
    try:
        found = req.GET.getall(name)
    except UnicodeDecodeError:
        raise webob.exc.HTTPBadRequest from None
    return str(found[-1]) if found else None


def no_marker(marker: str) -> webob.exc.HTTPBadRequest:
    """The refusal of a marker that names nothing."""
    return webob.exc.HTTPBadRequest(explanation=f"marker [{marker}] not found")


def number_of(text: str | None) -> int | None:
    """A filter that is a number; what is none is not heeded."""
    if text is None or len(text) > _MAX_DIGITS:
        return None
    try:
        return int(text)
    except ValueError:
        return None


def moment_of(text: str) -> datetime:
    """``changes-since`` as a time, in UTC.

    :raises HTTPBadRequest: it is none, or its zone carries it out of the calendar
    """
    # A plus sign that was not quoted arrives as a blank.
    try:
        moment = datetime.fromisoformat(text.strip().replace(" ", "T" if "T" not in text else "+"))
        return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise webob.exc.HTTPBadRequest(explanation="Invalid changes-since value") from None
