"""A real nova-api as a child process, and the outside services, for the tests that need one.

Used by tests/wire, tests/clients, tests/services and tests/conformance.
"""

import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
BOOTSTRAP = Path(__file__).parent / "conformance" / "bootstrap.json"
ANY_PORTS = ("--ec2-port", "0", "--openstack-port", "0", "--metadata-port", "0", "--volume-port", "0")
#: So many processes start that each should find what the first one compiled, whatever this one was told.
KEEP_COMPILED = {"PYTHONDONTWRITEBYTECODE": ""}
START = "import sys; from nova_api.cmd.{} import main; sys.exit(main())"

#: Where the real servers are, and the variable that moves each.
SERVICES = {
    "postgresql": ("NOVA_API_TEST_POSTGRESQL", "postgresql+psycopg://postgres@127.0.0.1:5432/test"),
    "mysql": ("NOVA_API_TEST_MYSQL", "mysql+pymysql://root@127.0.0.1:3306/test"),
    "amqp": ("NOVA_API_TEST_AMQP", "amqp://guest:guest@127.0.0.1:5672//"),
    "memcached": ("NOVA_API_TEST_MEMCACHED", "127.0.0.1:11211"),
}


@dataclass(frozen=True)
class RunningCloud:
    """A nova-api that answers.

    :ivar state: its state folder
    :ivar cloud: what it wrote into cloud.json
    :ivar output_path: what it printed
    :ivar log_path: its log
    """

    state: Path
    process: subprocess.Popen[bytes]
    cloud: dict[str, Any]
    output_path: Path

    @property
    def log_path(self) -> Path:
        return self.state / "nova-api.log"

    def port(self, endpoint: str) -> int:
        """The port of an endpoint of cloud.json, such as ``ec2``."""
        return int(self.cloud["endpoints"][endpoint].split("/")[2].rpartition(":")[2])

    def kill(self) -> None:
        """End it as a power cut would."""
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, seconds: float = 30) -> int:
        """Ask it to stop, and return its exit status.

        :raises AssertionError: it did not stop in that time; it is killed then
        """
        self.process.terminate()
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"nova-api did not stop within {seconds} s\n{_tail(self.log_path)}") from None


def spawn(command: str, *options: str, output: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
    """Start a command of ours (``api``, ``node``, ``manage``) with this interpreter, without waiting for it.

    :param output: file that takes what it prints
    :param env: variables besides those of this process
    """
    with output.open("ab") as stream:
        return subprocess.Popen(
            [sys.executable, "-c", START.format(command), *options],
            cwd=output.parent,
            env={**os.environ, **KEEP_COMPILED, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", **(env or {})},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
        )


@contextmanager
def running_cloud(
    folder: Path,
    *options: str,
    bootstrap: Path | None = BOOTSTRAP,
    env: Mapping[str, str] | None = None,
    seconds: float = 60,
) -> Iterator[RunningCloud]:
    """A nova-api with its state in ``folder/state``, on free ports of 127.0.0.1, until the block ends.

    The same folder may be used again: the second cloud goes on where the first one was.

    :param options: more options of nova-api; they win over those given here
    :param bootstrap: what the cloud holds; None for what nova-api makes by itself
    :param seconds: how long it may take until it answers
    :raises AssertionError: it ended, or did not answer in time; the message has what it said
    """
    state, output = folder / "state", folder / "nova-api.out"
    before = _identity(state / "cloud.json")
    loaded = () if bootstrap is None else ("--bootstrap", str(bootstrap))
    given = ("--state", str(state), "--host", "127.0.0.1", *ANY_PORTS, *loaded, *options)
    process = spawn("api", *given, output=output, env=env)
    try:
        cloud = _wait_for_cloud(process, state, before, output, time.monotonic() + seconds)
        yield RunningCloud(state, process, cloud, output)
    finally:
        end(process)


def _identity(path: Path) -> tuple[int, int] | None:
    """What differs when a file has been written anew."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_ino, status.st_mtime_ns


def _wait_for_cloud(
    process: subprocess.Popen[bytes],
    state: Path,
    before: tuple[int, int] | None,
    output: Path,
    deadline: float,
) -> dict[str, Any]:
    path = state / "cloud.json"
    while _identity(path) in (None, before):
        said = f"{_tail(output)}\n{_tail(state / 'nova-api.log')}"
        assert process.poll() is None, f"nova-api ended with status {process.returncode}\n{said}"
        assert time.monotonic() < deadline, f"nova-api does not answer\n{said}"
        time.sleep(0.02)
    cloud: dict[str, Any] = json.loads(path.read_bytes())
    return cloud


def end(process: subprocess.Popen[bytes], seconds: float = 15) -> int:
    """Have a process end: by SIGTERM, or by SIGKILL when it has not heard that for so long.

    :returns: its exit status
    """
    if process.poll() is None:
        process.terminate()
        try:
            return process.wait(seconds)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.wait()


def _tail(path: Path, lines: int = 40) -> str:
    try:
        return "\n".join(path.read_text(errors="replace").splitlines()[-lines:])
    except FileNotFoundError:
        return f"({path.name} is not there)"


def free_port() -> int:
    """A TCP port of 127.0.0.1 that nothing listens on, for a server that has to come back to the same one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def service(name: str) -> str:
    """The URL of a real server: ``postgresql``, ``mysql``, ``amqp`` or ``memcached`` (host:port).

    Skips the test when nothing answers there, and fails it when NOVA_API_REQUIRE_SERVICES is set.
    The databases are shared by all tests: make one of your own there, or tables with a name of your own.
    """
    variable, default = SERVICES[name]
    url = os.environ.get(variable) or default
    host, _, port = url.rpartition("@")[2].partition("/")[0].rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=5).close()
    except OSError as error:
        reason = f"{name} does not answer at {host}:{port} ({variable} moves it): {error}"
        if os.environ.get("NOVA_API_REQUIRE_SERVICES"):
            pytest.fail(reason)
        pytest.skip(reason)
    return url


@contextmanager
def broker() -> Iterator[str]:
    """The URL of RabbitMQ, with a virtual host of this test's own where ``rabbitmqctl`` may make one.

    Queues are named by their topics alone, as in 2012, so two clouds in one virtual host take each other's messages.
    Without ``rabbitmqctl`` all tests share one, and their group (``xdist_group("rabbitmq")``) keeps them apart.
    """
    url = service("amqp")
    control = shutil.which("rabbitmqctl")
    name = f"nova-{secrets.token_hex(6)}"
    if control is None or subprocess.run([control, "-q", "add_vhost", name], capture_output=True).returncode:
        yield url
        return
    try:
        user = url.partition("://")[2].partition(":")[0]
        subprocess.run([control, "-q", "set_permissions", "-p", name, user, ".*", ".*", ".*"], check=True)
        yield f"{url.rpartition('@')[0]}@{url.rpartition('@')[2].partition('/')[0]}/{name}"
    finally:
        subprocess.run([control, "-q", "delete_vhost", name], capture_output=True)
