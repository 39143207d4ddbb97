"""The wire format of 2012.1: one JSON object per message (spec ec2.md 6.1).

A message names a method and its arguments; the caller's context travels beside them as ``_context_*``. A call
also carries ``_msg_id``, the name of the exchange and queue that its caller waits at for the replies.
"""

import json
import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from nova_api import errors
from nova_api.context import RequestContext, admin_context

log = logging.getLogger(__name__)

_CONTEXT = "_context_"
_CONTEXT_KEYS = frozenset(admin_context().to_wire())


class MalformedMessage(ValueError):
    """A body that is no message of ours; it will not become one by being delivered again."""


class RemoteError(Exception):
    """A call that failed on the other side.

    The class of the failure is not rebuilt: as in 2012.1 only its name can be compared.

    :param exc_type: name of the exception's class
    :param value: its text
    :param traceback: lines of its traceback, none for a refusal that is meant to be read
    """

    def __init__(self, exc_type: str, value: str, traceback: Sequence[str] = ()) -> None:
        self.exc_type = exc_type
        self.value = value
        self.traceback = list(traceback)
        super().__init__(f"Remote error: {exc_type} {value}\n{self.traceback}.")


class RemoteUnavailable(errors.ServiceUnavailable):
    """The other side could not do it now: its datastore, or whom it had to ask, did not answer."""


class RpcTimeout(errors.ServiceUnavailable):
    """No reply in time. The call may have been carried out all the same."""

    def __init__(self) -> None:
        super().__init__("Timeout while waiting on RPC response.")


@dataclass(frozen=True, slots=True)
class Message:
    """A received message.

    :ivar msg_id: where the caller waits for the reply; None for a cast
    """

    method: str
    args: dict[str, Any]
    context: RequestContext
    msg_id: str | None = None


def new_msg_id() -> str:
    """32 hexadecimal digits, as a UUID has."""
    return secrets.token_hex(16)


def pack(context: RequestContext, method: str, args: Mapping[str, Any], msg_id: str | None = None) -> dict[str, Any]:
    """The message as one dict.

    :param msg_id: for a call, where its caller waits
    """
    message: dict[str, Any] = {"method": method, "args": dict(args)}
    for key, value in context.to_wire().items():
        message[_CONTEXT + key] = value
    if msg_id is not None:
        message["_msg_id"] = msg_id
    return message


def unpack(message: Mapping[str, Any]) -> Message:
    """The parts of a message. Keys of the context that are not known here are dropped with a warning.

    :raises MalformedMessage: it has no method, or parts of the wrong type
    """
    method, args, msg_id = message.get("method"), message.get("args"), message.get("_msg_id")
    if not isinstance(method, str) or not method:
        raise MalformedMessage("no method")
    if args is not None and not isinstance(args, dict):
        raise MalformedMessage("args is no object")
    if msg_id is not None and not isinstance(msg_id, str):
        raise MalformedMessage("_msg_id is no text")
    values = {k[len(_CONTEXT) :]: v for k, v in message.items() if k.startswith(_CONTEXT)}
    if unknown := values.keys() - _CONTEXT_KEYS:
        log.warning("%s: unknown context keys dropped: %s", method, errors.names(repr(k) for k in unknown))
    try:
        context = RequestContext.from_wire(values)
    except (TypeError, ValueError) as error:
        raise MalformedMessage(f"bad context: {error}") from error
    return Message(method, args or {}, context, msg_id)


def encode(value: Mapping[str, Any]) -> str:
    """The JSON text of a message: ASCII only, so that any database and broker stores it unchanged.

    Times become their ``str`` in UTC (``2012-04-05 10:11:12.123456``), mappings objects, iterables lists.

    :raises TypeError: a value that is none of these
    :raises ValueError: a number that JSON has no text for, or a structure that contains itself
    """
    return json.dumps(value, default=_primitive, allow_nan=False, separators=(",", ":"))


def decode(body: str | bytes) -> dict[str, Any]:
    """The object that a JSON text stands for.

    :raises MalformedMessage: it is no JSON object
    """
    try:
        value = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedMessage(f"no JSON: {error}") from error
    if not isinstance(value, dict):
        raise MalformedMessage("no JSON object")
    return value


def reply(result: object) -> dict[str, Any]:
    """One value that a call returns."""
    return {"result": result, "failure": None}


def ending() -> dict[str, Any]:
    """What follows the last value."""
    return {"result": None, "failure": None, "ending": True}


def failure(error: BaseException) -> dict[str, Any]:
    """The reply of a call that raised; a refusal (:class:`ApiError`) travels without its traceback."""
    lines: list[str] = []
    if not isinstance(error, errors.ApiError):
        import traceback  # defects only: the embedded cloud starts without it

        lines = traceback.format_exception(error)
    return {"result": None, "failure": [type(error).__name__, str(error), lines]}


class Replies:
    """The replies to one call, as they come in.

    :ivar done: the last one was read; ``value()`` may be asked for
    """

    def __init__(self) -> None:
        self.done = False
        self._result: Any = None
        self._failure: RemoteError | RemoteUnavailable | None = None

    def add(self, message: Mapping[str, Any]) -> None:
        """Read one reply message."""
        if failed := message.get("failure"):
            self._failure = _remote_error(failed)
            self.done = True
        elif message.get("ending"):
            self.done = True
        else:
            self._result = message.get("result")

    def value(self) -> Any:
        """The last value.

        :raises RemoteError: the call failed on the other side
        :raises RemoteUnavailable: it may be carried out later
        """
        if self._failure is not None:
            raise self._failure
        return self._result


def _remote_error(failed: object) -> RemoteError | RemoteUnavailable:
    match failed:
        case [str(name), value, *_] if name in _passing(errors.ServiceUnavailable):
            return RemoteUnavailable(str(value))
        case [exc_type, value, list(lines)]:
            return RemoteError(str(exc_type), str(value), [str(line) for line in lines])
        case [exc_type, value, lines]:
            return RemoteError(str(exc_type), str(value), [str(lines)] if lines else [])
    return RemoteError("Unknown", str(failed))


def _passing(kind: type[Exception]) -> set[str]:
    """The name of a class and of every class below it."""
    return {kind.__name__}.union(*(_passing(below) for below in kind.__subclasses__()))


def _primitive(value: object) -> Any:
    """What JSON has no form for, one step closer to it."""
    if isinstance(value, datetime):
        return str(value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value)
    if isinstance(value, (date, UUID)):
        return str(value)
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, Iterable) and not isinstance(value, (bytes, bytearray, memoryview)):
        return list(value)
    raise TypeError(f"{type(value).__name__} cannot travel in a message")
