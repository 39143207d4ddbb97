"""One question to Keystone over HTTP: verified, bounded in time and in size."""

import http.client
import io
import json
import logging
import socket
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from nova_api import errors

log = logging.getLogger(__name__)

MAX_ANSWER = 1 << 20  # bytes


@dataclass(frozen=True, slots=True)
class Answer:
    """What Keystone said.

    :ivar headers: by lower-case name
    """

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes

    def document(self) -> Any:
        """The body as JSON; None when it is none."""
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


class KeystoneHttp:
    """Asks Keystone; each question has a connection of its own.

    :param timeout: seconds for a whole exchange, however slowly the other side speaks
    :param ca_file: certificates that Keystone's is checked against; empty for the system's
    :raises ConfigError: that file cannot be read
    """

    def __init__(self, timeout: float, ca_file: str = "") -> None:
        self.timeout = timeout
        try:
            self._tls = ssl.create_default_context(cafile=ca_file or None)
        except OSError as error:
            raise errors.ConfigError(f"keystone_ca_file {ca_file}: {error}") from error

    def post(self, url: str, question: Mapping[str, Any], headers: Mapping[str, str]) -> Answer:
        """Send a JSON document, read the answer.

        :raises ServiceUnavailable: nobody answers in time, the certificate does not hold, or it is no HTTP
        """
        parts = urlsplit(url)
        deadline = time.monotonic() + self.timeout
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        wire: socket.socket | None = None
        try:
            connection.connect()
            wire = connection.sock
            connection.sock = _Impatient(wire, deadline)
            connection.request(
                "POST", parts.path or "/", json.dumps(question), {"Content-Type": "application/json", **headers}
            )
            answer = connection.getresponse()
            named = {name.lower(): value for name, value in answer.getheaders()}
            return Answer(answer.status, answer.reason, named, answer.read(MAX_ANSWER))
        except (OSError, http.client.HTTPException) as error:
            log.error("Keystone at %s does not answer: %s", parts.netloc.rpartition("@")[2], error)
            raise errors.ServiceUnavailable("Keystone does not answer. Please try your request again.") from error
        finally:
            connection.close()
            if wire is not None:
                wire.close()

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        if scheme == "https":
            return http.client.HTTPSConnection(host, port, timeout=self.timeout, context=self._tls)
        return http.client.HTTPConnection(host, port, timeout=self.timeout)


class _Impatient:
    """What ``http.client`` uses of a socket, all of it ended by one deadline: a time-out begins anew with each byte.

    :param deadline: on the monotonic clock
    """

    def __init__(self, wire: socket.socket, deadline: float) -> None:
        self._wire, self._deadline = wire, deadline

    def hurry(self) -> socket.socket:
        """The socket, for one more operation.

        :raises TimeoutError: it is too late
        """
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise TimeoutError("timed out")
        self._wire.settimeout(left)
        return self._wire

    def sendall(self, data: bytes) -> None:
        """As of a socket."""
        self.hurry().sendall(data)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """As of a socket, for reading."""
        return io.BufferedReader(_Reader(self))

    def close(self) -> None:
        """Nothing: an answer may still be read. Whoever made the socket closes it."""


class _Reader(io.RawIOBase):
    """The socket as a stream."""

    def __init__(self, wire: _Impatient) -> None:
        self._from = wire

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """As of a raw stream."""
        return self._from.hurry().recv_into(buffer)
