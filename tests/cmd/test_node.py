import ctypes
import signal
import subprocess
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from nova_api.cmd import node
from tests.servers import broker, spawn


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], "memory://"),
        (["--set", "rpc_transport=amqp://127.0.0.1:1//", "--topics", "compute,dns"], "dns"),
        (["--set", "rpc_transport=amqp://127.0.0.1:1//", "--topics", ","], "--topics"),
        (["--set", "rpc_transport=amqp://127.0.0.1:1//", "--host", ""], "--host"),
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


def to_the_process(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGTERM)


def to_another_thread(process: subprocess.Popen[bytes]) -> None:
    """What the system does with a signal while the main thread cannot take it, as after SIGSTOP."""
    threads = [int(entry.name) for entry in Path(f"/proc/{process.pid}/task").iterdir()]
    other = max(thread for thread in threads if thread != process.pid)
    assert ctypes.CDLL(None, use_errno=True).tgkill(process.pid, other, int(signal.SIGTERM)) == 0


@pytest.mark.xdist_group("rabbitmq")
@pytest.mark.parametrize("tell", [to_the_process, to_another_thread])
def test_a_node_of_its_own_starts_and_stops(tmp_path: Path, tell: Callable[[subprocess.Popen[bytes]], None]) -> None:
    with broker() as place:
        _start_and_stop(tmp_path, place, tell)


def _start_and_stop(tmp_path: Path, place: str, tell: Callable[[subprocess.Popen[bytes]], None]) -> None:
    settings = (f"rpc_transport={place}", f"control_exchange=nova-{uuid.uuid4().hex[:8]}")
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
        tell(process)
        assert process.wait(30) == 0
        assert b"nova-node: stopped" in output.read_bytes()
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
