"""Messages that end the process which handles them, at a real RabbitMQ."""

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_api.rpc.client import Rpc
from tests.proxy import Proxy
from tests.servers import ROOT, service
from tests.services.test_rabbitmq import CONTEXT, Recorder, Stage, through, until

#: A node: what is poison ends it at once, what is slow takes a while, and what was finished is written down.
NODE = """
import os, sys, threading, time
url, exchange, topic, done = sys.argv[1:]
from nova_api.rpc import amqp_consumer
from nova_api.rpc.amqp import AmqpTransport
amqp_consumer.SUSPECT_DEATHS, amqp_consumer.MAX_DEATHS = 2, 4
def handle(message):
    if message.args["value"] == "poison":
        time.sleep(0.2)
        os._exit(9)
    if message.method == "slow":
        time.sleep(0.7)
    with open(done, "a") as stream:
        stream.write(message.args["value"] + "\\n")
transport = AmqpTransport(url, exchange=exchange)
transport.consume([topic], "h1", handle, 16)
sys.stdin.read()
os._exit(0)
"""


@pytest.fixture
def stage() -> Iterator[Stage]:
    made = Stage(service("amqp"))
    yield made
    made.clean()


class Nodes:
    """Nodes one after the other, as a supervisor starts them."""

    def __init__(self, stage: Stage, folder: Path) -> None:
        self.stage, self.done = stage, folder / "done"
        self.process: subprocess.Popen[bytes] | None = None
        self.deaths = 0

    def keep_alive(self) -> None:
        if self.process is not None and self.process.poll() is None:
            return
        if self.process is not None:
            self.deaths += 1
            self.stop()
        arguments = [self.stage.url, self.stage.unique, self.stage.topic("compute"), str(self.done)]
        self.process = subprocess.Popen([sys.executable, "-c", NODE, *arguments], cwd=ROOT, stdin=subprocess.PIPE)

    def finished(self) -> list[str]:
        return self.done.read_text().split() if self.done.exists() else []

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process.communicate()


@pytest.fixture
def nodes(stage: Stage, tmp_path: Path) -> Iterator[Nodes]:
    made = Nodes(stage, tmp_path)
    yield made
    made.stop()


def test_a_message_that_kills_is_given_up_and_those_beside_it_are_not(stage: Stage, nodes: Nodes) -> None:
    transport, topic = stage.transport(), stage.topic("compute")
    stage.consume(transport, "compute", "h1", Recorder()).stop(30)
    rpc = Rpc(transport, 30)
    rpc.cast(CONTEXT, f"{topic}.h1", "quick", value="poison")
    for number in range(6):
        rpc.cast(CONTEXT, f"{topic}.h1", "slow", value=f"slow-{number}")
    rpc.cast(CONTEXT, topic, "quick", value="quick")
    wanted = {"quick", *(f"slow-{number}" for number in range(6))}
    deadline = time.monotonic() + 90
    dead = f"{stage.unique}.dead"
    while stage.count(dead) < 1 or set(nodes.finished()) != wanted:
        assert time.monotonic() < deadline, (nodes.deaths, nodes.finished())
        nodes.keep_alive()
        time.sleep(0.05)
    assert nodes.deaths == 5
    assert stage.count(dead) == 1
    letter = stage.get(dead)
    assert json.loads(letter.body)["args"] == {"value": "poison"}
    assert letter.headers["x-nova-topic"] == f"{topic}.h1"
    assert letter.headers["x-nova-deaths"] == 4
    nodes.keep_alive()
    rpc.cast(CONTEXT, f"{topic}.h1", "quick", value="after")
    until(lambda: "after" in nodes.finished())
    for queue in (topic, f"{topic}.h1", f"{topic}.suspects", f"{topic}.h1.suspects", dead):
        assert stage.count(queue) == 0


def test_a_lost_connection_is_no_death_and_repeats_nothing(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nova_api.rpc.amqp_consumer.backoff", lambda tries: 0.05)
    url = service("amqp")
    host, _, port = url.rpartition("@")[2].partition("/")[0].rpartition(":")
    proxy = Proxy((host, int(port)))
    recorder = Recorder()
    recorder.gate.clear()
    topic = stage.topic("compute")
    subscription = stage.consume(stage.transport(through(stage, proxy)), "compute", "h1", recorder)
    rpc = Rpc(stage.transport(), 30)
    try:
        for value in range(3):
            rpc.cast(CONTEXT, topic, "note", value=value)
        recorder.until(3)
        for _ in range(5):
            before = subscription._session
            proxy.cut()
            until(lambda before=before: subscription._session not in (None, before))
        recorder.gate.set()
        rpc.cast(CONTEXT, topic, "note", value=3)
        recorder.until(4)
        until(lambda: not subscription._hand._running)
        assert sorted(recorder.seen) == [0, 1, 2, 3]
        assert subscription.stop(30)
        for queue in (topic, f"{topic}.h1", f"{topic}.suspects", f"{stage.unique}.dead"):
            assert stage.count(queue) == 0
    finally:
        stage.clean()
        stage.transports.clear()
        proxy.down()
