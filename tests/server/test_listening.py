"""The listening sockets: taken, handed on, and taken up again."""

import socket
import subprocess
import sys

import pytest

from tests.servers import ROOT

# In a process of its own: whoever has loaded the server has loaded eventlet.
PROGRAM = """
import sys
from nova_api.server import Server
host, port, kept = sys.argv[1], *map(int, sys.argv[2:])
server = Server(inherited={"ec2": kept})
assert server.bind("ec2", host, port) == port
assert server._sockets["ec2"].fileno() == kept
"""


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0:0:0:0:0:0:0:1"])
def test_the_next_program_takes_up_the_socket_of_the_one_before(host: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        try:
            sock.bind((host, 0))
        except OSError:
            pytest.skip("this machine has no such address")
        sock.listen()
        words = [host, str(sock.getsockname()[1]), str(sock.fileno())]
        command = [sys.executable, "-c", PROGRAM, *words]
        subprocess.run(command, cwd=ROOT, pass_fds=[sock.fileno()], check=True, timeout=60)
