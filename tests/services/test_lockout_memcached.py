"""Lockout counts in a real memcached, shared by processes."""

import contextlib
import os
import pickle
import shutil
import signal
import socket
import subprocess
import time
import uuid
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_api import tally
from nova_api.auth import counters
from nova_api.auth.counters import MemcachedCounters
from tests.servers import RunningCloud, free_port, running_cloud, service
from tests.wire.conftest import get, quote, signed_query


class Memcached:
    """A server of a test's own, which may be ended and come back."""

    def __init__(self) -> None:
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    def start(self) -> None:
        command = ["memcached", "-l", "127.0.0.1", "-p", str(self.port)]
        self.process = subprocess.Popen([*command, "-u", "nobody"] if os.getuid() == 0 else command)
        end = time.monotonic() + 30
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return
            assert time.monotonic() < end
            time.sleep(0.02)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.wait()

    def put(self, key: str, value: bytes, flags: int = 0) -> None:
        """Store what somebody else might have stored."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as sock:
            sock.sendall(b"set %s %d 0 %d\r\n%s\r\n" % (key.encode(), flags, len(value), value))
            assert sock.recv(100) == b"STORED\r\n"


@pytest.fixture
def memcached() -> Iterator[Memcached]:
    if shutil.which("memcached") is None:
        reason = "memcached is not installed"
        if os.environ.get("NOVA_API_REQUIRE_SERVICES"):
            pytest.fail(reason)
        pytest.skip(reason)
    made = Memcached()
    made.start()
    yield made
    made.kill()


def denied(cloud: RunningCloud, access: str) -> bytes:
    """A request with a signature that does not hold."""
    query = signed_query(cloud, [("Action", "DescribeRegions")])
    who = cloud.cloud["users"]["alice"]["access"]
    return get(cloud, query.replace(f"AWSAccessKeyId={who}", f"AWSAccessKeyId={access}"))


def test_two_processes_count_together(tmp_path: Path) -> None:
    servers = service("memcached")
    access = f"nobody-{uuid.uuid4().hex}"
    options = ("--set", f"lockout_memcached_servers={servers}", "--set", "lockout_attempts=4")
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    with running_cloud(tmp_path / "a", *options) as one, running_cloud(tmp_path / "b", *options) as other:
        for cloud in (one, other, one, other):
            answer = denied(cloud, access)
            assert b"401" in answer.split(b"\r\n")[0] or b"403" in answer.split(b"\r\n")[0]
            assert b"Too many failed authentications." not in answer
        for cloud in (one, other):
            answer = denied(cloud, access)
            assert answer.startswith(b"HTTP/1.1 403")
            assert b"Too many failed authentications." in answer
        assert get(one, signed_query(one, [("Action", "DescribeRegions")])).startswith(b"HTTP/1.1 200")


def test_login_works_while_memcached_is_down(tmp_path: Path) -> None:
    """Stated policy: a lost counter store is logged, and nobody is locked out for it."""
    with running_cloud(tmp_path, "--set", "lockout_memcached_servers=127.0.0.1:1") as cloud:
        assert get(cloud, signed_query(cloud, [("Action", "DescribeRegions")])).startswith(b"HTTP/1.1 200")
        for _ in range(7):
            assert b"AuthFailure" in denied(cloud, "nobody")
        assert get(cloud, signed_query(cloud, [("Action", "DescribeRegions")])).startswith(b"HTTP/1.1 200")


@pytest.fixture
def counts(memcached: Memcached) -> Iterator[MemcachedCounters]:
    made = MemcachedCounters([memcached.place])
    yield made
    made.close()


LOCKED = b"Too many failed authentications."


def until_locked(cloud: RunningCloud, access: str) -> None:
    end = time.monotonic() + 60
    while LOCKED not in denied(cloud, access):
        assert time.monotonic() < end
        time.sleep(0.1)


def test_memcached_goes_and_comes_back(tmp_path: Path, memcached: Memcached) -> None:
    options = ("--set", f"lockout_memcached_servers={memcached.place}", "--set", "lockout_attempts=3")
    with running_cloud(tmp_path, *options) as cloud:
        until_locked(cloud, "nobody")
        memcached.kill()
        assert b"AuthFailure" in denied(cloud, "nobody")
        assert LOCKED not in denied(cloud, "nobody")
        assert get(cloud, signed_query(cloud, [("Action", "DescribeRegions")])).startswith(b"HTTP/1.1 200")
        assert "memcached does not answer" in cloud.log_path.read_text()
        memcached.start()
        until_locked(cloud, "somebody")
        assert "memcached answers again" in cloud.log_path.read_text()
        assert memcached.process is not None
        memcached.process.send_signal(signal.SIGSTOP)
        for _ in range(5):  # it is asked once and then left alone
            assert get(cloud, signed_query(cloud, [("Action", "DescribeRegions")])).startswith(b"HTTP/1.1 200")
        memcached.process.send_signal(signal.SIGCONT)
        until_locked(cloud, "anybody")


HOSTILE = ["a b", "a\r\nflush_all\r\n", "x" * 250, "x" * 5_000, "\x00", "é€", "%", "'; DROP TABLE users --", "."]


def test_access_keys_that_are_no_keys_of_memcached(tmp_path: Path, memcached: Memcached) -> None:
    options = ("--set", f"lockout_memcached_servers={memcached.place}", "--set", "lockout_attempts=2")
    with running_cloud(tmp_path, *options) as cloud:
        for access in HOSTILE:
            statuses = {denied(cloud, quote(access)).split()[1] for _ in range(3)}
            assert statuses <= {b"400", b"401", b"403"}, access
        assert get(cloud, signed_query(cloud, [("Action", "DescribeRegions")])).startswith(b"HTTP/1.1 200")


class Touch:
    """What somebody might put into a cache whose readers load pickles."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __reduce__(self) -> tuple[object, tuple[str, str]]:
        return open, (self.path, "w")


@pytest.mark.parametrize(
    ("value", "flags"),
    [
        (b"", 0),
        (b"abc", 16),
        (b"-5", 2),
        (b"9" * 50, 4),
        (b"9" * 5_000, 2),
        (b"\xff\xfe", 16),
        (b"1", 64),
        (zlib.compress(b"0" * 50_000_000), 8),
        (b"no zlib", 8),
        (pickle.dumps(5), 1),
    ],
    ids=["empty", "text", "negative", "long", "very long", "no text", "unknown flags", "bomb", "no zlib", "pickle"],
)
def test_what_is_no_count_counts_as_nothing(
    memcached: Memcached, counts: MemcachedCounters, value: bytes, flags: int
) -> None:
    memcached.put("key", value, flags)
    assert counts.count("key") == 0
    assert counts.add("key", 60) in (1, 2)
    counts.hold("key", 5, 60)
    assert counts.count("key") == 5


def test_a_pickle_is_not_loaded(memcached: Memcached, counts: MemcachedCounters, tmp_path: Path) -> None:
    trap = tmp_path / "trap"
    bomb = pickle.dumps(Touch(str(trap)))
    pickle.loads(bomb).close()
    assert trap.exists()  # it would work
    trap.unlink()
    memcached.put("key", bomb, flags=1)
    assert counts.count("key") == 0
    assert counts.add("key", 60) == 1
    assert not trap.exists()


def test_what_we_store_is_digits(memcached: Memcached, counts: MemcachedCounters) -> None:
    assert [counts.add("key", 60) for _ in range(3)] == [1, 2, 3]
    counts.hold("held", 7, 60)
    for key, value in (("key", b"3"), ("held", b"7")):
        with socket.create_connection(("127.0.0.1", memcached.port), timeout=30) as sock:
            sock.sendall(b"get %s\r\n" % key.encode())
            answer = sock.recv(1000)
        assert answer.split(b"\r\n")[1] == value
        assert int(answer.split()[2]) & 1 == 0  # the flag of a pickle


def test_an_outage_is_counted(memcached: Memcached, counts: MemcachedCounters, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counters, "_PAUSE", 0.05)
    assert counts.add("key", 60) == 1
    memcached.kill()
    before = tally.counts()["lockout_store_outages"]
    assert (counts.add("key", 60), counts.count("key")) == (0, 0)
    assert tally.counts()["lockout_store_outages"] > before
    memcached.start()
    end = time.monotonic() + 30
    while counts.add("key", 60) == 0:
        assert time.monotonic() < end
        time.sleep(0.02)
