"""A parent and its children: started, watched, started again when they die, exchanged on SIGHUP, ended.

The parent connects to nothing and answers nobody: whatever a child needs, the child makes after the fork. So it can
fork at any time, and nothing that goes wrong in a child harms it. A child whose parent has died ends as on SIGTERM.
"""

import logging
import os
import signal
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from nova_api import server
from nova_api.errors import ApiError, ConfigError

log = logging.getLogger(__name__)

#: How long a child may take until it works.
START_SECONDS = 60.0
#: A child that has lived so long is started again at once when it dies; one that dies again and again, later and later.
STABLE_SECONDS = 10.0
MAX_PAUSE = 30.0
#: Beyond the time for what is in hand, for letting go of everything else.
GRACE = 5.0
_ENDING = (signal.SIGTERM, signal.SIGINT)
_TICK = 0.05

#: What a child does: given the signals that it waits for, and what it calls once it works.
Work = Callable[[server.Signals, Callable[[], None]], None]


@dataclass(frozen=True, slots=True)
class Role:
    """What a child is for.

    :ivar name: in the log
    :ivar alone: never two of them at a time: the old one has ended before the new one begins
    """

    name: str
    work: Work
    alone: bool = False


@dataclass(slots=True, eq=False)
class Child:
    """:ivar news: the end of a pipe that says when it works
    :ivar status: of its end, as ``os.waitstatus_to_exitcode`` has it
    :ivar until: when it has to have ended, since it was told to; on the monotonic clock
    """

    pid: int
    news: int
    since: float = field(default_factory=time.monotonic)
    works: bool = False
    status: int | None = None
    until: float | None = None

    def hear(self) -> bool:
        """Whether it works."""
        if not self.works and self.status is None:
            self.works = server.read_now(self.news) == b"+"
        return self.works

    def tell(self, number: signal.Signals) -> None:
        """Send it a signal, unless it has ended."""
        if self.status is None:
            os.kill(self.pid, number)

    def end(self, seconds: float) -> None:
        """Have it end."""
        self.tell(signal.SIGTERM)
        self.until = time.monotonic() + seconds

    def look(self) -> None:
        """Take note of its end."""
        if self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.status = os.waitstatus_to_exitcode(status)
                os.close(self.news)


@dataclass(slots=True, eq=False)
class _Place:
    """A child that there has to be.

    :ivar failures: how often it died young, in a row
    :ivar due: when it is started, if there is none
    """

    role: Role
    child: Child | None = None
    failures: int = 0
    due: float = 0.0


def _say(writer: int) -> None:
    os.write(writer, b"+")


class Supervisor:
    """The parent.

    :param roles: of its children
    :param seconds: that they may take to finish what is in hand
    :param again: what ``roles`` and ``seconds`` are now, asked on SIGHUP; raises ``ConfigError``
    """

    def __init__(
        self, roles: Iterable[Role], seconds: float, again: Callable[[], tuple[Sequence[Role], float]]
    ) -> None:
        self._places = [_Place(role) for role in roles]
        self._seconds, self._again = seconds, again
        self._leaving: list[Child] = []
        self._ending: int | None = None
        # Children hold one end each; that the other one is closed tells them that their parent has died.
        self._life, self._held = os.pipe()
        self._terminal = server.Terminal()
        self.signals = server.Signals(*_ENDING, signal.SIGHUP, signal.SIGCHLD)

    def once(self, action: Callable[[], None]) -> int:
        """Have a child of its own do something, and wait for it.

        :returns: its exit status
        """
        child = self._fork(Role("once", lambda _signals, _ready: action()))
        while child.status is None:
            self._wait(_TICK)
            child.look()
        return child.status

    def run(self, up: Callable[[], int]) -> int:
        """Until SIGTERM or SIGINT.

        :param up: called once every child works
        :returns: exit status: 0, or 2 when a child could not be started, or ``up`` failed
        """
        for place in self._places:
            place.child = self._fork(place.role)
        status = 0
        if not self._all_work([place.child for place in self._places if place.child]) or up():
            status = 0 if self._ending else 2
            self._ending = self._ending or signal.SIGTERM
        while self._ending is None:
            if self._wait(self._pause()) == signal.SIGHUP:
                if self._terminal.is_gone():
                    self._ending = signal.SIGHUP
                else:
                    self._reload()
            self._look()
        self._end()
        return status

    # -- signals and children

    def _wait(self, seconds: float | None) -> int | None:
        number = self.signals.wait(seconds)
        if number in _ENDING:
            self._ending = number
        return number

    def _children(self) -> list[Child]:
        return [*(place.child for place in self._places if place.child), *self._leaving]

    def _fork(self, role: Role) -> Child:
        news, writer = os.pipe()
        os.set_blocking(news, False)
        sys.stdout.flush()
        # A signal that comes before the child has handlers of its own would be heard by its parent.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, (*_ENDING, signal.SIGHUP, signal.SIGCHLD))
        try:
            pid = server.fork()
            if pid == 0:
                os.close(news)
                self._be_child(role, writer)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        os.close(writer)
        return Child(pid, news)

    def _be_child(self, role: Role, writer: int) -> None:
        status = 1
        try:
            os.close(self._held)
            signals = server.Signals(signal.SIGTERM)
            # Whoever presses Ctrl-C, or hangs up, reaches everybody; the parent passes it on.
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, (*_ENDING, signal.SIGHUP, signal.SIGCHLD))
            server.when_closed(self._life, lambda: os.kill(os.getpid(), signal.SIGTERM))
            role.work(signals, lambda: _say(writer))
            status = 0
        except (ConfigError, ApiError) as error:
            log.error("%s: %s", role.name, error)
            print(f"nova-api: {error}", file=sys.stderr, flush=True)
            status = 2
        except BaseException:
            log.exception("%s failed", role.name)
        finally:
            server.exit_now(status)

    def _all_work(self, children: Sequence[Child]) -> bool:
        """Wait until children work; False when one of them does not, or everything is to end."""
        until = time.monotonic() + START_SECONDS
        while not all([child.hear() for child in children]):
            if self._ending or time.monotonic() > until or any(child.status is not None for child in children):
                return False
            self._wait(_TICK)
            for child in children:
                child.look()
        return True

    def _pause(self) -> float | None:
        """Seconds until something is due."""
        times = [place.due for place in self._places if place.child is None]
        times += [child.until for child in self._children() if child.until is not None]
        return max(_TICK, min(times) - time.monotonic()) if times else None

    def _look(self) -> None:
        """Take note of who has ended, end who should have, start who is due."""
        now = time.monotonic()
        for child in self._children():
            child.look()
            if child.status is None and child.until is not None and child.until <= now:
                log.error("process %d does not end; it is killed", child.pid)
                child.tell(signal.SIGKILL)
                child.until = now + GRACE
        self._leaving = [child for child in self._leaving if child.status is None]
        for place in self._places:
            if place.child is not None and place.child.status is not None:
                self._ended(place, place.child)
            if place.child is None and place.due <= now:
                place.child = self._fork(place.role)

    def _ended(self, place: _Place, child: Child) -> None:
        now = time.monotonic()
        place.child, place.due = None, now
        if child.until is not None:  # it was told to
            return
        place.failures = place.failures + 1 if now - child.since < STABLE_SECONDS else 0
        if place.failures > 1:
            place.due = now + min(MAX_PAUSE, 2.0 ** (place.failures - 2))
        log.error(
            "%s, process %d, ended with status %s; another one starts in %.0f s",
            place.role.name,
            child.pid,
            child.status,
            place.due - now,
        )

    # -- exchange and end

    def _reload(self) -> None:
        """New children in the place of the old ones, which finish what they have; all of them, or none."""
        try:
            roles, seconds = self._again()
        except ConfigError as error:
            log.error("nothing is reloaded: %s", error)
            return
        new = [_Place(role) for role in roles]
        fresh: list[Child] = []
        for place in new:
            if not place.role.alone:
                place.child = self._fork(place.role)
                fresh.append(place.child)
        if self._all_work(fresh):
            self._exchange(new)
            self._seconds = seconds
            log.info("reloaded: %d new processes", len(new))
            return
        log.error("nothing is reloaded: a new process does not work; the old ones go on")
        for child in fresh:
            child.end(self._seconds + GRACE)
        self._leaving += fresh

    def _exchange(self, new: Sequence[_Place]) -> None:
        """Have the old children finish; who has to be alone is followed when he has ended."""
        heirs = {place.role.name: place for place in new if place.role.alone}
        for old in self._places:
            if old.child is None:
                continue
            old.child.end(self._seconds + GRACE)
            heir = heirs.get(old.role.name)
            if heir is not None:
                heir.child = old.child
            else:
                self._leaving.append(old.child)
        self._places = list(new)

    def _end(self) -> None:
        """End every child; at once on a second signal."""
        log.info("stopping on %s", signal.Signals(self._ending or signal.SIGTERM).name)
        for child in self._children():
            child.end(self._seconds + GRACE)
        self._places, self._leaving = [], self._children()
        while self._leaving:
            if self.signals.wait(self._pause()) in _ENDING:
                for child in self._leaving:
                    child.tell(signal.SIGKILL)
            self._look()
