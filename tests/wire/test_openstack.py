"""Bytes for the OpenStack door: whatever comes, a well-formed answer below 500, and the server goes on."""

import http.client
import json
import socket
from collections.abc import Iterator

import pytest
from lxml import etree

from tests.servers import RunningCloud
from tests.wire.conftest import exchange, read_answer


@pytest.fixture(scope="module")
def token(cloud: RunningCloud) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", cloud.port("compute_v1.1"), timeout=30)
    key = cloud.cloud["users"]["alice"]["os_key"]
    connection.request("GET", "/v1.1/", headers={"X-Auth-User": "alice", "X-Auth-Key": key})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return str(answer.headers["X-Auth-Token"])


@pytest.fixture(autouse=True)
def still_alive(cloud: RunningCloud) -> Iterator[None]:
    yield
    assert send(cloud, "GET /v1.1/ HTTP/1.1")[0] == 200
    assert cloud.process.poll() is None
    assert "Traceback" not in cloud.log_path.read_text()


def send(cloud: RunningCloud, line: str, headers: str = "", body: bytes = b"") -> tuple[int, bytes, bytes]:
    """Status, head and body of one answer."""
    port = cloud.port("compute_v1.1")
    text = f"{line}\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n{headers}\r\n".encode("latin-1")
    head, _, rest = exchange(port, text + body).partition(b"\r\n\r\n")
    return int(head.split()[1]), head, rest


def ask(cloud: RunningCloud, token: str, method: str, path: str, headers: str = "", body: bytes = b"") -> tuple:
    length = f"Content-Length: {len(body)}\r\n" if body else ""
    return send(cloud, f"{method} /v1.1/acme{path} HTTP/1.1", f"X-Auth-Token: {token}\r\n{length}{headers}", body)


def fault(body: bytes) -> int:
    """The code of a fault in JSON or XML."""
    if body.startswith(b"<"):
        return int(etree.fromstring(body).get("code"))
    ((_, about),) = json.loads(body).items()
    return int(about["code"])


@pytest.mark.parametrize("method", ["OPTIONS", "PATCH", "PUT", "DELETE", "TRACE", "BREW"])
def test_methods_without_a_route(cloud: RunningCloud, token: str, method: str) -> None:
    status, _, body = ask(cloud, token, method, "/servers")
    assert (status, fault(body)) == (404, 404)


def test_head_has_no_body(cloud: RunningCloud, token: str) -> None:
    status, _, body = ask(cloud, token, "HEAD", "/servers")
    assert (status, body) == (404, b"")


@pytest.mark.parametrize(
    "path",
    [
        "/servers/%ff%fe",
        "/servers/%00",
        "/servers/" + "x" * 7000,
        "/servers/%2e%2e%2f%2e%2e%2fetc%2fpasswd",
        "/servers/\xe9",
        "/a/b/c/d/e/f",
        "/servers//",
        "/%C3%28/servers",
    ],
)
def test_paths(cloud: RunningCloud, token: str, path: str) -> None:
    status, _, body = ask(cloud, token, "GET", path)
    assert 200 <= status < 500
    if status != 200 and path.isascii():  # the socket server itself refuses a request line that is not
        assert fault(body) == status


@pytest.mark.parametrize(
    "query",
    [
        "name=%ff",
        "limit=%ff",
        "limit=1_0",
        "limit=%D9%A1",
        "marker=%00",
        "name=" + "(" * 200,
        "name=(a*)*(a*)*(a*)*(a*)*b",
        "=&=&&&",
        "status=%ED%A0%80",
        "changes-since=9999999999999",
        "a=1&" * 1000,
    ],
)
def test_queries(cloud: RunningCloud, token: str, query: str) -> None:
    status, _, body = ask(cloud, token, "GET", f"/servers/detail?{query}")
    assert status in (200, 400)
    if status != 200:
        assert fault(body) == status


JSON, XML = "Content-Type: application/json\r\n", "Content-Type: application/xml\r\nAccept: application/xml\r\n"


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (JSON, b"[" * 60_000),
        (JSON, b'{"server":' * 10_000),
        (JSON, b"\xff\xfe"),
        (JSON, b'{"server": {"name": "\\ud800", "imageRef": 1}}'),
        (JSON, b'{"server": {"name": 1e999}}'),
        (JSON, b'{"server": {"min_count": 1' + b"0" * 5000 + b"}}"),
        (JSON, b"NaN"),
        ("Content-Type: application/json; charset=utf-16\r\n", b"{}"),
        ("Content-Type: text/plain\r\n", b"{}"),
        ("Content-Type: \r\n", b"{}"),
        ("", b"{}"),
        (XML, b"<a>" * 20_000),
        (XML, b"<a>" + b"<b/>" * 25_000 + b"</a>"),
        (XML, b'<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><server name="&x;"/>'),
        (XML, '<?xml version="1.0" encoding="utf-16"?><server/>'.encode("utf-16")),
        (XML, b"\x00"),
    ],
)
def test_bodies(cloud: RunningCloud, token: str, headers: str, body: bytes) -> None:
    for path in ("/servers", "/servers/1/action", "/servers/1/metadata"):
        status, _, answer = ask(cloud, token, "POST", path, headers, body)
        assert status in (400, 404, 413, 422), (path, status)
        assert fault(answer) == status


def test_a_body_beyond_the_limit(cloud: RunningCloud, token: str) -> None:
    status, _, _ = send(
        cloud,
        "POST /v1.1/acme/servers HTTP/1.1",
        f"X-Auth-Token: {token}\r\n{JSON}Content-Length: 500000000\r\n",
        b"{}",
    )
    assert status == 413


@pytest.mark.parametrize(
    "headers",
    ["X-Auth-Token: \xff\xfe\r\n", "X-Auth-Token: " + "x" * 4000 + "\r\n", "X-Auth-User: \xe9\r\nX-Auth-Key: \xe9\r\n"],
)
def test_hostile_credentials(cloud: RunningCloud, headers: str) -> None:
    for path in ("/v1.1/acme/servers", "/v2/"):
        status, _, _ = send(cloud, f"GET {path} HTTP/1.1", headers)
        assert status in (200, 401)


@pytest.mark.parametrize(
    "accept", ["application/vnd.openstack.compute+json", "application/vnd.openstack.compute+xml;version=2", "x" * 3000]
)
def test_faults_in_every_type(cloud: RunningCloud, token: str, accept: str) -> None:
    status, head, body = ask(cloud, token, "GET", "/servers/none", f"Accept: {accept}\r\n")
    assert (status, fault(body)) == (404, 404)
    assert b"x-compute-request-id" in head.lower()


def test_a_connection_outlives_faults(cloud: RunningCloud, token: str) -> None:
    port = cloud.port("compute_v1.1")
    with socket.create_connection(("127.0.0.1", port), 30) as sock:
        for path, status in (("/servers/none", 404), ("/servers", 200), ("/servers?limit=x", 400), ("/flavors", 200)):
            text = f"GET /v1.1/acme{path} HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n\r\n"
            sock.sendall(text.encode())
            assert int(read_answer(sock).split()[1]) == status


def test_a_method_override_does_nothing(cloud: RunningCloud, token: str) -> None:
    image = next(one["id"] for one in cloud.cloud["images"] if one["name"] == "acme-private")
    status, _, _ = ask(cloud, token, "GET", f"/images/{image}?_method=DELETE", "X-HTTP-Method-Override: DELETE\r\n")
    assert status == 200
    assert ask(cloud, token, "GET", f"/images/{image}")[0] == 200


def test_a_body_in_chunks(cloud: RunningCloud, token: str) -> None:
    body = b'{"server": {}}'
    framed = b"".join(b"1\r\n%c\r\n" % byte for byte in body) + b"0\r\n\r\n"
    headers = f"X-Auth-Token: {token}\r\n{JSON}Transfer-Encoding: chunked\r\n"
    status, _, answer = send(cloud, "POST /v1.1/acme/servers HTTP/1.1", headers, framed)
    assert (status, b"Server name is not defined" in answer) == (400, True)
