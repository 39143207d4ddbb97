"""The process as the system sees it: signals, children, the end."""

import logging
import os
import signal
import time
import warnings
from collections import deque
from collections.abc import Callable
from typing import NoReturn

from nova_api import signals
from nova_api.server.green import eventlet

#: ``os`` as it is: the patched one waits where nothing is to be read.
_system = eventlet.patcher.original("os")


class Signals:
    """Signals that this process waits for; taken note of from the moment this is made."""

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers
        self._came: deque[int] = deque()
        self._reader = signals.listen(*numbers)
        os.set_blocking(self._reader, False)
        # An earlier program of this process may have kept them waiting.
        signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)

    def wait(self, seconds: float | None = None) -> int | None:
        """Sleep until one of the signals comes, or return at once when it has.

        :param seconds: return None after so many; None: never
        :returns: the signal's number
        """
        until = None if seconds is None else time.monotonic() + seconds
        while not self._came:
            left = None if until is None else max(0.0, until - time.monotonic())
            try:
                eventlet.hubs.trampoline(self._reader, read=True, timeout=left, timeout_exc=TimeoutError)
            except TimeoutError:
                return None
            self._came.extend(number for number in os.read(self._reader, 64) if number in self.numbers)
        return self._came.popleft()

    def keep(self) -> int | None:
        """Have signals wait from now on for the next program of this process.

        :returns: one that has come and that nobody has waited for
        """
        signal.pthread_sigmask(signal.SIG_BLOCK, self.numbers)
        while not self._came and (number := read_now(self._reader)):
            self._came.extend(one for one in number if one in self.numbers)
        return self._came.popleft() if self._came else None

    def release(self) -> None:
        """Let the signals do from now on what they do to any process."""
        for number in self.numbers:
            signal.signal(number, signal.SIG_DFL)


def read_now(descriptor: int) -> bytes | None:
    """A byte of a pipe, ``b""`` when its other end is closed, None when nothing has come; never waits.

    :param descriptor: of the end that is read from, not blocking
    """
    try:
        return bytes(_system.read(descriptor, 1))
    except BlockingIOError:
        return None


class Terminal:
    """The terminal that this process was started at, if there was one.

    A hangup is then what it says, and no request to read the configuration anew.
    """

    def __init__(self) -> None:
        self._was = os.isatty(0)

    def is_gone(self) -> bool:
        """Whether there was one, and is none any more."""
        return self._was and not os.isatty(0)


def fork() -> int:
    """Fork; the child has a hub of its own, and nothing that its parent waits for.

    :returns: the process id of the child, 0 in the child
    """
    with warnings.catch_warnings():
        # eventlet warns of programs whose green threads run on in the child: the parent has none.
        warnings.simplefilter("ignore")
        pid = os.fork()
    if pid == 0:
        eventlet.hubs.use_hub()
    return pid


def when_closed(descriptor: int, action: Callable[[], object]) -> None:
    """Do something once the other end of a pipe is closed, as it is when its process has ended.

    :param descriptor: the end that is read from; nothing is ever written to the other
    """

    def watch() -> None:
        eventlet.hubs.trampoline(descriptor, read=True)
        action()

    eventlet.spawn(watch)


def exit_now(status: int) -> NoReturn:
    """End the process without waiting for threads that hang in a dead peer."""
    logging.shutdown()
    os._exit(status)
