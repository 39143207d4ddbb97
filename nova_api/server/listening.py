"""The listening sockets of a process, and a stop that lets requests in hand finish."""

import errno
import logging
import os
import socket
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from nova_api import limits
from nova_api.errors import ConfigError
from nova_api.server.connections import Pool, Protocol, Waiting
from nova_api.server.green import eventlet

log = logging.getLogger(__name__)

WsgiApplication = Callable[..., Iterable[bytes]]


class Server:
    """The listening sockets of one process, or of several that share them.

    :param max_connections: connections served at a time, per door
    :param inherited: descriptors of sockets by door, which an earlier program of this process has bound
    """

    def __init__(self, max_connections: int = 1000, inherited: Mapping[str, int] | None = None) -> None:
        self.max_connections = max_connections
        self.ports: dict[str, int] = {}
        self._sockets: dict[str, Any] = {}
        self._threads: list[Any] = []
        self._waiting: list[Waiting] = []
        self._inherited = {name: socket.socket(fileno=fd) for name, fd in (inherited or {}).items()}

    def bind(self, name: str, host: str, port: int) -> int:
        """Take the address of a door.

        :returns: the port
        :raises ConfigError: it is taken, or not ours
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            sock = self._adopt(name, family, host, port)
            if sock is None:
                sock = eventlet.listen((host, port), family=family, backlog=1024, reuse_port=False)
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
            raise ConfigError(f"{name}: port {port} of {host} {reason}") from error
        except socket.gaierror as error:
            raise ConfigError(f"{name}: {host} is no address of this machine") from error
        self._sockets[name] = sock
        self.ports[name] = int(sock.getsockname()[1])
        return self.ports[name]

    def _adopt(self, name: str, family: int, host: str, port: int) -> Any:
        """The inherited socket of a door, if it is bound to what is wanted now."""
        sock = self._inherited.pop(name, None)
        if sock is None:
            return None
        place = sock.getsockname()
        wanted = socket.getaddrinfo(host, port, family, socket.SOCK_STREAM)[0][4]
        if sock.family == family and place[0] == wanted[0] and port in (0, place[1]):
            return sock
        sock.close()
        return None

    def bound(self) -> None:
        """Every door has its address: inherited sockets that none has taken are closed."""
        while self._inherited:
            self._inherited.popitem()[1].close()

    def descriptors(self) -> dict[str, int]:
        """Copies of the sockets by door, which outlive :meth:`stop` and the program: connections wait there."""
        copies = {name: os.dup(sock.fileno()) for name, sock in self._sockets.items()}
        for copy in copies.values():
            os.set_inheritable(copy, True)
        return copies

    def serve(self, name: str, app: WsgiApplication) -> None:
        """Answer on a bound address from now on."""
        waiting = Waiting()
        self._waiting.append(waiting)
        self._threads.append(eventlet.spawn(self._run, self._sockets[name], app, waiting))

    def _run(self, sock: socket.socket, app: WsgiApplication, waiting: Waiting) -> None:
        eventlet.wsgi.server(
            sock,
            app,
            protocol=partial(Protocol, waiting),
            custom_pool=Pool(self.max_connections, waiting),
            log=log,
            log_output=False,
            debug=False,
            keepalive=float(limits.KEEPALIVE_TIMEOUT),
            socket_timeout=float(limits.SOCKET_TIMEOUT),
            url_length_limit=limits.MAX_REQUEST_LINE,
        )

    def stop(self, timeout: float) -> None:
        """Take no more connections, let requests in hand finish.

        :param timeout: seconds they may take
        """
        with eventlet.Timeout(timeout, False):
            for waiting in self._waiting:
                waiting.close()
            for thread in self._threads:
                # The accept loop ends, and waits for the connections that are left.
                eventlet.spawn(thread.kill)
            for thread in self._threads:
                _wait_dead(thread)


def _wait_dead(thread: Any) -> None:
    try:
        thread.wait()
    except eventlet.greenlet.GreenletExit:
        pass
