"""How long a call waits."""

from collections.abc import Sequence
from typing import Any

import pytest

from nova_api.context import admin_context
from nova_api.rpc.client import DOWN_SECONDS, Rpc
from nova_api.rpc.transport import Handler, Subscription, Transport


class Patience(Transport):
    """Answers with the time it is given."""

    survives_process = True

    def send(self, topic: str, body: str, on_done: object = None) -> None:
        raise NotImplementedError

    def fanout(self, topic: str, body: str) -> None:
        raise NotImplementedError

    def call(self, topic: str, msg_id: str, body: str, timeout: float) -> Any:
        return timeout

    def consume(self, topics: Sequence[str], host: str, handle: Handler, workers: int) -> Subscription:
        raise NotImplementedError

    def close(self) -> None:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("topic", "given", "seconds"),
    [
        ("compute.up", None, 60.0),
        ("compute.up", 70.0, 70.0),
        ("compute.down", None, DOWN_SECONDS),
        ("compute.down", 70.0, DOWN_SECONDS),
        ("compute.down", 0.5, 0.5),
    ],
)
def test_nobody_waits_long_for_who_is_down(topic: str, given: float | None, seconds: float) -> None:
    rpc = Rpc(Patience(), 60.0, lambda name: name.endswith("down"))
    assert rpc.call(admin_context(), topic, "note", timeout=given) == seconds
    assert Rpc(Patience(), 60.0).call(admin_context(), topic, "note") == 60.0
