"""The members of the cloud: processes of ours that are started again whenever they end, and the servers behind them."""

import json
import random
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from tests.servers import BOOTSTRAP, free_port, spawn
from tests.services.chaos.driver import GUESTS
from tests.services.private import PrivateServer, private

#: Seconds between the death of a process and its next start, as a service manager waits.
RESTART_SECONDS = 0.5
START_SECONDS = 120.0
DOORS = ("ec2", "openstack", "volume", "metadata")
#: Silence of a node until its builds are taken up by others; nodes are kept down for longer now and then.
DOWN_SECONDS = 10
_SETTINGS = {
    "service_down_time": str(DOWN_SECONDS),
    "report_interval": "1",
    # Slow nodes: most blows meet work in hand.
    "simulated_boot_seconds": "1.5",
    "simulated_stop_seconds": "1",
    "simulated_volume_seconds": "0.8",
    "compute_driver": "tests.services.chaos.driver:LastingHypervisor",
    "rpc_response_timeout": "20",
    "log_level": "INFO",
}


class Member:
    """A process of ours that is started again when it ends, unless it is held down.

    :param name: of the member, and of the file that takes what it prints
    :param start: starts it
    """

    def __init__(self, name: str, start: Callable[[], subprocess.Popen[bytes]]) -> None:
        self.name, self._start = name, start
        self.deaths = 0
        self._held = threading.Event()
        self._ending = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._keep, name=name, daemon=True)
        self._thread.start()

    def _keep(self) -> None:
        while not self._ending.is_set():
            if not self._held.is_set():
                self._process = self._start()
                self._process.wait()
            self._ending.wait(RESTART_SECONDS)

    def kill(self, seconds: float = 0.0, number: int = signal.SIGKILL) -> None:
        """Send it a signal that ends it, and keep it down for a while."""
        self._held.set()
        if self._process is not None and self._process.poll() is None:
            self.deaths += 1
            self._process.send_signal(number)
        if seconds:
            time.sleep(seconds)
        self._held.clear()

    def end(self) -> None:
        """Stop it for good."""
        self._ending.set()
        self._held.set()
        if self._process is not None:
            self._process.terminate()
        self._thread.join(60)


@dataclass
class Cloud:
    """What runs.

    :ivar ports: of each API process, by door
    :ivar who: users of cloud.json; images: numbers of its images by name
    """

    folder: Path
    database: PrivateServer
    broker: PrivateServer
    ports: Sequence[Mapping[str, int]]
    members: list[Member] = field(default_factory=list)
    who: dict[str, Any] = field(default_factory=dict)
    images: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    @property
    def guests(self) -> Path:
        """The folder of the nodes' guests."""
        return self.folder / "guests"


@contextmanager
def running(folder: Path, kind: str, nodes: Sequence[str] = ("node-a", "node-b"), apis: int = 2) -> Iterator[Cloud]:
    """A cloud of several processes on private servers.

    :param kind: of the database
    """
    with ExitStack() as stack:
        database, broker = stack.enter_context(private(kind)), stack.enter_context(private("amqp"))
        ports = [{door: free_port() for door in DOORS} for _ in range(apis)]
        cloud = Cloud(folder, database, broker, ports)
        stack.callback(lambda: [member.end() for member in reversed(cloud.members)])
        shared = _options(
            _SETTINGS
            | {"sql_connection": database.url, "rpc_transport": broker.url, "secret_key_file": f"{folder}/secret.key"}
        )
        for number, given in enumerate(ports):
            _add_api(cloud, number, given, shared)
            # The first one makes the datastore; the others find it.
            described = _described(folder / f"api-{number}" / "cloud.json")
            cloud.who = described["users"]
            cloud.images = {image["name"]: image["id"] for image in described["images"]}
        for name in nodes:
            _add_node(cloud, name, shared)
        yield cloud


def _options(settings: Mapping[str, str]) -> list[str]:
    return [part for name, value in settings.items() for part in ("--set", f"{name}={value}")]


def _add_api(cloud: Cloud, number: int, ports: Mapping[str, int], shared: Sequence[str]) -> None:
    state = cloud.folder / f"api-{number}"
    options = ["--state", str(state), "--host", "127.0.0.1", "--bootstrap", str(BOOTSTRAP), *shared]
    options += _options({"embedded_nodes": "false", "host": f"api-{number}"})
    for door, port in ports.items():
        options += [f"--{door}-port", str(port)]
    output = cloud.folder / f"api-{number}.out"
    cloud.members.append(Member(f"api-{number}", lambda: spawn("api", *options, output=output)))


def _add_node(cloud: Cloud, name: str, shared: Sequence[str]) -> None:
    options = ["--state", str(cloud.folder / name), "--host", name, *shared]
    output = cloud.folder / f"{name}.out"
    env = {GUESTS: str(cloud.guests)}
    cloud.members.append(Member(name, lambda: spawn("node", *options, output=output, env=env)))


def _described(path: Path) -> dict[str, Any]:
    until = time.monotonic() + START_SECONDS
    while not path.exists():
        assert time.monotonic() < until, f"{path.parent.name} does not start"
        time.sleep(0.05)
    found: dict[str, Any] = json.loads(path.read_bytes())
    return found


class Tormentor(threading.Thread):
    """Kills something, again and again, and brings it back; several things may be down at a time.

    :param chance: decides what, and for how long
    :param pause: least and greatest seconds between two blows
    """

    def __init__(self, cloud: Cloud, chance: random.Random, pause: tuple[float, float]) -> None:
        super().__init__(name="tormentor", daemon=True)
        self._cloud, self._chance, self._pause = cloud, chance, pause
        self._over = threading.Event()
        self._down: dict[str, threading.Thread] = {}
        self._began = time.monotonic()

    def run(self) -> None:
        while not self._over.wait(self._chance.uniform(*self._pause)):
            self._blow()

    def end(self) -> None:
        """Stop, once everything is up again."""
        self._over.set()
        self.join()
        for thread in self._down.values():
            thread.join()

    def _blow(self) -> None:
        chance, cloud = self._chance, self._cloud
        what = chance.choices(("api", "node", "node for long", "database", "broker"), (4, 4, 1, 1.5, 1))[0]
        seconds = chance.uniform(0.5, 3.0) if what != "node for long" else DOWN_SECONDS * 1.5
        number = chance.choice((signal.SIGKILL, signal.SIGKILL, signal.SIGTERM))
        member = chance.choice([one for one in cloud.members if one.name.startswith(what[:3])] or cloud.members)
        server = {"database": cloud.database, "broker": cloud.broker}.get(what)
        name = what if server else member.name
        if (last := self._down.get(name)) is not None and last.is_alive():
            return
        if server is not None:
            number = signal.SIGKILL
            work = partial(_fell, server, seconds)
        else:
            work = partial(member.kill, seconds, number)
        self._down[name] = threading.Thread(target=work, name=f"down-{name}", daemon=True)
        self._down[name].start()
        at = time.monotonic() - self._began
        cloud.log.append(f"{at:6.1f} s: {name} {signal.Signals(number).name}, down for {seconds:.1f} s")


def _fell(server: PrivateServer, seconds: float) -> None:
    server.kill()
    time.sleep(seconds)
    server.start()
