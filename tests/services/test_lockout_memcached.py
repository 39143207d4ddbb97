"""Lockout counts in a real memcached, shared by processes."""

import uuid
from pathlib import Path

from tests.servers import RunningCloud, running_cloud, service
from tests.wire.conftest import get, signed_query


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
