"""The pipelines of the other strategies: Keystone, played by a small double of both token forms, and noauth."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import webob
from lxml import etree

from nova_api.ec2 import EC2Token
from nova_api.testing import Cloud
from nova_api.testing import cloud as running
from tests.ec2.conftest import ESSEX, MODERN, WORLD, ask, refuse

V2 = {
    "access": {
        "token": {"id": "t1", "tenant": {"id": "acme"}},
        "user": {"id": "u1", "roles": [{"name": "Member"}]},
    }
}
V3 = {"token": {"user": {"id": "u1"}, "project": {"id": "acme"}, "roles": [{"name": "admin"}]}}


class Keystone(HTTPServer):
    """Answers every question with the same words, and keeps what was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.document, self.asked = 200, json.dumps(V2).encode(), list[dict[str, Any]]()
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"


class Handler(BaseHTTPRequestHandler):
    server: Keystone

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append(json.loads(body))
        self.send_response(self.server.status)
        self.send_header("X-Subject-Token", "t3")
        self.end_headers()
        self.wfile.write(self.server.document)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def keystone() -> Iterator[Keystone]:
    server = Keystone()
    yield server
    server.shutdown()
    server.thread.join()
    server.server_close()


@pytest.fixture
def cloud(tmp_path: Path, keystone: Keystone) -> Iterator[Cloud]:
    options = {
        "auth_strategy": "keystone",
        "keystone_ec2_url": keystone.url("/v2.0/ec2tokens"),
        "ec2_role_aliases": ("Member=sysadmin",),
    }
    with running(tmp_path / "state", json.loads(WORLD.read_text()), **options) as made:
        yield made


def test_the_question_and_the_roles(cloud: Cloud, keystone: Keystone) -> None:
    ask(cloud, "DescribeVolumes")
    assert refuse(cloud, "AllocateAddress")[1] == "UnauthorizedOperation"  # Member stands for sysadmin only
    question = keystone.asked[0]["ec2Credentials"]
    assert question["access"] == "alice-access:acme"
    assert (question["verb"], question["host"], question["path"]) == ("GET", "localhost:80", "/services/Cloud/")
    assert question["params"]["Action"] == "DescribeVolumes"
    assert "Signature" not in question["params"]
    assert question["signature"]


def test_the_form_of_today(cloud: Cloud, keystone: Keystone) -> None:
    keystone.document = json.dumps(V3).encode()
    ask(cloud, "AllocateAddress")


@pytest.mark.parametrize(("version", "status", "code"), [(ESSEX, 400, "Unauthorized"), (MODERN, 401, "AuthFailure")])
def test_a_refusal(cloud: Cloud, keystone: Keystone, version: str, status: int, code: str) -> None:
    keystone.status = 401
    assert refuse(cloud, "DescribeRegions", version)[:2] == (status, code)


@pytest.mark.parametrize("document", [b"", b"{", b"[]", b"{}", b'{"access": 5}', b'{"token": {}}'])
def test_answers_that_say_nothing(cloud: Cloud, keystone: Keystone, document: bytes) -> None:
    keystone.document = document
    assert refuse(cloud, "DescribeRegions", ESSEX) == (400, "Unauthorized", "Failure communicating with keystone")


def test_refusals_lock(cloud: Cloud, keystone: Keystone) -> None:
    keystone.status = 401
    for _ in range(5):
        assert refuse(cloud, "DescribeRegions")[0] == 401
    asked = len(keystone.asked)
    assert refuse(cloud, "DescribeRegions")[2] == "Too many failed authentications."
    assert len(keystone.asked) == asked


@pytest.mark.parametrize(("status", "version"), [(404, MODERN), (500, MODERN), (403, ESSEX), (503, ESSEX)])
def test_a_keystone_that_fails_locks_nobody_out(cloud: Cloud, keystone: Keystone, status: int, version: str) -> None:
    keystone.status = status
    for _ in range(7):
        refused = refuse(cloud, "DescribeRegions", version)
        assert refused[2] == "Failure communicating with keystone"
        assert refused[:2] == ((503, "Unavailable") if version == MODERN else (400, "Unauthorized"))
    keystone.status = 200
    ask(cloud, "DescribeVolumes")


def test_a_keystone_that_is_not_there(cloud: Cloud, keystone: Keystone) -> None:
    keystone.shutdown()
    keystone.server_close()
    for version in (MODERN, ESSEX) * 3:
        assert refuse(cloud, "DescribeRegions", version)[:2] == (503, "Unavailable")


def test_an_unknown_access_key_is_a_refusal(cloud: Cloud, keystone: Keystone) -> None:
    keystone.status = 404
    keystone.document = b'{"error": {"code": 404, "message": "EC2 access key not found.", "title": "Not Found"}}'
    for _ in range(5):
        assert refuse(cloud, "DescribeRegions") == (401, "AuthFailure", "Unauthorized")
    assert refuse(cloud, "DescribeRegions")[2] == "Too many failed authentications."


def test_the_url_of_2012_that_knows_no_ec2(tmp_path: Path, keystone: Keystone) -> None:
    options = {"auth_strategy": "keystone", "keystone_ec2_url": keystone.url("/v2.0/tokens")}
    with running(tmp_path / "state", json.loads(WORLD.read_text()), **options) as made:
        ask(made, "DescribeRegions")
    ((name, credentials),) = keystone.asked[0]["auth"].items()
    assert name == "OS-KSEC2:ec2Credentials"
    assert set(credentials) == {"access", "signature", "host", "verb", "path", "params"}


def test_without_credentials(cloud: Cloud) -> None:
    answer = webob.Request.blank("/services/Cloud/?Action=DescribeRegions").get_response(cloud.app("ec2"))
    assert (answer.status_int, b"Signature not provided" in answer.body) == (400, True)


@pytest.mark.parametrize(
    ("given", "missing"),
    [("AWSAccessKeyId=k", "Signature"), ("Signature=s", "Access key")],
)
@pytest.mark.parametrize(("version", "status", "code"), [(ESSEX, 400, "Unauthorized"), (MODERN, 401, "AuthFailure")])
def test_half_of_the_credentials(
    cloud: Cloud, keystone: Keystone, given: str, missing: str, version: str, status: int, code: str
) -> None:
    for _ in range(6):  # a request that is refused for its form does not lock
        request = webob.Request.blank(f"/services/Cloud/?Action=DescribeRegions&Version={version}&{given}")
        answer = request.get_response(cloud.app("ec2"))
        found = etree.fromstring(answer.body).find("Errors/Error")
        told = (found.findtext("Code"), found.findtext("Message"))
        assert (answer.status_int, told) == (status, (code, f"{missing} not provided"))
    assert not keystone.asked


def test_the_token_filter_passes_a_token_on(cloud: Cloud, keystone: Keystone) -> None:
    seen: dict[str, Any] = {}

    def below(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        seen.update(environ)
        start_response("200 OK", [])
        return [b""]

    query = cloud.signed_query("DescribeRegions", {}, user="alice", project="acme")
    request = webob.Request.blank(f"/services/Cloud/?{query}", base_url="http://localhost")
    assert request.get_response(EC2Token(below)).status_int == 200
    assert seen["HTTP_X_AUTH_TOKEN"] == "t1"


def test_noauth_believes_everybody(tmp_path: Path) -> None:
    with running(tmp_path, json.loads(WORLD.read_text()), auth_strategy="noauth") as made:
        made.description["users"]["alice"]["secret"] = "wrong"
        ask(made, "DescribeVolumes")
        answer = webob.Request.blank("/services/Cloud/?Action=DescribeRegions").get_response(made.app("ec2"))
        assert answer.status_int == 400
