"""nova-api as a process: what it prints, what it writes, how it refuses to start."""

import json
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.servers import ANY_PORTS, ROOT, running_cloud, spawn

LAUNCHER = """
import json, os, signal, sys
from nova_api.cmd.api import main
for line in sys.stdin:
    output, options = json.loads(line)
    child = os.fork()
    if not child:
        signal.alarm(60)  # should it start after all
        stream = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(stream, 1)
        os.dup2(stream, 2)
        sys.exit(main(options))
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


@pytest.fixture(scope="module")
def launcher() -> Iterator[subprocess.Popen[str]]:
    """A process that has nova-api loaded, and starts it as often as it is told to: loading takes most of the time."""
    command = [sys.executable, "-c", LAUNCHER]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


Refusal = Callable[..., str]


@pytest.fixture
def refusal(launcher: subprocess.Popen[str], tmp_path: Path) -> Refusal:
    """The one line with which it refuses to start with some options, with exit status 2."""

    def start(*options: str) -> str:
        output = tmp_path / "out"
        given = ["--state", str(tmp_path / "state"), *ANY_PORTS, *options]
        assert launcher.stdin and launcher.stdout
        print(json.dumps([str(output), given]), file=launcher.stdin, flush=True)
        status, said = launcher.stdout.readline(), output.read_text()
        output.unlink()
        assert status == "2\n", said
        [line] = said.splitlines()
        assert line.startswith("nova-api: ")
        return line

    return start


def test_the_first_start_makes_a_world_and_the_second_one_keeps_it(tmp_path: Path) -> None:
    with running_cloud(tmp_path, bootstrap=None) as cloud:
        described = cloud.cloud
        path = cloud.state / "cloud.json"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert set(described["users"]) == {"admin", "demo"}
        assert described["users"]["admin"]["admin"]
        assert described["projects"]["demo"] == {"manager": "demo", "members": ["demo"]}
        assert sorted(f["name"] for f in described["flavors"]) == [
            "m1.large",
            "m1.medium",
            "m1.small",
            "m1.tiny",
            "m1.xlarge",
        ]
        assert {i["ec2_id"][:3] for i in described["images"]} == {"aki", "ari", "ami"}
        until = time.monotonic() + 60
        while "Ctrl-C stops it" not in (said := cloud.output_path.read_text()):  # the file comes before the words
            assert time.monotonic() < until, said
            time.sleep(0.02)
        for text in ("aws-cli", "boto3", "euca2ools", described["users"]["demo"]["secret"], str(cloud.log_path)):
            assert text in said
        assert cloud.stop() == 0
    with running_cloud(tmp_path, bootstrap=None) as cloud:
        for part in ("users", "projects", "images", "networks", "flavors", "floating"):
            assert cloud.cloud[part] == described[part]


def test_what_describes_a_cloud_makes_another(tmp_path: Path) -> None:
    with running_cloud(tmp_path, bootstrap=None) as cloud:
        described = cloud.cloud
        copy = tmp_path / "copy.json"
        copy.write_text(json.dumps(described))
    (tmp_path / "other").mkdir()
    with running_cloud(tmp_path / "other", bootstrap=copy) as cloud:
        for part in ("users", "projects", "roles", "images", "networks", "flavors", "floating"):
            assert cloud.cloud[part] == described[part], part


def test_a_port_in_use(refusal: Refusal) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port} of 127.0.0.1 is in use" in refusal("--ec2-port", port)


def test_a_state_folder_in_use(tmp_path: Path, refusal: Refusal) -> None:
    with running_cloud(tmp_path) as cloud:
        assert "another nova-api works on the state folder" in refusal()
        cloud.kill()
    with running_cloud(tmp_path) as cloud:
        assert cloud.stop() == 0


def test_an_unwritable_state(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    output = tmp_path / "out"
    assert spawn("api", "--state", str(tmp_path / "state"), *ANY_PORTS, output=output).wait(60) == 2
    [line] = output.read_text().splitlines()
    assert line.startswith("nova-api: ") and "state folder" in line


@pytest.mark.xdist_group("refusals")
@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--set", "nonsense=1"), "unknown option 'nonsense'"),
        (("--set", "quota_cores=many"), "quota_cores=many"),
        (("--set", "nonsense"), "expected NAME=VALUE"),
        (("--config", "/nonexistent.conf"), "cannot be read"),
        (("--bootstrap", "/nonexistent.json"), "/nonexistent.json"),
        (("--set", "enabled_apis=ec2,nonsense"), "nonsense"),
        (("--set", "auth_strategy=noauth", "--host", "0.0.0.0"), "noauth"),
        (("--set", "rpc_transport=carrier-pigeon://"), "rpc_transport"),
        (("--set", "policy_file=/nonexistent.json"), "/nonexistent.json"),
        (("--set", "api_paste_config=/nonexistent.ini"), "/nonexistent.ini"),
        (("--set", "compute_driver=no.such:Driver"), "no.such:Driver"),
        (("--set", "trusted_proxies=not an address"), "trusted_proxies"),
        (("--host", "192.0.2.1"), "192.0.2.1"),
        (("--set", "sql_connection=nonsense:hunter2@h"), "sql_connection is no URL"),
        (("--set", "sql_connection=pigeon://u:hunter2@h/d"), "sql_connection pigeon://u:***@h/d"),
        (("--set", "sql_connection=oracle://u:hunter2@h/d"), "sql_connection oracle://u:***@h/d"),
        (("--set", "ec2_listen_port=65536"), "ec2_listen_port=65536"),
        (("--set", "report_interval=0"), "report_interval=0"),
        (("--set", "graceful_shutdown_timeout=nan"), "graceful_shutdown_timeout=nan"),
        (("--set", "enabled_apis="), "enabled_apis"),
        (("--set", "rpc_transport=amqp://u:hunter2@h:port/v"), "rpc_transport is no amqp://"),
    ],
)
def test_a_broken_configuration_is_one_line(refusal: Refusal, options: tuple[str, ...], said: str) -> None:
    line = refusal(*options)
    assert said in line and "hunter2" not in line


def test_a_broken_bootstrap_file(tmp_path: Path, refusal: Refusal) -> None:
    path = tmp_path / "world.json"
    for text in ("{", "[]", '{"users": {"a": {}}}', '{"networks": [{"label": "x", "cidr": "y"}]}'):
        path.write_text(text)
        assert refusal("--bootstrap", str(path))


def test_a_datastore_of_a_newer_release(tmp_path: Path, refusal: Refusal) -> None:
    import sqlite3

    with running_cloud(tmp_path) as cloud:
        state = cloud.state
    connection = sqlite3.connect(state / "nova.sqlite")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    assert "9999" in refusal()
