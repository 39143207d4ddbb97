"""Figures for Prometheus, on a port of their own and only when ``metrics_port`` asks for them.

What happens in this process is counted as it happens; what the datastore and the broker know is read when somebody
asks, at most once in a few seconds. Every label comes out of a table of ours -- doors, names of actions, services -- so
no client can make the number of series grow.
"""

import logging
import platform
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

import nova_api
from nova_api import limits, tally
from nova_api.db import services, vitals
from nova_api.db.engine import Database
from nova_api.db.models import now
from nova_api.readiness import OK, Readiness
from nova_api.rpc.outbox import Outbox
from nova_api.rpc.transport import Transport

if TYPE_CHECKING:
    from prometheus_client import CollectorRegistry

    from nova_api.rpc.probe import BrokerProbe

log = logging.getLogger(__name__)

#: Upper ends of the classes that the time of a request is counted in, seconds.
BUCKETS = (0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure.

    :ivar kind: ``counter``, ``gauge`` or ``histogram``
    :ivar shared: it is the cloud's, the same from every process; else it is this process's
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...] = ()
    shared: bool = False


REQUESTS = Metric("nova_api_requests", "counter", "requests answered", ("door", "action", "status"))
SECONDS = Metric("nova_api_request_seconds", "histogram", "time to an answer, in seconds", ("door", "action"))
BUILD = Metric("nova_api_build", "gauge", "1, with the version as a label", ("version", "python"))
EVENTS = {name: Metric(f"nova_api_{name}", "counter", text) for name, text in tally.EVENTS.items()}
HANDLED = Metric("nova_api_messages_handled", "counter", "messages that the nodes of this process have handled")
DEAD = Metric("nova_api_messages_dead", "counter", "messages among them that were given up")
PARTS = Metric("nova_api_part_up", "gauge", "1 when the database or the broker answers this process, else 0", ("part",))
OUTBOX = Metric("nova_api_outbox_messages", "gauge", "messages not known to be taken over", shared=True)
OUTBOX_AGE = Metric("nova_api_outbox_oldest_seconds", "gauge", "age of the oldest of them, in seconds", shared=True)
QUEUES = Metric("nova_api_queue_messages", "gauge", "messages that wait at the broker", ("queue",), shared=True)
HEARTBEAT = Metric(
    "nova_api_service_heartbeat_age_seconds",
    "gauge",
    "time since a service has reported, in seconds; absent once it has stopped in good order",
    ("service", "host"),
    shared=True,
)
SERVICE_UP = Metric(
    "nova_api_service_up", "gauge", "1 for a service that reports, else 0", ("service", "host"), shared=True
)
SERVICE_ENABLED = Metric(
    "nova_api_service_enabled", "gauge", "0 for a service that an administrator has disabled", ("service", "host"), True
)
IN_USE = Metric(
    "nova_api_quota_in_use", "gauge", "what all projects together use of a quota", ("resource",), shared=True
)

#: Every figure, in the order of the guide.
TABLE = (
    REQUESTS,
    SECONDS,
    *EVENTS.values(),
    HANDLED,
    DEAD,
    PARTS,
    OUTBOX,
    OUTBOX_AGE,
    QUEUES,
    HEARTBEAT,
    SERVICE_UP,
    SERVICE_ENABLED,
    IN_USE,
    BUILD,
)

Observe = Callable[[str, str, float], None]
#: A figure's values: pairs of label values and value.
Values = list[tuple[tuple[str, ...], float]]


class Metrics:
    """The figures of one process.

    :param source: what is read when somebody asks
    :raises ImportError: the extra ``metrics`` is not installed
    """

    def __init__(self, source: "Source") -> None:
        import prometheus_client

        client: Any = prometheus_client  # typed in part only
        client.disable_created_metrics()  # they would double the series and tell nothing
        self.registry: CollectorRegistry = client.CollectorRegistry()
        self._requests = client.Counter(REQUESTS.name, REQUESTS.help, REQUESTS.labels, registry=self.registry)
        self._seconds = client.Histogram(
            SECONDS.name, SECONDS.help, SECONDS.labels, buckets=BUCKETS, registry=self.registry
        )
        client.ProcessCollector(registry=self.registry)
        self.registry.register(_Collector(source))

    def observer(self, door: str) -> Observe:
        """What a door calls for each request: with the action, the status and the time in seconds.

        :param door: its name
        """
        known: dict[tuple[str, str], tuple[Any, Any]] = {}

        def observe(action: str, status: str, seconds: float) -> None:
            pair = known.get((action, status))
            if pair is None:
                pair = self._requests.labels(door, action, status), self._seconds.labels(door, action)
                known[action, status] = pair
            pair[0].inc()
            pair[1].observe(seconds)

        return observe

    def render(self) -> tuple[bytes, str]:
        """The figures as they are sent, and their content type."""
        from prometheus_client import exposition

        return exposition.generate_latest(self.registry), exposition.CONTENT_TYPE_PLAIN_0_0_4


@dataclass(slots=True)
class Source:
    """Where figures are read.

    :ivar down_time: seconds of silence that make a service down
    """

    db: Database
    outbox: Outbox
    transport: Transport
    probe: "BrokerProbe | None"
    readiness: Readiness
    down_time: float

    def of_process(self) -> dict[Metric, Values]:
        """What this process knows by itself."""
        found: dict[Metric, Values] = {EVENTS[name]: [((), count)] for name, count in tally.counts().items()}
        found[HANDLED] = [((), self.transport.counters.handled)]
        found[DEAD] = [((), self.transport.counters.dead)]
        found[BUILD] = [((nova_api.__version__, platform.python_version()), 1)]
        return found

    def shared(self) -> dict[Metric, Values]:
        """What the datastore and the broker know; a part that does not answer is left out."""
        parts = self.readiness.report().parts
        found: dict[Metric, Values] = {PARTS: [((name,), state == OK) for name, state in parts.items()]}
        if parts.get("database", OK) != OK:
            return found
        found[OUTBOX] = [((), self.outbox.depth())]
        found[OUTBOX_AGE] = [((), self.outbox.oldest_age())]
        with self.db.read() as conn:
            rows = services.every(conn)
            found[IN_USE] = [((name,), value) for name, value in vitals.in_use(conn).items()]
        at = now()
        where = [((row.topic, row.host), row) for row in rows]
        found[SERVICE_UP] = [(labels, services.alive(row, self.down_time, at)) for labels, row in where]
        found[SERVICE_ENABLED] = [(labels, not row.disabled) for labels, row in where]
        found[HEARTBEAT] = [(labels, _age(row, at)) for labels, row in where if row.updated_at is not None]
        if self.probe is not None and parts.get("broker") == OK:
            queues = self.probe.queues((row.topic, row.host) for row in rows)
            depths = self.probe.depths(islice(queues, limits.MAX_METRIC_QUEUES))
            found[QUEUES] = [((name,), depth) for name, depth in depths.items()]
        return found


def _age(row: Any, at: Any) -> float:
    seconds: float = (at - row.updated_at).total_seconds()
    return max(0.0, seconds)


class _Collector:
    """What the library asks at every scrape; reads the shared figures at most once in ``METRICS_REUSE`` seconds."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._turn = threading.Lock()
        self._read_at: float | None = None
        self._shared: Mapping[Metric, Values] = {}

    def describe(self) -> Iterable[Any]:
        """Nothing is read when the collector is registered."""
        return ()

    def collect(self) -> Iterable[Any]:
        """All figures but those of the requests."""
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for metric, values in {**self._source.of_process(), **self._latest()}.items():
            kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
            family = kind(metric.name, metric.help, labels=metric.labels)
            for labels, value in values:
                family.add_metric(labels, value)
            yield family

    def _latest(self) -> Mapping[Metric, Values]:
        if not self._turn.acquire(timeout=limits.METRICS_TIMEOUT):
            return {}  # another scrape hangs in the datastore
        try:
            if self._read_at is None or time.monotonic() - self._read_at >= limits.METRICS_REUSE:
                self._shared = self._read()
                self._read_at = time.monotonic()
            return self._shared
        finally:
            self._turn.release()

    def _read(self) -> Mapping[Metric, Values]:
        try:
            return self._source.shared()
        except Exception as error:
            log.warning("figures could not be read: %s", error)
            return {}
