"""Filters of list requests as SQL conditions.

A resource's query module has one table, filter name -> condition; a name that is not in it is refused, since an
ignored filter makes scripts act on the wrong objects (spec ec2.md 4). ``*`` and ``?`` are wildcards, ``\\`` quotes.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from nova_api import errors, limits

Condition = Callable[[Sequence[str]], sa.ColumnElement[bool]]
Column = Any

_WILD = re.compile(r"(?<!\\)[*?]")
_QUOTED = re.compile(r"\\([*?\\])")


def build(table: Mapping[str, Condition], filters: Iterable[tuple[str, Sequence[str]]]) -> list[sa.ColumnElement[bool]]:
    """The conditions that filters make; values of one filter are alternatives, filters are all required.

    :param filters: names with their values
    :raises InvalidParameterValue: an unknown name, or a filter without values
    """
    made = []
    for name, values in filters:
        if name not in table:
            raise errors.InvalidParameterValue(f"The filter '{name}' is invalid")
        if not values:
            raise errors.InvalidParameterValue(f"The filter '{name}' has no value")
        made.append(table[name](values))
    return made


def text(column: Column) -> Condition:
    """A text column, with wildcards."""

    def condition(values: Sequence[str]) -> sa.ColumnElement[bool]:
        plain = [_QUOTED.sub(r"\1", value) for value in values if not _WILD.search(value)]
        options = [column.in_(plain)] if plain else []
        options += [column.like(_pattern(value), escape="\\") for value in values if _WILD.search(value)]
        return sa.or_(*options)

    return condition


def _pattern(value: str) -> str:
    """A value with wildcards as a LIKE pattern with ``\\`` as its escape."""
    made, at = [], 0
    while at < len(value):
        char = value[at]
        if char == "\\" and value[at + 1 : at + 2] in ("*", "?", "\\"):
            at += 1
            made.append("\\\\" if value[at] == "\\" else value[at])
        elif char in "*?":
            made.append("%" if char == "*" else "_")
        else:
            made.append(f"\\{char}" if char in "%_\\" else char)
        at += 1
    return "".join(made)


def wide(value: int) -> sa.ColumnElement[int]:
    """A number of a client's, to compare a column of four bytes with; it has up to eight.

    PostgreSQL would be asked for a number of as many bytes as the column has, and fail with one that needs more.
    """
    return sa.literal(value, sa.BigInteger())


def boolean(column: Column) -> Condition:
    """A column of truth values; texts other than ``true`` and ``false`` match nothing."""

    def condition(values: Sequence[str]) -> sa.ColumnElement[bool]:
        wanted = {value.lower() == "true" for value in values if value.lower() in ("true", "false")}
        return sa.or_(sa.false(), *(column.is_(value) for value in sorted(wanted)))

    return condition


def integer(column: Column) -> Condition:
    """A column of numbers; texts that are none match nothing."""

    def condition(values: Sequence[str]) -> sa.ColumnElement[bool]:
        return sa.and_(column.in_([wide(int(v)) for v in values if v.isascii() and v.isdigit() and len(v) <= 18]))

    return condition


def number(column: Column, prefix: str) -> Condition:
    """A column of row numbers that clients write as ``prefix-0000002a``; other texts match nothing."""
    form = re.compile(re.escape(prefix) + r"-([0-9a-fA-F]{1,16})\Z")

    def condition(values: Sequence[str]) -> sa.ColumnElement[bool]:
        found = [int(match[1], 16) for match in map(form.match, values) if match]
        return sa.and_(column.in_([value for value in found if value <= limits.MAX_DATABASE_ID]))

    return condition


def time(column: Column) -> Condition:
    """A column of times that clients write as ``2012-04-05T10:11:12.000Z``; to the millisecond, as they are shown."""

    def condition(values: Sequence[str]) -> sa.ColumnElement[bool]:
        options: list[sa.ColumnElement[bool]] = [sa.false()]
        for value in values:
            try:
                start = datetime.fromisoformat(value)
                if start.tzinfo is None:
                    continue
                start = start.astimezone(UTC)
            except (ValueError, OverflowError):  # no time, or one that its zone carries out of the calendar
                continue
            last = start.replace(microsecond=start.microsecond // 1000 * 1000 + 999)
            options.append(column.between(start, last))
        return sa.or_(*options)

    return condition


def choice(column: Column, names: Mapping[str, Sequence[str]]) -> Condition:
    """A column that is shown under other names.

    :param names: what each shown name stands for
    """

    def condition(values: Sequence[str]) -> sa.ColumnElement[bool]:
        return sa.and_(column.in_([stored for value in values for stored in names.get(value, (value,))]))

    return condition


def constant(value: str) -> Condition:
    """A property that is the same for every row."""
    return lambda values: sa.true() if value in values else sa.false()
