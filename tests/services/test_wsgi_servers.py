"""Every recipe of doc/source/wsgi_servers.rst, run as it stands there, but for ports and the name of the file."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.servers import BOOTSTRAP, ROOT, broker, end, free_port, spawn
from tests.wire.conftest import exchange

pytestmark = [pytest.mark.xdist_group("wsgi_servers"), pytest.mark.slow]

DOCUMENT = (ROOT / "doc" / "source" / "wsgi_servers.rst").read_text()
CONFIG_FILE = "/etc/nova_api/nova-api.conf"
#: Every interpreter of the servers imports it: eventlet is not to be had, and whoever asks for it is written down.
NO_EVENTLET = """
import os, sys, traceback

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "eventlet":
            with open(os.environ["EVENTLET_WANTED"], "a") as stream:
                traceback.print_stack(file=stream)
            raise ImportError("there is no eventlet here")

sys.meta_path.insert(0, Refuse())
"""


def recipes() -> dict[str, tuple[str, str]]:
    """Language and text of the recipe of each section."""
    found = {}
    parts = re.split(r"^(\w+)\n-+\n", DOCUMENT, flags=re.MULTILINE)
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        match = re.search(r"^\.\. code-block:: (\w+)\n\n((?:   .+\n)+)", text, re.MULTILINE)
        assert match is not None, f"{name} has no recipe"
        found[name] = match[1], re.sub("^   ", "", match[2], flags=re.MULTILINE)
    return found


RECIPES = recipes()
SERVERS = [*RECIPES, "gunicorn --preload"]
#: Those that do not say where a chunked body ends.
UNTERMINATED = ("uWSGI", "mod_wsgi")


def test_each_recipe_has_two_lines() -> None:
    assert set(RECIPES) == {"gunicorn", "uWSGI", "waitress", "cheroot", "mod_wsgi"}
    for _, text in RECIPES.values():
        assert text.count("\n") == 2
        assert text.count(CONFIG_FILE) == 1


@dataclass(frozen=True)
class Place:
    """A configured cloud with nodes, which no door belongs to yet.

    :ivar users: names, access keys and secrets
    """

    folder: Path
    config: Path
    users: dict[str, Any]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("wsgi_servers")
    (folder / "sitecustomize.py").write_text(NO_EVENTLET)
    with broker() as url:
        config = folder / "nova-api.conf"
        settings = {
            "state_path": folder / "state",
            "rpc_transport": url,
            "rabbit_durable_queues": "false",
            "simulated_immediate": "true",
            "sqlite_synchronous": "NORMAL",
        }
        config.write_text("[DEFAULT]\n" + "".join(f"{name} = {value}\n" for name, value in settings.items()))
        made = spawn("manage", "--config", str(config), "bootstrap", str(BOOTSTRAP), output=folder / "manage.out")
        assert made.wait(60) == 0, (folder / "manage.out").read_text()
        node = spawn("node", "--config", str(config), output=folder / "node.out")
        try:
            yield Place(folder, config, json.loads(BOOTSTRAP.read_text())["users"])
        finally:
            end(node, 30)


@dataclass(frozen=True)
class Running:
    """A server that answers.

    :ivar wanted: the file that says who asked for eventlet
    """

    place: Place
    port: int
    process: subprocess.Popen[bytes]
    output: Path
    wanted: Path

    def ask(self, head: str, body: bytes = b"") -> tuple[int, dict[str, str], bytes]:
        """One exchange; the head without its Host."""
        line, _, headers = head.partition("\n")
        lines = [line, f"Host: 127.0.0.1:{self.port}", "Connection: close", *filter(None, headers.split("\n"))]
        answer = exchange(self.port, "\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        top, _, rest = answer.partition(b"\r\n\r\n")
        status, *fields = top.decode("latin-1").split("\r\n")
        parsed = {name.lower(): value.strip() for name, _, value in (field.partition(":") for field in fields)}
        assert status, self.output.read_text()[-3000:]
        return int(status.split()[1]), parsed, rest

    def ec2(self) -> Any:
        who = self.place.users["alice"]
        return boto3.client(
            "ec2",
            endpoint_url=f"http://127.0.0.1:{self.port}/services/Cloud/",
            region_name="nova",
            aws_access_key_id=f"{who['access']}:acme",
            aws_secret_access_key=who["secret"],
            config=Config(retries={"total_max_attempts": 1}),
        )


@contextlib.contextmanager
def serving(place: Place, server: str, door: str, **more: str) -> Iterator[Running]:
    """The recipe of a server, for one door.

    :param more: variables of its processes
    """
    port = free_port()
    name, _, switch = server.partition(" ")
    language, text = RECIPES[name]
    text = text.replace(CONFIG_FILE, str(place.config)).replace("8773", str(port))
    text = re.sub(r"\bec2\b", door, text).replace("gunicorn --worker", f"gunicorn {switch} --worker")
    unique = f"{server.replace(' ', '')}-{door}-{port}"
    output, wanted = place.folder / f"{unique}.out", place.folder / f"{unique}.eventlet"
    command = ["sh", "-c", re.sub(r"\n(?=\S+ )", "\nexec ", text, count=1)]
    if language == "python":
        script = place.folder / f"{unique}.wsgi"
        script.write_text(text)
        command = [sys.executable, str(ROOT / "tests" / "services" / "mod_wsgi_style.py"), str(script), str(port)]
    env = {
        **os.environ,
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PYTHONPATH": f"{place.folder}:{ROOT}",
        "EVENTLET_WANTED": str(wanted),
        **more,
    }
    with output.open("wb") as stream:
        process = subprocess.Popen(
            command, cwd=place.folder, env=env, stdin=subprocess.DEVNULL, stdout=stream, stderr=subprocess.STDOUT
        )
    try:
        _wait_for(process, port, output)
        yield Running(place, port, process, output, wanted)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait_for(process: subprocess.Popen[bytes], port: int, output: Path) -> None:
    end = time.monotonic() + 60
    while True:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=5):
            return
        assert process.poll() is None and time.monotonic() < end, output.read_text()[-3000:]
        time.sleep(0.05)


@pytest.fixture(scope="module", params=SERVERS)
def openstack(place: Place, request: pytest.FixtureRequest) -> Iterator[tuple[str, Running]]:
    with serving(place, request.param, "osapi_compute") as running:
        yield request.param, running
        assert not running.wanted.exists(), running.wanted.read_text()


@pytest.fixture(scope="module", params=SERVERS)
def ec2(place: Place, request: pytest.FixtureRequest) -> Iterator[tuple[str, Running]]:
    with serving(place, request.param, "ec2") as running:
        yield request.param, running
        assert not running.wanted.exists(), running.wanted.read_text()


def token(running: Running) -> str:
    key = running.place.users["alice"]["access"]
    status, headers, _ = running.ask(f"GET /v1.1/ HTTP/1.1\nX-Auth-User: alice\nX-Auth-Key: {key}")
    assert status == 204
    assert headers["x-server-management-url"] == f"http://127.0.0.1:{running.port}/v1.1/acme"
    return headers["x-auth-token"]


CHUNKED = "Transfer-Encoding: chunked"


def chunks(body: bytes, size: int = 50_000) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_openstack(openstack: tuple[str, Running]) -> None:
    server, running = openstack
    status, _, body = running.ask("GET / HTTP/1.1")
    assert status == 200
    assert "CURRENT" in {version["status"] for version in json.loads(body)["versions"]}
    assert running.ask("GET /healthcheck HTTP/1.1")[0] == 200
    mine = f"X-Auth-Token: {token(running)}"
    status, _, body = running.ask(f"GET /v1.1/acme/servers/detail HTTP/1.1\n{mine}")
    assert (status, list(json.loads(body))) == (200, ["servers"])
    assert running.ask("GET /v1.1/acme/servers HTTP/1.1\nX-Auth-Token: wrong")[0] == 401
    assert running.ask(f"GET /v1.1/acme/servers/%e2%82%ac HTTP/1.1\n{mine}")[0] == 404
    post = f"POST /v1.1/acme/os-keypairs HTTP/1.1\nContent-Type: application/json\n{mine}"
    name = re.sub(r"\W", "", server)
    document = json.dumps({"keypair": {"name": f"key-{name}"}}).encode()
    assert running.ask(f"{post}\nContent-Length: {len(document)}", document)[0] == 200
    # A body of no length, and one whose length is not told.
    assert running.ask(post)[0] in (400, 422)
    document = json.dumps({"keypair": {"name": f"chunked-{name}"}}).encode()
    status, _, body = running.ask(f"{post}\n{CHUNKED}", chunks(document, 7))
    assert (status, b"chunked-" in body) == ((411, False) if server in UNTERMINATED else (200, True))
    document = b'{"keypair": {"name": "' + b"x" * 200_000 + b'"}}'
    assert running.ask(f"{post}\nContent-Length: {len(document)}", document)[0] == 413
    assert running.ask(f"{post}\n{CHUNKED}", chunks(document))[0] == (411 if server in UNTERMINATED else 413)
    for hostile in (b"[" * 50_000, b"\xff\xfe", b'{"keypair":'):
        assert running.ask(f"{post}\nContent-Length: {len(hostile)}", hostile)[0] == 400
    assert running.ask(f"GET /v1.1/acme/servers HTTP/1.1\n{mine}")[0] == 200


def test_ec2(ec2: tuple[str, Running]) -> None:
    server, running = ec2
    client = running.ec2()
    assert client.describe_regions()["Regions"]
    # The broker and a node have their part in this: the relay of the process has sent the message.
    (made,) = client.run_instances(ImageId="ami-00000003", InstanceType="m1.tiny", MinCount=1, MaxCount=1)["Instances"]
    end = time.monotonic() + 60
    while True:
        found = client.describe_instances(InstanceIds=[made["InstanceId"]])["Reservations"][0]["Instances"][0]
        if found["State"]["Name"] == "running":
            break
        assert time.monotonic() < end, found["State"]
        time.sleep(0.2)
    client.terminate_instances(InstanceIds=[made["InstanceId"]])
    post = "POST /services/Cloud/ HTTP/1.1\nContent-Type: application/x-www-form-urlencoded"
    assert running.ask(post)[0] == 400
    assert running.ask(f"{post}\nContent-Length: 9", b"Action=%f")[0] == 400
    body = b"Action=DescribeRegions&x=" + b"y" * 200_000
    assert running.ask(f"{post}\nContent-Length: {len(body)}", body)[0] == 413
    assert running.ask(f"{post}\n{CHUNKED}", chunks(body))[0] == (411 if server in UNTERMINATED else 413)
    assert running.ask(f"{post}\n{CHUNKED}", b"zz\r\nAction\r\n0\r\n\r\n")[0] in (400, 411)
    for _ in range(200):  # one request after the other: what the server does with connections, it tells
        assert client.describe_regions()["Regions"]


@pytest.mark.parametrize("door", ["osapi_volume", "metadata"])
def test_the_other_doors(place: Place, door: str) -> None:
    with serving(place, "waitress", door) as running:
        assert running.ask("GET / HTTP/1.1")[0] == 200


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("rpc_transport = ", "rpc_transport = memory://\n#", "name a broker"),
        ("[DEFAULT]", "[DEFAULT]\nauth_strategy = noauth", "makes every caller an administrator"),
        ("[DEFAULT]", "[DEFAULT]\nsql_connection = sqlite:////nowhere/at/all", "does not answer"),
        ("[DEFAULT]", "[DEFAULT]\napi_paste_config = /nowhere", "/nowhere"),
    ],
)
def test_what_cannot_be_started(place: Place, tmp_path: Path, old: str, new: str, said: str) -> None:
    config = tmp_path / "nova-api.conf"
    config.write_text(place.config.read_text().replace(old, new, 1))
    with serving(Place(place.folder, config, place.users), "waitress", "ec2") as running:
        for _ in range(2):
            status, headers, body = running.ask("GET / HTTP/1.1")
            assert (status, headers["retry-after"]) == (503, "5")
            assert b"Traceback" not in body
        log = place.folder / "state" / "nova-api.log"
        assert said in running.output.read_text() + (log.read_text() if log.exists() else "")
