"""How often a user may ask (spec openstack-core.md 6.6).

A leaky bucket per user and limit: it holds as many seconds as its unit has, each request adds ``unit / value``, one
second leaks out per second. A request that would make it run over is refused and adds nothing.
"""

import http.client
import json
import logging
import math
import re
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import quote

import webob
import webob.exc

from nova_api import limits as bounds
from nova_api import runtime
from nova_api.context import RequestContext
from nova_api.openstack.faults import CONTEXT, OverLimitFault
from nova_api.openstack.mounts import below_project
from nova_api.wsgi import Application, Environ, Middleware, StartResponse, WsgiApplication, decoded

log = logging.getLogger(__name__)

#: Where the limits of the caller travel, for the ``limits`` resource.
LIMITS = "nova.limits"
UNITS = {"SECOND": 1, "MINUTE": 60, "HOUR": 60 * 60, "DAY": 60 * 60 * 24}
_NAMES = {seconds: name for name, seconds in UNITS.items()}
_REFUSAL = "This request was rate-limited."
#: How long a remote limiter may take, seconds.
_TIMEOUT = 2.0
#: How often it is said that it does not answer, seconds.
_SAY_EVERY = 60.0

Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit.

    :ivar uri: as people read it; regex: what the path is matched with, from its beginning
    :ivar value: requests per unit
    :ivar unit: seconds
    """

    verb: str
    uri: str
    regex: re.Pattern[str]
    value: int
    unit: int

    @classmethod
    def of(cls, verb: str, uri: str, regex: str, value: int, unit: int) -> "Limit":
        """A limit out of text.

        :raises ValueError: the value is not positive, or the expression is none
        """
        if value <= 0:
            raise ValueError("Limit value must be > 0")
        try:
            return cls(verb.upper(), uri, re.compile(regex), value, unit)
        except re.error as error:
            raise ValueError(f"{regex}: {error}") from error

    def matches(self, verb: str, path: str) -> bool:
        """Whether a request counts."""
        return verb == self.verb and self.regex.match(path) is not None

    @property
    def refusal(self) -> str:
        """What is said of a request that is one too many."""
        unit = _NAMES[self.unit].lower()
        return f"Only {self.value} {self.verb} request(s) can be made to {self.uri} every {unit}."


DEFAULT_LIMITS: Sequence[Limit] = (
    Limit.of("POST", "*", ".*", 10, UNITS["MINUTE"]),
    Limit.of("POST", "*/servers", "^/servers", 50, UNITS["DAY"]),
    Limit.of("PUT", "*", ".*", 10, UNITS["MINUTE"]),
    Limit.of("GET", "*changes-since*", ".*changes-since.*", 3, UNITS["MINUTE"]),
    Limit.of("DELETE", "*", ".*", 100, UNITS["MINUTE"]),
)


def parse_limits(text: str) -> list[Limit]:
    """Limits in the syntax of the Paste file: ``(POST, *, .*, 10, MINUTE); (…)``.

    :raises ValueError: with what is wrong
    """
    found = []
    for group in text.split(";"):
        rule = group.strip()
        if not rule:
            continue
        if not (rule.startswith("(") and rule.endswith(")")):
            raise ValueError("Limit rules must be surrounded by parentheses")
        parts = [part.strip() for part in rule[1:-1].split(",")]
        if len(parts) != 5:
            raise ValueError("Limit rules must contain the following arguments: verb, uri, regex, value, unit")
        verb, uri, regex, value, unit = parts
        if unit.upper() not in UNITS:
            raise ValueError("Invalid units specified")
        found.append(Limit.of(verb, uri, regex, int(value), UNITS[unit.upper()]))
    return found


class _Buckets:
    """The buckets of one user: level and time of its last change, by limit."""

    __slots__ = ("levels", "limits")

    def __init__(self, limits: Sequence[Limit]) -> None:
        self.limits = limits
        self.levels: list[tuple[float, float]] = [(0.0, 0.0)] * len(limits)

    def level(self, at: int, now: float) -> float:
        level, then = self.levels[at]
        return max(0.0, level - (now - then))

    def hit(self, verb: str, path: str, now: float) -> tuple[float, str] | None:
        """Count a request; the smallest delay and its text when it is one too many."""
        refused: list[tuple[float, str]] = []
        for at, limit in enumerate(self.limits):
            if not limit.matches(verb, path):
                continue
            level = self.level(at, now) + limit.unit / limit.value
            # A value that does not divide its unit must not lose its last request to rounding.
            if level > limit.unit * (1 + 1e-9):
                refused.append((level - limit.unit, limit.refusal))
            else:
                self.levels[at] = (level, now)
        return min(refused) if refused else None

    def shown(self, now: float, wall: float) -> list[dict[str, Any]]:
        """The limits with what is left of them."""
        found = []
        for at, limit in enumerate(self.limits):
            level = self.level(at, now)
            left = math.floor((limit.unit - level) / limit.unit * limit.value + 1e-9)
            over = max(0.0, level + limit.unit / limit.value - limit.unit)
            found.append(
                {
                    "verb": limit.verb,
                    "URI": limit.uri,
                    "regex": limit.regex.pattern,
                    "value": limit.value,
                    "remaining": max(0, left),
                    "unit": _NAMES[limit.unit],
                    "resetTime": wall + over,
                }
            )
        return found


class Limiter:
    """Counts requests by user; users that have not asked for longest are forgotten.

    :param limits: the table of everybody
    :param users: ``user:NAME``: a table of that user's own, in the syntax of the Paste file
    """

    def __init__(self, limits: Sequence[Limit], *, clock: Clock = time.monotonic, **users: str) -> None:
        self.limits = limits
        self.own = {
            name.partition(":")[2]: parse_limits(text) for name, text in users.items() if name.startswith("user:")
        }
        self._clock = clock
        self._users: OrderedDict[str | None, _Buckets] = OrderedDict()
        self._lock = threading.Lock()

    def _of(self, username: str | None) -> _Buckets:
        found = self._users.get(username)
        if found is None:
            found = self._users[username] = _Buckets(self.own.get(username or "", self.limits))
            if len(self._users) > bounds.MAX_RATE_LIMIT_USERS:
                self._users.popitem(last=False)
        self._users.move_to_end(username)
        return found

    def check_for_delay(self, verb: str, url: str, username: str | None = None) -> tuple[float | None, str | None]:
        """Count a request.

        :param url: path and query
        :returns: seconds until it would be admitted, with what is said; (None, None) when it is
        """
        with self._lock:
            refused = self._of(username).hit(verb.upper(), url, self._clock())
        return refused if refused is not None else (None, None)

    def get_limits(self, username: str | None = None) -> list[dict[str, Any]]:
        """The limits of a user with what is left of them; ``resetTime`` in seconds since the epoch."""
        with self._lock:
            return self._of(username).shown(self._clock(), time.time())

    @staticmethod
    def parse_limits(text: str) -> list[Limit]:
        """See :func:`parse_limits`."""
        return parse_limits(text)


class RateLimitingMiddleware(Middleware):
    """Rate-limits requests passing through this middleware.

    :param limits: the table, in the syntax of the Paste file; :data:`DEFAULT_LIMITS` when empty
    :param limiter: ``module.Class`` in place of :class:`Limiter`; it is given the further options
    """

    def __init__(
        self, application: WsgiApplication, limits: str | None = None, limiter: Any = None, **options: str
    ) -> None:
        super().__init__(application)
        kind: Any = Limiter
        if isinstance(limiter, str):
            kind = runtime.load_class(limiter if ":" in limiter else ":".join(limiter.rsplit(".", 1)))
        elif limiter is not None:
            kind = limiter
        table = kind.parse_limits(limits) if limits else list(DEFAULT_LIMITS)
        self._limiter = kind(table or list(DEFAULT_LIMITS), **options)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        context = environ.get(CONTEXT)
        user = context.user_id if isinstance(context, RequestContext) else None
        delay, text = self._limiter.check_for_delay(environ.get("REQUEST_METHOD", "GET"), below_project(environ), user)
        if delay:
            return OverLimitFault(_REFUSAL, str(text), math.ceil(delay))(environ, start_response)
        environ[LIMITS] = lambda: self._limiter.get_limits(user)
        return self.application(environ, start_response)


class WsgiLimiter(Application):
    """A limiter that several servers ask: POST ``/USER`` with ``{"verb": …, "path": …}``.

    204 admits; 403 refuses, with ``X-Wait-Seconds`` and the text.

    :param limits: the table; :data:`DEFAULT_LIMITS` without it
    """

    def __init__(self, limits: Sequence[Limit] | str | None = None, **options: Any) -> None:
        table = parse_limits(limits) if isinstance(limits, str) else limits
        self._limiter = Limiter(table or DEFAULT_LIMITS, **options)

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        answer: WsgiApplication = self._answer(webob.Request(environ))
        return answer(environ, start_response)

    def _answer(self, request: webob.Request) -> Any:
        if request.method != "POST":
            return webob.exc.HTTPMethodNotAllowed()
        if (request.content_length or 0) > bounds.MAX_BODY_BYTES:
            return webob.exc.HTTPRequestEntityTooLarge()
        try:
            asked = json.loads(request.body)
            verb, path = str(asked["verb"]), str(asked["path"])
        except (ValueError, KeyError, TypeError, RecursionError):
            return webob.exc.HTTPBadRequest()
        user = decoded(request.environ.get("PATH_INFO", "")).strip("/") or None
        delay, text = self._limiter.check_for_delay(verb, path, user)
        if not delay:
            return webob.Response(status=204)
        answer = webob.Response(status=403, text=str(text), content_type="text/plain", charset="UTF-8")
        answer.headers["X-Wait-Seconds"] = f"{delay:.2f}"
        return answer


class _Verdict(NamedTuple):
    """What a remote limiter said: seconds to wait and text, or None and None."""

    delay: float | None
    text: str | None


class WsgiLimiterProxy:
    """Asks a :class:`WsgiLimiter` elsewhere. While it does not answer every request is admitted.

    :param limiter_address: ``host:port``
    """

    def __init__(self, limits: Sequence[Limit] = (), limiter_address: str = "", **_options: str) -> None:
        self.limiter_address = limiter_address
        self._said = -_SAY_EVERY

    @staticmethod
    def parse_limits(text: str) -> list[Limit]:
        """The limits are the other side's."""
        return []

    def check_for_delay(self, verb: str, path: str, username: str | None = None) -> tuple[float | None, str | None]:
        """Ask.

        :returns: as :meth:`Limiter.check_for_delay`
        """
        connection = http.client.HTTPConnection(self.limiter_address, timeout=_TIMEOUT)
        body = json.dumps({"verb": verb, "path": path})
        headers = {"Content-Type": "application/json"}
        try:
            connection.request("POST", f"/{quote(username or '', safe='')}", body, headers)
            answer = connection.getresponse()
            text = answer.read(bounds.MAX_BODY_BYTES).decode("utf-8", "replace")
            if answer.status == 403:
                return _Verdict(float(answer.headers.get("X-Wait-Seconds") or 1), text or None)
            if not 200 <= answer.status < 300:
                # A limiter that is broken, or whatever stands before it: nobody has been over a limit.
                raise http.client.HTTPException(f"status {answer.status}")
            return _Verdict(None, None)
        except (OSError, http.client.HTTPException, ValueError) as error:
            self._say(error)
            return _Verdict(None, None)
        finally:
            connection.close()

    def get_limits(self, username: str | None = None) -> Sequence[Mapping[str, Any]]:
        """What is left is the other side's knowledge."""
        return []

    def _say(self, error: Exception) -> None:
        now = time.monotonic()
        if now - self._said >= _SAY_EVERY:
            self._said = now
            log.error("the rate limiter at %s does not answer, requests are admitted: %s", self.limiter_address, error)
