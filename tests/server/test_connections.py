"""The built-in server between clients that do not wish each other well. What comes first is measured, not how long."""

import contextlib
import select
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from tests.servers import ROOT
from tests.wire.conftest import read_answer, wait_for_continue

SERVER = """
import signal, sys, time
from nova_api import server
server.patch()
from nova_api import limits
size, quick = int(sys.argv[1]), float(sys.argv[2])
limits.HEAD_TIMEOUT = limits.BODY_TIMEOUT = limits.ANSWER_TIMEOUT = quick
order = []

def app(environ, start_response):
    kind = environ["PATH_INFO"].split("/")[1]
    environ["wsgi.input"].read()
    if kind == "spin":
        until = time.perf_counter() + 0.01
        while time.perf_counter() < until:
            pass
    elif kind == "sleep":
        time.sleep(1)
    body = b"x" * 50_000_000 if kind == "big" else " ".join(order).encode()
    order.append(kind)
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]

listener = server.Server(size)
signals = server.Signals(signal.SIGTERM)
print(listener.bind("door", "127.0.0.1", 0), flush=True)
listener.serve("door", app)
signals.wait()
listener.stop(20)
print("stopped", flush=True)
server.exit_now(0)
"""
ASK = b"GET /%s HTTP/1.1\r\nHost: a\r\n\r\n"


@dataclass
class Door:
    port: int
    process: Any

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), 60)

    def order(self) -> list[str]:
        """The requests that were answered, in order."""
        with self.connect() as sock:
            sock.sendall(ASK % b"order")
            return read_answer(sock).partition(b"\r\n\r\n")[2].decode().split()


@contextmanager
def door(size: int = 100, quick: float = 60) -> Iterator[Door]:
    command = [sys.executable, "-c", SERVER, str(size), str(quick)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield Door(int(process.stdout.readline()), process)
        finally:
            process.kill()


def begin(sock: socket.socket, kind: bytes) -> None:
    """Send a request, and return when the server has it in hand."""
    sock.sendall(b"POST /%s HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n" % kind)
    wait_for_continue(sock)
    sock.sendall(b"x")


def closed(sock: socket.socket, seconds: float = 60) -> bytes:
    """What comes until the server closes."""
    sock.settimeout(seconds)
    said = b""
    with contextlib.suppress(ConnectionResetError):
        while data := sock.recv(1_000_000):
            said += data
    return said


def trickle(sock: socket.socket) -> None:
    """One byte after the other, until the server has had enough."""

    def drip() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(b"a")
                time.sleep(0.05)

    threading.Thread(target=drip, daemon=True).start()


def test_a_client_with_many_requests_does_not_keep_others_waiting() -> None:
    with door() as place, place.connect() as greedy, place.connect() as modest:
        greedy.sendall(ASK % b"spin" * 300)
        for _ in range(20):
            modest.sendall(ASK % b"modest")
            read_answer(modest)
        order = place.order()
        assert order.count("modest") == 20 and order.count("spin") < 300, order


def test_many_connections_have_their_turns() -> None:
    with door() as place, contextlib.ExitStack() as stack:
        greedy = [stack.enter_context(place.connect()) for _ in range(10)]
        modest = stack.enter_context(place.connect())
        for sock in greedy:
            sock.sendall(ASK % b"spin" * 100)
        for _ in range(5):
            modest.sendall(ASK % b"modest")
            read_answer(modest)
        order = place.order()
        assert order.count("modest") == 5 and order.count("spin") < 1000, order


def test_a_head_that_trickles_is_cut() -> None:
    with door(quick=0.5) as place, place.connect() as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        trickle(sock)
        assert closed(sock).startswith(b"HTTP/1.1 408 ")
        assert place.order() == []


def test_a_first_line_that_trickles_is_cut() -> None:
    with door(quick=0.5) as place, place.connect() as sock:
        trickle(sock)
        assert closed(sock).startswith(b"HTTP/1.1 408 ")


def test_a_head_in_pieces_is_read() -> None:
    with door() as place, place.connect() as sock:
        for _ in range(2):
            for piece in (b"GET /a HT", b"TP/1.1\r\nHo", b"st: a\r\n", b"\r\n"):
                sock.sendall(piece)
                time.sleep(0.02)
            assert read_answer(sock).startswith(b"HTTP/1.1 200 ")


def test_bodies_that_trickle_are_cut() -> None:
    for framing in (b"Content-Length: 1000000", b"Transfer-Encoding: chunked"):
        with door(quick=0.5) as place, place.connect() as sock:
            sock.sendall(b"POST / HTTP/1.1\r\nHost: a\r\n" + framing + b"\r\n\r\n")
            trickle(sock)
            assert b" 200 " not in closed(sock)
            assert place.order() == []


def test_a_client_who_does_not_read_is_left() -> None:
    with door(size=1, quick=0.5) as place, place.connect() as sock:
        sock.sendall(ASK % b"big")
        assert select.select([sock], [], [], 60)[0]
        assert place.order() == ["big"]  # there is a place again
        assert len(closed(sock)) < 50_000_000


def test_a_full_door_sheds_who_has_been_silent_longest() -> None:
    with door(size=3) as place, contextlib.ExitStack() as stack:
        idle = [stack.enter_context(place.connect()) for _ in range(3)]
        for sock in idle:
            sock.sendall(ASK % b"a")
            read_answer(sock)
        idle[0].sendall(ASK % b"a")
        read_answer(idle[0])
        assert place.order() == ["a"] * 4
        assert closed(idle[1]) == b""
        idle[0].sendall(ASK % b"a")
        assert read_answer(idle[0]).startswith(b"HTTP/1.1 200 ")


def test_a_full_door_sheds_nobody_who_has_asked() -> None:
    with door(size=2) as place, place.connect() as one, place.connect() as two:
        for sock in (one, two):
            begin(sock, b"sleep")
        with place.connect() as three:
            three.sendall(ASK % b"late")
            assert all(read_answer(sock).startswith(b"HTTP/1.1 200 ") for sock in (one, two, three))
        assert sorted(place.order()) == ["late", "sleep", "sleep"]


def test_a_stop_lets_requests_in_hand_finish() -> None:
    with door() as place, place.connect() as busy, place.connect() as idle:
        begin(busy, b"sleep")
        place.process.send_signal(signal.SIGTERM)
        assert closed(idle) == b""
        assert read_answer(busy).startswith(b"HTTP/1.1 200 ")
        assert place.process.wait(30) == 0 and place.process.stdout.read() == "stopped\n"
