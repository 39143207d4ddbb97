"""Counters of failed authentications, in this process or in memcached."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from nova_api import tally

log = logging.getLogger(__name__)

#: Keys that the in-process counters keep: a flood of invented access keys must not fill the memory.
MAX_KEYS = 100_000

_TIMEOUT = 1.0  # seconds that memcached may take
_PAUSE = 5.0  # seconds in which a memcached that has not answered is left alone
_WARN_SECONDS = 60.0  # between two lines in the log about one outage


class Counters(Protocol):
    """Counts that end by themselves."""

    def count(self, key: str) -> int:
        """The count of a key; 0 when it has none."""

    def add(self, key: str, seconds: float) -> int:
        """Count one more; the first one starts the life of the count.

        :param seconds: that life
        :returns: the new count
        """

    def hold(self, key: str, count: int, seconds: float) -> None:
        """Set a count, with a life of its own."""


class LocalCounters:
    """Counters of this process.

    :param clock: seconds, monotonic
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._counts: dict[str, tuple[int, float]] = {}

    def count(self, key: str) -> int:
        """The count of a key; 0 when it has none."""
        found = self._counts.get(key)
        return found[0] if found and found[1] > self._clock() else 0

    def add(self, key: str, seconds: float) -> int:
        """Count one more; the first one starts the life of the count."""
        with self._lock:
            now = self._clock()
            count, until = self._counts.get(key, (0, 0.0))
            if until <= now:
                count, until = 0, now + seconds
                self._make_room(now)
            self._counts[key] = (count + 1, until)
            return count + 1

    def hold(self, key: str, count: int, seconds: float) -> None:
        """Set a count, with a life of its own."""
        with self._lock:
            self._counts[key] = (count, self._clock() + seconds)

    def _make_room(self, now: float) -> None:
        if len(self._counts) < MAX_KEYS:
            return
        self._counts = {key: value for key, value in self._counts.items() if value[1] > now}
        while len(self._counts) >= MAX_KEYS:
            self._counts.pop(next(iter(self._counts)))


class MemcachedCounters:
    """Counters that several processes share.

    With every server down nobody is locked out, failures are not counted, and the fact is logged and counted in the
    metrics: a cache must not decide who gets in. Once it has not answered, it is left alone for a few seconds, so that
    a server that hangs does not make every request wait.

    Only digits are read: what anybody else has put there under such a key counts as nothing and is overwritten.

    :param servers: ``host:port`` of each server
    """

    def __init__(self, servers: Sequence[str]) -> None:
        import memcache

        self._client = memcache.Client(
            list(servers),
            socket_timeout=_TIMEOUT,
            dead_retry=_PAUSE,
            pickler=_NoPickles,
            unpickler=_NoPickles,
            compressor=_no_compression,
            decompressor=_no_compression,
        )
        self._away = False
        self._resume_at = 0.0  # on the monotonic clock
        self._warned_at = 0.0

    def count(self, key: str) -> int:
        """The count of a key; 0 when it has none, or memcached does not answer."""
        return _number(self._ask(self._client.get, key)) or 0

    def add(self, key: str, seconds: float) -> int:
        """Count one more; the first one starts the life of the count.

        :returns: the new count; 0 when memcached does not answer
        """
        for _ in range(2):  # the count may end between the two commands
            if self._ask(self._client.add, key, "1", time=_life(seconds)):
                return 1
            raised = _number(self._ask(self._client.incr, key))
            if raised is not None:
                return raised
        # Something else stands there, or nobody answers.
        return 1 if self._ask(self._client.set, key, "1", time=_life(seconds)) else 0

    def hold(self, key: str, count: int, seconds: float) -> None:
        """Set a count, with a life of its own."""
        self._ask(self._client.set, key, str(count), time=_life(seconds))

    def close(self) -> None:
        """Close the connections of this thread."""
        self._client.disconnect_all()

    def _ask(self, command: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        """What memcached says; None when it does not, or when that is nothing of ours."""
        if time.monotonic() < self._resume_at:
            return None
        try:
            answer = command(*arguments, **options)
        except ValueError:
            return None
        self._note(answered=bool(answer) or not all(server.deaduntil for server in self._client.servers))
        return answer

    def _note(self, *, answered: bool) -> None:
        if answered:
            if self._away:
                self._away = False
                log.warning("memcached answers again")
            return
        now = time.monotonic()
        self._resume_at = now + _PAUSE
        tally.count("lockout_store_outages")
        if not self._away or now - self._warned_at > _WARN_SECONDS:
            self._away, self._warned_at = True, now
            log.warning("memcached does not answer: failed authentications are not counted")


def _life(seconds: float) -> int:
    # Beyond thirty days memcached takes the number for a date.
    return max(1, min(int(seconds), 30 * 86_400))


def _number(found: object) -> int | None:
    """A count, if it is one: as text or as what ``incr`` returns."""
    if isinstance(found, bytes):
        found = found.decode("latin-1")
    if isinstance(found, str):
        return int(found) if found.isascii() and found.isdigit() and len(found) < 20 else None
    return found if isinstance(found, int) and 0 <= found < 2**64 else None


class _NoPickles:
    """Refuses to read or write pickles: whoever can write to memcached could run code with one."""

    def __init__(self, *_args: Any, **_options: Any) -> None:
        pass

    def dump(self, _value: object) -> None:
        raise TypeError("only texts go to memcached")

    def load(self) -> object:
        raise TypeError("only texts come from memcached")


def _no_compression(_data: bytes) -> bytes:
    raise ValueError("only texts come from memcached")
