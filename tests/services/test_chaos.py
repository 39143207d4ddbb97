"""Whatever is killed: what was accepted is done, once. Longer: ``tools/test chaos --steps 1000``."""

from pathlib import Path

import pytest

from tests.services.chaos.run import report, run


@pytest.mark.slow
@pytest.mark.xdist_group("chaos")
@pytest.mark.parametrize(("kind", "seed"), [("postgresql", 20120405), ("mysql", 20120927)])
def test_every_promise_is_kept_once(tmp_path: Path, kind: str, seed: int) -> None:
    cloud, ledger, wrong = run(tmp_path, kind, seed, steps=70, pause=(1.0, 3.0))
    assert not wrong, report(cloud, ledger, wrong)
    # It was no idle run, even on a machine that is hardly up again before the next blow.
    assert len(cloud.log) >= 5 and ledger.counts["2xx"] >= 10, report(cloud, ledger, wrong)
