"""Whether this process can work: what load balancers and operators ask, however often they do.

A check runs at most once at a time and its result serves for a second, so that a flood of questions costs the datastore
and the broker one question a second; a check that hangs costs one thread, and its askers a bounded wait.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from nova_api import limits

log = logging.getLogger(__name__)

OK, FAILED, SILENT = "ok", "failed", "no answer"


@dataclass(frozen=True, slots=True)
class Report:
    """What the checks say.

    :ivar ready: nothing that is needed is missing
    :ivar parts: ``ok``, ``failed`` or ``no answer`` by the name of the check
    """

    ready: bool
    parts: Mapping[str, str]


class Check:
    """One check.

    :param name: what is checked, for the log
    :param work: raises when it is not well
    :param clock: seconds, monotonic
    """

    def __init__(self, name: str, work: Callable[[], object], clock: Callable[[], float] = time.monotonic) -> None:
        self.name = name
        self._work, self._clock = work, clock
        self._changed = threading.Condition()
        self._running = False
        self._began = 0.0
        self._ended: float | None = None
        self._state = OK
        self._said = OK

    def begin(self) -> None:
        """Start it, unless it runs or its result is fresh."""
        with self._changed:
            fresh = self._ended is not None and self._clock() - self._ended < limits.READY_REUSE
            if self._running or fresh:
                return
            self._running, self._began = True, self._clock()
        threading.Thread(target=self._run, name=f"check-{self.name}", daemon=True).start()

    def result(self) -> str:
        """How it ended; ``no answer`` when it has run for too long."""
        with self._changed:
            while self._running:
                left = self._began + limits.READY_TIMEOUT - self._clock()
                if left <= 0 or not self._changed.wait(left):
                    break
            found = SILENT if self._running else self._state
            changed, self._said = found != self._said, found
        if changed:  # one line for an outage and one for its end, whoever asks how often
            log.log(logging.INFO if found == OK else logging.WARNING, "%s: %s", self.name, found)
        return found

    def _run(self) -> None:
        state = OK
        try:
            self._work()
        except Exception as error:
            log.debug("%s: %s", self.name, error)
            state = FAILED
        with self._changed:
            self._state, self._running, self._ended = state, False, self._clock()
            self._changed.notify_all()


class Readiness:
    """The checks of a process.

    :param checks: by name; what is raised means "not well"
    :param needed: names of those without which it is not ready; by default all
    """

    def __init__(
        self,
        checks: Mapping[str, Callable[[], object]],
        needed: Iterable[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._checks = [Check(name, work, clock) for name, work in checks.items()]
        self._needed = frozenset(checks if needed is None else needed)

    def report(self) -> Report:
        """Run what is due, all at a time, and tell; takes ``READY_TIMEOUT`` seconds at most."""
        for check in self._checks:
            check.begin()
        parts = {check.name: check.result() for check in self._checks}
        return Report(all(parts[name] == OK for name in self._needed), parts)
