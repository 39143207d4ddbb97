"""Regular expressions from clients, as SQL conditions that cost linear time.

Expressions are checked by RE2, whose language is what all databases here share: no back references, no look around,
nothing that can run away. SQLite matches with RE2 itself. What is no expression at all, which is what nearly all
clients send, is compared as text.
"""

import re
from functools import lru_cache
from typing import Any

import sqlalchemy as sa

from nova_api import errors, limits

_LITERAL = re.compile(r"[\w @/:,-]*\Z")


def starts_with_match(column: Any, pattern: str) -> sa.ColumnElement[bool]:
    """The column's text matches the expression from its beginning.

    :raises InvalidParameterValue: it is none, or too long
    """
    if len(pattern) > limits.MAX_REGEX or "\x00" in pattern:
        raise errors.InvalidParameterValue(f"A pattern has at most {limits.MAX_REGEX} characters.")
    if _LITERAL.match(pattern):
        # substr, not LIKE: SQLite's LIKE takes capitals and small letters for the same.
        return sa.func.substr(column, 1, len(pattern)) == pattern
    compiled(pattern)
    return sa.and_(column.regexp_match(f"^(?:{pattern})"))


@lru_cache(maxsize=128)
def compiled(pattern: str) -> Any:
    """The expression, checked.

    :raises InvalidParameterValue: it is none
    """
    import re2  # type: ignore[import-untyped]  # a library that few requests need, and that costs a start 20 ms

    options = re2.Options()
    options.log_errors = False
    options.max_mem = 1 << 20
    try:
        return re2.compile(pattern, options)
    except re2.error:
        raise errors.InvalidParameterValue("The pattern is not a regular expression that can be used.") from None


def sqlite_regexp(pattern: str, text: str | None) -> bool:
    """What ``REGEXP`` calls in SQLite."""
    return text is not None and compiled(pattern).search(text) is not None
