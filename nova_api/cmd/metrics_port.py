"""The port that Prometheus reads, with ``/healthcheck`` beside ``/metrics``: one for each process, when asked for.

A server of the standard library's, in threads: it is the same inside nova-api, in nova-node, and under any WSGI server.
"""

import errno
import logging
import socket
import socketserver
import threading
import time
from collections.abc import Iterable
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

from nova_api import limits
from nova_api.errors import ConfigError
from nova_api.health import Healthcheck
from nova_api.metrics import Metrics
from nova_api.runtime import Runtime
from nova_api.wsgi import Environ, StartResponse, not_found

log = logging.getLogger(__name__)

#: Connections at a time; further ones are closed at once.
MAX_CONNECTIONS = 16
#: How long one may be silent, seconds.
PATIENCE = 10.0


def application(metrics: Metrics, runtime: Runtime) -> Healthcheck:
    """``/metrics`` and ``/healthcheck`` as a WSGI application, to be mounted where only operators come."""

    def figures(environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != "/metrics" or environ.get("REQUEST_METHOD") not in ("GET", "HEAD"):
            return not_found(start_response)
        body, kind = metrics.render()
        start_response("200 OK", [("Content-Type", kind), ("Content-Length", str(len(body)))])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    return Healthcheck(figures, runtime.readiness)


def start(runtime: Runtime, metrics: Metrics) -> int:
    """Answer from a thread for as long as the process lives.

    Processes that share a configuration, on one host, take one port after the other: the first that is free.

    :returns: the port
    :raises ConfigError: none can be used
    """
    config = runtime.config
    server = _listen(config.metrics_listen, config.metrics_port)
    server.set_app(application(metrics, runtime))
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
    taken = int(server.server_address[1])
    log.info("metrics are at http://%s:%d/metrics", config.metrics_listen, taken)
    return taken


def _listen(host: str, first: int) -> "_Server":
    last = min(first + limits.METRICS_PORTS - 1, 65535) if first else 0
    for port in range(first, last + 1):
        try:
            return _Server((host, port), _Handler)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise ConfigError(f"metrics: port {port} of {host} cannot be used: {error.strerror}") from error
    raise ConfigError(f"metrics: no port of {host} from {first} to {last} is free")


class _Handler(WSGIRequestHandler):
    timeout = PATIENCE

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing: scrapes are no news."""


class _Server(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: type[WSGIRequestHandler]) -> None:
        self.address_family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self._places = threading.BoundedSemaphore(MAX_CONNECTIONS)
        super().__init__(address, handler)

    def server_bind(self) -> None:
        """Bind without asking the name service for this machine's name."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])
        self.setup_environ()

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Sleep in accept, not in a poll of half seconds: cooperative wherever sockets are."""
        while self.fileno() >= 0:
            try:
                request, address = self.get_request()
            except OSError:
                time.sleep(poll_interval)  # out of file descriptors, or closed
                continue
            self.process_request(request, address)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread of its own, if there is a place."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """The thread."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away."""
        log.debug("a connection for metrics ended badly", exc_info=True)
