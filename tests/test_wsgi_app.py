"""Doors for any server: what a fork, threads and a bad start do to them."""

import subprocess
import sys
from pathlib import Path

from tests.servers import ROOT

# In a process of its own, which forks. The broker is not there, and nothing here needs it.
PROGRAM = """
import os, sys, threading
from concurrent.futures import ThreadPoolExecutor
import webob
from nova_api import runtime, wsgi_app

def ask(door, path="/"):
    return webob.Request.blank(path).get_response(door).status_int

assert not runtime._current, "made before the first request"
with ThreadPoolExecutor(8) as pool:
    assert set(pool.map(ask, [wsgi_app.osapi_compute] * 16)) == {200}
assert ask(wsgi_app.osapi_volume) == 200
mine = runtime.current()
child = os.fork()
if child == 0:
    try:
        assert ask(wsgi_app.osapi_compute) == 200
        theirs = runtime.current()
        assert theirs is not mine and theirs.outbox._me != mine.outbox._me
        assert theirs.outbox._thread.is_alive()
        assert ask(wsgi_app.ec2, "/services/Cloud/") == 400
    except BaseException:
        import traceback
        traceback.print_exc()
        os._exit(1)
    sys.exit(0)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert runtime.current() is mine and mine.outbox._thread.is_alive()
assert ask(wsgi_app.osapi_compute) == 200
assert "eventlet" not in sys.modules
"""


def run(tmp_path: Path, program: str, *settings: str) -> subprocess.CompletedProcess[str]:
    config = tmp_path / "nova-api.conf"
    config.write_text("\n".join(["[DEFAULT]", f"state_path = {tmp_path / 'state'}", *settings]))
    env = {"PYTHONPATH": str(ROOT), "NOVA_API_CONFIG": str(config), "PATH": "/usr/bin:/bin"}
    command = [sys.executable, "-W", "ignore", "-c", program]
    return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)


def test_a_fork_begins_anew(tmp_path: Path) -> None:
    done = run(tmp_path, PROGRAM, "rpc_transport = amqp://guest:guest@127.0.0.1:1//")
    assert done.returncode == 0, done.stderr


def test_without_a_broker_it_says_so(tmp_path: Path) -> None:
    program = "import webob; from nova_api.wsgi_app import ec2; print(webob.Request.blank('/').get_response(ec2))"
    done = run(tmp_path, program)
    assert done.stdout.startswith("503 Service Unavailable")
    assert "name a broker" in done.stderr
