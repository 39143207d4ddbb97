import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nova_api import testing
from nova_api.context import admin_context
from nova_api.db import services
from nova_api.errors import ConfigError
from nova_api.nodes import service
from nova_api.nodes.compute import ComputeManager
from nova_api.nodes.scheduler import SchedulerManager
from nova_api.nodes.service import NodeService
from nova_api.runtime import Runtime

CONTEXT = admin_context()


@pytest.fixture
def runtime(tmp_path: Path) -> Iterator[Runtime]:
    made = testing.make_runtime(tmp_path, report_interval=0.02)
    yield made
    made.close()


def reports(runtime: Runtime) -> dict[str, tuple[int, bool]]:
    """Count of reports and life of each topic's service."""
    with runtime.db.read() as conn:
        return {row.topic: (row.report_count, services.alive(row, 60)) for row in services.every(conn)}


def test_every_topic_reports_answers_and_says_goodbye(runtime: Runtime) -> None:
    running = service.start_all(runtime)
    try:
        assert set(reports(runtime)) == {"scheduler", "compute", "network", "volume", "cert", "console"}
        assert all(alive for _, alive in reports(runtime).values())
        assert "CERTIFICATE" in runtime.rpc.call(CONTEXT, "cert", "fetch_ca")
        until = time.monotonic() + 30
        while min(count for count, _ in reports(runtime).values()) < 3:
            assert time.monotonic() < until, reports(runtime)
            time.sleep(0.01)
    finally:
        assert service.stop_all(running, 10.0)
    assert not any(alive for _, alive in reports(runtime).values())


def test_a_part_of_the_topics_under_another_name(runtime: Runtime) -> None:
    running = service.start_all(runtime, ["compute", "compute"], host="h7")
    try:
        with runtime.db.read() as conn:
            assert [(row.host, row.topic) for row in services.every(conn)] == [("h7", "compute")]
        assert [host.host for host in runtime.db.write(lambda tx: services.free_hosts(tx, 60))] == ["h7"]
    finally:
        service.stop_all(running, 10.0)


@pytest.mark.parametrize("options", [{"compute_driver": "nova_api.nodes:Nothing"}, {"volume_driver": "x"}])
def test_a_driver_that_is_not_there(tmp_path: Path, options: dict[str, str]) -> None:
    runtime = testing.make_runtime(tmp_path, **options)
    with pytest.raises(ConfigError):
        service.start_all(runtime)
    runtime.close()


def test_an_unknown_topic(runtime: Runtime) -> None:
    with pytest.raises(ConfigError, match="floppy"):
        service.start_all(runtime, ["compute", "floppy"])
    assert reports(runtime) == {}


class Slow:
    """A manager whose work takes until it is told to end."""

    methods: ClassVar[tuple[str, ...]] = ("work",)
    binary: ClassVar[str] = "nova-slow"

    def __init__(self) -> None:
        self.entered, self.go_on, self.done = threading.Event(), threading.Event(), False

    def start(self) -> None:
        """Nothing."""

    def work(self, context: Any) -> None:
        self.entered.set()
        self.go_on.wait(30)
        self.done = True

    def secret(self, context: Any) -> None:
        raise AssertionError("only what the table names may be called")


def test_a_stop_finishes_what_is_in_hand(runtime: Runtime) -> None:
    manager = Slow()
    node = NodeService("slow", manager, runtime, "h1")
    node.start()
    runtime.db.write(lambda tx: runtime.outbox.cast(tx, CONTEXT, "slow.h1", "work"))
    assert manager.entered.wait(30)
    threading.Timer(0.05, manager.go_on.set).start()
    assert node.stop(30.0)
    assert manager.done


def test_a_stop_does_not_wait_for_ever(runtime: Runtime) -> None:
    manager = Slow()
    node = NodeService("slow", manager, runtime, "h1")
    node.start()
    runtime.db.write(lambda tx: runtime.outbox.cast(tx, CONTEXT, "slow", "work"))
    assert manager.entered.wait(30)
    assert not node.stop(0.05)
    assert runtime.outbox.depth() == 1  # it comes again after the next start
    manager.go_on.set()


def test_methods_outside_the_table_are_not_reached(runtime: Runtime) -> None:
    node = NodeService("slow", Slow(), runtime)
    node.start()
    with pytest.raises(Exception, match="secret"):
        runtime.rpc.call(CONTEXT, "slow", "secret")
    node.stop(10.0)


def test_goodbye_is_said_once_the_scheduler_has_finished(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it has in hand finds a host, though it be the last one."""
    scheduling, go_on, goodbye = threading.Event(), threading.Event(), threading.Event()
    seen: list[bool] = []

    def place(manager: SchedulerManager, context: Any) -> None:
        scheduling.set()
        go_on.wait(30)
        seen.append(reports(runtime)["compute"][1])

    def stop(heart: service.Heart, timeout: float) -> bool:
        goodbye.set()
        return said(heart, timeout)

    said = service.Heart.stop
    monkeypatch.setattr(SchedulerManager, "run_instance", place)
    monkeypatch.setattr(service.Heart, "stop", stop)
    running = service.start_all(runtime, ["scheduler", "compute"])
    runtime.db.write(lambda tx: runtime.outbox.cast(tx, CONTEXT, "scheduler", "run_instance"))
    assert scheduling.wait(30)
    stopping = threading.Thread(target=service.stop_all, args=(running, 30.0))
    stopping.start()
    assert not goodbye.wait(0.2)
    go_on.set()
    stopping.join(30)
    assert goodbye.is_set() and seen == [True]


def test_what_is_done_again_and_again() -> None:
    done = threading.Semaphore(0)

    def work() -> None:
        done.release()
        raise ValueError("a defect: it is done again all the same")

    periodic = service.Periodic("again", 0.001, work)
    periodic.start()
    for _ in range(3):
        assert done.acquire(timeout=30)
    assert periodic.stop(30.0)


@pytest.mark.parametrize("seconds", [0, 60])
def test_compute_ends_what_nobody_restores(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seconds: int) -> None:
    asked: list[float] = []
    entered = threading.Event()

    def reclaim(manager: ComputeManager, given: float) -> int:
        asked.append(given)
        entered.set()
        return 0

    monkeypatch.setattr(ComputeManager, "reclaim", reclaim)
    runtime = testing.make_runtime(tmp_path, report_interval=0.01, reclaim_instance_interval=seconds)
    running = service.start_all(runtime, ["compute", "scheduler"])
    try:
        names = [thread.name for thread in threading.enumerate()]
        assert entered.wait(30) if seconds else not any(name.startswith("reclaim.") for name in names)
    finally:
        assert service.stop_all(running, 10.0)
        runtime.close()
    assert set(asked) == ({60} if seconds else set())
