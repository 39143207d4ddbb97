"""Around auth_token: its cache and its refusals. tests/services/test_keystone.py has the real one."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import webob
from lxml import etree

from nova_api import errors, runtime
from nova_api.config import Config
from nova_api.openstack.faults import CONTEXT
from nova_api.openstack.keystone import CACHE, TokenCache, TokenEdge, auth_token_factory, auth_token_settings
from nova_api.testing import make_runtime


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_cache_is_bounded_in_time_and_number() -> None:
    clock = Clock()
    cache = TokenCache(3, clock)
    for number in range(3):
        cache.set(f"tokens/{number}", b"%d" % number, time=60)
    assert cache.get("tokens/0") == b"0"
    cache.set("tokens/3", b"3", time=60)
    assert [cache.get(f"tokens/{number}") for number in range(4)] == [b"0", None, b"2", b"3"]
    clock.now = 60
    assert [cache.get(f"tokens/{number}") for number in range(4)] == [None] * 4
    assert len(cache) == 0


class Below:
    """In the place of auth_token.

    :param context: whether somebody was recognised before the answer
    """

    def __init__(self, answer: Any, context: bool = False) -> None:
        self.answer, self.context = answer, context
        self.caches: list[Any] = []

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        self.caches.append(environ[CACHE])
        if self.context:
            environ[CONTEXT] = object()
        if isinstance(self.answer, Exception):
            raise self.answer
        answer: Iterable[bytes] = self.answer(environ, start_response)
        return answer


@pytest.fixture
def services(tmp_path: Path) -> Any:
    made = make_runtime(tmp_path)
    yield made
    made.close()


def ask(below: Below, services: Any, path: str = "/acme/servers", **headers: str) -> webob.Response:
    request = webob.Request.blank(path, headers={"X-Auth-Token": "t", **headers})
    return request.get_response(TokenEdge(below, services))


def test_refusals_are_faults(services: Any) -> None:
    headers = {"WWW-Authenticate": 'Keystone uri="x"', "X-Other": "y"}
    refused = ask(Below(webob.Response("no", status=401, headers=headers)), services)
    assert (refused.status_int, json.loads(refused.body)["unauthorized"]["code"]) == (401, 401)
    assert refused.headers["WWW-Authenticate"] == 'Keystone uri="x"'
    assert "X-Other" not in refused.headers
    away = ask(Below(webob.Response("away", status=503)), services, Accept="application/xml")
    assert (away.status_int, etree.QName(etree.fromstring(away.body)).localname) == (503, "serviceUnavailable")


def test_a_defect_of_the_middleware_tells_nothing(services: Any) -> None:
    answer = ask(Below(RuntimeError("secret")), services)
    assert (answer.status_int, b"secret" in answer.body) == (503, False)


def test_answers_of_the_door_pass_unchanged(services: Any) -> None:
    for status in (200, 401, 404, 503):
        answer = ask(Below(webob.Response("mine", status=status), context=True), services)
        assert (answer.status_int, answer.body) == (status, b"mine")
    with pytest.raises(RuntimeError):
        ask(Below(RuntimeError("of the door"), context=True), services)


def test_all_requests_share_one_cache(services: Any) -> None:
    below = Below(webob.Response("ok"))
    edge = TokenEdge(below, services)
    for _ in range(2):
        webob.Request.blank("/x", headers={"X-Auth-Token": "t"}).get_response(edge)
    assert below.caches == [edge.cache] * 2


def test_nobody_to_ask_as(services: Any) -> None:
    runtime.install(services)
    try:
        with pytest.raises(errors.ConfigError, match="keystone_user"):
            auth_token_factory({})
    finally:
        runtime.uninstall()


@pytest.mark.parametrize(
    ("settings", "root"),
    [
        ({}, "http://localhost:5000/v3"),
        ({"keystone_ec2_url": "https://k/v3/ec2tokens"}, "https://k/v3"),
        ({"keystone_ec2_url": "https://k/identity/v3/ec2tokens"}, "https://k/identity/v3"),
        ({"keystone_auth_url": "https://other:35357/v3/"}, "https://other:35357/v3"),
    ],
)
def test_where_the_identity_api_is(settings: dict[str, str], root: str) -> None:
    assert auth_token_settings(Config(**settings))["auth_url"] == root


def test_certificates_are_always_verified() -> None:
    made = auth_token_settings(Config(keystone_ca_file="/ca.pem"))
    assert made["cafile"] == "/ca.pem"
    assert "insecure" not in made
