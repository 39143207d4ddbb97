import signal
import time
from pathlib import Path

import pytest

from nova_api.cmd import node
from tests.servers import service, spawn


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "memory://"),
        (["--set", "rpc_transport=amqp://127.0.0.1:1//", "--topics", "compute,dns"], "dns"),
        (["--set", "no_such_option=1"], "no_such_option"),
        (["--set", "broken"], "NAME=VALUE"),
    ],
)
def test_what_cannot_be_started(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], said: str
) -> None:
    assert node.main(["--state", str(tmp_path), *options]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("nova-node: ") and said in line


def test_a_node_of_its_own_starts_and_stops(tmp_path: Path) -> None:
    url = service("amqp")
    output = tmp_path / "node.out"
    state = str(tmp_path / "state")
    setting = f"rpc_transport={url}"
    process = spawn("node", "--state", state, "--set", setting, "--topics", "network", "--host", "h9", output=output)
    try:
        until = time.monotonic() + 60
        while b"is up as network" not in output.read_bytes():
            assert process.poll() is None and time.monotonic() < until, output.read_text()
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert b"nova-node: stopped" in output.read_bytes()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
