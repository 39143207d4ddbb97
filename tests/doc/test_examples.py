"""The examples of deployment name only what exists: options, commands, switches, files, paths of health."""

import configparser
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from nova_api import config, health
from nova_api.cmd import manage

ROOT = Path(__file__).parent.parent.parent
EXAMPLES = ROOT / "doc" / "examples"
UNITS = sorted((EXAMPLES / "systemd").glob("*.service"))
CONFIGURATIONS = sorted(EXAMPLES.rglob("*.conf"))
COMMANDS = {"nova-api": "api", "nova-node": "node", "nova-manage": "manage"}
PARSE = (
    "import sys; from nova_api.cmd.{} import _parser; print(*_parser().parse_args(sys.argv[1:]).settings, sep=chr(10))"
)


def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((EXAMPLES / "compose.yaml").read_text())
    return found


def unit(path: Path) -> dict[str, list[str]]:
    """Every setting of a unit; some may be given several times."""
    found: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        name, equals, value = line.partition("=")
        if equals and not line.startswith("#"):
            found.setdefault(name, []).append(value)
    return found


def commands() -> list[str]:
    lines = [
        line for path in UNITS for name, values in unit(path).items() if name.startswith("Exec") for line in values
    ]
    lines += [about["command"] for about in compose()["services"].values() if "command" in about]
    return lines


def known_to(words: list[str]) -> None:
    """Fail unless the command understands these words."""
    program, arguments = Path(words[0]).name, words[1:]
    if program == "kill":
        assert arguments == ["-HUP", "$MAINPID"]
        return
    if program == "nova-manage":
        assert "sync" in arguments
        assert manage.main([*arguments, "--help"]) == 0
        return
    # In a process of its own: nova-api makes the threads of its process green.
    words = [sys.executable, "-W", "ignore", "-c", PARSE.format(COMMANDS[program]), *arguments]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    for setting in done.stdout.split():
        assert setting.partition("=")[0] in {option.name for option in config.options()}


@pytest.mark.parametrize("line", commands())
def test_commands_exist(line: str, capsys: pytest.CaptureFixture[str]) -> None:
    known_to(shlex.split(line.replace("%i", "node1")))


@pytest.mark.parametrize("path", CONFIGURATIONS, ids=lambda path: str(path.relative_to(EXAMPLES)))
def test_options_exist_and_have_values_that_hold(path: Path) -> None:
    made = config.load(str(path))
    assert not made.embedded_nodes
    assert made.rpc_transport.startswith("amqp://")
    parser = configparser.ConfigParser(interpolation=None)
    parser.read(path)
    assert set(parser.defaults()) <= {option.name for option in config.options()}


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_units(path: Path, tmp_path: Path) -> None:
    settings = unit(path)
    [patience] = settings["TimeoutStopSec"]
    assert int(patience) > config.Config().graceful_shutdown_timeout
    assert settings["Restart"] == ["always"]
    verify = shutil.which("systemd-analyze")
    if verify is None:
        return
    # The programs are not installed where the units look for them: stand-ins are.
    text = path.read_text().replace("/opt/nova_api/bin", str(tmp_path)).replace("User=nova", "User=root")
    text = text.replace("Group=nova", "Group=root")
    for name in COMMANDS:
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    copy = tmp_path / path.name.replace("@", "@node1")
    copy.write_text(text)
    done = subprocess.run([verify, "verify", "--man=no", str(copy)], capture_output=True, text=True, timeout=60)
    said = [line for line in (done.stdout + done.stderr).splitlines() if path.stem.rstrip("@") in line]
    assert not said, said


def test_the_units_configuration_is_the_one_they_name() -> None:
    for path in UNITS:
        for line in unit(path)["ExecStart"]:
            assert "/etc/nova_api/nova-api.conf" in line
        [folder] = unit(path)["StateDirectory"]
        made = config.load(str(EXAMPLES / "systemd" / "nova-api.conf"))
        assert made.state_path == f"/var/lib/{folder}"


def test_compose_is_the_whole_topology() -> None:
    document = compose()
    services = document["services"]
    assert set(services) == {
        "postgresql", "rabbitmq", "memcached", "database", "api1", "api2", "node1", "node2",
    }  # fmt: skip
    made = config.load(str(EXAMPLES / "nova-api.conf"))
    for name in re.findall(r"@(\w+)/", made.sql_connection + " " + made.rpc_transport + "/"):
        assert name in services
    for server in made.lockout_memcached_servers:
        assert server.partition(":")[0] in services
    for name in ("api1", "api2", "node1", "node2"):
        assert set(services[name]["depends_on"]) <= set(services)
        probe = " ".join(services[name]["healthcheck"]["test"])
        assert f":{made.metrics_port}{health.READY[-1]}" in probe
    for name in ("api1", "api2"):
        inside = {int(port.rpartition(":")[2]) for port in services[name]["ports"]}
        assert inside == {
            made.ec2_listen_port, made.osapi_compute_listen_port, made.metadata_listen_port,
            made.osapi_volume_listen_port,
        }  # fmt: skip
        assert all(port.startswith("127.0.0.1:") for port in services[name]["ports"])
    used = {volume.partition(":")[0] for about in services.values() for volume in about.get("volumes", ())}
    assert {name for name in used if not name.startswith(".")} == set(document["volumes"])
    for name in used:
        if name.startswith("."):
            assert (EXAMPLES / name).is_file()
    build = services["api1"]["build"]
    assert (EXAMPLES / build["context"] / build["dockerfile"]).is_file()
    assert (EXAMPLES / build["context"] / "pyproject.toml").is_file()


def test_the_image_has_the_extras_that_the_configuration_needs() -> None:
    text = (EXAMPLES / "Dockerfile").read_text()
    assert "[postgresql,metrics]" in text
