"""/healthcheck on every door: what it says, what it costs, and what it leaves to the door."""

import json
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import webob

from nova_api import limits
from nova_api.health import Healthcheck
from nova_api.readiness import FAILED, OK, SILENT, Readiness
from nova_api.testing import Cloud
from nova_api.testing import cloud as running

DOORS = ("ec2", "osapi_compute", "osapi_volume", "metadata")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    with running(tmp_path_factory.mktemp("health") / "state", api_rate_limit=True) as made:
        yield made


def ask(app: Any, path: str, method: str = "GET", **headers: str) -> webob.Response:
    return webob.Request.blank(path, method=method, headers=headers).get_response(app)


def door(environ: dict[str, Any], start_response: Any) -> list[bytes]:
    """A door that answers everything, with what it was asked for."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [f"{environ['REQUEST_METHOD']} {environ['SCRIPT_NAME']}{environ['PATH_INFO']}".encode()]


@pytest.mark.parametrize("name", DOORS)
@pytest.mark.parametrize("path", ["/healthcheck", "/healthcheck/ready", "/healthcheck/live"])
def test_every_door_has_it(cloud: Cloud, name: str, path: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        answer = ask(cloud.app(name), path)
    assert answer.status_int == 200
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json == ({"live": True} if path.endswith("live") else {"ready": True, "database": "ok"})
    assert len(answer.body) < 200
    assert not caplog.records
    head = ask(cloud.app(name), path, "HEAD")
    assert (head.status_int, head.body, head.headers["Content-Length"]) == (200, b"", str(len(answer.body)))


@pytest.mark.parametrize("name", DOORS)
@pytest.mark.parametrize(
    ("path", "method"),
    [
        ("/healthcheck", "POST"),
        ("/healthcheck/", "GET"),
        ("/healthcheck/ready/", "GET"),
        ("/healthcheck/live/x", "GET"),
        ("/healthchecks", "GET"),
        ("//healthcheck", "GET"),
        ("/Healthcheck", "GET"),
        ("/healthcheck/..", "GET"),
        ("/v2/healthcheck", "GET"),
        ("/services/Cloud/healthcheck", "GET"),
        ("/latest/healthcheck", "GET"),
    ],
)
def test_other_paths_are_the_doors(cloud: Cloud, name: str, path: str, method: str) -> None:
    assert ask(Healthcheck(door, cloud.runtime.readiness), path, method).text == f"{method} {path}"
    assert b'"ready"' not in ask(cloud.app(name), path, method).body


def test_a_project_of_that_name_keeps_its_servers(cloud: Cloud) -> None:
    """Whoever names the version in a header has the project first in the path."""
    app = cloud.app("osapi_compute")
    answer = ask(app, "/healthcheck/servers", Accept="application/json;version=2")
    assert answer.status_int == 401
    assert "unauthorized" in answer.json


def test_no_limit_and_no_login(cloud: Cloud) -> None:
    app = cloud.app("osapi_compute")
    assert {ask(app, "/healthcheck").status_int for _ in range(200)} == {200}


def test_not_ready_without_the_datastore(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READY_REUSE", 0.0)
    with running(tmp_path / "state") as cloud:
        app = cloud.app("ec2")
        assert ask(app, "/healthcheck").status_int == 200
        connect = cloud.runtime.db.engine.connect
        cloud.runtime.db.engine.connect = lambda: (_ for _ in ()).throw(OSError("secret detail"))  # type: ignore[method-assign]
        answer = ask(app, "/healthcheck/ready")
        assert answer.status == "503 Service Unavailable"
        assert answer.json == {"ready": False, "database": "failed"}
        assert ask(app, "/healthcheck/live").status_int == 200
        cloud.runtime.db.engine.connect = connect  # type: ignore[method-assign]
        assert ask(app, "/healthcheck/ready").status_int == 200


def test_a_result_serves_for_a_while() -> None:
    now, calls = [0.0], []
    ready = Readiness({"database": lambda: calls.append(now[0])}, clock=lambda: now[0])
    for _ in range(100):
        assert ready.report().ready
    assert calls == [0.0]
    now[0] += limits.READY_REUSE + 0.01
    assert ready.report().ready
    assert len(calls) == 2


def test_a_flood_costs_one_check_and_waits_a_bounded_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READY_TIMEOUT", 0.2)
    release, calls = threading.Event(), []

    def hangs() -> None:
        calls.append(1)
        release.wait(30)

    later = [0.0]
    ready = Readiness({"database": hangs}, clock=lambda: time.monotonic() + later[0])
    found: list[Any] = []
    threads = [threading.Thread(target=lambda: found.append(ready.report())) for _ in range(20)]
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert [(one.ready, one.parts["database"]) for one in found] == [(False, SILENT)] * 20
        monkeypatch.setattr(limits, "READY_TIMEOUT", 3600)
        later[0] = 3600
        asker = threading.Thread(target=lambda: found.append(ready.report()), daemon=True)
        asker.start()
        asker.join(20)  # who comes when the time is over does not wait once more
        assert len(found) == 21 and found[-1].parts["database"] == SILENT
        assert calls == [1]
    finally:
        release.set()
    until = time.monotonic() + 20
    while ready.report().parts["database"] != OK:
        assert time.monotonic() < until
        time.sleep(0.01)


def test_an_outage_is_one_line_however_often_it_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(limits, "READY_REUSE", 0.0)
    well = [True]

    def check() -> None:
        if not well[0]:
            raise OSError

    ready = Readiness({"broker": check})
    with caplog.at_level(logging.INFO):
        for state in (True, False, True):
            well[0] = state
            for _ in range(10):
                assert ready.report().ready == state
    assert [record.getMessage() for record in caplog.records] == ["broker: failed", "broker: ok"]


@pytest.mark.parametrize(("needed", "is_ready"), [(("database",), True), (None, False)])
def test_what_is_not_needed_is_told_and_does_not_count(needed: Any, is_ready: bool) -> None:
    def fails() -> None:
        raise OSError

    ready = Readiness({"database": lambda: None, "broker": fails}, needed)
    answer = ask(Healthcheck(door, ready), "/healthcheck")
    assert answer.status_int == (200 if is_ready else 503)
    assert json.loads(answer.body) == {"ready": is_ready, "database": OK, "broker": FAILED}
