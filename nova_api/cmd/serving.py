"""What a process of nova-api does: the doors of a worker, the nodes, or both, from the start to the end."""

import dataclasses
import logging
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from paste.deploy import appconfig, loadapp

from nova_api import runtime as runtimes
from nova_api import server
from nova_api.cloud import bootstrap
from nova_api.cloud.policy import Policy
from nova_api.cmd import greeting, startup
from nova_api.config import Config
from nova_api.errors import ConfigError
from nova_api.nodes import service as nodes
from nova_api.runtime import Runtime

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DoorPlan:
    """A door that this release has.

    :ivar host_option: option of the address, port_option of the port
    :ivar paste_name: the application's name in the Paste file
    """

    name: str
    paste_name: str
    host_option: str
    port_option: str


DOORS = {
    "ec2": DoorPlan("ec2", "ec2", "ec2_listen", "ec2_listen_port"),
    "osapi_compute": DoorPlan("osapi_compute", "osapi_compute", "osapi_compute_listen", "osapi_compute_listen_port"),
    "osapi_volume": DoorPlan("osapi_volume", "osapi_volume", "osapi_volume_listen", "osapi_volume_listen_port"),
    "metadata": DoorPlan("metadata", "metadata", "metadata_listen", "metadata_listen_port"),
}


#: Name of the log in the state folder.
LOG = "nova-api.log"


def bind(config: Config, listeners: server.Server) -> Config:
    """Take the addresses of the doors.

    :returns: the configuration with the ports that were really taken, where 0 asked for any
    :raises ConfigError: one of them cannot be used
    """
    for name in config.enabled_apis:
        plan = DOORS[name]
        listeners.bind(name, getattr(config, plan.host_option), getattr(config, plan.port_option))
    listeners.bound()
    return with_doors(config, listeners)


def with_doors(config: Config, listeners: server.Server) -> Config:
    """A configuration with the doors that are bound, and their ports."""
    taken: dict[str, Any] = {DOORS[name].port_option: port for name, port in listeners.ports.items()}
    return dataclasses.replace(config, enabled_apis=tuple(listeners.ports), **taken)


def prepare(runtime: Runtime, document: dict[str, Any] | None) -> None:
    """Fill the datastore, once for all processes.

    :param document: of ``--bootstrap``
    """
    if document is None:
        bootstrap.first_start(runtime.db, runtime.config)
    else:
        bootstrap.bootstrap(runtime.db, runtime.config, document)


def announce(runtime: Runtime, log_place: str) -> None:
    """Tell programs and people where the doors are, once they are open."""
    config = runtime.config
    ports = {name: getattr(config, DOORS[name].port_option) for name in config.enabled_apis}
    endpoints = greeting.endpoints_of(config, ports)
    greeting.write_cloud(runtime, endpoints)
    greeting.greet(runtime, endpoints, log_place)


class Process:
    """The services, and what of them this process lets others have.

    :param config: with the ports that were taken
    :raises ConfigError: it cannot be used
    """

    def __init__(self, config: Config) -> None:
        self.config = config
        self.runtime = runtimes.build(config)
        runtimes.install(self.runtime)
        startup.start_metrics(self.runtime)
        self._listeners: server.Server | None = None
        self._nodes: list[nodes.Running] = []

    def open_doors(self, listeners: server.Server) -> None:
        """Answer requests from now on.

        :raises ConfigError: the Paste file does not hold
        """
        for name in self.config.enabled_apis:
            listeners.serve(name, _load(self.config, DOORS[name].paste_name))
        self._listeners = listeners

    def start_nodes(self) -> None:
        """Carry out messages from now on."""
        self._nodes = nodes.start_all(self.runtime)

    def go(self) -> None:
        """Send what the outbox holds, and do what speeds up the first requests."""
        self.runtime.outbox.start()
        threading.Thread(target=self.runtime.policy.warm, name="warm-up", daemon=True).start()

    def stop(self) -> None:
        """Finish what is in hand, as long as it may take, and let go of everything."""
        seconds = self.config.graceful_shutdown_timeout
        if self._listeners is not None:
            self._listeners.stop(seconds)
        nodes.stop_all(self._nodes, seconds)
        self.runtime.close()


def work(config: Config, listeners: server.Server | None, signals: server.Signals, ready: Callable[[], None]) -> None:
    """Be a child of nova-api until SIGTERM.

    :param listeners: of a worker; None: the process with the nodes
    :param ready: to be called once it works
    :raises ConfigError: the configuration cannot be used
    """
    startup.start_log(config, LOG)
    process = Process(config)
    if listeners is None:
        process.start_nodes()
    else:
        process.open_doors(listeners)
    process.go()
    ready()
    signals.wait()
    process.stop()


def once(config: Config, action: Callable[[Runtime], None]) -> None:
    """Do something with the services, and let go of them."""
    runtime = runtimes.build(config)
    try:
        action(runtime)
    finally:
        runtime.close()


def _load(config: Config, name: str) -> Any:
    with _paste_errors(config):
        return loadapp(f"config:{Path(config.paste_path).absolute()}", name=name)


def check(config: Config) -> None:
    """Whether a process can start with a configuration, as far as can be told without making anything.

    :raises ConfigError: it cannot
    """
    for name in config.enabled_apis:
        with _paste_errors(config):
            appconfig(f"config:{Path(config.paste_path).absolute()}", name=DOORS[name].paste_name)
    Policy(config.policy_path, config.policy_default_rule)
    runtimes.make_transport(config)
    if config.embedded_nodes:
        nodes.check(config)


@contextmanager
def _paste_errors(config: Config) -> Iterator[None]:
    try:
        yield
    except (LookupError, OSError, ValueError, ImportError) as error:
        raise ConfigError(f"{config.paste_path}: {error}") from error


def said(number: int | None) -> str:
    """A signal by its name."""
    return "nothing" if number is None else signal.Signals(number).name
