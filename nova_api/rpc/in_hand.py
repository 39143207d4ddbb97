"""What a consumer has in hand, and what it has had: a broker delivers at least once, this makes more of them once.

A message that was not acknowledged when the connection broke is delivered again, while its handler may still be at
work or has just finished. Then nothing has to run again, and it is no sign that a process has died of it.
"""

import threading
from collections import OrderedDict
from typing import Protocol

#: Messages that a consumer remembers after it has let go of them.
REMEMBERED = 2000


class Receipt(Protocol):
    """What the broker waits for from whoever got a message."""

    def settle(self, requeue: bool) -> None:
        """Acknowledge it, or have it delivered again."""


class InHand:
    """The messages of one consumer, by their ids."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._running: dict[str, list[Receipt]] = {}
        self._left: OrderedDict[str, bool] = OrderedDict()  # id -> whether it was finished

    def take(self, key: str, receipt: Receipt) -> bool:
        """Note a message that was delivered.

        :returns: whether it has to be handled; if not, its receipt is or will be settled
        """
        with self._lock:
            if key in self._running:
                self._running[key].append(receipt)
                return False
            if not self._left.get(key):
                self._running[key] = [receipt]
                return True
        receipt.settle(False)
        return False

    def knows(self, key: str) -> bool:
        """This process has had the message, and lives."""
        with self._lock:
            return key in self._running or key in self._left

    def leave(self, key: str, *, requeue: bool = False) -> None:
        """Let go of a message: settle it as often as it was delivered."""
        with self._lock:
            receipts = self._running.pop(key, [])
            self._left[key] = not requeue
            self._left.move_to_end(key)
            while len(self._left) > REMEMBERED:
                self._left.popitem(last=False)
        for receipt in receipts:
            receipt.settle(requeue)

    def forget(self, key: str, *, requeue: bool = False) -> None:
        """Let go of a message as if it had never been here.

        :param requeue: have it delivered again; otherwise nothing is settled, and the broker finds out by itself
        """
        with self._lock:
            receipts = self._running.pop(key, [])
        for receipt in receipts if requeue else ():
            receipt.settle(True)
