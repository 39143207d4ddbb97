"""Health, metrics and doctor with a real broker, and what they say when it is away."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api import limits
from nova_api.cmd.manage import checks, main
from nova_api.cmd.manage import doctor as doctors
from nova_api.metrics import QUEUES
from nova_api.rpc.broker import Broker
from nova_api.rpc.probe import BrokerProbe
from nova_api.rpc.transport import TransportError
from nova_api.runtime import Runtime
from nova_api.testing import Cloud
from nova_api.testing import cloud as running
from tests.databases import database
from tests.openstack.fakes import DOCUMENT, Door
from tests.servers import broker, free_port, service

pytestmark = pytest.mark.xdist_group("rabbitmq")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with broker() as found:
        yield found


@pytest.fixture
def cloud(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cloud]:
    monkeypatch.setattr(limits, "READY_REUSE", 0.0)
    monkeypatch.setattr(limits, "METRICS_REUSE", 0.0)
    with running(tmp_path / "state", DOCUMENT, rpc_transport=url, metrics_port=0) as made:
        yield made


def publish(url: str, queue: str, count: int) -> None:
    place = Broker(url, "nova", True)
    connection = place.connect()
    place.dead(connection.default_channel).declare()
    for _ in range(count):
        connection.SimpleQueue(queue).put("{}")
    connection.release()


def without_broker(runtime: Runtime) -> None:
    """Have this process's questions go to where no broker is."""
    assert runtime.probe is not None
    runtime.probe.close()
    runtime.probe._broker = Broker(f"amqp://guest:hunter2@127.0.0.1:{free_port()}//", "nova", True)


def test_the_probe(url: str) -> None:
    probe = BrokerProbe(Broker(url, "nova", True))
    try:
        probe.ping()
        publish(url, "waiting", 3)
        # Queues that are not there cost their channel, not the others' answers.
        assert probe.depths(["none", "waiting", "none2", "waiting"]) == {"waiting": 3}
        probe._connection.connection.sock.close()  # lost while it was idle
        probe.ping()
        assert probe.depths(["waiting"]) == {"waiting": 3}
    finally:
        probe.close()


def test_the_probe_without_a_broker_fails_soon_and_keeps_the_password() -> None:
    probe = BrokerProbe(Broker(f"amqp://u:hunter2@127.0.0.1:{free_port()}//", "nova", True))
    for question in (probe.ping, lambda: probe.depths(["x"])):
        with pytest.raises(TransportError) as caught:
            question()
        assert "hunter2" not in str(caught.value)


def test_queues_are_in_the_metrics(cloud: Cloud, url: str) -> None:
    door = Door(cloud)
    server = door.new().json["server"]["id"]
    until = time.monotonic() + 60
    while door.server(server)["status"] != "ACTIVE":
        assert time.monotonic() < until, door.server(server)
        time.sleep(0.02)
    publish(url, "nova.dead", 2)
    source = cloud.runtime.metrics
    assert source is not None
    text = source.render()[0].decode()
    assert f'{QUEUES.name}{{queue="nova.dead"}} 2.0' in text
    assert f'{QUEUES.name}{{queue="compute.node1"}} 0.0' in text
    assert 'nova_api_part_up{part="broker"} 1.0' in text
    probe = cloud.runtime.probe
    assert probe is not None
    probe._ask(lambda connection: connection.default_channel.queue_purge("nova.dead"))


def test_ready_tells_of_the_broker_and_goes_on_without_it(cloud: Cloud) -> None:
    door = Door(cloud)
    assert door.call("/healthcheck").json == {"ready": True, "database": "ok", "broker": "ok"}
    without_broker(cloud.runtime)
    answer = door.call("/healthcheck/ready")
    assert (answer.status_int, answer.json["broker"]) == (200, "failed")
    source = cloud.runtime.metrics
    assert source is not None
    text = source.render()[0].decode()
    assert 'nova_api_part_up{part="broker"} 0.0' in text
    assert QUEUES.name not in text


def test_ready_may_need_the_broker(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "READY_REUSE", 0.0)
    with running(tmp_path / "state", DOCUMENT, rpc_transport=url, ready_needs_broker=True) as cloud:
        door = Door(cloud)
        assert door.call("/healthcheck").status_int == 200
        without_broker(cloud.runtime)
        assert door.call("/healthcheck").status_int == 503
        assert door.call("/healthcheck/live").status_int == 200


def examined(cloud: Cloud, url: str, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    words = ["--state", cloud.runtime.config.state_path, "--set", f"rpc_transport={url}", "doctor", "--json"]
    assert main(words) == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    return found


def test_doctor_sees_dead_letters_and_long_queues(
    cloud: Cloud, url: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = examined(cloud, url, capsys)
    assert {one["check"]: one["status"] for one in found}["broker"] == doctors.OK
    assert all(one["status"] == doctors.OK for one in found), found
    publish(url, "nova.dead", 3)
    bad = [one for one in examined(cloud, url, capsys) if one["status"] != doctors.OK]
    assert [(one["check"], one["status"]) for one in bad] == [("dead letters", doctors.WARN)]
    assert bad[0]["says"].startswith("3 messages")
    monkeypatch.setattr(checks, "LONG_QUEUE", 0)
    assert any(one["check"] == "queues" for one in examined(cloud, url, capsys))
    probe = cloud.runtime.probe
    assert probe is not None
    probe._ask(lambda connection: connection.default_channel.queue_purge("nova.dead"))


def test_doctor_with_memcached(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    server = service("memcached")
    main(["--state", str(tmp_path), "--set", f"lockout_memcached_servers={server}", "doctor", "--json"])
    found = [one for one in json.loads(capsys.readouterr().out) if one["check"] == "memcached"]
    assert [one["status"] for one in found] == [doctors.OK]


@pytest.mark.parametrize("kind", ["postgresql", "mysql"])
def test_doctor_as_a_program_on_a_server(kind: str, tmp_path: Path) -> None:
    def examine(url: str) -> dict[str, str]:
        program = "import sys; from nova_api.cmd.manage import main; sys.exit(main(sys.argv[1:]))"
        words = ["--state", str(tmp_path), "--set", f"sql_connection={url}", "doctor", "--json"]
        done = subprocess.run([sys.executable, "-c", program, *words], capture_output=True, text=True, timeout=120)
        assert done.returncode == 1  # nobody serves this cloud
        return {one["check"]: one["status"] for one in json.loads(done.stdout)}

    with database(kind, tmp_path) as db:
        url = db.url.render_as_string(hide_password=False)
        found = examine(url)
        assert {found[check] for check in ("database", "migrations", "clock", "outbox")} == {doctors.OK}
        assert found["services"] == doctors.FAIL
        with db.engine.begin() as conn:
            conn.execute(sa.text("DROP TABLE alembic_version"))
        found = examine(url)
        assert (found["database"], found["migrations"]) == (doctors.OK, doctors.FAIL)
        assert "services" not in found
