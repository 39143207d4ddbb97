"""The socket server, and the only module that knows eventlet.

Each connection is a green thread of ``eventlet.wsgi``; on top of it stand a strict and quick reader of request heads,
bounded bodies, and a stop that lets requests in hand finish. The doors are plain WSGI applications and run as well
behind any other server.
"""

import os
import warnings

# The green resolver would import a DNS library at start and is of no use to a server that calls by address.
os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
with warnings.catch_warnings():
    # eventlet announces its retirement at import; when it retires, this is the file to change.
    warnings.simplefilter("ignore")
    import eventlet
    import eventlet.hubs
    import eventlet.wsgi

import errno
import logging
import re
import signal
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any, NoReturn

from nova_api import limits
from nova_api.errors import ConfigError

log = logging.getLogger(__name__)

WsgiApplication = Callable[..., Iterable[bytes]]

eventlet.wsgi.MAX_HEADER_LINE = limits.MAX_HEADER_BYTES
eventlet.wsgi.MAX_TOTAL_HEADER_SIZE = limits.MAX_HEADER_BYTES

_REQUEST_LINE = re.compile(rb"([!#$%&'*+\-.^_`|~0-9A-Za-z]{1,32}) ([\x21-\x7e]+) HTTP/1\.([01])\r?\n\Z")
_HEADER_NAME = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+\Z")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n\Z")
_CONTROL = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
#: Headers that must not come twice: what they mean would depend on who reads them.
_SINGLE = frozenset({"host", "content-length", "transfer-encoding", "content-type", "authorization"})
#: How much of an unread body is read and dropped so that the client gets to see its answer.
_DISCARD_BYTES = 128 * 1024 * 1024
_DISCARD_SECONDS = 10.0


def patch() -> None:
    """Make the standard library's sockets, threads and sleeps cooperative. Call it before other modules make any."""
    eventlet.monkey_patch()


class BadRequest(Exception):
    """A request head that is not answered by an application.

    :param status: status line text
    """

    def __init__(self, status: str) -> None:
        self.status = status
        super().__init__(status)


class Headers:
    """The header fields of one request, as ``eventlet.wsgi`` reads them."""

    __slots__ = ("_headers", "_index")

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        self._headers = fields
        self._index = {name.lower(): value for name, value in reversed(fields)}

    def get(self, name: str, default: str | None = None) -> str | None:
        """The first value of a field."""
        return self._index.get(name.lower(), default)

    def get_content_type(self) -> str:
        """The content type of a request that names none."""
        return ""


class BoundedInput(eventlet.wsgi.Input):  # type: ignore[misc]  # eventlet carries no types
    """A request body whose chunk framing is strict and whose unread rest is dropped within bounds."""

    chunk_length: int
    position: int

    def _chunked_read(self, rfile: Any, length: int | None = None, use_readline: bool = False) -> bytes:
        if self.should_send_hundred_continue:
            self.send_hundred_continue_response()
            self.is_hundred_continue_response_sent = True
        wanted = length if length is not None and length >= 0 else None
        parts: list[bytes] = []
        while self.chunk_length != 0 and wanted != 0:
            if self.chunk_length < 0 or self.position >= self.chunk_length:
                self._next_chunk(rfile)
                continue
            most = self.chunk_length - self.position
            reader = rfile.readline if use_readline else rfile.read
            data = reader(most if wanted is None else min(most, wanted))
            if not data:
                self.chunk_length = 0
                raise OSError("unexpected end of a chunked body")
            parts.append(data)
            self.position += len(data)
            if self.position == self.chunk_length and rfile.readline(3) not in (b"\r\n", b"\n"):
                raise eventlet.wsgi.ChunkReadError("chunk without its end")
            if wanted is not None:
                wanted -= len(data)
            if use_readline and data.endswith(b"\n"):
                break
        return b"".join(parts)

    def _next_chunk(self, rfile: Any) -> None:
        match = _CHUNK_SIZE.match(rfile.readline(1024))
        if match is None:
            raise eventlet.wsgi.ChunkReadError("chunk size")
        self.chunk_length, self.position = int(match[1], 16), 0
        if self.chunk_length == 0:
            for _ in range(100):
                if rfile.readline(8192) in (b"\r\n", b"\n", b""):
                    return
            raise eventlet.wsgi.ChunkReadError("trailers")

    def discard(self, buffer_size: int = 65536) -> None:
        """Drop what the application did not read, up to a bound: beyond it the connection is closed."""
        left, until = _DISCARD_BYTES, time.monotonic() + _DISCARD_SECONDS
        while data := self.read(buffer_size):
            left -= len(data)
            if left <= 0 or time.monotonic() > until:
                raise OSError("unread body too long")
            eventlet.sleep(0)


class Protocol(eventlet.wsgi.HttpProtocol):  # type: ignore[misc]  # eventlet carries no types
    """One connection: reads heads strictly, since two readers of an ambiguous head are a hole."""

    def handle_one_request(self) -> None:
        super().handle_one_request()
        # A client with its next request always ready would otherwise keep the others waiting.
        eventlet.sleep(0)

    def parse_request(self) -> bool:
        """Read the head of a request into ``command``, ``path``, ``headers``."""
        self.command, self.requestline, self.request_version = "", "", "HTTP/1.1"
        self.close_connection = 1
        try:
            self._parse_line(self.raw_requestline)
            fields = self._read_fields()
            self._check_fields(fields)
        except BadRequest as error:
            self._refuse(error.status)
            return False
        self.headers = Headers(fields)
        connection = (self.headers.get("connection") or "").lower()
        keep = connection != "close" if self.request_version == "HTTP/1.1" else connection == "keep-alive"
        self.close_connection = 0 if keep else 1
        return True

    def _parse_line(self, line: bytes) -> None:
        match = _REQUEST_LINE.match(line)
        if match is None:
            raise BadRequest("400 Bad Request")
        self.command, target = match[1].decode("ascii"), match[2].decode("ascii")
        self.request_version = f"HTTP/1.{match[3].decode('ascii')}"
        self.requestline = line.decode("latin-1").rstrip("\r\n")
        if not target.startswith("/"):
            # Absolute form, as sent to proxies: only the part after the authority names the resource.
            rest = target.partition("://")[2]
            slash = rest.find("/")
            if slash < 0:
                raise BadRequest("400 Bad Request")
            target = rest[slash:]
        self.path = target

    def _read_fields(self) -> list[tuple[str, str]]:
        fields: list[tuple[str, str]] = []
        while True:
            line = self.rfile.readline()
            if line in (b"\r\n", b"\n"):
                return fields
            name, colon, value = line.rstrip(b"\r\n").partition(b":")
            if not colon or not line.endswith(b"\n") or not _HEADER_NAME.match(name) or _CONTROL.search(value):
                raise BadRequest("400 Bad Request")
            fields.append((name.decode("ascii"), value.strip(b" \t").decode("latin-1")))

    def _check_fields(self, fields: list[tuple[str, str]]) -> None:
        names = [name.lower() for name, _ in fields]
        if len(set(names)) != len(names) and any(n in _SINGLE and names.count(n) > 1 for n in names):
            raise BadRequest("400 Bad Request")
        if self.request_version == "HTTP/1.1" and "host" not in names:
            raise BadRequest("400 Bad Request")
        for name, value in fields:
            low = name.lower()
            if low == "content-length" and not (value.isascii() and value.isdigit() and len(value) < 19):
                raise BadRequest("400 Bad Request")
            if low == "transfer-encoding" and value.lower() != "chunked":
                raise BadRequest("501 Not Implemented")

    def _refuse(self, status: str) -> None:
        self.close_connection = 1
        body = f"{status}\n".encode()
        self.wfile.write(
            b"HTTP/1.1 %s\r\nContent-Type: text/plain\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s"
            % (status.encode(), len(body), body)
        )

    def get_environ(self) -> dict[str, Any]:
        """The WSGI environ, with a body reader that keeps bounds."""
        environ: dict[str, Any] = super().get_environ()
        environ["SERVER_PROTOCOL"] = self.request_version
        environ["wsgi.input_terminated"] = True
        stream = environ["wsgi.input"]
        stream.__class__ = BoundedInput
        return environ


class Server:
    """The listening sockets of one process.

    :param max_connections: connections served at a time, per door
    """

    def __init__(self, max_connections: int = 1000) -> None:
        self.max_connections = max_connections
        self.ports: dict[str, int] = {}
        self._sockets: dict[str, socket.socket] = {}
        self._threads: list[Any] = []

    def bind(self, name: str, host: str, port: int) -> int:
        """Take the address of a door.

        :returns: the port
        :raises ConfigError: it is taken, or not ours
        """
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            sock = eventlet.listen((host, port), family=family, backlog=1024, reuse_port=False)
        except OSError as error:
            reason = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used: {error.strerror}"
            raise ConfigError(f"{name}: port {port} of {host} {reason}") from error
        except socket.gaierror as error:
            raise ConfigError(f"{name}: {host} is no address of this machine") from error
        self._sockets[name] = sock
        self.ports[name] = int(sock.getsockname()[1])
        return self.ports[name]

    def serve(self, name: str, app: WsgiApplication) -> None:
        """Answer on a bound address from now on."""
        pool = eventlet.GreenPool(self.max_connections)
        self._threads.append(eventlet.spawn(self._run, self._sockets[name], app, pool))

    def _run(self, sock: socket.socket, app: WsgiApplication, pool: Any) -> None:
        eventlet.wsgi.server(
            sock,
            app,
            protocol=Protocol,
            custom_pool=pool,
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
            for thread in self._threads:
                # The accept loop ends; its own clean-up closes idle connections and waits for busy ones.
                eventlet.spawn(thread.kill)
            for thread in self._threads:
                _wait_dead(thread)


def _wait_dead(thread: Any) -> None:
    try:
        thread.wait()
    except eventlet.greenlet.GreenletExit:
        pass


class Signals:
    """Signals that end the process; taken note of from the moment this is made.

    The hub sleeps in the kernel, which a Python-level handler does not end: the wake-up descriptor does.
    """

    def __init__(self, *numbers: int) -> None:
        self.numbers = numbers
        self._reader, writer = os.pipe()
        os.set_blocking(writer, False)
        os.set_blocking(self._reader, False)
        signal.set_wakeup_fd(writer)
        for number in numbers:
            signal.signal(number, lambda _number, _frame: None)

    def wait(self) -> int:
        """Sleep until one of the signals comes, or return at once when it has.

        :returns: the signal's number
        """
        while True:
            eventlet.hubs.trampoline(self._reader, read=True)
            for number in os.read(self._reader, 64):
                if number in self.numbers:
                    return number


def exit_now(status: int) -> NoReturn:
    """End the process without waiting for threads that hang in a dead peer."""
    logging.shutdown()
    os._exit(status)
