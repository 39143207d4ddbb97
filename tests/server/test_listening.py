"""The listening sockets: taken, handed on, and taken up again."""

import socket

import pytest

from nova_api.server import Server


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "0:0:0:0:0:0:0:1"])
def test_the_next_program_takes_up_the_socket_of_the_one_before(host: str) -> None:
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as sock:
        try:
            sock.bind((host, 0))
        except OSError:
            pytest.skip("this machine has no such address")
        sock.listen()
        port, kept = sock.getsockname()[1], sock.detach()
    server = Server(inherited={"ec2": kept})
    assert server.bind("ec2", host, port) == port
    with server._sockets["ec2"] as sock:
        assert sock.fileno() == kept
