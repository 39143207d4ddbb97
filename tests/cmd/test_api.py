"""nova-api as a process: what it prints, what it writes, how it refuses to start."""

import json
import socket
import stat
import time
from pathlib import Path

import pytest

from tests.servers import ANY_PORTS, running_cloud, spawn


def refusal(folder: Path, *options: str) -> str:
    """The one line with which it refuses, with exit status 2."""
    output = folder / "out"
    given = ("--state", str(folder / "state"), *ANY_PORTS, *options)
    process = spawn("api", *given, output=output)
    assert process.wait(60) == 2
    [line] = output.read_text().splitlines()
    assert line.startswith("nova-api: ")
    return line


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


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert f"port {port} of 127.0.0.1 is in use" in refusal(tmp_path, "--ec2-port", port)


def test_a_state_folder_in_use(tmp_path: Path) -> None:
    with running_cloud(tmp_path) as cloud:
        assert "another nova-api works on the state folder" in refusal(tmp_path)
        cloud.kill()
    with running_cloud(tmp_path) as cloud:
        assert cloud.stop() == 0


def test_an_unwritable_state(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    assert "state folder" in refusal(tmp_path)


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
def test_a_broken_configuration_is_one_line(tmp_path: Path, options: tuple[str, ...], said: str) -> None:
    line = refusal(tmp_path, *options)
    assert said in line and "hunter2" not in line


def test_a_broken_bootstrap_file(tmp_path: Path) -> None:
    path = tmp_path / "world.json"
    for text in ("{", "[]", '{"users": {"a": {}}}', '{"networks": [{"label": "x", "cidr": "y"}]}'):
        path.write_text(text)
        assert refusal(tmp_path, "--bootstrap", str(path))
        (tmp_path / "out").unlink()


def test_a_datastore_of_a_newer_release(tmp_path: Path) -> None:
    import sqlite3

    with running_cloud(tmp_path) as cloud:
        state = cloud.state
    connection = sqlite3.connect(state / "nova.sqlite")
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.commit()
    connection.close()
    assert "9999" in refusal(tmp_path)
