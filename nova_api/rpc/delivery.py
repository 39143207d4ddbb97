"""One message and its handler: what is tried again, what is given up, and what the caller of a call is told.

Both transports deliver through here, so a handler meets the same rules in one process and across a broker.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Any

from nova_api import errors
from nova_api.context import CURRENT_REQUEST
from nova_api.rpc import envelope
from nova_api.rpc.envelope import MalformedMessage, Message
from nova_api.rpc.transport import Counters, Handler

log = logging.getLogger(__name__)

#: How often a cast whose handler has a defect is tried before it is given up.
DEFECT_TRIES = 3
#: How often a cast is tried while the datastore or a node does not answer, before it goes
#: back to the queue's end.
OUTAGE_TRIES = 8
DEFECT_PAUSE = 0.2  # seconds, times the number of tries so far


class Outcome(Enum):
    """What becomes of a message."""

    DONE = "done"  # handled, or refused for a reason that stays
    DEAD = "dead"  # no delivery will ever succeed
    AGAIN = "again"  # not now


@dataclass(slots=True)
class _Tries:
    """How often a message was tried in vain: an outage is no defect, and may end in one."""

    outages: int = 0
    defects: int = 0


class NoSuchMethod(Exception):
    """The message asks for what the consumer does not offer."""


def backoff(tries: int) -> float:
    """Seconds to wait after so many failed tries: 1, 3, 5, ... up to 30."""
    return min(30.0, 2.0 * tries - 1.0)


class Delivery:
    """Hands messages to a handler.

    :param handle: the handler
    :param stopping: set when the consumer stops; no pause outlasts it
    :param counters: of the transport
    """

    def __init__(self, handle: Handler, stopping: threading.Event, counters: Counters) -> None:
        self._handle = handle
        self._stopping = stopping
        self._counters = counters

    def read(self, body: str | bytes) -> Message | None:
        """The message in a body; None, with a log line, if there is none: it is dead."""
        try:
            return envelope.unpack(envelope.decode(body))
        except MalformedMessage as error:
            log.error("a message of %d bytes cannot be read: %s", len(body), error)
            self._counters.count(dead=True)
            return None

    def cast(self, message: Message) -> Outcome:
        """Handle a message that nobody waits for; never raises because of what the handler raises."""
        token = CURRENT_REQUEST.set(message.context.request_id)
        try:
            outcome = self._try(message)
        finally:
            CURRENT_REQUEST.reset(token)
        if outcome is not Outcome.AGAIN:
            self._counters.count(dead=outcome is Outcome.DEAD)
        return outcome

    def call(self, message: Message, reply: Callable[[dict[str, Any]], None]) -> None:
        """Handle a message whose caller waits; it is told of failures, so nothing is tried again.

        :param reply: takes the reply messages
        """
        token = CURRENT_REQUEST.set(message.context.request_id)
        try:
            self._call(message, reply)
        finally:
            CURRENT_REQUEST.reset(token)

    def _call(self, message: Message, reply: Callable[[dict[str, Any]], None]) -> None:
        try:
            answer = envelope.reply(self._handle(message))
            envelope.encode(answer)
        except errors.ApiError as error:
            log.info("%s: call of %s refused: %s", message.context.request_id, message.method, error)
            reply(envelope.failure(error))
        except Exception as error:
            log.exception("%s: call of %s failed", message.context.request_id, message.method)
            reply(envelope.failure(error))
        else:
            reply(answer)
            reply(envelope.ending())
        self._counters.count(dead=False)

    def _try(self, message: Message) -> Outcome:
        tries = _Tries()
        while tries.outages < OUTAGE_TRIES:
            outcome = self._try_once(message, tries)
            if outcome is not Outcome.AGAIN:
                return outcome
            if self._stopping.is_set():
                break
        return Outcome.AGAIN

    def _try_once(self, message: Message, tries: "_Tries") -> Outcome:
        name, request_id = message.method, message.context.request_id
        try:
            self._handle(message)
        except NoSuchMethod as error:
            log.error("%s: %s", request_id, error)
            return Outcome.DEAD
        except errors.ServiceUnavailable as error:
            tries.outages += 1
            log.warning("%s: %s has to wait (try %d): %s", request_id, name, tries.outages, error)
            self._stopping.wait(backoff(tries.outages))
        except errors.ApiError as error:
            log.warning("%s: %s refused: %s: %s", request_id, name, type(error).__name__, error)
            return Outcome.DONE
        except Exception:
            tries.defects += 1
            log.exception("%s: %s failed (try %d of %d)", request_id, name, tries.defects, DEFECT_TRIES)
            if tries.defects >= DEFECT_TRIES:
                return Outcome.DEAD
            self._stopping.wait(DEFECT_PAUSE * tries.defects)
        else:
            return Outcome.DONE
        return Outcome.AGAIN
