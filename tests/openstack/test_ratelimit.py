"""Rate limits (spec openstack-core.md 6.6)."""

import http.client
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
import webob
from hypothesis import given
from hypothesis import strategies as st
from lxml import etree

from nova_api import limits as bounds
from nova_api.context import RequestContext
from nova_api.openstack.faults import CONTEXT
from nova_api.openstack.limits import grouped
from nova_api.openstack.ratelimit import (
    DEFAULT_LIMITS,
    UNITS,
    Limit,
    Limiter,
    RateLimitingMiddleware,
    WsgiLimiter,
    WsgiLimiterProxy,
    below_project,
    parse_limits,
)
from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, Door


class Clock:
    """Time that stands still until told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_the_syntax() -> None:
    made = parse_limits("(get, *, .*, 20, minute); (PUT, /foo*, /foo.*, 10, HOUR);")
    assert [(one.verb, one.uri, one.regex.pattern, one.value, one.unit) for one in made] == [
        ("GET", "*", ".*", 20, 60),
        ("PUT", "/foo*", "/foo.*", 10, 3600),
    ]
    assert parse_limits("") == []


@pytest.mark.parametrize(
    ("text", "refusal"),
    [
        (";;;;;x", "Limit rules must be surrounded by parentheses"),
        ("GET, *, .*, 20, minute", "Limit rules must be surrounded by parentheses"),
        ("(a)", "Limit rules must contain the following arguments: verb, uri, regex, value, unit"),
        ("(GET, *, .*, foo, minute)", "invalid literal"),
        ("(GET, *, .*, 20, lightyears)", "Invalid units specified"),
        ("(GET, *, .*, 0, minute)", "Limit value must be > 0"),
        ("(GET, *, (, 1, minute)", "missing"),
    ],
)
def test_bad_syntax(text: str, refusal: str) -> None:
    with pytest.raises(ValueError, match=refusal):
        parse_limits(text)


@given(st.text(max_size=80))
def test_any_text_is_limits_or_a_value_error(text: str) -> None:
    try:
        assert all(one.value > 0 for one in parse_limits(text))
    except ValueError:
        pass


def test_the_bucket(clock: Clock) -> None:
    limiter = Limiter(DEFAULT_LIMITS, clock=clock)
    for _ in range(10):
        assert limiter.check_for_delay("PUT", "/servers/1", "joe") == (None, None)
    delay, text = limiter.check_for_delay("PUT", "/servers/1", "joe")
    assert delay == pytest.approx(6.0)
    assert text == "Only 10 PUT request(s) can be made to * every minute."
    assert limiter.check_for_delay("PUT", "/servers/1", "jane") == (None, None)
    clock.now += 6.0
    assert limiter.check_for_delay("PUT", "/servers/1", "joe") == (None, None)
    assert limiter.check_for_delay("PUT", "/servers/1", "joe")[0] == pytest.approx(6.0)
    clock.now += 3600
    assert [limiter.check_for_delay("PUT", "/", "joe")[0] for _ in range(11)][9:] == [None, pytest.approx(6.0)]


def test_a_refused_request_is_not_counted(clock: Clock) -> None:
    limiter = Limiter([Limit.of("GET", "*", ".*", 1, 60)], clock=clock)
    limiter.check_for_delay("GET", "/")
    for _ in range(5):
        assert limiter.check_for_delay("GET", "/")[0] == pytest.approx(60.0)


def test_servers_are_limited_by_day(clock: Clock) -> None:
    """The rule that never fired in 2012.1, whose expression was matched with the whole URL."""
    limiter = Limiter(DEFAULT_LIMITS, clock=clock)
    for _ in range(50):
        assert limiter.check_for_delay("POST", "/servers", "joe") == (None, None)
        clock.now += 6
    delay, text = limiter.check_for_delay("POST", "/servers", "joe")
    assert text == "Only 50 POST request(s) can be made to */servers every day."
    assert delay is not None and delay > 1000


def test_what_is_left(clock: Clock) -> None:
    limiter = Limiter(DEFAULT_LIMITS, clock=clock)
    limiter.check_for_delay("POST", "/images", "joe")
    shown = grouped(limiter.get_limits("joe"))
    assert [one["uri"] for one in shown] == ["*", "*/servers", "*changes-since*"]
    assert [(one["verb"], one["remaining"]) for one in shown[0]["limit"]] == [("POST", 9), ("PUT", 10), ("DELETE", 100)]
    assert {one["unit"] for one in shown[0]["limit"]} == {"MINUTE"}


def test_a_user_s_own_table(clock: Clock) -> None:
    limiter = Limiter(DEFAULT_LIMITS, clock=clock, **{"user:joe": "(GET, *, .*, 1, day)", "user:free": ""})
    assert limiter.check_for_delay("GET", "/", "joe")[0] is None
    assert limiter.check_for_delay("GET", "/", "joe")[0] is not None
    assert [limiter.check_for_delay("PUT", "/", "free")[0] for _ in range(20)] == [None] * 20


def test_memory_is_bounded(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "MAX_RATE_LIMIT_USERS", 3)
    limiter = Limiter([Limit.of("GET", "*", ".*", 1, 60)], clock=clock)
    for user in ("a", "b", "a", "c", "d"):
        limiter.check_for_delay("GET", "/", user)
    assert list(limiter._users) == ["a", "c", "d"]


def test_threads_share_a_bucket() -> None:
    limiter = Limiter([Limit.of("GET", "*", ".*", 50, UNITS["DAY"])])
    admitted: list[bool] = []

    def hammer() -> None:
        admitted.extend(limiter.check_for_delay("GET", "/", "joe")[0] is None for _ in range(25))

    threads = [threading.Thread(target=hammer) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert sum(admitted) == 50


@pytest.mark.parametrize(
    ("path", "query", "expected"),
    [
        ("/acme/servers", "", "/servers"),
        ("/acme/servers", "changes-since=x", "/servers?changes-since=x"),
        ("/", "", "/"),
    ],
)
def test_what_is_matched(path: str, query: str, expected: str) -> None:
    assert below_project({"PATH_INFO": path, "QUERY_STRING": query}) == expected


def answer(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"in"]


def ask(application: Any, user: str | None = "joe", accept: str = "application/json") -> webob.Response:
    request = webob.Request.blank("/acme/servers", headers={"Accept": accept})
    if user:
        request.environ[CONTEXT] = RequestContext(user, "acme")
    return request.get_response(application)


def test_the_middleware() -> None:
    application = RateLimitingMiddleware(answer, "(GET, *, .*, 1, MINUTE)")
    assert ask(application).body == b"in"
    refused = ask(application)
    assert refused.status_int == 413
    assert 1 <= int(refused.headers["Retry-After"]) <= 60
    assert refused.json["overLimitFault"]["details"] == "Only 1 GET request(s) can be made to * every minute."
    assert etree.fromstring(ask(application, accept="application/xml").body).get("code") == "413"
    assert ask(application, None).body == b"in"


def test_the_factory_takes_options() -> None:
    wrap = RateLimitingMiddleware.factory({}, limits="(GET, *, .*, 1, MINUTE)", **{"user:joe": "(GET, *, .*, 2, DAY)"})
    application = wrap(answer)
    assert [ask(application).status_int for _ in range(3)] == [200, 200, 413]


def test_a_limiter_of_one_s_own() -> None:
    application = RateLimitingMiddleware(answer, "", "nova_api.openstack.ratelimit.WsgiLimiterProxy")
    assert isinstance(application._limiter, WsgiLimiterProxy)


def remote(limiter: WsgiLimiter, path: str = "/joe", body: bytes = b'{"verb": "GET", "path": "/x"}') -> webob.Response:
    return webob.Request.blank(path, method="POST", body=body).get_response(limiter)


def test_the_remote_protocol(clock: Clock) -> None:
    limiter = WsgiLimiter("(GET, *, .*, 1, MINUTE)", clock=clock)
    assert remote(limiter).status_int == 204
    refused = remote(limiter)
    assert (refused.status_int, refused.headers["X-Wait-Seconds"]) == (403, "60.00")
    assert refused.text == "Only 1 GET request(s) can be made to * every minute."
    assert remote(limiter, "/").status_int == 204
    assert remote(limiter, "/%ff").status_int == 204
    assert webob.Request.blank("/joe").get_response(limiter).status_int == 405
    for body in (b"", b"x", b"[]", b"{}", b"null"):
        assert remote(limiter, body=body).status_int == 400


class _Quiet(WSGIRequestHandler):
    def log_message(self, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def remote_limiter(clock: Clock) -> Iterator[str]:
    server = make_server("127.0.0.1", 0, WsgiLimiter("(GET, *, .*, 1, MINUTE)", clock=clock), handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_the_proxy(remote_limiter: str) -> None:
    proxy = WsgiLimiterProxy(limiter_address=remote_limiter)
    assert proxy.check_for_delay("GET", "/x", "joe") == (None, None)
    assert proxy.check_for_delay("GET", "/x", "joe") == (60.0, "Only 1 GET request(s) can be made to * every minute.")
    assert proxy.check_for_delay("GET", "/x") == (None, None)
    assert WsgiLimiterProxy.parse_limits("(GET, *, .*, 1, MINUTE)") == []
    assert proxy.get_limits("joe") == []


@pytest.mark.parametrize("user", ["joe smith", "зоя", "a?b#c", "a/b"])
def test_the_proxy_knows_users_of_any_name(remote_limiter: str, user: str) -> None:
    proxy = WsgiLimiterProxy(limiter_address=remote_limiter)
    assert proxy.check_for_delay("GET", "/x", user) == (None, None)
    assert proxy.check_for_delay("GET", "/x", user)[0] == 60.0
    assert proxy.check_for_delay("GET", "/x", "joe") == (None, None)


@pytest.mark.parametrize("status", ["404 Not Found", "500 Internal Server Error", "502 Bad Gateway"])
def test_a_proxy_whose_limiter_is_broken_admits(status: str, caplog: pytest.LogCaptureFixture) -> None:
    def broken(environ: Any, start_response: Any) -> Any:
        start_response(status, [("Content-Length", "0")])
        return []

    server = make_server("127.0.0.1", 0, broken, handler_class=_Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    proxy = WsgiLimiterProxy(limiter_address=f"127.0.0.1:{server.server_port}")
    try:
        assert proxy.check_for_delay("GET", "/x", "joe") == (None, None)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    assert status[:3] in caplog.text


def test_a_proxy_without_its_limiter_admits(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    def refuse(*args: Any, **options: Any) -> None:
        raise ConnectionRefusedError("nobody there")

    monkeypatch.setattr(http.client.HTTPConnection, "request", refuse)
    proxy = WsgiLimiterProxy(limiter_address="127.0.0.1:9")
    assert [proxy.check_for_delay("GET", "/", "joe") for _ in range(3)] == [(None, None)] * 3
    assert len(caplog.records) == 1


@pytest.mark.parametrize("strategy", ["local", "deprecated", "noauth"])
@pytest.mark.parametrize("limited", [True, False])
def test_every_strategy_has_them_or_not(tmp_path: Path, strategy: str, limited: bool) -> None:
    with running(tmp_path / "state", DOCUMENT, auth_strategy=strategy, api_rate_limit=limited) as made:
        door = Door(made, tokens={"alice": "alice:acme"} if strategy == "noauth" else {})
        answers = [door.put("/servers/1", {"server": {}}).status_int for _ in range(11)]
        assert answers == [404] * 10 + [413 if limited else 404]
        rates = door.ask("/limits").json["limits"]["rate"]
        assert [one["uri"] for one in rates] == (["*", "*/servers", "*changes-since*"] if limited else [])


def test_absolute_limits(door: Door) -> None:
    shown = door.ask("/limits", user="bob").json["limits"]
    assert shown["absolute"] == {
        "maxServerMeta": 128,
        "maxImageMeta": 128,
        "maxPersonality": 5,
        "maxPersonalitySize": 10240,
    }
    assert shown["rate"] == []
    root = etree.fromstring(door.ask("/limits.xml", user="bob").body)
    common = "{http://docs.openstack.org/common/api/v1.0}"
    assert root.find(f"{common}absolute/{common}limit[@name='maxPersonality']").get("value") == "5"


def test_unlimited_is_left_out_and_limits_are_the_project_s(fresh: Door) -> None:
    quotas = fresh.cloud.runtime.quotas
    quotas.set_limit("acme", "cores", -1)
    quotas.set_limit("acme", "instances", 3)
    shown = fresh.ask("/limits").json["limits"]["absolute"]
    assert "maxTotalCores" not in shown
    assert (shown["maxTotalInstances"], shown["maxTotalRAMSize"]) == (3, 51200)
    assert fresh.ask("/limits", user="bob").json["limits"]["absolute"]["maxTotalInstances"] == 10
