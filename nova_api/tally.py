"""Rare events of this process, counted for the metrics of an operator.

Like loggers, the counts belong to the process: whoever sees an event counts it, whether or not anybody asks.
"""

import threading
from collections import Counter

#: What is counted, and what it means.
EVENTS = {
    "lockouts": "access keys that were locked out after failed authentications",
    "lockout_refusals": "requests refused because their access key was locked out",
    "lockout_store_outages": "times that no memcached answered, so that failed authentications were not counted",
    "slow_queries": "statements of the datastore that took slow_query_seconds or longer",
}

_lock = threading.Lock()
_counts: Counter[str] = Counter()


def count(event: str) -> None:
    """Count one event.

    :param event: a name of :data:`EVENTS`
    :raises KeyError: no such event
    """
    if event not in EVENTS:
        raise KeyError(event)
    with _lock:
        _counts[event] += 1


def counts() -> dict[str, int]:
    """All counts since the process began."""
    with _lock:
        return {event: _counts[event] for event in EVENTS}
