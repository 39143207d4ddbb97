"""Counters of failed authentications, in this process or in memcached."""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Protocol

log = logging.getLogger(__name__)

#: Keys that the in-process counters keep: a flood of invented access keys must not fill the memory.
MAX_KEYS = 100_000


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

    With memcached down nobody is locked out and the fact is logged: a cache must not decide who gets in.

    :param servers: ``host:port`` of each server
    """

    def __init__(self, servers: Sequence[str]) -> None:
        import memcache

        self._client = memcache.Client(
            list(servers), socket_timeout=1.0, dead_retry=5, pickler=_NoPickles, unpickler=_NoPickles
        )
        self._warned = 0.0

    def count(self, key: str) -> int:
        """The count of a key; 0 when it has none, or memcached does not answer."""
        found = self._client.get(key)
        try:
            return int(found or 0)
        except (TypeError, ValueError):
            return 0

    def add(self, key: str, seconds: float) -> int:
        """Count one more; the first one starts the life of the count."""
        for _ in range(2):  # the count may end between the two commands
            if self._client.add(key, "1", time=max(1, int(seconds))):
                return 1
            raised = self._client.incr(key)
            if raised is not None:
                return int(raised)
        self._warn()
        return 0

    def hold(self, key: str, count: int, seconds: float) -> None:
        """Set a count, with a life of its own."""
        if not self._client.set(key, str(count), time=max(1, int(seconds))):
            self._warn()

    def _warn(self) -> None:
        if time.monotonic() - self._warned > 60 or not self._warned:
            self._warned = time.monotonic()
            log.warning("memcached does not answer: failed authentications are not counted")


class _NoPickles:
    """Refuses to read or write pickles: whoever can write to memcached could run code with one."""

    def __init__(self, *_args: Any, **_options: Any) -> None:
        pass

    def dump(self, _value: object) -> None:
        raise TypeError("only texts go to memcached")

    def load(self) -> object:
        raise TypeError("only texts come from memcached")
