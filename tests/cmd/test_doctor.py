"""nova-manage doctor: everything fine, and each thing broken in turn."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api.cmd.manage import checks, doctor, main
from nova_api.db import models, services, vitals
from nova_api.nodes.service import MANAGERS
from nova_api.runtime import Runtime
from nova_api.testing import make_runtime


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Runtime]:
    """A datastore with a user and services that have just reported."""
    runtime = make_runtime(tmp_path / "state")
    runtime.identity.create_user("alice", access="AK1", secret="s1")
    runtime.db.write(lambda tx: [services.report(tx, "node1", topic, f"nova-{topic}", "nova") for topic in MANAGERS])
    yield runtime
    runtime.close()


class Doctor:
    """Calls the command on one state folder."""

    def __init__(self, state: str, capsys: pytest.CaptureFixture[str]) -> None:
        self.state, self.capsys, self.options = state, capsys, list[str]()

    def set(self, **options: object) -> "Doctor":
        for name, value in options.items():
            self.options += ["--set", f"{name}={value}"]
        return self

    def __call__(self, status: int = 0) -> list[dict[str, str]]:
        """What is not ok."""
        assert main(["--state", self.state, *self.options, "doctor", "--json"]) == status
        out, err = self.capsys.readouterr()
        assert not err
        findings: list[dict[str, str]] = json.loads(out)
        bad = [found for found in findings if found["status"] != "ok"]
        assert all(found["do"] for found in bad)
        return bad

    def one(self, check: str, status: str) -> dict[str, str]:
        """The only thing that is not ok."""
        [found] = self(status=int(status == "fail"))
        assert (found["check"], found["status"]) == (check, status)
        return found


@pytest.fixture
def ask(cloud: Runtime, capsys: pytest.CaptureFixture[str]) -> Doctor:
    return Doctor(cloud.config.state_path, capsys)


@contextmanager
def answering(reply: bytes) -> Iterator[int]:
    """A server that says one thing to everybody."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    wire, _ = listener.accept()
                except OSError:
                    return
                with wire:
                    wire.recv(65536)
                    wire.sendall(reply)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def http(status: str) -> bytes:
    return f"HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode()


def test_everything_is_fine(ask: Doctor, capsys: pytest.CaptureFixture[str]) -> None:
    assert ask() == []
    assert main(["--state", ask.state, "doctor"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {line.split()[0] for line in lines} == {"ok"}
    for name in ("configuration", "state", "secret key", "database", "migrations", "clock", "services", "outbox"):
        assert any(line[6:].startswith(name) for line in lines), name


def test_it_makes_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bad = Doctor(str(tmp_path / "nowhere"), capsys)(status=1)
    assert [found["check"] for found in bad] == ["state", "database"]
    assert list(tmp_path.iterdir()) == []


def test_text_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--state", str(tmp_path), "doctor"]) == 1
    out = capsys.readouterr().out
    assert "fail  database" in out
    assert "-> nova-manage db sync" in out


def test_a_configuration_that_does_not_hold(ask: Doctor) -> None:
    found = ask.set(nonsense=1).one("configuration", "fail")
    assert "nonsense" in found["says"]


@pytest.mark.parametrize(
    ("options", "status", "word"),
    [
        ({"rpc_transport": "smoke://signals"}, "fail", "rpc_transport"),
        ({"embedded_nodes": "false"}, "fail", "embedded_nodes"),
        ({"api_paste_config": "/nonexistent.ini"}, "fail", "/nonexistent.ini"),
        ({"policy_file": "/nonexistent.json"}, "fail", "/nonexistent.json"),
        ({"compute_driver": "no.such:Thing"}, "fail", "no.such"),
        ({"report_interval": 50}, "warn", "50 s"),
    ],
)
def test_options_that_do_not_go_together(ask: Doctor, options: dict[str, str], status: str, word: str) -> None:
    assert word in ask.set(**options).one("configuration", status)["says"]


def test_a_folder_of_somebody_else(ask: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert "cannot be written" in ask.one("state", "fail")["says"]


@pytest.mark.parametrize(("least", "status"), [("LITTLE_SPACE", "warn"), ("NO_SPACE", "fail")])
def test_little_space(ask: Doctor, monkeypatch: pytest.MonkeyPatch, least: str, status: str) -> None:
    monkeypatch.setattr(checks, least, 1 << 60)
    assert "GB free" in ask.one("state", status)["says"]


def test_a_key_that_others_can_read(ask: Doctor, cloud: Runtime) -> None:
    Path(cloud.config.secret_key_path).chmod(0o644)
    assert ask.one("secret key", "fail")["do"] == f"chmod 600 {cloud.config.secret_key_path}"


def test_a_key_that_is_gone(ask: Doctor, cloud: Runtime) -> None:
    Path(cloud.config.secret_key_path).unlink()
    assert "backup" in ask.one("secret key", "fail")["do"]


def test_the_key_of_another_datastore(ask: Doctor, cloud: Runtime) -> None:
    Path(cloud.config.secret_key_path).write_text("A" * 43 + "=\n")
    assert "is not the key" in ask.one("secret key", "fail")["says"]


def test_a_database_that_does_not_answer(ask: Doctor) -> None:
    ask.set(sql_connection=f"mysql+pymysql://u:hunter2@127.0.0.1:{free_port()}/nova")
    found = ask.one("database", "fail")
    assert "hunter2" not in json.dumps(found)


@pytest.mark.parametrize("url", ["nonsense", "oracle+nonsense://h/x"])
def test_a_database_that_cannot_be_named(ask: Doctor, url: str) -> None:
    assert "sql_connection" in ask.set(sql_connection=url).one("database", "fail")["do"]


@pytest.mark.parametrize(
    ("revision", "do"),
    [("0001", "nova-manage db sync"), ("9999", "install that release"), (None, "nova-manage db sync")],
)
def test_tables_of_another_release(ask: Doctor, cloud: Runtime, revision: str | None, do: str) -> None:
    with cloud.db.engine.begin() as conn:
        if revision is None:
            conn.execute(sa.text("DROP TABLE alembic_version"))
        else:
            conn.execute(sa.text("UPDATE alembic_version SET version_num = :found"), {"found": revision})
    assert do in ask.one("migrations", "fail")["do"]


@pytest.mark.parametrize(("seconds", "status"), [(5, "warn"), (-5, "warn"), (3600, "fail"), (-3600, "fail")])
def test_clocks_that_differ(ask: Doctor, monkeypatch: pytest.MonkeyPatch, seconds: int, status: str) -> None:
    real = vitals.clock
    monkeypatch.setattr(vitals, "clock", lambda db: real(db) + timedelta(seconds=seconds))
    ask.one("clock", status)


def test_a_service_that_is_silent(ask: Doctor, cloud: Runtime) -> None:
    cloud.db.write(lambda tx: services.report(tx, "node2", "compute", "nova-compute", "nova"))
    where = models.services.c.host == "node2"
    at = models.now() - timedelta(hours=3)
    cloud.db.write(lambda tx: tx.execute(models.services.update().where(where).values(updated_at=at)))
    found = ask.one("services", "warn")
    assert found["says"] == "compute on node2 has been silent for 3 h"


@pytest.mark.parametrize(("topic", "status"), [("compute", "fail"), ("scheduler", "fail"), ("cert", "warn")])
def test_a_topic_that_nobody_serves(ask: Doctor, cloud: Runtime, topic: str, status: str) -> None:
    cloud.db.write(lambda tx: services.gone(tx, "node1", [topic]))
    assert topic in ask.one("services", status)["says"]


def test_a_topic_whose_services_are_all_disabled(ask: Doctor, cloud: Runtime) -> None:
    cloud.db.write(lambda tx: services.set_disabled(tx, "node1", "compute", True))
    assert ask.one("services", "fail")["do"] == "nova-manage service enable HOST compute"


def test_nobody_there(ask: Doctor, cloud: Runtime) -> None:
    cloud.db.write(lambda tx: services.gone(tx, "node1", MANAGERS))
    assert ask.one("services", "fail")["says"] == "no service reports"


@pytest.mark.parametrize(("age", "status"), [(120, "warn"), (1200, "fail")])
def test_messages_that_stay(ask: Doctor, cloud: Runtime, age: int, status: str) -> None:
    row = {"topic": "compute", "body": "{}", "created_at": models.now() - timedelta(seconds=age)}
    cloud.db.write(lambda tx: tx.execute(models.outbox.insert().values(**row)))
    assert ask.one("outbox", status)["says"].startswith("1 messages wait, the oldest for ")


def test_a_message_that_is_new_is_no_news(ask: Doctor, cloud: Runtime) -> None:
    row = {"topic": "compute", "body": "{}", "created_at": models.now()}
    cloud.db.write(lambda tx: tx.execute(models.outbox.insert().values(**row)))
    assert ask() == []


def test_a_broker_that_cannot_be_named(ask: Doctor) -> None:
    found = ask.set(rpc_transport="amqp://u:hunter/2@h:5672/v").one("broker", "fail")
    assert "rpc_transport" in found["do"] and "hunter" not in json.dumps(found)


def test_a_broker_that_does_not_answer(ask: Doctor) -> None:
    found = ask.set(rpc_transport=f"amqp://u:hunter2@127.0.0.1:{free_port()}/").one("broker", "fail")
    assert "hunter2" not in json.dumps(found)


def test_memcached(ask: Doctor) -> None:
    with answering(b"VERSION 1.6.18\r\n") as port:
        assert ask.set(lockout_memcached_servers=f"127.0.0.1:{port}")() == []


@pytest.mark.parametrize("reply", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"", b"\xff\xfe"])
def test_something_else_than_memcached(ask: Doctor, reply: bytes) -> None:
    with answering(reply) as port:
        ask.set(lockout_memcached_servers=f"127.0.0.1:{port}").one("memcached", "warn")


@pytest.mark.parametrize("server", ["127.0.0.1:{port}", "inet:127.0.0.1:{port}", "[::1]:{port}", "127.0.0.1:x"])
def test_memcached_that_is_away(ask: Doctor, server: str) -> None:
    ask.set(lockout_memcached_servers=server.format(port=free_port())).one("memcached", "warn")


@pytest.mark.parametrize("status", ["200 OK", "400 Bad Request", "401 Unauthorized"])
def test_keystone(ask: Doctor, status: str) -> None:
    with answering(http(status)) as port:
        ask.set(auth_strategy="keystone", keystone_ec2_url=f"http://127.0.0.1:{port}/v3/ec2tokens")
        assert ask() == []


@pytest.mark.parametrize("reply", [http("404 Not Found"), http("503 Service Unavailable"), b"\x00nonsense\r\n", b""])
def test_keystone_that_is_not_well(ask: Doctor, reply: bytes) -> None:
    with answering(reply) as port:
        ask.set(auth_strategy="keystone", keystone_ec2_url=f"http://127.0.0.1:{port}/v3/ec2tokens")
        ask.one("keystone", "fail")


def test_keystone_with_certificates_that_are_not_there(ask: Doctor) -> None:
    found = ask.set(auth_strategy="keystone", keystone_ca_file="/nonexistent").one("keystone", "fail")
    assert "keystone_ca_file" in found["do"]


def test_what_hangs_is_given_up(ask: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "CHECK_SECONDS", 0.05)
    released = threading.Event()
    monkeypatch.setattr(checks, "CHECKS", [("slow", lambda config: released.wait(30) and ())])
    monkeypatch.setattr(checks, "with_datastore", lambda config, bounded: [])
    try:
        ask.one("slow", "fail")
    finally:
        released.set()


def test_a_check_that_breaks_is_a_finding(ask: Doctor, monkeypatch: pytest.MonkeyPatch) -> None:
    def breaks(config: Any) -> Any:
        raise KeyError("oops")

    monkeypatch.setattr(checks, "CHECKS", [("odd", breaks)])
    assert "oops" in ask.one("odd", "fail")["says"]


def test_wrong_options_exit_with_2() -> None:
    assert main(["doctor", "--nonsense"]) == 2


def test_durations() -> None:
    assert [checks._duration(s) for s in (1, 119, 120, 7200, 3 * 86400)] == ["1 s", "119 s", "2 min", "2 h", "3 d"]
