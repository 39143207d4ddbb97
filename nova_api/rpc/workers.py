"""Threads that come when there is work and leave when there is none."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable

log = logging.getLogger(__name__)

#: Seconds a thread waits for more work before it ends.
IDLE_SECONDS = 10.0


class Closed(Exception):
    """The workers have been told to stop."""


class Workers:
    """A bounded pool that starts empty; a job is picked up at once, without polling.

    Real threads or green ones, whichever ``threading`` gives.

    :param name: of the threads
    :param limit: threads at a time
    """

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._lock = threading.Lock()
        self._work = threading.Condition(self._lock)
        self._quiet = threading.Condition(self._lock)
        self._jobs: deque[Callable[[], None]] = deque()
        self._threads = 0
        self._idle = 0
        self._closed = False

    def submit(self, job: Callable[[], None]) -> None:
        """Run ``job`` as soon as a thread is free.

        :raises Closed: after ``stop``
        """
        with self._lock:
            if self._closed:
                raise Closed(self._name)
            if self._idle > len(self._jobs):
                self._work.notify()
            elif self._threads < self._limit:
                threading.Thread(target=self._run, name=self._name, daemon=True).start()
                self._threads += 1
            self._jobs.append(job)

    @property
    def waiting(self) -> int:
        """Jobs that no thread has picked up."""
        return len(self._jobs)

    def stop(self, timeout: float) -> bool:
        """Take no more jobs, and wait for those taken.

        :param timeout: seconds; jobs that no thread has picked up by then are dropped
        :returns: all of them ended
        """
        until = time.monotonic() + timeout
        with self._lock:
            self._closed = True
            self._work.notify_all()
            while self._threads and (left := until - time.monotonic()) > 0:
                self._quiet.wait(left)
            self._jobs.clear()
            return not self._threads

    def _run(self) -> None:
        while (job := self._next()) is not None:
            try:
                job()
            except Exception:
                log.exception("%s: a job failed", self._name)
            finally:
                del job  # a waiting thread keeps nothing alive

    def _next(self) -> Callable[[], None] | None:
        """The next job; None when this thread should end (it is no longer counted then)."""
        with self._lock:
            until = time.monotonic() + IDLE_SECONDS
            while not self._jobs:
                left = until - time.monotonic()
                if self._closed or left <= 0:
                    self._threads -= 1
                    self._quiet.notify_all()
                    return None
                self._idle += 1
                self._work.wait(left)
                self._idle -= 1
            return self._jobs.popleft()
