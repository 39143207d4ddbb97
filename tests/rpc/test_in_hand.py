"""What a consumer remembers of the messages that it was given."""

import pytest

from nova_api.rpc import in_hand
from nova_api.rpc.in_hand import InHand


class Slip:
    """A receipt that notes how it was settled."""

    def __init__(self) -> None:
        self.settled: list[bool] = []

    def settle(self, requeue: bool) -> None:
        self.settled.append(requeue)


def test_a_message_is_handled_once_and_acknowledged_as_often_as_it_came() -> None:
    hand, slips = InHand(), [Slip() for _ in range(4)]
    assert not hand.knows("a")
    assert hand.take("a", slips[0])
    assert not hand.take("a", slips[1])  # the connection broke, its handler is at work
    assert hand.knows("a")
    hand.leave("a")
    assert not hand.take("a", slips[2])  # it had finished, and its acknowledgement was lost
    assert [slip.settled for slip in slips] == [[False], [False], [False], []]
    assert hand.knows("a")
    assert hand.take("b", slips[3])


def test_what_is_returned_may_come_again_and_is_known() -> None:
    hand, slips = InHand(), [Slip() for _ in range(3)]
    assert hand.take("a", slips[0])
    assert not hand.take("a", slips[1])
    hand.leave("a", requeue=True)
    assert [slip.settled for slip in slips] == [[True], [True], []]
    assert hand.knows("a")
    assert hand.take("a", slips[2])
    hand.leave("a")
    assert slips[2].settled == [False]


@pytest.mark.parametrize("requeue", [False, True])
def test_what_is_forgotten_was_never_here(requeue: bool) -> None:
    hand, slip = InHand(), Slip()
    assert hand.take("a", slip)
    hand.forget("a", requeue=requeue)
    assert not hand.knows("a")
    assert slip.settled == ([True] if requeue else [])
    assert hand.take("a", slip)


def test_its_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_hand, "REMEMBERED", 3)
    hand = InHand()
    for number in range(10):
        assert hand.take(str(number), Slip())
        hand.leave(str(number))
    assert [hand.knows(str(number)) for number in range(10)] == [False] * 7 + [True] * 3
