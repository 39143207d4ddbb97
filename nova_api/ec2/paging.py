"""MaxResults and NextToken: pages by the number of the last row, so that page 1,000 costs what page 1 costs."""

import base64
import binascii
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from nova_api import errors, limits

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Page:
    """What of a list is asked for.

    :ivar max_results: items of a page; None for the whole list
    :ivar next_token: as the answer before gave it
    """

    max_results: int | None = None
    next_token: str | None = None

    @property
    def after(self) -> int:
        """The number after which the page begins.

        :raises InvalidParameterValue: a token that no answer gave
        """
        if not self.next_token:
            return 0
        try:
            number = int(base64.urlsafe_b64decode(self.next_token.encode("ascii")).removeprefix(b"after:"), 16)
        except (ValueError, binascii.Error) as error:
            raise errors.InvalidParameterValue("The NextToken is not one that was given out.") from error
        if not 0 < number <= limits.MAX_DATABASE_ID:
            raise errors.InvalidParameterValue("The NextToken is not one that was given out.")
        return number

    @property
    def limit(self) -> int | None:
        """How many rows to read: one more than shown tells whether there is another page."""
        return None if self.max_results is None else self.max_results + 1


def page_of(page: Page, found: Sequence[T], number: Callable[[T], int]) -> tuple[Sequence[T], str | None]:
    """The items to show, and the token of the next page when there is one.

    :param found: up to ``page.limit`` items
    :param number: the row number of an item
    """
    if page.max_results is None or len(found) <= page.max_results:
        return found, None
    shown = found[: page.max_results]
    return shown, base64.urlsafe_b64encode(b"after:%x" % number(shown[-1])).decode("ascii")
