import logging
import subprocess
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from nova_api import errors
from nova_api.context import RequestContext
from nova_api.rpc import delivery, inprocess
from nova_api.rpc.client import Rpc
from nova_api.rpc.consumer import ServiceRunner
from nova_api.rpc.envelope import RemoteError, RpcTimeout
from nova_api.rpc.inprocess import InProcessTransport
from nova_api.rpc.transport import NoConsumer, TransportError
from tests.servers import ROOT

CONTEXT = RequestContext(user_id="alice", project_id="acme", request_id="req-42")
METHODS = ("note", "add", "fail", "refuse", "wait", "relay", "flaky")


class Manager:
    """Notes what it is asked for."""

    def __init__(self, rpc: Rpc, name: str = "") -> None:
        self.rpc = rpc
        self.name = name
        self.seen: list[Any] = []
        self.changed = threading.Condition()
        self.gate = threading.Event()
        self.outages = self.defects = 0

    def note(self, context: RequestContext, value: Any = None, topic: str = "") -> None:
        with self.changed:
            self.seen.append(value)
            self.changed.notify_all()

    def add(self, context: RequestContext, left: int, right: int) -> int:
        return left + right

    def fail(self, context: RequestContext) -> None:
        self.note(context, "fail")
        raise KeyError("a defect")

    def refuse(self, context: RequestContext) -> None:
        self.note(context, "refuse")
        raise errors.InstanceNotFound("i-00000001")

    def flaky(self, context: RequestContext) -> None:
        self.note(context, "flaky")
        if len(self.seen) <= self.outages:
            raise errors.ServiceUnavailable("not now")
        if len(self.seen) <= self.outages + self.defects:
            raise KeyError("a defect")

    def wait(self, context: RequestContext, value: Any = None) -> Any:
        self.note(context, "waiting")
        self.gate.wait(30)
        return value

    def relay(self, context: RequestContext, depth: int) -> int:
        """Calls its own service, as deep as told."""
        if depth == 0:
            return 0
        value: int = self.rpc.call(context, "compute", "relay", depth=depth - 1)
        self.note(context, depth)
        return value + 1

    def until(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.seen) >= count, 30)


class Bench:
    """A transport and its services."""

    def __init__(self) -> None:
        self.transport = InProcessTransport()
        self.rpc = Rpc(self.transport, default_timeout=30)
        self.runners: list[ServiceRunner] = []

    def service(self, topic: str = "compute", host: str = "h1", workers: int = 4) -> Manager:
        manager = Manager(self.rpc, host)
        runner = ServiceRunner(self.transport, topic, host, manager, METHODS, workers)
        runner.start()
        self.runners.append(runner)
        return manager


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Bench]:
    monkeypatch.setattr(delivery, "DEFECT_PAUSE", 0.0)
    monkeypatch.setattr(delivery, "backoff", lambda tries: 0.0)
    made = Bench()
    yield made
    for runner in made.runners:
        runner.stop(30)
    made.transport.close()


def test_a_cast_arrives(bench: Bench) -> None:
    manager = bench.service()
    bench.rpc.cast(CONTEXT, "compute", "note", value=[1, {"a": None}])
    manager.until(1)
    assert manager.seen == [[1, {"a": None}]]


def test_arguments_may_be_called_topic(bench: Bench) -> None:
    manager = bench.service("scheduler")
    bench.rpc.cast(CONTEXT, "scheduler", "note", topic="volume", value=1)
    manager.until(1)
    assert manager.seen == [1]


def test_a_call_returns_what_the_method_returns(bench: Bench) -> None:
    bench.service()
    assert bench.rpc.call(CONTEXT, "compute", "add", left=2, right=3) == 5


def test_values_are_those_that_a_broker_would_deliver(bench: Bench) -> None:
    manager = bench.service()
    bench.rpc.cast(CONTEXT, "compute", "note", value=(1, 2))
    manager.until(1)
    assert manager.seen == [[1, 2]]


def test_a_refused_call_carries_class_and_text(bench: Bench) -> None:
    bench.service()
    with pytest.raises(RemoteError) as caught:
        bench.rpc.call(CONTEXT, "compute", "refuse")
    assert caught.value.exc_type == "InstanceNotFound"
    assert caught.value.value == str(errors.InstanceNotFound("i-00000001"))
    assert caught.value.traceback == []


def test_a_failed_call_is_not_tried_again(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    manager = bench.service()
    with pytest.raises(RemoteError) as caught:
        bench.rpc.call(CONTEXT, "compute", "fail")
    assert caught.value.exc_type == "KeyError"
    assert manager.seen == ["fail"]
    assert "req-42" in caplog.text


@pytest.mark.parametrize(
    ("method", "args"), [("until", {"count": 1}), ("__init__", {}), ("nothing", {}), ("add", {"left": 1})]
)
def test_only_listed_methods_with_their_arguments_can_be_called(
    bench: Bench, method: str, args: dict[str, Any]
) -> None:
    bench.service()
    with pytest.raises(RemoteError) as caught:
        bench.rpc.call(CONTEXT, "compute", method, **args)
    assert caught.value.exc_type == "NoSuchMethod"


def test_a_result_that_cannot_travel_is_a_failed_call(bench: Bench) -> None:
    transport = bench.transport
    subscription = transport.consume(["odd"], "h1", lambda message: object(), 1)
    with pytest.raises(RemoteError) as caught:
        bench.rpc.call(CONTEXT, "odd", "anything")
    assert caught.value.exc_type == "TypeError"
    assert subscription.stop(30)


def test_a_call_times_out(bench: Bench) -> None:
    manager = bench.service()
    with pytest.raises(RpcTimeout):
        bench.rpc.call(CONTEXT, "compute", "wait", timeout=0.01)
    manager.gate.set()


def test_a_body_that_is_no_message_is_counted_and_forgotten(bench: Bench) -> None:
    bench.service()
    done = threading.Event()
    bench.transport.send("compute", "{", done.set)
    assert done.wait(30)
    assert bench.transport.counters.dead == 1
    with pytest.raises(RemoteError):
        bench.transport.call("compute", "0" * 32, "{", 30)


def test_a_host_is_addressed_alone(bench: Bench) -> None:
    first, second = bench.service(host="h1"), bench.service(host="h2")
    for number in range(4):
        bench.rpc.cast(CONTEXT, "compute.h2", "note", value=number)
    second.until(4)
    assert sorted(second.seen) == [0, 1, 2, 3]
    assert first.seen == []


def test_a_topic_goes_round_its_consumers(bench: Bench) -> None:
    first, second = bench.service(host="h1"), bench.service(host="h2")
    for number in range(6):
        bench.rpc.cast(CONTEXT, "compute", "note", value=number)
    first.until(3)
    second.until(3)
    assert sorted(first.seen + second.seen) == list(range(6))


def test_fanout_reaches_all(bench: Bench) -> None:
    managers = [bench.service(host=host) for host in ("h1", "h2", "h3")]
    other = bench.service("network")
    bench.rpc.fanout_cast(CONTEXT, "compute", "note", value="all")
    for manager in managers:
        manager.until(1)
        assert manager.seen == ["all"]
    assert other.seen == []


def test_fanout_to_nobody_is_no_error(bench: Bench) -> None:
    bench.rpc.fanout_cast(CONTEXT, "compute", "note")
    bench.service()
    assert bench.rpc.call(CONTEXT, "compute", "add", left=1, right=1) == 2


@pytest.mark.parametrize("topic", ["compute", "compute.h9", "nothing"])
def test_without_a_consumer_the_sender_is_told(bench: Bench, topic: str) -> None:
    runner = ServiceRunner(bench.transport, "compute", "h1", Manager(bench.rpc), METHODS)
    runner.start()
    runner.stop()
    with pytest.raises(NoConsumer):
        bench.rpc.cast(CONTEXT, topic, "note")
    with pytest.raises(NoConsumer):
        bench.rpc.call(CONTEXT, topic, "note")


def test_a_full_queue_takes_no_more(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inprocess, "MAX_WAITING", 2)
    manager = bench.service(workers=1)
    bench.rpc.cast(CONTEXT, "compute", "wait")
    manager.until(1)
    bench.rpc.cast(CONTEXT, "compute", "note")
    bench.rpc.cast(CONTEXT, "compute", "note")
    with pytest.raises(TransportError):
        bench.rpc.cast(CONTEXT, "compute", "note")
    manager.gate.set()
    manager.until(3)


def test_casts_that_wait_for_calls_to_their_own_service_do_not_block_it(bench: Bench) -> None:
    manager = bench.service(workers=2)
    for _ in range(4):
        bench.rpc.cast(CONTEXT, "compute", "relay", depth=5)
    manager.until(20)
    assert sorted(manager.seen) == sorted([1, 2, 3, 4, 5] * 4)


def test_a_defect_is_logged_tried_again_and_given_up(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    manager = bench.service(workers=1)
    done = threading.Event()
    with caplog.at_level(logging.ERROR):
        bench.transport.send("compute", '{"method": "fail", "_context_request_id": "req-42"}', done.set)
        assert done.wait(30)
    assert manager.seen == ["fail"] * delivery.DEFECT_TRIES
    assert bench.transport.counters.dead == 1
    assert "req-42: fail failed (try 3 of 3)" in caplog.text
    assert bench.rpc.call(CONTEXT, "compute", "add", left=1, right=1) == 2


def test_a_refused_cast_is_done(bench: Bench) -> None:
    manager = bench.service()
    done = threading.Event()
    bench.transport.send("compute", '{"method": "refuse"}', done.set)
    assert done.wait(30)
    assert manager.seen == ["refuse"]
    assert (bench.transport.counters.handled, bench.transport.counters.dead) == (1, 0)


@pytest.mark.parametrize("outages", [3, delivery.OUTAGE_TRIES + 3])
def test_an_outage_is_waited_out(bench: Bench, outages: int) -> None:
    manager = bench.service()
    manager.outages = outages
    done = threading.Event()
    bench.transport.send("compute", '{"method": "flaky"}', done.set)
    assert done.wait(30)
    assert len(manager.seen) == outages + 1
    assert bench.transport.counters.dead == 0


def test_an_outage_is_no_defect(bench: Bench) -> None:
    manager = bench.service()
    manager.outages, manager.defects = delivery.DEFECT_TRIES, delivery.DEFECT_TRIES - 1
    done = threading.Event()
    bench.transport.send("compute", '{"method": "flaky"}', done.set)
    assert done.wait(30)
    assert len(manager.seen) == 2 * delivery.DEFECT_TRIES
    assert bench.transport.counters.dead == 0


def test_stop_finishes_what_is_in_hand_before_its_sender_is_told(bench: Bench) -> None:
    manager = bench.service(workers=1)
    done = [threading.Event() for _ in range(3)]
    for event in done:
        bench.transport.send("compute", '{"method": "wait"}', event.set)
    manager.until(1)
    assert not done[0].is_set()
    manager.gate.set()
    assert bench.runners[0].stop(30)
    assert all(event.is_set() for event in done)


def test_a_message_in_an_outage_stays_with_its_sender_when_the_consumer_stops(bench: Bench) -> None:
    manager = bench.service()
    manager.outages = 10**9
    done = threading.Event()
    bench.transport.send("compute", '{"method": "flaky"}', done.set)
    manager.until(1)
    assert bench.runners[0].stop(30)
    assert not done.is_set()


def test_a_manager_without_a_listed_method_is_refused_at_once(bench: Bench) -> None:
    with pytest.raises(TypeError, match="no method vanish"):
        ServiceRunner(bench.transport, "compute", "h1", Manager(bench.rpc), ["vanish"])


def test_the_embedded_transport_does_not_load_the_amqp_library() -> None:
    code = (
        "import sys, nova_api.rpc.inprocess, nova_api.rpc.outbox, nova_api.rpc.client, nova_api.rpc.consumer;"
        "print({m.split('.')[0] for m in sys.modules} & {'kombu', 'amqp', 'vine'})"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr


def test_green_threads_work_alike() -> None:
    code = """
from nova_api import server
server.patch()
import threading, time
from nova_api.context import RequestContext
from nova_api.rpc.client import Rpc
from nova_api.rpc.inprocess import InProcessTransport
transport = InProcessTransport()
rpc, context, results = Rpc(transport, 30), RequestContext(None, None), []
def handle(message):
    time.sleep(0.01)
    return message.args["value"]
subscription = transport.consume(["compute"], "h1", handle, 2)
def work(value):
    rpc.cast(context, "compute", "note", value=value)
    results.append(rpc.call(context, "compute", "note", value=value))
threads = [threading.Thread(target=work, args=(n,)) for n in range(20)]
[t.start() for t in threads]
[t.join(30) for t in threads]
print(len(results), subscription.stop(30), transport.counters.handled)
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "20 True 40\n", done.stderr
