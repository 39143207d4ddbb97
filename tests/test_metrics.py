"""Figures for Prometheus: what is told, that labels are bounded, and what happens when parts are away."""

import http.client
import logging
import re
import socket
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import webob
from prometheus_client.parser import text_string_to_metric_families

from nova_api import errors, limits, metrics, tally
from nova_api.cmd import metrics_port, startup
from nova_api.ec2.cloud import ACTIONS
from nova_api.readiness import Readiness
from nova_api.rpc.broker import Broker
from nova_api.rpc.probe import BrokerProbe
from nova_api.testing import Cloud, make_runtime
from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, Door


@pytest.fixture
def cloud(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setattr(limits, "METRICS_REUSE", 0.0)
    with running(tmp_path / "state", DOCUMENT, metrics_port=0) as made:
        yield made


def figures(cloud: Cloud) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample by name and labels."""
    assert cloud.runtime.metrics is not None
    body, kind = cloud.runtime.metrics.render()
    assert kind.startswith("text/plain")
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }


def value(cloud: Cloud, name: str, **labels: str) -> float:
    return figures(cloud)[name, tuple(sorted(labels.items()))]


def labels_of(cloud: Cloud, name: str, label: str) -> set[str]:
    return {dict(labels)[label] for found, labels in figures(cloud) if found == name}


def test_requests_of_every_door(cloud: Cloud) -> None:
    door, volume = Door(cloud), Door(cloud, version="v1", api="osapi_volume")
    door.login("alice")
    door.boot()
    door.ask("/servers/nonsense")
    volume.tokens = door.tokens
    assert volume.ask("/volumes").status_int == 200
    cloud.ec2_request("DescribeImages", user="alice", project="acme")
    cloud.ec2_request("DescribeImages", {"ImageId.1": "ami-0000ffff"}, user="alice", project="acme")
    webob.Request.blank("/latest/meta-data/", environ={"REMOTE_ADDR": "203.0.113.9"}).get_response(
        cloud.app("metadata")
    )
    found = {dict(labels)["door"]: set[Any]() for name, labels in figures(cloud) if name == "nova_api_requests_total"}
    for name, labels in figures(cloud):
        if name == "nova_api_requests_total":
            about = dict(labels)
            found[about["door"]].add((about["action"], about["status"]))
    assert ("servers.create", "202") in found["openstack"]
    assert ("servers.show", "404") in found["openstack"]
    assert ("unknown", "204") in found["openstack"]  # the login
    assert found["volume"] == {("volumes.index", "200")}
    assert found["ec2"] == {("DescribeImages", "200"), ("DescribeImages", "400")}
    assert found["metadata"] == {("unknown", "404")}
    assert value(cloud, "nova_api_request_seconds_count", door="ec2", action="DescribeImages") == 2
    assert value(cloud, "nova_api_request_seconds_sum", door="ec2", action="DescribeImages") > 0


def test_labels_never_hold_what_clients_sent(cloud: Cloud) -> None:
    door = Door(cloud)
    for text in ("%22evil%0a", "x" * 200, "servers%00", "%e2%80%a6"):
        door.ask(f"/{text}")
        door.act("00000000-0000-4000-8000-00000000dead", f"evil-{text}")
        cloud.ec2_request(f"Evil{text}", user="alice", project="acme")
        webob.Request.blank(f"/latest/evil{text}", environ={"REMOTE_ADDR": "203.0.113.9"}).get_response(
            cloud.app("metadata")
        )
        webob.Request.blank("/", method="EVIL").get_response(cloud.app("osapi_compute"))
    actions = labels_of(cloud, "nova_api_requests_total", "action")
    assert all(re.fullmatch(r"[A-Za-z_]+(\.[a-z_]+)?", action) for action in actions), actions
    assert "evil" not in repr(actions).lower()
    assert {action for action in actions if action in ACTIONS or "." in action or action == "unknown"} == actions


def test_what_the_cloud_holds(cloud: Cloud) -> None:
    Door(cloud).boot()
    assert value(cloud, "nova_api_quota_in_use", resource="instances") == 1
    assert value(cloud, "nova_api_quota_in_use", resource="ram") == 512
    assert value(cloud, "nova_api_outbox_messages") == 0
    assert value(cloud, "nova_api_outbox_oldest_seconds") == 0
    assert value(cloud, "nova_api_messages_handled_total") >= 2
    assert value(cloud, "nova_api_messages_dead_total") == 0
    assert value(cloud, "nova_api_part_up", part="database") == 1
    for service in ("scheduler", "compute", "network", "volume", "cert", "console"):
        where = {"service": service, "host": "node1"}
        assert value(cloud, "nova_api_service_up", **where) == 1
        assert value(cloud, "nova_api_service_enabled", **where) == 1
        assert 0 <= value(cloud, "nova_api_service_heartbeat_age_seconds", **where) < 600
    assert labels_of(cloud, "nova_api_build", "version")


def test_lockouts(cloud: Cloud) -> None:
    before = tally.counts()
    cloud.description["users"]["alice"]["secret"] = "wrong"
    for _ in range(7):
        cloud.ec2_request("DescribeImages", user="alice", project="acme")
    assert value(cloud, "nova_api_lockouts_total") == before["lockouts"] + 1
    assert value(cloud, "nova_api_lockout_refusals_total") == before["lockout_refusals"] + 2


def test_only_known_events_are_counted() -> None:
    with pytest.raises(KeyError):
        tally.count("nonsense")


def test_without_the_datastore_the_rest_is_told(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READY_REUSE", 0.0)
    monkeypatch.setattr(cloud.runtime.db.engine, "connect", lambda: 1 / 0)
    found = figures(cloud)
    assert found["nova_api_part_up", (("part", "database"),)] == 0
    assert ("nova_api_messages_handled_total", ()) in found
    assert ("nova_api_outbox_messages", ()) not in found


def test_figures_that_fail_are_logged_and_left_out(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(cloud.runtime.outbox, "depth", lambda: 1 / 0)
    with caplog.at_level(logging.WARNING):
        assert ("nova_api_messages_handled_total", ()) in figures(cloud)
    assert "figures could not be read" in caplog.text


def test_scrapes_share_what_was_read(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "METRICS_REUSE", 3600.0)
    calls = []
    depth = cloud.runtime.outbox.depth
    monkeypatch.setattr(cloud.runtime.outbox, "depth", lambda: calls.append(1) or depth())
    for _ in range(10):
        assert ("nova_api_outbox_messages", ()) in figures(cloud)
    assert len(calls) == 1


def test_every_figure_is_in_the_table(cloud: Cloud) -> None:
    cloud.ec2_request("DescribeImages", user="alice", project="acme")
    named = {found.name for found in metrics.TABLE}
    shown = {re.sub(r"_(total|bucket|sum|count)$", "", name) for name, _ in figures(cloud)}
    assert {name for name in shown if name.startswith("nova_api_")} == named - {metrics.QUEUES.name}


def test_queues_of_services_and_of_what_they_fear_each_once() -> None:
    probe = BrokerProbe(Broker("amqp://localhost//", "nova", True))
    queues = list(probe.queues(("compute", f"host{number}") for number in range(1000)))
    assert queues[:4] == ["nova.dead", "compute", "compute.suspects", "compute.host0"]
    assert "compute.host7.suspects" in queues
    assert len(queues) == len(set(queues)) == 2003


def test_queues_that_are_asked_are_bounded(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    class Probe(BrokerProbe):
        def depths(self, queues: Iterable[str]) -> dict[str, int]:
            return dict.fromkeys(queues, 1)

    monkeypatch.setattr(limits, "MAX_METRIC_QUEUES", 3)
    runtime = cloud.runtime
    readiness = Readiness({"broker": lambda: None})
    probe = Probe(Broker("amqp://localhost//", "nova", True))
    source = metrics.Source(runtime.db, runtime.outbox, runtime.transport, probe, readiness, 60)
    assert len(source.shared()[metrics.QUEUES]) == 3


def get(port: int, path: str, method: str = "GET") -> tuple[int, bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request(method, path)
    answer = connection.getresponse()
    found = answer.status, answer.read()
    connection.close()
    return found


def test_the_port(cloud: Cloud) -> None:
    port = startup.start_metrics(cloud.runtime)
    assert port
    status, body = get(port, "/metrics")
    assert status == 200
    assert b"nova_api_build{" in body
    assert get(port, "/healthcheck") == (200, b'{"ready": true, "database": "ok"}\n')
    assert get(port, "/metrics", "HEAD") == (200, b"")
    assert get(port, "/metrics", "POST")[0] == 404
    assert get(port, "/")[0] == 404


def test_idle_connections_do_not_pile_up(cloud: Cloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics_port._Handler, "timeout", 0.2)
    monkeypatch.setattr(metrics_port, "MAX_CONNECTIONS", 3)
    port = startup.start_metrics(cloud.runtime)
    assert port
    idle = [socket.create_connection(("127.0.0.1", port), timeout=20) for _ in range(10)]
    assert [wire.recv(1) for wire in idle] == [b""] * 10  # turned away at once, or after having been silent
    assert get(port, "/healthcheck/live")[0] == 200
    for wire in idle:
        wire.close()


def test_the_next_process_takes_the_next_port(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        first = taken.getsockname()[1]
        if first > 65000:
            pytest.skip("no room above")
        runtime = make_runtime(tmp_path / "state", metrics_port=first)
        try:
            port = startup.start_metrics(runtime)
        finally:
            runtime.close()
    assert port is not None
    assert first < port < first + limits.METRICS_PORTS


@pytest.mark.parametrize("options", [{"metrics_listen": "192.0.2.1"}, {"metrics_port": 70000}])
def test_an_address_that_cannot_be_used(tmp_path: Path, options: dict[str, Any]) -> None:
    runtime = make_runtime(tmp_path / "state", **{"metrics_port": 0, **options})
    try:
        with pytest.raises(errors.ConfigError, match="metrics"):
            startup.start_metrics(runtime)
    finally:
        runtime.close()


def test_off_by_default_and_nothing_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys; from nova_api.testing import make_runtime; from nova_api.cmd import startup\n"
        f"runtime = make_runtime({str(tmp_path / 'state')!r})\n"
        "assert startup.start_metrics(runtime) is None\n"
        "bad = {'prometheus_client', 'kombu', 'wsgiref.simple_server'} & set(sys.modules)\n"
        "runtime.close(); sys.exit(repr(bad) if bad else 0)"
    )
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parent.parent)


def test_without_the_library_it_says_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "prometheus_client", None)
    with pytest.raises(errors.ConfigError, match=r"nova_api\[metrics\]"):
        make_runtime(tmp_path / "state", metrics_port=0)
