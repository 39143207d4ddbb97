"""Which hosts will do: what flavors ask of aggregates, and what the owner of a new instance has hinted at.

* An extra spec ``aggregate_instance_extra_specs:KEY`` of the flavor must be, letter for letter, what the aggregate of
  the host says of KEY, or one of the comma-separated things that it says.
* ``same_host`` and ``different_host`` name instances of the caller's project, one or a list: the new one goes where one
  of them is, or where none of them is.
* ``query`` is a condition in JSON, ``[">=", "$free_ram_mb", 1024]``: operators ``=``, ``<``, ``>``, ``<=``, ``>=``,
  ``in``, ``not``, ``or`` and ``and``; variables ``$free_ram_mb``, ``$free_disk_mb``, ``$vcpus``, ``$host``, ``$zone``.

Other hints are not heeded. (Spec openstack-extensions.md 2.5, 10.2.)
"""

import json
import operator
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from nova_api.db import flavors, placing
from nova_api.db.engine import Transaction
from nova_api.db.services import FreeHost

_SCOPE = "aggregate_instance_extra_specs:"
_MAX_QUERY = 255
_MAX_DEPTH = 8
_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
}


class BadHint(ValueError):
    """A hint that cannot be understood; the text is for the owner of the instance."""


def allowed(tx: Transaction, hosts: Iterable[FreeHost], flavor: int) -> list[FreeHost]:
    """The hosts whose aggregates are what a flavor asks for.

    :param flavor: number of its row
    """
    specs = flavors.extra_specs(tx.conn, flavor)
    wanted = {key.removeprefix(_SCOPE): value for key, value in specs.items() if key.startswith(_SCOPE)}
    return [host for host in hosts if all(_says(host.metadata.get(key), value) for key, value in wanted.items())]


def _says(text: str | None, wanted: str) -> bool:
    return text is not None and (text == wanted or wanted in [part.strip() for part in text.split(",")])


def hinted(
    tx: Transaction, hosts: Iterable[FreeHost], project: str | None, hints: Mapping[str, Any] | None
) -> list[FreeHost]:
    """The hosts that will do for an instance with hints.

    :param project: that the named instances must be of
    :raises BadHint: one of them makes no sense
    """
    found = list(hosts)
    if not hints:
        return found
    together, apart = _names(hints.get("same_host")), _names(hints.get("different_host"))
    if together:
        there = placing.hosts_of(tx.conn, project, together)
        found = [host for host in found if host.host in there]
    if apart:
        there = placing.hosts_of(tx.conn, project, apart)
        found = [host for host in found if host.host not in there]
    query = hints.get("query")
    if query:
        condition = _parsed(query)
        found = [host for host in found if _holds(condition, host)]
    return found


def _names(value: Any) -> list[str]:
    """One name, or several, as JSON or XML have it."""
    if not value:
        return []
    names = value if isinstance(value, list) else [value]
    return [str(name) for name in names]


# -- the condition in JSON


def _parsed(query: Any) -> Any:
    text = query[0] if isinstance(query, list) and len(query) == 1 else query
    if not isinstance(text, str) or len(text) > _MAX_QUERY:
        raise BadHint("The scheduler hint 'query' is no condition.")
    try:
        condition = json.loads(text)
    except (ValueError, RecursionError):
        raise BadHint("The scheduler hint 'query' is no JSON.") from None
    _check(condition, 0)
    return condition


def _check(condition: Any, depth: int) -> None:
    """Refuse a condition before any host is asked for it, so that it is refused whatever hosts there are.

    :raises BadHint: operator, operands or depth
    """
    if not isinstance(condition, list) or len(condition) < 2 or depth > _MAX_DEPTH:
        raise BadHint("The scheduler hint 'query' is no condition.")
    name, operands = condition[0], condition[1:]
    if name in ("not", "or", "and"):
        for one in operands:
            _check(one, depth + 1)
    elif (
        name not in (*_COMPARISONS, "in") or len(operands) < 2 or any(isinstance(one, (list, dict)) for one in operands)
    ):
        raise BadHint("The scheduler hint 'query' has an operator or operands that are none.")


def _holds(condition: Sequence[Any], host: FreeHost) -> bool:
    name, operands = condition[0], condition[1:]
    match name:
        case "not":
            return not any(_holds(one, host) for one in operands)
        case "or":
            return any(_holds(one, host) for one in operands)
        case "and":
            return all(_holds(one, host) for one in operands)
    first, *rest = (_value(one, host) for one in operands)
    try:
        if name == "in":
            return first in rest
        return all(_COMPARISONS[name](first, one) for one in rest)
    except TypeError:
        return False  # a number is neither more nor less than a text


def _value(operand: Any, host: FreeHost) -> Any:
    if not isinstance(operand, str) or not operand.startswith("$"):
        return operand
    variables = {
        "$free_ram_mb": host.memory_mb,
        "$free_disk_mb": host.local_gb * 1024,
        "$vcpus": host.vcpus,
        "$host": host.host,
        "$zone": host.zone,
    }
    return variables.get(operand)
