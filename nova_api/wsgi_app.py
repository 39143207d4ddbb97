"""The doors as WSGI applications for any server: ``nova_api.wsgi_app:ec2`` and so on.

``NOVA_API_CONFIG`` names the configuration file. Nothing is read, opened or started before the first request of a
process, so the module can be imported before a server forks (gunicorn's preload, uWSGI's master): connections and
threads do not live through a fork. With the first request come the datastore, the broker and the relay that sends
what the outbox holds. Nodes are processes of their own (``nova-node``), hence a broker is needed.
"""

import atexit
import logging
import os
import threading
from collections.abc import Iterable
from pathlib import Path

from paste.deploy import loadapp

from nova_api import config as configuration
from nova_api import runtime as runtimes
from nova_api.cmd import startup
from nova_api.config import Config
from nova_api.errors import ApiError, ConfigError
from nova_api.runtime import Runtime
from nova_api.wsgi import Environ, StartResponse, WsgiApplication

log = logging.getLogger(__name__)

_UNAVAILABLE = b"The service is not available. Its log says why.\n"


class _Process:
    """What one process has made for its doors."""

    def __init__(self) -> None:
        self._left_behind: list[Runtime] = []
        self._begin()

    def _begin(self) -> None:
        self._lock = threading.Lock()
        self._runtime: Runtime | None = None
        self._applications: dict[str, WsgiApplication] = {}

    def application(self, door: str) -> WsgiApplication:
        """The application of a door, made when it is asked for first.

        :raises ConfigError: the configuration does not hold
        :raises ServiceUnavailable: the datastore does not answer; the next request tries again
        """
        found = self._applications.get(door)
        if found is not None:
            return found
        with self._lock:
            if door not in self._applications:
                self._applications[door] = self._load(door)
            return self._applications[door]

    def _load(self, door: str) -> WsgiApplication:
        if self._runtime is None:
            self._runtime = self._start()
        path = Path(self._runtime.config.paste_path).absolute()
        try:
            made: WsgiApplication = loadapp(f"config:{path}", name=door)
        except (LookupError, OSError, ValueError, ImportError) as error:
            raise ConfigError(f"{path}: {error}") from error
        return made

    def _start(self) -> Runtime:
        config = configuration.load(os.environ.get("NOVA_API_CONFIG"))
        _check(config)
        if not logging.getLogger().handlers:  # else whoever runs us has said where the log goes
            config.prepare_state()
            startup.start_log(config, "nova-api.log")
        made = runtimes.build(config)
        runtimes.install(made)
        made.outbox.start()
        try:
            startup.start_metrics(made)
        except ConfigError as error:
            log.error("%s", error)  # the doors are worth more than their figures
        atexit.register(self._stop, os.getpid())
        return made

    def _stop(self, process: int) -> None:
        """Send what is waiting and close; a child that a fork has made does not do it for its parent."""
        if self._runtime is not None and process == os.getpid():
            self._runtime.close()

    def forked(self) -> None:
        """Begin anew in a child. What the parent works with is kept, since to drop it might close its connections."""
        if self._runtime is not None:
            self._left_behind.append(self._runtime)
            runtimes.uninstall()
        self._begin()


def _check(config: Config) -> None:
    if config.rpc_transport.startswith("memory:"):
        raise ConfigError("rpc_transport=memory:// reaches nodes inside of nova-api alone: name a broker")
    if config.auth_strategy == "noauth" and not config.allow_insecure_noauth:
        raise ConfigError(
            "auth_strategy=noauth makes every caller an administrator, and nobody knows here which address the server"
            " listens on (allow_insecure_noauth=true overrides this)"
        )


class Door:
    """A door, as an application that makes itself with its first request.

    :param name: of the application in the Paste file
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        try:
            application = _process.application(self.name)
        except ApiError as error:
            log.error("%s cannot answer: %s", self.name, error)
            return _unavailable(start_response)
        except ConfigError as error:
            log.critical("%s cannot answer: %s", self.name, error)
            return _unavailable(start_response)
        return application(environ, start_response)


def _unavailable(start_response: StartResponse) -> Iterable[bytes]:
    headers = [("Content-Type", "text/plain"), ("Content-Length", str(len(_UNAVAILABLE))), ("Retry-After", "5")]
    start_response("503 Service Unavailable", headers)
    return [_UNAVAILABLE]


_process = _Process()
os.register_at_fork(after_in_child=lambda: _process.forked())

ec2 = Door("ec2")
osapi_compute = Door("osapi_compute")
osapi_volume = Door("osapi_volume")
metadata = Door("metadata")
