"""A running server for tests that speak bytes to its socket."""

import base64
import hashlib
import hmac
import socket
import urllib.parse
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest

from tests.servers import RunningCloud, running_cloud


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    folder = tmp_path_factory.mktemp("wire")
    with running_cloud(folder, "--set", "simulated_immediate=true", "--set", "lockout_attempts=1000000") as running:
        yield running


def quote(text: str | bytes) -> str:
    return urllib.parse.quote(text, safe="-_.~")


def signed_query(cloud: RunningCloud, params: list[tuple[str, str | bytes]], method: str = "GET") -> str:
    """A query string signed with version 2 by the user alice; values may be bytes that are no UTF-8."""
    who = cloud.cloud["users"]["alice"]
    every = [
        *params,
        ("AWSAccessKeyId", f"{who['access']}:acme"),
        ("SignatureMethod", "HmacSHA256"),
        ("SignatureVersion", "2"),
        ("Timestamp", datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")),
        ("Version", "2016-11-15"),
    ]
    query = "&".join(f"{quote(k)}={quote(v)}" for k, v in sorted(every, key=lambda pair: pair[0].encode()))
    text = f"{method}\n127.0.0.1:{cloud.port('ec2')}\n/services/Cloud/\n{query}"
    digest = hmac.new(who["secret"].encode(), text.encode(), hashlib.sha256).digest()
    return f"{query}&Signature={quote(base64.b64encode(digest))}"


def exchange(port: int, data: bytes, timeout: float = 30) -> bytes:
    """Send bytes, read until the server closes or the answer is complete."""
    with socket.create_connection(("127.0.0.1", port), timeout) as sock:
        try:
            sock.sendall(data)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the server has answered and hung up before it read everything
        return read_answer(sock)


def wait_for_continue(sock: socket.socket) -> None:
    """Return when the server has asked for the body of a request with ``Expect: 100-continue``: it is in hand."""
    sock.settimeout(60)
    said = b""
    while not said.endswith(b"\r\n\r\n") and (byte := sock.recv(1)):
        said += byte
    assert said.startswith(b"HTTP/1.1 100 "), said


def read_answer(sock: socket.socket) -> bytes:
    """One answer, by its Content-Length."""
    answer = b""
    while True:
        head, mark, body = answer.partition(b"\r\n\r\n")
        if mark:
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.lower().split(b"\r\n")
                    if line.startswith(b"content-length:")
                ),
                None,
            )
            if length is not None and len(body) >= length:
                return answer
        try:
            data = sock.recv(65536)
        except ConnectionResetError:
            return answer
        if not data:
            return answer
        answer += data


def get(cloud: RunningCloud, query: str) -> bytes:
    """The answer to a GET of the EC2 door."""
    host = f"127.0.0.1:{cloud.port('ec2')}"
    request = f"GET /services/Cloud/?{query} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    return exchange(cloud.port("ec2"), request.encode())


def post(cloud: RunningCloud, body: bytes, headers: str = "") -> bytes:
    """The answer to a POST of the EC2 door."""
    host = f"127.0.0.1:{cloud.port('ec2')}"
    head = (
        f"POST /services/Cloud/ HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n"
        f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n{headers}\r\n"
    )
    return exchange(cloud.port("ec2"), head.encode() + body)
