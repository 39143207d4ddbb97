"""The token of nova_api itself, with a Keystone that does not answer; tests/services asks a real one."""

import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from nova_api import errors
from nova_api.auth import keystone
from nova_api.auth.keystone import ServiceUser, _ServiceTokens


class Clock:
    """The module's clock, which notes who has looked at it."""

    def __init__(self) -> None:
        self.seen: set[int] = set()

    def monotonic(self) -> float:
        self.seen.add(threading.get_ident())
        return time.monotonic()


class Hanging:
    """A Keystone that does not answer while others come."""

    def __init__(self, others: Callable[[], object]) -> None:
        self.asked, self._others = 0, others

    def post(self, *_: Any) -> Any:
        self.asked += 1
        self._others()
        raise errors.ServiceUnavailable("Keystone does not answer.")


@pytest.mark.parametrize("refused", [None, ""])
def test_those_who_wait_for_a_token_share_that_there_is_none(
    monkeypatch: pytest.MonkeyPatch, refused: str | None
) -> None:
    clock, outcomes = Clock(), []
    monkeypatch.setattr(keystone, "time", clock)

    def ask() -> None:
        with pytest.raises(errors.ServiceUnavailable) as caught:
            tokens.current() if refused is None else tokens.renewed(refused)
        outcomes.append(str(caught.value))

    threads = [threading.Thread(target=ask) for _ in range(5)]

    def others() -> None:
        if threads[-1].ident is None:
            for thread in threads:
                thread.start()
            until = time.monotonic() + 30
            while len(clock.seen) < 6:  # each has begun to wait
                assert time.monotonic() < until
                time.sleep(0.005)

    silent = Hanging(others)
    tokens = _ServiceTokens(silent, ServiceUser(user="nova"), "http://127.0.0.1/v3/auth/tokens")  # type: ignore[arg-type]
    ask()
    for thread in threads:
        thread.join(30)
    assert (len(outcomes), silent.asked) == (6, 1)
    ask()  # whoever comes later asks again
    assert silent.asked == 2
