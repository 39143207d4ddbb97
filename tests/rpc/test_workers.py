import threading

import pytest

from nova_api.rpc import workers
from nova_api.rpc.workers import Closed, Workers


def test_no_thread_before_the_first_job_and_never_more_than_the_limit() -> None:
    pool = Workers("rpc-test-limit", 3)
    gate, started = threading.Event(), threading.Semaphore(0)

    def job() -> None:
        started.release()
        gate.wait(30)

    def threads() -> int:
        return sum(t.name == "rpc-test-limit" for t in threading.enumerate())

    assert threads() == 0
    for _ in range(10):
        pool.submit(job)
    for _ in range(3):
        assert started.acquire(timeout=30)
    assert threads() == 3
    assert pool.waiting == 7
    gate.set()
    assert pool.stop(30)
    assert threads() == 0


def test_stop_finishes_what_was_taken() -> None:
    pool = Workers("rpc-test-stop", 2)
    done: list[int] = []
    for number in range(100):
        pool.submit(lambda n=number: done.append(n))
    assert pool.stop(30)
    assert sorted(done) == list(range(100))
    with pytest.raises(Closed):
        pool.submit(lambda: None)


def test_stop_says_when_something_is_unfinished() -> None:
    pool = Workers("rpc-test-late", 1)
    gate, ran = threading.Event(), threading.Event()
    pool.submit(lambda: gate.wait(30) and None)
    pool.submit(ran.set)
    assert not pool.stop(0.01)
    gate.set()
    assert pool.stop(30)
    assert not ran.is_set()


def test_a_job_that_raises_does_not_take_its_thread_along() -> None:
    pool = Workers("rpc-test-raise", 1)
    done = threading.Event()
    pool.submit(lambda: 1 // 0 and None)
    pool.submit(done.set)
    assert done.wait(30)
    assert pool.stop(30)


def test_idle_threads_leave_and_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "IDLE_SECONDS", 0.0)
    pool = Workers("rpc-test-idle", 1)
    for _ in range(50):
        done = threading.Event()
        pool.submit(done.set)
        assert done.wait(30)
    assert pool.stop(30)
