"""Real servers of a test's own, which it may kill: PostgreSQL, MariaDB and RabbitMQ on free ports of 127.0.0.1.

Those that the other tests share (:func:`tests.servers.service`) must never go down; these are started from the same
programs, with data in a folder that is gone afterwards.
"""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from tests.servers import free_port

START_SECONDS = 90.0


class PrivateServer(ABC):
    """A server that can be killed and started again on the same data.

    :param folder: for its data; belongs to the account that it runs as

    :ivar port: of 127.0.0.1, the same after every start
    :cvar account: that it runs as when the tests run as root, which these servers refuse
    """

    account: str

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._own(folder)
        self.prepare()

    @abstractmethod
    def prepare(self) -> None:
        """Make the data of an empty server."""

    @abstractmethod
    def command(self) -> Sequence[str]:
        """What runs it in the foreground."""

    @property
    @abstractmethod
    def url(self) -> str:
        """Where clients find it."""

    @abstractmethod
    def answers(self) -> bool:
        """Whether it takes work, beyond listening."""

    def environment(self) -> Mapping[str, str]:
        """Variables that it gets besides those of this process."""
        return {}

    def start(self) -> None:
        """Start it and wait until it takes work.

        :raises AssertionError: it does not
        """
        until = time.monotonic() + START_SECONDS
        while not self._up():
            assert time.monotonic() < until, f"{self.account} does not start\n{self._said()}"
            if self._process is None or self._process.poll() is not None:
                # The first start after a kill may meet what the dead processes have not let go of yet.
                self._process = self._spawn(self.command(), start_new_session=True)
            time.sleep(0.2)

    def kill(self) -> None:
        """End it and all its children as a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()

    def _up(self) -> bool:
        if self._process is None or self._process.poll() is not None:
            return False
        try:
            socket.create_connection(("127.0.0.1", self.port), timeout=1).close()
        except OSError:
            return False
        return self.answers()

    def _spawn(self, command: Sequence[str], start_new_session: bool = False) -> subprocess.Popen[bytes]:
        account: dict[str, Any] = {}
        if os.geteuid() == 0:
            account = {"user": self.account, "group": self._group(), "extra_groups": []}
        with (self.folder.parent / "said").open("ab") as said:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env={**os.environ, **self.environment()},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=start_new_session,
                **account,
            )

    def run(self, *command: str) -> bool:
        """Run a program to its end.

        :returns: it succeeded
        """
        return self._spawn(command).wait(START_SECONDS) == 0

    def _own(self, folder: Path) -> None:
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            shutil.chown(folder, self.account, self._group())

    def _group(self) -> int:
        return pwd.getpwnam(self.account).pw_gid

    def _said(self) -> str:
        return (self.folder.parent / "said").read_text(errors="replace")[-4000:]


class PostgreSQL(PrivateServer):
    """A cluster with the database ``nova``."""

    account = "postgres"

    def prepare(self) -> None:
        self._bin = sorted(Path("/usr/lib/postgresql").glob("*/bin"))[-1]
        made = self.run(
            str(self._bin / "initdb"), "-D", f"{self.folder}/data", "-A", "trust", "-U", "nova", "-E", "UTF8"
        )
        assert made, self._said()

    def command(self) -> Sequence[str]:
        return (
            str(self._bin / "postgres"),
            *("-D", f"{self.folder}/data", "-p", str(self.port), "-k", str(self.folder)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "max_connections=200"),
        )

    @property
    def url(self) -> str:
        return f"postgresql+psycopg://nova@127.0.0.1:{self.port}/postgres"

    def answers(self) -> bool:
        place = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "nova", "-d", "postgres")
        return self.run(str(self._bin / "psql"), *place, "-qc", "select 1")


class MariaDB(PrivateServer):
    """A server with the database ``nova``."""

    account = "mysql"

    def prepare(self) -> None:
        options = ("--no-defaults", f"--datadir={self.folder}/data", "--auth-root-authentication-method=normal")
        assert self.run("mariadb-install-db", *options, "--skip-test-db"), self._said()

    def command(self) -> Sequence[str]:
        return (
            _program("mariadbd"),
            "--no-defaults",
            f"--datadir={self.folder}/data",
            f"--port={self.port}",
            "--bind-address=127.0.0.1",
            f"--socket={self.folder}/socket",
            f"--pid-file={self.folder}/pid",
            "--max-connections=200",
        )

    @property
    def url(self) -> str:
        return f"mysql+pymysql://root@127.0.0.1:{self.port}/nova"

    def answers(self) -> bool:
        place = ("--no-defaults", f"--socket={self.folder}/socket", "-u", "root")
        return self.run("mariadb", *place, "-e", "CREATE DATABASE IF NOT EXISTS nova")


class RabbitMQ(PrivateServer):
    """A broker of one node."""

    account = "rabbitmq"

    def prepare(self) -> None:
        (self.folder / "plugins").write_text("[].\n")
        self._name = f"chaos{self.port}@localhost"
        self._distribution = free_port()

    def environment(self) -> Mapping[str, str]:
        return {
            "HOME": str(self.folder),
            "RABBITMQ_NODENAME": self._name,
            "RABBITMQ_NODE_IP_ADDRESS": "127.0.0.1",
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._distribution),
            "RABBITMQ_MNESIA_BASE": f"{self.folder}/mnesia",
            "RABBITMQ_LOG_BASE": f"{self.folder}/log",
            "RABBITMQ_PID_FILE": f"{self.folder}/pid",
            "RABBITMQ_ENABLED_PLUGINS_FILE": f"{self.folder}/plugins",
            "RABBITMQ_CONFIG_FILE": f"{self.folder}/rabbitmq",
        }

    def command(self) -> Sequence[str]:
        return ("/usr/lib/rabbitmq/bin/rabbitmq-server",)

    @property
    def url(self) -> str:
        return f"amqp://guest:guest@127.0.0.1:{self.port}//"

    def answers(self) -> bool:
        # The listener opens when everything else is up; the login says that queues were recovered.
        with socket.create_connection(("127.0.0.1", self.port), timeout=2) as sock:
            sock.sendall(b"AMQP\x00\x00\x09\x01")
            sock.settimeout(5)
            try:
                return sock.recv(1) == b"\x01"
            except OSError:
                return False


KINDS: Mapping[str, type[PrivateServer]] = {"postgresql": PostgreSQL, "mysql": MariaDB, "amqp": RabbitMQ}
_PROGRAMS = {"postgresql": "pg_ctlcluster", "mysql": "mariadbd", "amqp": "rabbitmqctl"}


def _program(name: str) -> str:
    """Its path; servers stand where only administrators look."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin") or name


@contextmanager
def private(kind: str) -> Iterator[PrivateServer]:
    """A running server of one's own, gone at the end of the block.

    :param kind: ``postgresql``, ``mysql`` or ``amqp``

    Skips the test when its program is not installed, and fails it when NOVA_API_REQUIRE_SERVICES is set.
    """
    if not Path(_program(_PROGRAMS[kind])).is_file():
        reason = f"{kind} is not installed on this machine"
        if os.environ.get("NOVA_API_REQUIRE_SERVICES"):
            pytest.fail(reason)
        pytest.skip(reason)
    # Below /tmp, not in pytest's folder: the server's account must be able to reach it, and sockets have short names.
    place = Path(tempfile.mkdtemp(prefix="nova-"))
    place.chmod(0o711)
    server = KINDS[kind](place / "own")
    try:
        server.start()
        yield server
    finally:
        server.kill()
        shutil.rmtree(place, ignore_errors=True)
