"""Work that is done one after the other."""

import gc
import threading
import time
from concurrent.futures import ThreadPoolExecutor

from nova_api.nodes.turns import Turns


def test_one_at_a_time_by_name() -> None:
    turns, inside = Turns(), []
    met = threading.Barrier(2, timeout=30)

    def work(name: str) -> int:
        with turns.of(name):
            inside.append(name)
            time.sleep(0.001)  # for others to come in, if they can
            found = inside.count(name)
            if name == "other":
                met.wait()
            inside.remove(name)
            return found

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(work, ["one"] * 50)) == {1}
        with turns.of("one"):  # which others do not wait for
            other = pool.submit(work, "other")
            met.wait()
            assert other.result() == 1


def test_nothing_is_left_behind() -> None:
    turns = Turns()
    try:
        with turns.of("one"):
            raise RuntimeError
    except RuntimeError:
        pass
    gc.collect()
    assert len(turns._turns) == 0
    with turns.of("one"):
        assert list(turns._turns) == ["one"]
