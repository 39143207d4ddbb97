"""What happens on one connection: heads and bodies within bounds of size and time, one request after the other.

Each connection is a green thread of ``eventlet.wsgi``. No client can do more than wait: a head, a body and the taking
of an answer have their times, a connection on which nothing is asked gives way when the door is full, and after each
request the other connections have their turn.
"""

import re
import socket
import time
from collections.abc import Callable, Iterable
from typing import Any

from nova_api import limits
from nova_api.server import heads
from nova_api.server.green import eventlet

_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n\Z")
#: How much of an unread body is read and dropped so that the client gets to see its answer.
_DISCARD_BYTES = 128 * 1024 * 1024
_DISCARD_SECONDS = 10.0
#: How long a client who has just connected has for the first byte when the door closes.
_NEW_SECONDS = 1.0


class SlowHead(Exception):
    """A request head takes too long."""


class Waiting:
    """The connections of a door on which a client has not finished the head of a request, the longest silent first.

    When a door serves as many connections as it may, the first of them gives way to a new one: clients that hold
    connections, and send nothing, keep nobody out. When the door closes they are closed, but for those on which
    something has come already, or is to be expected: who has just connected means to ask.

    :ivar closing: no connection is kept for a further request
    """

    def __init__(self) -> None:
        self.closing = False
        self._connections: dict[Any, bool] = {}  # and whether it is a new one
        self._wanted = False

    def add(self, connection: Any, new: bool) -> None:
        """A socket on which a head is waited for; it is closed at once if there is a newcomer who has no place."""
        self._connections[connection] = new
        if self.closing:
            self._part(connection, new)
        elif self._wanted:
            self.shed()

    def remove(self, connection: Any) -> None:
        """It has come, or will not."""
        self._connections.pop(connection, None)

    def shed(self) -> None:
        """Close the one that has waited longest: now, or as soon as there is any."""
        self._wanted = not self._connections
        for connection in self._connections:
            self._cut(connection)
            return

    def found(self) -> None:
        """The newcomer has a place."""
        self._wanted = False

    def close(self) -> None:
        """The door closes."""
        self.closing = True
        for connection, new in list(self._connections.items()):
            self._part(connection, new)

    def _part(self, connection: Any, new: bool) -> None:
        if new:
            eventlet.spawn_after(_NEW_SECONDS, self._cut, connection)
        elif not _has_sent(connection):
            self._cut(connection)

    def _cut(self, connection: Any) -> None:
        if self._connections.pop(connection, None) is not None:
            eventlet.greenio.shutdown_safe(connection)


def _has_sent(connection: Any) -> bool:
    """Whether bytes wait to be read."""
    try:
        return bool(connection.fd.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT))
    except OSError:
        return False


class Pool(eventlet.GreenPool):  # type: ignore[misc]  # eventlet carries no types
    """The threads of a door: one for each connection.

    :param size: connections at a time
    """

    def __init__(self, size: int, waiting: Waiting) -> None:
        super().__init__(size)
        self._waiting = waiting

    def spawn(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Serve a connection, as soon as there is a place.

        :param args: the first is its address, socket and state
        """
        args[0][2] = eventlet.wsgi.STATE_REQUEST  # else a stop would close it before it has begun
        if self.free() <= 0:
            self._waiting.shed()
        try:
            return super().spawn(function, *args, **kwargs)
        finally:
            self._waiting.found()


class BoundedOutput:
    """The way to a client who has to take each answer within a time; one who does not is left.

    :param stream: of the connection; nothing is written to it, but it is closed
    :param connection: its socket
    """

    def __init__(self, stream: Any, connection: Any) -> None:
        self._stream, self._connection = stream, connection
        self._parts: list[bytes] = []
        self._left = False

    @property
    def closed(self) -> bool:
        """Nothing more goes this way."""
        return bool(self._stream.closed)

    def write(self, data: bytes) -> None:
        """Send with the next :meth:`flush`."""
        self._parts.append(data)

    def writelines(self, lines: Iterable[bytes]) -> None:
        """Send with the next :meth:`flush`."""
        self._parts.extend(lines)

    def flush(self) -> None:
        """Send now.

        :raises TimeoutError: the client does not take it, and has been left
        """
        if not self._parts:
            return
        data = b"".join(self._parts)
        self._parts.clear()
        if self._left:
            raise TimeoutError("the client has been left")
        try:
            sent = self._connection.fd.send(data)  # most answers fit: neither a wait nor a clock is needed
        except BlockingIOError:
            sent = 0
        if sent < len(data):
            self._send(memoryview(data)[sent:])

    def _send(self, data: memoryview) -> None:
        try:
            with eventlet.Timeout(limits.ANSWER_TIMEOUT, TimeoutError("the client does not take its answer")):
                self._connection.sendall(data)
        except TimeoutError:
            self._left = True
            eventlet.greenio.shutdown_safe(self._connection)
            raise

    def close(self) -> None:
        """Let go."""
        self._stream.close()


class BoundedInput(eventlet.wsgi.Input):  # type: ignore[misc]  # eventlet carries no types
    """A request body that has to come within a time, whose chunk framing is strict and whose unread rest is dropped
    within bounds.
    """

    chunk_length: int
    position: int
    until: float | None = None  # on the monotonic clock

    def read(self, length: int | None = None) -> bytes:
        """So many bytes, or all.

        :raises TimeoutError: the whole body takes too long
        """
        return self._within(super().read, length)

    def readline(self, size: int | None = None) -> bytes:
        """A line; see :meth:`read`."""
        return self._within(super().readline, size)

    def _within(self, read: Callable[..., bytes], *args: Any) -> bytes:
        now = time.monotonic()
        if self.until is None:
            self.until = now + limits.BODY_TIMEOUT
        with eventlet.Timeout(max(0.0, self.until - now), TimeoutError("the body takes too long")):
            return read(*args)

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
        self.until = until if self.until is None else min(self.until, until)
        while data := self.read(buffer_size):
            left -= len(data)
            if left <= 0:
                raise OSError("unread body too long")
            eventlet.sleep(0)


class Protocol(eventlet.wsgi.HttpProtocol):  # type: ignore[misc]  # eventlet carries no types
    """One connection.

    :param waiting: knows it while it waits for a head
    """

    wfile: Any

    def __init__(self, waiting: Waiting, conn_state: Any, server: Any) -> None:
        self._waiting = waiting
        self._timer: Any = None
        self._new = True
        self._close = True
        super().__init__(conn_state, server)

    @property
    def close_connection(self) -> bool:
        """Whether this is the last request; asked when its answer begins, too."""
        return self._close or self._waiting.closing

    @close_connection.setter
    def close_connection(self, close: bool) -> None:
        self._close = bool(close)

    def setup(self) -> None:
        """Make the streams of the connection."""
        super().setup()
        self.wfile = BoundedOutput(self.wfile, self.connection)

    def finish(self) -> None:
        """Leave the connection."""
        self._waiting.remove(self.connection)
        super().finish()

    def handle_one_request(self) -> None:
        """Answer one request, then let the other connections have their turn."""
        try:
            super().handle_one_request()
        except SlowHead:
            self._refuse("408 Request Timeout")
        finally:
            self._head_ends()
            self._new = False
        # A client with its next request always ready would otherwise keep the others waiting.
        eventlet.sleep(0)

    def _read_request_line(self) -> Any:
        self.conn_state[2] = eventlet.wsgi.STATE_REQUEST  # who waits, and for how long, is ours to decide
        self._waiting.add(self.connection, self._new)
        if not self.rfile.closed:
            self.connection.settimeout(float(limits.KEEPALIVE_TIMEOUT))
            try:
                begun = self.rfile.peek(1)
            except ConnectionError:
                begun = b""
            if not begun:
                self.close_connection = True
                return ""
            if b"\r\n\r\n" not in begun:
                # Each byte may be in time, and the head never end.
                self._timer = eventlet.Timeout(limits.HEAD_TIMEOUT, SlowHead())
        return super()._read_request_line()

    def _head_ends(self) -> None:
        self._waiting.remove(self.connection)
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def parse_request(self) -> bool:
        """Read the head of a request into ``command``, ``path``, ``headers``."""
        self.command, self.requestline, self.request_version = "", "", "HTTP/1.1"
        self.close_connection = True
        try:
            head = heads.read(self.raw_requestline, self.rfile.readline)
        except heads.BadRequest as error:
            self._refuse(error.status)
            return False
        self._head_ends()
        self.command, self.path, self.request_version = head.method, head.target, head.version
        self.requestline = self.raw_requestline.decode("latin-1").rstrip("\r\n")
        self.headers = head.headers
        self.close_connection = not head.keep
        return True

    def _refuse(self, status: str) -> None:
        self.close_connection = True
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
