import signal
import time
import uuid
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


# Queues are named by their topics alone: one such node at a time, and of a topic that nobody else is tested with.
@pytest.mark.xdist_group("rabbitmq")
def test_a_node_of_its_own_starts_and_stops(tmp_path: Path) -> None:
    settings = (f"rpc_transport={service('amqp')}", f"control_exchange=nova-{uuid.uuid4().hex[:8]}")
    options = ["--state", str(tmp_path / "state"), "--topics", "cert", "--host", f"node-{uuid.uuid4().hex[:8]}"]
    for setting in (*settings, "rabbit_durable_queues=false"):
        options += ["--set", setting]
    output = tmp_path / "node.out"
    process = spawn("node", *options, output=output)
    try:
        until = time.monotonic() + 60
        while b"is up as cert" not in output.read_bytes():
            assert process.poll() is None and time.monotonic() < until, output.read_text()
            time.sleep(0.02)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
        assert b"nova-node: stopped" in output.read_bytes()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
