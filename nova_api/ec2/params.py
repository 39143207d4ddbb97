"""Parameters: from the names and texts a client sent to typed arguments, by declaration.

2012.1 guessed a type for every value: a key named ``007`` became ``7``, ``0x`` an error, ``1e5`` a float (spec ec2.md
1.5). Here an action declares what it takes; text stays text unless it is declared to be something else.
"""

import base64
import binascii
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nova_api import errors, limits

_UPPER = re.compile(r"(?<=[a-z])[A-Z]|[A-Z](?![A-Z]|$)")
_INTEGER = re.compile(r"-?[0-9]+\Z", re.ASCII)
_HEXADECIMAL = re.compile(r"0[xX][0-9a-fA-F]+\Z")
_INDEX = re.compile(r"[0-9]{1,9}\Z", re.ASCII)

#: A tree of dotted names: texts at the leaves.
Node = str | dict[str, Any]


def snake_case(name: str) -> str:
    """``DescribeInstancesV6`` as ``describe_instances_v6`` (spec ec2.md 1.4)."""
    return _UPPER.sub(lambda match: "_" + match[0], name).lower().strip("_")


def tree_of(pairs: Iterable[tuple[str, str]]) -> dict[str, Node]:
    """Names split at their dots.

    :raises MalformedQueryString: a name that is too deep or too long
    :raises InvalidParameterCombination: a name that is given both with and without a dot
    """
    root: dict[str, Node] = {}
    for name, value in pairs:
        if "." not in name:
            _place(root, name, name, value)
            continue
        if len(name) > limits.MAX_PARAMETER_NAME or name.count(".") > limits.MAX_PARAMETER_DEPTH:
            raise errors.MalformedQueryString("A parameter name is too long or nested too deep.")
        *path, last = name.split(".")
        node = root
        for part in path:
            below = node.setdefault(part, {})
            if not isinstance(below, dict):
                raise errors.InvalidParameterCombination(f"The parameter {path[0]} is given in two forms.")
            node = below
        _place(node, last, name, value)
    return root


def _place(node: dict[str, Any], key: str, name: str, value: str) -> None:
    if key in node:
        raise errors.InvalidParameterCombination(f"The parameter {name[:80]} is given twice.")
    node[key] = value


class Param:
    """A declared parameter.

    :ivar required: the request must have it
    """

    required: bool = False

    def decode(self, name: str, node: Node) -> Any:
        """The argument.

        :param name: wire name, for errors
        :raises ApiError: the value does not fit
        """
        raise NotImplementedError


def _scalar(name: str, node: Node) -> str:
    if isinstance(node, dict):
        # Name.1 of a parameter that takes one value: clients of the time sent it for some actions.
        if list(node) == ["1"] and isinstance(node["1"], str):
            return node["1"]
        raise errors.InvalidParameterValue(f"The parameter {name} takes one value.")
    return node


def invalid(value: str, name: str) -> errors.InvalidParameterValue:
    """The error for a value that a parameter does not admit."""
    return errors.InvalidParameterValue(f"Value ({value[:200]}) for parameter {name} is invalid.")


@dataclass(frozen=True, slots=True, kw_only=True)
class Text(Param):
    """Text, as it was sent.

    :ivar max: characters
    :ivar pattern: what all of it has to match
    """

    max: int = limits.MAX_NAME
    pattern: re.Pattern[str] | None = None
    required: bool = False

    def decode(self, name: str, node: Node) -> str:
        text = _scalar(name, node)
        if len(text) > self.max:
            raise errors.InvalidParameterValue(f"The parameter {name} is longer than {self.max} characters.")
        if self.pattern is not None and not self.pattern.fullmatch(text):
            raise invalid(text, name)
        return text


@dataclass(frozen=True, slots=True)
class Integer(Param):
    """A number in decimal, or in hexadecimal with ``0x``."""

    least: int
    most: int
    required: bool = field(default=False, kw_only=True)

    def decode(self, name: str, node: Node) -> int:
        text = _scalar(name, node)
        if len(text) > limits.MAX_INTEGER_DIGITS:
            raise invalid(text, name)
        if _INTEGER.match(text):
            number = int(text)
        elif _HEXADECIMAL.match(text):
            number = int(text, 16)
        else:
            raise invalid(text, name)
        if not self.least <= number <= self.most:
            raise invalid(text, name)
        return number


@dataclass(frozen=True, slots=True, kw_only=True)
class Boolean(Param):
    """``true`` or ``false``, any case."""

    required: bool = False

    def decode(self, name: str, node: Node) -> bool:
        text = _scalar(name, node).lower()
        if text not in ("true", "false"):
            raise invalid(text, name)
        return text == "true"


@dataclass(frozen=True, slots=True, kw_only=True)
class Base64(Param):
    """Text that decodes as base64; it is passed on as it was sent.

    :ivar max: characters
    :ivar error: what is raised for text that does not decode
    """

    max: int = limits.MAX_USER_DATA
    error: Callable[[str], errors.ApiError] = errors.InvalidParameterValue
    required: bool = False

    def decode(self, name: str, node: Node) -> str:
        text = _scalar(name, node)
        if len(text) > self.max:
            raise errors.InvalidParameterValue(f"The parameter {name} is longer than {self.max} characters.")
        try:
            base64.b64decode("".join(text.split()), validate=True)
        except (binascii.Error, ValueError):
            raise self.error(f"The parameter {name} is no base64 text.") from None
        return text


@dataclass(frozen=True, slots=True)
class ListOf(Param):
    """``Name.1``, ``Name.2``, …: in the order of the numbers; ``Name`` alone is a list of one.

    :ivar most: entries
    """

    item: Param
    most: int = field(default=limits.MAX_IDS, kw_only=True)
    required: bool = field(default=False, kw_only=True)

    def decode(self, name: str, node: Node) -> list[Any]:
        if isinstance(node, str):
            return [self.item.decode(name, node)]
        if len(node) > self.most:
            raise errors.InvalidParameterValue(f"The parameter {name} has more than {self.most} entries.")
        # boto3 numbers the entries of some lists below a further name: Filter.1.Value.1, IpRanges.member.1.
        if list(node) == ["member"] and isinstance(node["member"], dict):
            node = node["member"]
        ordered = sorted((_index(name, key), key) for key in node)
        return [self.item.decode(f"{name}.{key}", node[key]) for _, key in ordered]


def _index(name: str, key: str) -> int:
    if not _INDEX.match(key) or int(key) > limits.MAX_LIST_INDEX:
        raise errors.InvalidParameterValue(f"{name}.{key[:40]} is no entry of a list.")
    return int(key)


@dataclass(frozen=True, slots=True)
class Struct(Param):
    """``Name.Field``: a dict with the fields' snake_case names.

    :ivar free: further fields are taken as texts, under the names the client gave them
    """

    fields: Mapping[str, Param]
    free: bool = field(default=False, kw_only=True)
    required: bool = field(default=False, kw_only=True)

    def decode(self, name: str, node: Node) -> dict[str, Any]:
        if isinstance(node, str):
            raise errors.InvalidParameterValue(f"The parameter {name} takes fields.")
        made = {
            snake_case(key): param.decode(f"{name}.{key}", node[key])
            for key, param in self.fields.items()
            if key in node
        }
        if self.free:
            made |= {
                key: Text().decode(f"{name}.{key}", value) for key, value in node.items() if key not in self.fields
            }
        return made


@dataclass(frozen=True, slots=True)
class Filter:
    """One filter of a list request."""

    name: str
    values: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters(Param):
    """``Filter.N.Name``, ``Filter.N.Value.M``; which names there are, the query behind the action knows."""

    required: bool = False

    def decode(self, name: str, node: Node) -> list[Filter]:
        entries = ListOf(Struct({"Name": Text(required=True), "Value": _VALUES}), most=limits.MAX_FILTERS)
        made = []
        for entry in entries.decode(name, node):
            if not entry.get("name"):
                raise errors.MissingParameter(f"{name}.Name")
            made.append(Filter(entry["name"], entry.get("value", [])))
        return made


_VALUES = ListOf(Text(max=1024), most=limits.MAX_FILTER_VALUES)


def decode(declared: Mapping[str, Param], tree: Mapping[str, Node]) -> dict[str, Any]:
    """Arguments by snake_case name; parameters that are not declared are ignored, as in 2012.1.

    :raises MissingParameter: a required one is absent
    :raises ApiError: a value does not fit
    """
    arguments: dict[str, Any] = {}
    for name, param in declared.items():
        node = tree.get(name)
        if node is None:
            if param.required:
                raise errors.MissingParameter(name)
            continue
        arguments[snake_case(name)] = param.decode(name, node)
    return arguments
