"""Sixteen at a time, where one more is admitted: one is (spec openstack-extensions.md 14, race)."""

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import webob

from tests.openstack.contrib.test_keypairs import LINE
from tests.openstack.fakes import Door, message

MANY = 16


def together(door: Door, call: Callable[[int], webob.Response]) -> Counter[int]:
    """Statuses of sixteen requests that start at the same time."""
    door.login("alice")
    gate = threading.Barrier(MANY)

    def work(at: int) -> int:
        gate.wait()
        answer = call(at)
        if answer.status_int == 413:
            assert answer.headers["Retry-After"] == "0"
            assert answer.json["overLimit"]["retryAfter"] == 0
        return answer.status_int

    with ThreadPoolExecutor(MANY) as pool:
        return Counter(pool.map(work, range(MANY)))


def ten_less_one(door: Door, call: Callable[[], webob.Response]) -> None:
    for _ in range(9):
        assert call().status_int in (200, 202)


def listed(door: Door, path: str) -> list[dict[str, Any]]:
    (found,) = door.ask(path).json.values()
    return list(found)


def test_servers(fresh: Door) -> None:
    ten_less_one(fresh, fresh.new)
    assert together(fresh, lambda _: fresh.new()) == {202: 1, 413: 15}
    assert message(fresh.new()) == (413, "Quota exceeded: code=InstanceLimitExceeded")
    assert len(listed(fresh, "/servers")) == 10
    fresh.cloud.settle()
    assert {one["status"] for one in listed(fresh, "/servers/detail")} == {"ACTIVE"}


def test_cores_and_memory(fresh: Door) -> None:
    for resource, room in (("cores", 1), ("ram", 512)):
        fresh.cloud.runtime.quotas.set_limits("acme", {"cores": -1, "ram": -1, "instances": -1})
        used = len(listed(fresh, "/servers"))
        fresh.cloud.runtime.quotas.set_limit("acme", resource, (used + 1) * room)
        assert together(fresh, lambda _: fresh.new()) == {202: 1, 413: 15}
        assert len(listed(fresh, "/servers")) == used + 1


def test_servers_by_the_handful(fresh: Door) -> None:
    """Each wants one to three: together they get what is left, and none more."""
    ten_less_one(fresh, fresh.new)
    assert together(fresh, lambda _: fresh.new(min_count=1, max_count=3)) == {202: 1, 413: 15}
    assert len(listed(fresh, "/servers")) == 10


def test_key_pairs_of_one_name(fresh: Door) -> None:
    pair = {"keypair": {"name": "raced", "public_key": LINE}}
    assert together(fresh, lambda _: fresh.post("/os-keypairs", pair)) == {200: 1, 409: 15}
    assert len(listed(fresh, "/os-keypairs")) == 1
    assert fresh.delete("/os-keypairs/raced").status_int == 202
    assert fresh.delete("/os-keypairs/raced").status_int == 404


def test_key_pairs_made_here(fresh: Door) -> None:
    pair = {"keypair": {"name": "made"}}
    assert together(fresh, lambda _: fresh.post("/os-keypairs", pair)) == {200: 1, 409: 15}
    assert len(listed(fresh, "/os-keypairs")) == 1


def test_volumes(fresh: Door) -> None:
    def create(size: int = 1) -> webob.Response:
        return fresh.post("/os-volumes", {"volume": {"size": size}})

    ten_less_one(fresh, create)
    assert together(fresh, lambda _: create()) == {200: 1, 413: 15}
    assert message(create()) == (413, "Quota exceeded: code=VolumeSizeTooLarge")
    assert len(listed(fresh, "/os-volumes")) == 10


def test_gigabytes(fresh: Door) -> None:
    fresh.cloud.runtime.quotas.set_limit("acme", "gigabytes", 9)
    assert together(fresh, lambda _: fresh.post("/os-volumes", {"volume": {"size": 5}})) == {200: 1, 413: 15}
    assert len(listed(fresh, "/os-volumes")) == 1


def test_addresses(fresh: Door) -> None:
    ten_less_one(fresh, lambda: fresh.ask("/os-floating-ips", "POST"))
    assert together(fresh, lambda _: fresh.ask("/os-floating-ips", "POST")) == {200: 1, 413: 15}
    found = [one["ip"] for one in listed(fresh, "/os-floating-ips")]
    assert len(found) == len(set(found)) == 10


def test_rules(fresh: Door) -> None:
    group = fresh.post("/os-security-groups", {"security_group": {"name": "g", "description": "d"}})
    number = group.json["security_group"]["id"]
    fresh.cloud.runtime.quotas.set_limit("acme", "security_group_rules", 10)

    def add(port: int) -> webob.Response:
        rule = {"parent_group_id": number, "ip_protocol": "tcp", "from_port": port, "to_port": port}
        return fresh.post("/os-security-group-rules", {"security_group_rule": rule})

    for port in range(1, 10):
        assert add(port).status_int == 200
    assert together(fresh, lambda at: add(100 + at)) == {200: 1, 413: 15}
    assert len(fresh.ask(f"/os-security-groups/{number}").json["security_group"]["rules"]) == 10


def test_one_rule(fresh: Door) -> None:
    (group,) = listed(fresh, "/os-security-groups")
    rule = {"parent_group_id": group["id"], "ip_protocol": "tcp", "from_port": 1, "to_port": 1}
    body = {"security_group_rule": rule}
    assert together(fresh, lambda _: fresh.post("/os-security-group-rules", body)) == {200: 1, 400: 15}
    assert len(listed(fresh, "/os-security-groups")[0]["rules"]) == 1


def test_groups_of_one_name(fresh: Door) -> None:
    body = {"security_group": {"name": "raced", "description": "d"}}
    assert together(fresh, lambda _: fresh.post("/os-security-groups", body)) == {200: 1, 400: 15}
    assert sorted(one["name"] for one in listed(fresh, "/os-security-groups")) == ["default", "raced"]


def test_the_default_group_is_made_once(fresh: Door) -> None:
    assert together(fresh, lambda _: fresh.ask("/os-security-groups")) == {200: 16}
    assert [one["name"] for one in listed(fresh, "/os-security-groups")] == ["default"]


def test_one_volume_for_many_servers(fresh: Door) -> None:
    fresh.cloud.runtime.quotas.set_limits("acme", {"cores": -1, "ram": -1, "instances": -1})
    servers = [fresh.new().json["server"]["id"] for _ in range(MANY)]
    volume = fresh.post("/os-volumes", {"volume": {"size": 1}}).json["volume"]["id"]
    fresh.cloud.settle()
    body = {"volumeAttachment": {"volumeId": volume, "device": "/dev/vdb"}}
    answers = together(fresh, lambda at: fresh.post(f"/servers/{servers[at]}/os-volume_attachments", body))
    assert answers == {200: 1, 400: 15}
