"""One after the other: work on the same thing, of threads that may do other things at the same time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from weakref import WeakValueDictionary


class _Turn:
    """Held by the thread whose turn it is; it is there for as long as somebody has it or waits for it."""

    def __init__(self) -> None:
        self.lock = threading.Lock()


class Turns:
    """Locks by name, which nobody has to take away."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._turns: WeakValueDictionary[str, _Turn] = WeakValueDictionary()

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Wait until no other thread works on something, and keep them from it.

        :param name: of the thing
        """
        with self._lock:
            turn = self._turns.setdefault(name, _Turn())
        with turn.lock:
            yield
