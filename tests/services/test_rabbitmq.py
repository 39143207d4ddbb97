"""The AMQP transport against a real RabbitMQ."""

import logging
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kombu
import pytest

from nova_api import errors
from nova_api.context import RequestContext
from nova_api.db import models
from nova_api.db.engine import Database
from nova_api.rpc import amqp_consumer, delivery, envelope, outbox
from nova_api.rpc.amqp import AmqpTransport
from nova_api.rpc.client import Rpc
from nova_api.rpc.envelope import Message, RemoteError, RpcTimeout
from nova_api.rpc.outbox import Outbox
from nova_api.rpc.transport import NoConsumer, TransportError
from tests.proxy import Proxy
from tests.servers import ROOT, service

amqp: Any = kombu
CONTEXT = RequestContext(user_id="alice", project_id="acme", request_id="req-42", auth_token="t0ken-s3cret")


class Stage:
    """Transports with names of their own on the broker, all removed afterwards."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.unique = f"test-{secrets.token_hex(6)}"
        self.transports: list[AmqpTransport] = []
        self.queues: set[str] = {f"{self.unique}.dead"}

    def transport(self, url: str | None = None, durable: bool = True) -> AmqpTransport:
        made = AmqpTransport(url or self.url, exchange=self.unique, durable=durable)
        self.transports.append(made)
        return made

    def topic(self, name: str) -> str:
        return f"{self.unique}-{name}"

    def consume(
        self,
        transport: AmqpTransport,
        name: str,
        host: str,
        handle: Callable[[Message], object],
        workers: int = 4,
        ready: bool = True,
    ) -> Any:
        topic = self.topic(name)
        self.queues |= {topic, f"{topic}.{host}", f"{topic}.suspects", f"{topic}.{host}.suspects"}
        subscription = transport.consume([topic], host, handle, workers)
        if ready:
            until(lambda: subscription._session is not None)
        return subscription

    def count(self, queue: str) -> int:
        """Messages that are ready in a queue."""
        with amqp.Connection(self.url) as connection:
            return int(amqp.Queue(queue)(connection.default_channel).queue_declare(passive=True).message_count)

    def publish(self, name: str, body: str | bytes) -> None:
        """Put a body of any kind into the queue of a topic."""
        with amqp.Connection(self.url) as connection:
            amqp.Producer(connection.default_channel).publish(
                body, routing_key=self.topic(name), content_type="application/json", content_encoding="binary"
            )

    def get(self, queue: str) -> Any:
        with amqp.Connection(self.url) as connection:
            return amqp.Queue(queue)(connection.default_channel).get(no_ack=True)

    def clean(self) -> None:
        for transport in self.transports:
            transport.close()
        with amqp.Connection(self.url) as connection:
            channel = connection.default_channel
            for queue in self.queues:
                channel.queue_delete(queue)
            channel.exchange_delete(self.unique)


class Recorder:
    """Notes values; holds, refuses or fails as told."""

    def __init__(self) -> None:
        self.seen: list[Any] = []
        self.changed = threading.Condition()
        self.gate = threading.Event()
        self.gate.set()
        self.error: Exception | None = None

    def __call__(self, message: Message) -> Any:
        with self.changed:
            self.seen.append(message.args.get("value"))
            self.changed.notify_all()
        self.gate.wait(30)
        if self.error is not None:
            raise self.error
        return message.args.get("value")

    def until(self, count: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.seen) >= count, 30), self.seen


def until(condition: Callable[[], object]) -> None:
    """Wait for what another thread or the broker is about to do."""
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    for module in (delivery, outbox, amqp_consumer):
        monkeypatch.setattr(module, "backoff", lambda tries: 0.05)
    monkeypatch.setattr(delivery, "DEFECT_PAUSE", 0.0)
    made = Stage(service("amqp"))
    yield made
    made.clean()


@pytest.fixture
def proxy(stage: Stage) -> Iterator[Proxy]:
    parts = urlsplit(stage.url)
    made = Proxy((parts.hostname or "127.0.0.1", parts.port or 5672))
    yield made
    stage.clean()
    stage.transports.clear()
    made.down()


def through(stage: Stage, proxy: Proxy) -> str:
    parts = urlsplit(stage.url)
    return f"amqp://{parts.username}:{parts.password}@127.0.0.1:{proxy.port}/{parts.path[1:]}"


def test_a_cast_arrives_with_its_context(stage: Stage) -> None:
    seen: list[Message] = []
    done = threading.Event()

    def handle(message: Message) -> None:
        seen.append(message)
        done.set()

    transport = stage.transport()
    stage.consume(transport, "compute", "h1", handle)
    Rpc(transport, 30).cast(CONTEXT, stage.topic("compute"), "note", value=[1, {"a": None}])
    assert done.wait(30)
    assert seen == [Message("note", {"value": [1, {"a": None}]}, CONTEXT, None)]


def test_bodies_and_properties_are_those_of_2012(stage: Stage) -> None:
    transport = stage.transport()
    stage.consume(transport, "compute", "h1", Recorder()).stop(30)
    Rpc(transport, 30).cast(CONTEXT, stage.topic("compute"), "note", value="é")
    message = stage.get(stage.topic("compute"))
    assert (message.content_type, message.content_encoding) == ("application/json", "utf-8")
    assert message.properties["delivery_mode"] == 2
    assert message.delivery_info["exchange"] == stage.unique
    assert message.delivery_info["routing_key"] == stage.topic("compute")
    assert message.payload["method"] == "note"
    assert message.payload["_context_request_id"] == "req-42"


def test_a_call_returns_and_leaves_nothing_behind(stage: Stage) -> None:
    transport = stage.transport()
    stage.consume(transport, "compute", "h1", Recorder())
    rpc = Rpc(transport, 30)
    for value in ("text", None, [1, 2], {"a": "é"}):
        assert rpc.call(CONTEXT, stage.topic("compute"), "note", value=value) == value
    msg_id = envelope.new_msg_id()
    body = envelope.encode(envelope.pack(CONTEXT, "note", {"value": 5}, msg_id))
    assert transport.call(stage.topic("compute"), msg_id, body, 30) == 5
    with amqp.Connection(stage.url) as connection:
        for declare in (
            lambda channel: channel.queue_declare(msg_id, passive=True),
            lambda channel: channel.exchange_declare(msg_id, "direct", passive=True),
        ):
            with pytest.raises(connection.channel_errors, match="NOT_FOUND"):
                declare(connection.channel())


def test_calls_of_many_threads(stage: Stage) -> None:
    transport = stage.transport()
    stage.consume(transport, "compute", "h1", Recorder())
    rpc, results = Rpc(transport, 30), []

    def work(start: int) -> None:
        for value in range(start, start + 5):
            results.append((value, rpc.call(CONTEXT, stage.topic("compute"), "note", value=value)))

    threads = [threading.Thread(target=work, args=(n * 100,)) for n in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(results) == 30
    assert all(asked == got for asked, got in results)


def test_a_refused_call(stage: Stage) -> None:
    transport, recorder = stage.transport(), Recorder()
    recorder.error = errors.InstanceNotFound("i-00000001")
    stage.consume(transport, "compute", "h1", recorder)
    with pytest.raises(RemoteError) as caught:
        Rpc(transport, 30).call(CONTEXT, stage.topic("compute"), "note")
    assert caught.value.exc_type == "InstanceNotFound"
    assert caught.value.traceback == []


def test_a_call_times_out_and_its_late_reply_harms_nobody(stage: Stage) -> None:
    transport, recorder = stage.transport(), Recorder()
    stage.consume(transport, "compute", "h1", recorder)
    rpc = Rpc(transport, 30)
    recorder.gate.clear()
    with pytest.raises(RpcTimeout):
        rpc.call(CONTEXT, stage.topic("compute"), "note", value=1, timeout=0.2)
    recorder.gate.set()
    assert rpc.call(CONTEXT, stage.topic("compute"), "note", value=2) == 2


def test_a_call_that_nobody_takes_in_time_is_dropped_by_the_broker(stage: Stage) -> None:
    transport, recorder = stage.transport(), Recorder()
    stage.consume(transport, "compute", "h1", recorder).stop(30)
    with pytest.raises(RpcTimeout):
        Rpc(transport, 30).call(CONTEXT, stage.topic("compute"), "note", value=1, timeout=0.2)
    until(lambda: stage.count(stage.topic("compute")) == 0)


def test_without_a_queue_the_sender_is_told(stage: Stage) -> None:
    transport = stage.transport()
    rpc = Rpc(transport, 30)
    for _ in range(2):
        with pytest.raises(NoConsumer):
            rpc.cast(CONTEXT, stage.topic("nothing"), "note")
        with pytest.raises(NoConsumer):
            rpc.call(CONTEXT, stage.topic("nothing"), "note")
        rpc.fanout_cast(CONTEXT, stage.topic("nothing"), "note")


def test_hosts_topics_and_fanout(stage: Stage) -> None:
    transport = stage.transport()
    recorders = {host: Recorder() for host in ("h1", "h2")}
    for host, recorder in recorders.items():
        stage.consume(stage.transport(), "compute", host, recorder)
    rpc, topic = Rpc(transport, 30), stage.topic("compute")
    rpc.cast(CONTEXT, f"{topic}.h2", "note", value="direct")
    recorders["h2"].until(1)
    assert recorders["h1"].seen == []
    rpc.fanout_cast(CONTEXT, topic, "note", value="all")
    recorders["h1"].until(1)
    recorders["h2"].until(2)
    for number in range(20):
        rpc.cast(CONTEXT, topic, "note", value=number)
    until(lambda: sum(len(r.seen) for r in recorders.values()) == 23)
    assert recorders["h1"].seen[0] == "all"
    assert len(recorders["h1"].seen) > 1
    assert len(recorders["h2"].seen) > 2


def test_a_queue_keeps_messages_until_its_consumer_is_back(stage: Stage) -> None:
    transport, recorder = stage.transport(), Recorder()
    stage.consume(transport, "compute", "h1", Recorder()).stop(30)
    rpc = Rpc(transport, 30)
    for value in range(5):
        rpc.cast(CONTEXT, stage.topic("compute"), "note", value=value)
    assert stage.count(stage.topic("compute")) == 5
    stage.consume(transport, "compute", "h1", recorder, workers=1)
    recorder.until(5)
    assert recorder.seen == list(range(5))


def test_a_message_is_acknowledged_after_the_work(stage: Stage) -> None:
    recorder, other = Recorder(), Recorder()
    transport = stage.transport()
    recorder.gate.clear()
    dying = stage.transport()
    stage.consume(dying, "compute", "h1", recorder)
    Rpc(transport, 30).cast(CONTEXT, stage.topic("compute"), "note", value=1)
    recorder.until(1)
    dying.close()  # without waiting for the handler, as a killed process would
    stage.consume(stage.transport(), "compute", "h2", other)
    other.until(1)
    recorder.gate.set()
    assert other.seen == [1]


def test_no_more_is_taken_than_is_worked_on_and_stop_returns_the_rest(stage: Stage) -> None:
    transport, recorder = stage.transport(), Recorder()
    recorder.gate.clear()
    subscription = stage.consume(transport, "compute", "h1", recorder, workers=2)
    rpc, topic = Rpc(transport, 30), stage.topic("compute")
    for value in range(10):
        rpc.cast(CONTEXT, topic, "note", value=value)
    recorder.until(2)
    until(lambda: stage.count(topic) == 8)
    threading.Timer(0.1, recorder.gate.set).start()
    assert subscription.stop(30)
    assert sorted(recorder.seen) == [0, 1]
    until(lambda: stage.count(topic) == 8)


def test_a_message_that_has_to_wait_has_killed_nobody(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many processes give it back, during an outage or when they stop."""
    monkeypatch.setattr(amqp_consumer, "SUSPECT_DEATHS", 1)
    monkeypatch.setattr(amqp_consumer, "MAX_DEATHS", 2)
    monkeypatch.setattr(delivery, "backoff", lambda tries: 0.01)
    monkeypatch.setattr(delivery, "OUTAGE_TRIES", 1)
    recorder, topic = Recorder(), stage.topic("compute")
    recorder.error = errors.ServiceUnavailable("The datastore does not answer.")
    transports = [stage.transport() for _ in range(4)]
    for number, transport in enumerate(transports):
        subscription = stage.consume(transport, "compute", "h1", recorder)
        if number == 0:
            Rpc(transport, 30).cast(CONTEXT, topic, "note", value=1)
        recorder.until(len(recorder.seen) + 5)
        assert subscription.stop(30)
    recorder.error = None
    until(lambda: stage.count(topic) == 1)
    last = stage.transport()
    stage.consume(last, "compute", "h1", recorder)
    until(lambda: last.counters.handled == 1)
    assert last.counters.dead == 0
    for queue in (topic, f"{topic}.suspects", f"{stage.unique}.dead"):
        assert stage.count(queue) == 0


def test_a_call_is_answered_while_casts_fill_the_workers(stage: Stage) -> None:
    transport, recorder = stage.transport(), Recorder()
    recorder.gate.clear()
    topic = stage.topic("compute")
    rpc = Rpc(transport, 30)

    def handle(message: Message) -> Any:
        if message.method == "relay":
            result = rpc.call(message.context, topic, "answer")
            recorder(message)
            return result
        return 42

    recorder.gate.set()
    stage.consume(transport, "compute", "h1", handle, workers=2)
    for value in range(2):
        rpc.cast(CONTEXT, f"{topic}.h1", "relay", value=value)
    recorder.until(2)
    assert sorted(recorder.seen) == [0, 1]


@pytest.mark.parametrize("body", [b"{", b"\xff\xfe", b"[]", b'{"args": {}}'])
def test_a_poison_message_goes_to_the_dead_letter_queue(stage: Stage, body: bytes) -> None:
    transport, recorder = stage.transport(), Recorder()
    stage.consume(transport, "compute", "h1", recorder)
    stage.publish("compute", body)
    dead = f"{stage.unique}.dead"
    until(lambda: stage.count(dead) == 1)
    Rpc(transport, 30).cast(CONTEXT, stage.topic("compute"), "note", value="next")
    recorder.until(1)
    assert transport.counters.dead == 1
    buried = stage.get(dead)
    assert buried.headers["x-nova-topic"] == stage.topic("compute")


def test_a_message_that_keeps_failing_goes_there_too(stage: Stage, caplog: pytest.LogCaptureFixture) -> None:
    transport, recorder = stage.transport(), Recorder()
    recorder.error = KeyError("a defect")
    stage.consume(transport, "compute", "h1", recorder)
    with caplog.at_level(logging.DEBUG):
        Rpc(transport, 30).cast(CONTEXT, stage.topic("compute"), "note", value=1)
        dead = f"{stage.unique}.dead"
        until(lambda: stage.count(dead) == 1)
    assert recorder.seen == [1] * delivery.DEFECT_TRIES
    assert stage.get(dead).payload["method"] == "note"
    assert "req-42: note failed (try 3 of 3)" in caplog.text
    assert "t0ken-s3cret" not in caplog.text
    until(lambda: stage.count(stage.topic("compute")) == 0)


def test_a_refused_cast_is_done(stage: Stage) -> None:
    transport, recorder = stage.transport(), Recorder()
    recorder.error = errors.InstanceNotFound("i-00000001")
    subscription = stage.consume(transport, "compute", "h1", recorder)
    Rpc(transport, 30).cast(CONTEXT, stage.topic("compute"), "note", value=1)
    until(lambda: transport.counters.handled == 1)
    assert subscription.stop(30)
    assert stage.count(stage.topic("compute")) == 0
    assert stage.count(f"{stage.unique}.dead") == 0


def test_queues_that_are_not_durable(stage: Stage) -> None:
    transport, recorder = stage.transport(durable=False), Recorder()
    stage.consume(transport, "compute", "h1", recorder)
    Rpc(transport, 30).cast(CONTEXT, stage.topic("compute"), "note", value=1)
    recorder.until(1)


def test_green_threads_wait_for_the_broker_without_holding_up_others(stage: Stage) -> None:
    topic = stage.topic("compute")
    stage.queues |= {topic, f"{topic}.h1"}
    code = f"""
from nova_api import server
server.patch()
import threading, time
from nova_api.context import RequestContext
from nova_api.rpc.amqp import AmqpTransport
from nova_api.rpc.client import Rpc
transport = AmqpTransport({stage.url!r}, exchange={stage.unique!r})
rpc, context, results = Rpc(transport, 30), RequestContext(None, None), []
def handle(message):
    time.sleep(0.01)
    return message.args["value"]
subscription = transport.consume([{topic!r}], "h1", handle, 2)
while subscription._session is None:
    time.sleep(0.01)
def work(value):
    rpc.cast(context, {topic!r}, "note", value=value)
    results.append(rpc.call(context, {topic!r}, "note", value=value))
threads = [threading.Thread(target=work, args=(n,)) for n in range(5)]
[t.start() for t in threads]
[t.join(30) for t in threads]
while transport.counters.handled < 10:
    time.sleep(0.01)
print(sorted(results), subscription.stop(30))
transport.close()
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout == "[0, 1, 2, 3, 4] True\n", done.stderr


def test_everybody_survives_a_cut_wire(stage: Stage, proxy: Proxy) -> None:
    transport, recorder = stage.transport(through(stage, proxy)), Recorder()
    subscription = stage.consume(transport, "compute", "h1", recorder)
    rpc, topic = Rpc(transport, 30), stage.topic("compute")
    rpc.cast(CONTEXT, topic, "note", value=0)
    assert rpc.call(CONTEXT, topic, "note", value=1) == 1
    for value in (2, 4):
        session = subscription._session
        proxy.cut()
        rpc.cast(CONTEXT, topic, "note", value=value)
        until(lambda before=session: subscription._session not in (None, before))
        assert rpc.call(CONTEXT, topic, "note", value=value + 1) == value + 1
    until(lambda: set(recorder.seen) == {0, 1, 2, 3, 4, 5})


def test_a_broker_that_is_away_is_told_without_its_password(
    stage: Stage, proxy: Proxy, caplog: pytest.LogCaptureFixture
) -> None:
    url = f"amqp://guest:s3cret-word@127.0.0.1:{proxy.port}//"
    proxy.down()
    transport = stage.transport(url)
    with caplog.at_level(logging.DEBUG):
        stage.consume(transport, "compute", "h1", Recorder(), ready=False)
        with pytest.raises(TransportError):
            Rpc(transport, 30).cast(CONTEXT, stage.topic("compute"), "note")
        with pytest.raises(TransportError):
            Rpc(transport, 30).call(CONTEXT, stage.topic("compute"), "note")
        proxy.up()  # now it is there, and refuses the login
        with pytest.raises(TransportError):
            Rpc(transport, 30).cast(CONTEXT, stage.topic("compute"), "note")
        transport.close()
    assert "s3cret-word" not in caplog.text
    assert "amqp://guest:***@127.0.0.1" in caplog.text


def test_consumer_and_outbox_find_the_broker_when_it_comes_back(stage: Stage, proxy: Proxy, tmp_path: Path) -> None:
    db = Database(f"sqlite:///{tmp_path}/x.sqlite")
    models.metadata.create_all(db.engine)
    transport, recorder = stage.transport(through(stage, proxy)), Recorder()
    subscription = stage.consume(transport, "compute", "h1", recorder)
    box = Outbox(db, transport, "p1")
    box.start()
    topic = stage.topic("compute")
    db.write(lambda tx: box.cast(tx, CONTEXT, topic, "note", value=0))
    recorder.until(1)
    until(lambda: box.depth() == 0)
    proxy.down()
    for value in range(1, 20):
        db.write(lambda tx, value=value: box.cast(tx, CONTEXT, topic, "note", value=value))
    until(lambda: subscription._session is None)
    assert box.depth() == 19
    proxy.up()
    until(lambda: set(recorder.seen) == set(range(20)))
    until(lambda: box.depth() == 0)
    box.stop()
    db.close()
