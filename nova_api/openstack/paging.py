"""``limit`` and ``marker`` of list requests (spec openstack-core.md 5.4)."""

from dataclasses import dataclass
from datetime import UTC, datetime

import webob
import webob.exc

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
    """``changes-since`` as a time.

    :raises HTTPBadRequest: it is none
    """
    # A plus sign that was not quoted arrives as a blank.
    try:
        moment = datetime.fromisoformat(text.strip().replace(" ", "T" if "T" not in text else "+"))
    except ValueError:
        raise webob.exc.HTTPBadRequest(explanation="Invalid changes-since value") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
