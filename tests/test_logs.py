"""The log: its form, its request ids, and that no secret and no forged line reaches it."""

import io
import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nova_api import logs, redact
from nova_api.cmd import startup
from nova_api.config import Config
from nova_api.context import CURRENT_REQUEST, RequestContext, current_request_id
from nova_api.recorder import Recorder
from nova_api.testing import Cloud
from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, RAW, Door

NASTY = ["a\nb", "a\r\nb", "\x1b[2Jx", "\x00", "\x85next", "\u2028line", "\udcff", "\x7f", "é ü 漢", "\u202eright"]


def record(message: str, *args: object, **more: Any) -> logging.LogRecord:
    made = logging.LogRecord("nova.test", logging.INFO, "x.py", 1, message, args, more.pop("exc_info", None))
    for name, value in more.items():
        setattr(made, name, value)
    return made


@pytest.fixture
def root() -> Iterator[logging.Logger]:
    """The root logger, put back afterwards."""
    found = logging.getLogger()
    before = found.level, found.handlers[:], {name: logging.getLogger(name).level for name in logs.TALKATIVE}
    yield found
    found.setLevel(before[0])
    for handler in found.handlers:
        if handler not in before[1]:
            handler.close()
    found.handlers[:] = before[1]
    for name, level in before[2].items():
        logging.getLogger(name).setLevel(level)


@pytest.mark.parametrize("text", NASTY)
def test_a_message_is_one_line(text: str) -> None:
    line = logs.formatter("text").format(record("said %s", text))
    assert line.isprintable()
    assert re.match(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} INFO nova\.test \[-\] said ", line)
    found = logs.formatter("json").format(record("said %s", text))
    assert found.isascii() and found.isprintable()
    assert json.loads(found)["message"] == f"said {text}"


@given(st.text(alphabet=st.characters(codec=None), max_size=60))
def test_any_text_is_one_line(text: str) -> None:
    assert logs.formatter("text").format(record("%s", text)).isprintable()
    assert logs.formatter("json").format(record("%s", text)).isprintable()
    assert logs.client_text(text * 10).isprintable()


def test_tracebacks_cannot_forge_lines() -> None:
    forged = "x\n2012-01-01 00:00:00,000 INFO nova.api forged\rby\x1b[0m"
    try:
        raise ValueError(forged)
    except ValueError:
        about = sys.exc_info()
    lines = logs.formatter("text").format(record("failed", exc_info=about)).split("\n")
    assert len(lines) > 3
    assert all(line.startswith("    ") for line in lines[1:])
    assert all(line.isprintable() for line in lines)
    found = logs.formatter("json").format(record("failed", exc_info=about))
    assert "\n" not in found
    assert forged.splitlines()[1] in json.loads(found)["traceback"]


def test_the_request_id_is_in_every_line() -> None:
    token = CURRENT_REQUEST.set("req-1\nforged")
    try:
        assert " [req-1\\nforged] " in logs.formatter("text").format(record("x"))
        assert json.loads(logs.formatter("json").format(record("x")))["request_id"] == "req-1\nforged"
        assert RequestContext(user_id=None, project_id=None).request_id == current_request_id() == "req-1\nforged"
    finally:
        CURRENT_REQUEST.reset(token)
    assert RequestContext(user_id=None, project_id=None).request_id.startswith("req-")


def test_facts_do_not_replace_what_every_line_has() -> None:
    found = json.loads(logs.formatter("json").format(record("x", fields={"message": "y", "level": "z", "user": "u"})))
    assert (found["message"], found["level"], found["user"]) == ("x", "INFO", "u")


def test_threads_have_ids_of_their_own() -> None:
    found: dict[int, str] = {}
    barrier = threading.Barrier(8)

    def handle(number: int) -> None:
        token = CURRENT_REQUEST.set(f"req-{number}")
        barrier.wait(20)
        found[number] = CURRENT_REQUEST.get()
        CURRENT_REQUEST.reset(token)
        barrier.wait(20)
        found[number] += CURRENT_REQUEST.get()

    threads = [threading.Thread(target=handle, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {number: f"req-{number}" for number in range(8)}


def test_green_threads_have_ids_of_their_own() -> None:
    program = """
from nova_api import server
server.patch()
import threading, time
from nova_api.context import CURRENT_REQUEST
found = {}
def handle(number):
    CURRENT_REQUEST.set(f"req-{number}")
    time.sleep(0.01)
    found[number] = CURRENT_REQUEST.get()
threads = [threading.Thread(target=handle, args=(n,)) for n in range(8)]
for t in threads: t.start()
for t in threads: t.join()
assert found == {n: f"req-{n}" for n in range(8)}, found
assert CURRENT_REQUEST.get() == ""
"""
    subprocess.run([sys.executable, "-c", program], check=True, cwd=Path(__file__).parent.parent)


def test_the_recorder_leaves_nothing_behind_when_a_door_breaks(tmp_path: Path) -> None:
    with running(tmp_path / "state") as cloud:

        def breaks(environ: Any, start_response: Any) -> Any:
            assert CURRENT_REQUEST.get().startswith("req-")
            raise RuntimeError

        with pytest.raises(RuntimeError):
            Recorder(breaks, "test", cloud.runtime)({"PATH_INFO": "/"}, lambda *_: None)
        assert CURRENT_REQUEST.get() == ""


def test_a_log_file_that_was_moved_is_opened_anew(tmp_path: Path, root: logging.Logger) -> None:
    config = Config(state_path=str(tmp_path))
    startup.start_log(config, "nova.log")
    logging.getLogger("x").info("one")
    (tmp_path / "nova.log").rename(tmp_path / "nova.log.1")
    logging.getLogger("x").info("two")
    assert "one" in (tmp_path / "nova.log.1").read_text()
    assert "two" in (tmp_path / "nova.log").read_text()


@pytest.mark.parametrize(
    ("text", "secret"),
    [
        ("password=hunter2 next", "hunter2"),
        ("keystone_password = hunter2", "hunter2"),
        ("{'X-Auth-Token': 'hunter2 x', 'a': 1}", "hunter2"),
        ("X-Auth-Key: hunter2", "hunter2"),
        ('{"adminPass": "a\\"hunter2", "n": 1}', "hunter2"),
        ('"_context_auth_token": "hunter2"', "hunter2"),
        ("http://h/vnc?token=hunter2&x=1", "hunter2"),
        ("mysql://nova:hunter2@db/nova", "hunter2"),
        ("amqp://u:hun@ter2@h//", "ter2"),
        ("-----BEGIN RSA PRIVATE KEY-----\nhunter2\n-----END RSA PRIVATE KEY-----", "hunter2"),
        ("-----BEGIN PRIVATE KEY-----\nhunter2", "hunter2"),
        ("Authorization: AWS4-HMAC-SHA256 Credential=hunter2/x, Signature=hunter2", "hunter2"),
        ("Authorization: Bearer hunter2", "hunter2"),
        ("personality: [{'path': '/etc/x', 'contents': 'hunter2'}]", "hunter2"),
        ("user_data=b'hunter2'", "hunter2"),
        ("Signature=hunter2&Action=x", "hunter2"),
    ],
)
@pytest.mark.parametrize("form", ["text", "json"])
def test_secrets_are_known_by_their_form(text: str, secret: str, form: str) -> None:
    line = logs.formatter(form).format(record("%s", text))
    assert secret not in line
    assert redact.HIDDEN in line


@pytest.mark.parametrize(
    "text",
    ["signature version 2: host or path", "http://h:80/x@y", "token", "AWSAccessKeyId", "the password is too long"],
)
def test_what_is_no_secret_stays(text: str) -> None:
    assert redact.text(text) == text


@given(st.text(max_size=200))
def test_redaction_takes_any_text(text: str) -> None:
    redact.text(text)
    redact.text("password=" + text)


# -- both doors, with marked secrets, at DEBUG ------------------------------------------------------------------------

MARK = "S3cretMark"
ENCODED = "UzNjcmV0TWFyaw=="


def walk_ec2(cloud: Cloud) -> set[str]:
    """Requests with secrets in every place; returns the secrets that the answers and signatures held."""
    found: set[str] = set()

    def ask(action: str, params: dict[str, str] | None = None, **options: str) -> Any:
        query = cloud.signed_query(action, params or {}, user="alice", project="acme")
        found.add(query.rpartition("Signature=")[2])
        return cloud.ec2_request(action, params, user="alice", project="acme", **options)

    key = ask("CreateKeyPair", {"KeyName": "mine"})
    assert key.status_int == 200
    found.update(line for line in key.text.splitlines() if len(line) == 64 and "<" not in line)
    run = {"ImageId": image_of(cloud), "MinCount": "1", "MaxCount": "1", "UserData": ENCODED, "KeyName": "mine"}
    assert ask("RunInstances", run).status_int == 200
    ask("RunInstances", {**run, "InstanceType": "none"})
    ask("RunInstances", {**run, "Password": MARK}, method="POST")
    ask("RunInstances", {**run, "LaunchSpecification.UserData": MARK, "Login.Password": MARK, "X-Amz-Other": MARK})
    ask("ImportKeyPair", {"KeyName": "k", "PublicKeyMaterial": MARK})
    ask("Nonsense", {"SecurityToken": MARK, "X-Amz-Security-Token": MARK, "AdminPass": MARK})
    ask("DescribeInstances", {"Bad.Name..": MARK[:0], "Signature": MARK})
    cloud.settle()
    for instance in re.findall(r"i-[0-9a-f]{8}", ask("DescribeInstances").text)[:1]:
        ask("GetPasswordData", {"InstanceId": instance})
        ask("GetConsoleOutput", {"InstanceId": instance})
    return found


def image_of(cloud: Cloud) -> str:
    return str(next(name for name in re.findall(r"ami-[0-9a-f]{8}", cloud.ec2_request("DescribeImages").text)))


def walk_openstack(door: Door) -> set[str]:
    """The same at the OpenStack door."""
    found = {door.login("alice")}
    wrong = {"X-Auth-User": "alice", "X-Auth-Key": MARK}
    assert door.call("/v1.1/", headers=wrong).status_int == 401
    assert door.call("/v1.1/acme/servers", headers={"X-Auth-Token": MARK, "Cookie": MARK}).status_int == 401
    made = door.new(
        adminPass=MARK,
        user_data=ENCODED,
        personality=[{"path": "/etc/x", "contents": ENCODED}],
    )
    assert made.status_int == 202
    found |= {ENCODED, made.json["server"]["adminPass"]}
    door.cloud.settle()
    server = made.json["server"]["id"]
    for action, argument in (
        ("changePassword", {"adminPass": MARK}),
        ("rebuild", {"imageRef": RAW, "adminPass": MARK}),
        ("rescue", {"adminPass": MARK}),
        ("changePassword", {"adminPass": [MARK]}),
        ("nonsense", {"password": MARK}),
        ("os-getVNCConsole", {"type": "novnc"}),
    ):
        answer = door.act(server, action, argument)
        found |= set(re.findall(r"token=([0-9a-f-]{16,})", answer.text))
        door.cloud.settle()
    pair = door.post("/os-keypairs", {"keypair": {"name": "k1"}})
    found |= {line for line in pair.json["keypair"]["private_key"].splitlines() if len(line) == 64}
    door.post("/os-keypairs", {"keypair": {"name": "k2", "public_key": MARK}})
    door.ask("/servers", "POST", xml=f"<server xmlns='http://docs.openstack.org/compute/api/v1.1' adminPass='{MARK}'")
    return found


@pytest.mark.parametrize("form", ["text", "json"])
def test_no_secret_reaches_the_log_of_either_door(tmp_path: Path, root: logging.Logger, form: str) -> None:
    config = Config(state_path=str(tmp_path), log_level="DEBUG", log_format=form, slow_query_seconds=1e-9)
    startup.start_log(config, "all.log")
    with running(tmp_path / "state", DOCUMENT, slow_query_seconds=1e-9, metrics_port=0) as cloud:
        secrets = {MARK, "BEGIN RSA PRIVATE KEY"}
        secrets |= {about["secret"] for about in cloud.description["users"].values()}
        secrets |= {about["access"] for about in cloud.description["users"].values()}
        secrets |= walk_ec2(cloud)
        secrets |= walk_openstack(Door(cloud))
        address = "203.0.113.9"
        cloud.app("metadata")({"PATH_INFO": "/latest/user-data", "REMOTE_ADDR": address}, lambda *_: None)
    text = (tmp_path / "all.log").read_text()
    assert len(secrets) > 20
    found = sorted(secret for secret in secrets if secret and secret in text)
    assert not found, [line[:300] for line in text.splitlines() if any(secret in line for secret in found)][:5]
    assert "slow query" in text
    assert all(len(secret) >= 8 for secret in secrets)
    if form == "json":
        check_lines([json.loads(line) for line in text.splitlines()])


def check_lines(lines: list[dict[str, Any]]) -> None:
    """One line per request with who and what; everything on its way under its id."""
    requests = [line for line in lines if line["logger"].startswith("nova.api.") and "status" in line]
    assert len({line["request_id"] for line in requests}) == len(requests)
    asked = [line for line in requests if line["action"] == "servers.create" and line["status"] == 202]
    assert [(line["user"], line["project"], line["method"]) for line in asked] == [("alice", "acme", "POST")]
    assert asked[0]["seconds"] > 0
    assert [
        line["request_id"] for line in lines if line["request_id"] == asked[0]["request_id"] and "statement" in line
    ]
    run = [line for line in requests if line["action"] == "RunInstances" and line["status"] == 200]
    assert {(line["user"], line["project"]) for line in run} == {("alice", "acme")}
    assert {line["logger"] for line in requests} >= {"nova.api.ec2", "nova.api.openstack", "nova.api.metadata"}


@pytest.mark.parametrize("form", ["text", "json"])
def test_requests_cannot_forge_lines(tmp_path: Path, root: logging.Logger, form: str) -> None:
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(logs.formatter(form))
    root.handlers[:], root.level = [handler], logging.DEBUG
    forged = "x%0d%0a2012-01-01%2000:00:00,000%20INFO%20nova.api.ec2%20forged%1b%5b2J%e2%80%a8%ff"
    with running(tmp_path / "state", DOCUMENT) as cloud:
        door = Door(cloud)
        agent = {"User-Agent": "x\x1b[2J\x85é"}
        for path in (f"/{forged}", f"/servers/{forged}", f"/{forged}/servers"):
            door.ask(path, headers=agent)
            door.call(f"/v1.1/{path}")
        cloud.ec2_request("A\nB\x1b", {"Name\r\n": "v\n\x00"}, user="alice", project="acme")
        for name in ("ec2", "metadata"):
            environ = {"REQUEST_METHOD": "GET", "PATH_INFO": "/latest/a\r\nb\x1b", "REMOTE_ADDR": "203.0.113.9"}
            cloud.app(name)({**environ, "HTTP_USER_AGENT": "\r\n\x1b"}, lambda *_: None)
    head = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ \S+ \[\S+\] |    "
    for line in stream.getvalue().split("\n")[:-1]:
        assert line.isprintable(), line
        if form == "json":
            json.loads(line)
        else:
            assert re.match(head, line), line
