"""Running nodes: managers that consume their topics, and the heart that tells the others that they live."""

import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import ClassVar, Protocol

from nova_api.config import Config
from nova_api.db import services
from nova_api.db.engine import Database, Transaction
from nova_api.errors import ConfigError
from nova_api.nodes.cert import CertManager
from nova_api.nodes.compute import ComputeManager
from nova_api.nodes.console import ConsoleManager, ports_of
from nova_api.nodes.network import NetworkManager
from nova_api.nodes.scheduler import SchedulerManager
from nova_api.nodes.takeover import TakeOver
from nova_api.nodes.volume import VolumeManager
from nova_api.rpc.consumer import ServiceRunner
from nova_api.runtime import Runtime, load_class

log = logging.getLogger(__name__)


class Manager(Protocol):
    """What answers the messages of a topic.

    :cvar methods: names of the methods that messages may call, as ``method(context, **args)``
    :cvar binary: name of the program in the services table
    """

    methods: ClassVar[tuple[str, ...]]
    binary: ClassVar[str]

    def start(self) -> None:
        """Called once, before the first message: take up what an earlier process left."""


class Running(Protocol):
    """Something that :func:`stop_all` stops."""

    def stop(self, timeout: float) -> bool:
        """Stop; see :class:`NodeService`."""


class NodeService:
    """A manager that consumes ``topic``, ``topic.host`` and what is fanned out to the topic.

    :param topic: such as ``compute``
    :param manager: has the methods
    :param runtime: brings the transport and the configuration
    :param host: name of this node; ``config.host`` unless given
    """

    def __init__(self, topic: str, manager: Manager, runtime: Runtime, host: str | None = None) -> None:
        config = runtime.config
        self.topic, self.manager = topic, manager
        self.host = host or config.host
        self._runner = ServiceRunner(runtime.transport, topic, self.host, manager, manager.methods, config.node_workers)

    def start(self) -> None:
        """Begin to take messages."""
        self._runner.start()

    def stop(self, timeout: float) -> bool:
        """Take no more messages and finish those in hand.

        :param timeout: seconds
        :returns: everything was finished; what was not comes again after the next start
        """
        finished = self._runner.stop(timeout)
        if not finished:
            log.warning("%s stops before everything in hand is finished", self.topic)
        return finished


class Heart:
    """Reports every ``report_interval`` seconds that services live.

    :param db: the datastore
    :param config: ``report_interval``, ``node_availability_zone``
    :param host: name of the node
    :param binaries: program name of each topic
    """

    def __init__(self, db: Database, config: Config, host: str, binaries: Mapping[str, str]) -> None:
        self._db, self._config, self._host, self._binaries = db, config, host, dict(binaries)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def beat(self) -> None:
        """Report once.

        :raises ServiceUnavailable: the database does not answer
        """
        self._db.write(self._beat)

    def _beat(self, tx: Transaction) -> None:
        # Always in the same order: two processes of one host must not lock each other's rows crosswise.
        for topic, binary in sorted(self._binaries.items()):
            zone = self._config.node_availability_zone
            services.report(tx, self._host, topic, binary, zone)

    def start(self) -> None:
        """Report once, then from a thread."""
        self.beat()
        self._thread = threading.Thread(target=self._run, name="heart", daemon=True)
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Stop reporting; the services count as down at once, so nothing more is scheduled to them.

        :param timeout: seconds
        """
        self._stopping.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join(timeout)
        try:
            self._db.write(lambda tx: services.gone(tx, self._host, sorted(self._binaries)))
        except Exception:
            log.warning("%s: could not report its end; it counts as down after a while", self._host)
            return False
        return True

    def _run(self) -> None:
        while not self._stopping.wait(self._config.report_interval):
            try:
                self.beat()
            except Exception as error:
                log.warning("%s could not report: %s", self._host, error)


class Periodic:
    """Does something again and again, from a thread of its own.

    :param name: of the thread, and in the log
    :param seconds: between the end of one time and the beginning of the next
    :param work: what to do; what it raises is logged, and it is done again
    """

    def __init__(self, name: str, seconds: float, work: Callable[[], object]) -> None:
        self.name, self._seconds, self._work = name, seconds, work
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout: float) -> bool:
        """Do it no more.

        :param timeout: seconds
        :returns: it is not being done any more
        """
        self._stopping.set()
        self._thread.join(timeout)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            try:
                self._work()
            except Exception as error:
                log.warning("%s: %s", self.name, error)


def _scheduler(runtime: Runtime, host: str) -> Manager:
    return SchedulerManager(runtime.db, runtime.outbox, runtime.config, host)


def _compute(runtime: Runtime, host: str) -> Manager:
    config = runtime.config
    driver = load_class(config.compute_driver)(config)
    return ComputeManager(
        runtime.db,
        runtime.outbox,
        runtime.rpc,
        driver,
        host,
        down_time=config.service_down_time,
    )


def _network(runtime: Runtime, host: str) -> Manager:
    return NetworkManager(runtime.db)


def _volume(runtime: Runtime, host: str) -> Manager:
    return VolumeManager(runtime.db, load_class(runtime.config.volume_driver)(runtime.config), host)


def _cert(runtime: Runtime, host: str) -> Manager:
    return CertManager(runtime.config)


def _console(runtime: Runtime, host: str) -> Manager:
    return ConsoleManager(runtime.db, runtime.config, host)


#: How the manager of each topic is made.
MANAGERS: Mapping[str, Callable[[Runtime, str], Manager]] = {
    "scheduler": _scheduler,
    "compute": _compute,
    "network": _network,
    "volume": _volume,
    "cert": _cert,
    "console": _console,
}


def check(config: Config) -> None:
    """Whether nodes can be made, as far as can be told without making any.

    :raises ConfigError: they cannot
    """
    for path in (config.compute_driver, config.volume_driver):
        load_class(path)
    ports_of(config)


def start_all(runtime: Runtime, topics: Iterable[str] = tuple(MANAGERS), host: str | None = None) -> list[Running]:
    """Start nodes in this process; the outbox's relay is the caller's to start.

    All of them have reported before the first message is taken: a scheduler that works off what an earlier
    process left must find its hosts.

    :param topics: of :data:`MANAGERS`
    :param host: name of the node; ``config.host`` unless given
    :returns: what :func:`stop_all` takes
    :raises ConfigError: no such topic, no such driver
    """
    name = host or runtime.config.host
    wanted = list(dict.fromkeys(topics))
    for topic in wanted:
        if topic not in MANAGERS:
            raise ConfigError(f"no node is called {topic!r} (there are: {', '.join(MANAGERS)})")
    nodes = [NodeService(topic, MANAGERS[topic](runtime, name), runtime, name) for topic in wanted]
    for node in nodes:
        node.manager.start()
    heart = Heart(runtime.db, runtime.config, name, {node.topic: node.manager.binary for node in nodes})
    heart.start()
    for node in nodes:
        node.start()
    periodic = _periodic(nodes, runtime)
    for task in periodic:
        task.start()
    return [heart, *nodes, *periodic]


def _periodic(nodes: Iterable[NodeService], runtime: Runtime) -> list[Periodic]:
    config = runtime.config
    tasks = []
    for node in nodes:
        if isinstance(node.manager, ComputeManager) and config.reclaim_instance_interval > 0:
            reclaim = partial(node.manager.reclaim, config.reclaim_instance_interval)
            tasks.append(Periodic(f"reclaim.{node.host}", config.report_interval, reclaim))
        if isinstance(node.manager, SchedulerManager):
            take_over = TakeOver(runtime.db, runtime.outbox, config)
            tasks.append(Periodic(f"takeover.{node.host}", config.report_interval, take_over.run))
        if isinstance(node.manager, SchedulerManager) and config.backup_schedule_interval > 0:
            take = runtime.backup_schedules.take_due
            tasks.append(Periodic(f"backups.{node.host}", config.backup_schedule_interval, take))
    return tasks


def stop_all(running: Iterable[Running], timeout: float) -> bool:
    """Stop what :func:`start_all` started: the schedulers, then all the others at a time.

    What a scheduler has in hand needs a host that is up, and this may be the last one: it says goodbye after that.
    Whatever is placed on it meanwhile is given to another host, or waits for it.

    :param timeout: seconds
    :returns: everything in hand was finished
    """
    until = time.monotonic() + timeout
    parts = list(running)
    first = [part for part in parts if isinstance(part, NodeService) and isinstance(part.manager, SchedulerManager)]
    finished = [_stop_together(first, timeout)]
    others = [part for part in parts if part not in first]
    finished.append(_stop_together(others, max(1.0, until - time.monotonic())))
    return all(finished)


def _stop_together(running: Sequence[Running], timeout: float) -> bool:
    results: list[bool] = []
    threads = [
        threading.Thread(target=lambda part=part: results.append(part.stop(timeout)), daemon=True) for part in running
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout + 1.0)
    return len(results) == len(threads) and all(results)
