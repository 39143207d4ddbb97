"""Filters of lists that no query is behind: what the configuration names, and what is worked out for an answer."""

import fnmatch
from collections.abc import Callable, Mapping, Sequence

from nova_api import errors
from nova_api.ec2.params import Filter

Item = Mapping[str, object]


def filtered(
    items: Sequence[Item], filters: Sequence[Filter], names: Mapping[str, Callable[[Item], str]]
) -> list[Item]:
    """The items that every filter admits; ``*`` and ``?`` in its values stand for any text.

    :param names: the filters that there are, and what of an item they look at
    :raises InvalidParameterValue: another filter
    """
    found = list(items)
    for one in filters:
        if one.name not in names:
            raise errors.InvalidParameterValue(f"The filter '{one.name}' is invalid")
        value = names[one.name]
        found = [item for item in found if any(fnmatch.fnmatchcase(value(item), v) for v in one.values)]
    return found


def at(*path: str) -> Callable[[Item], str]:
    """What a filter looks at: the text of an element below an item, ``at("instanceState", "name")``."""

    def text(item: Item) -> str:
        value: object = item
        for name in path:
            value = value[name] if isinstance(value, Mapping) else None
        return str(value).lower() if isinstance(value, bool) else str(value)

    return text
