"""Every recorded conversation with Nova 2012.1, replayed against a nova-api of its own.

replay.py and the scenarios are data from outside (README.md describes them); this file only makes a pytest case of
each scenario, and starts the server that it needs: the features of rate limits and of deferred deletion would fail the
other scenarios, so they have servers of their own.

``python -m tests.conformance.twice`` replays all of it two times in a row on the same state.
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.servers import RunningCloud, running_cloud

HERE = Path(__file__).parent
#: Options of every server; what ``cloud.json`` calls features are switched on besides.
COMMON = ("--set", "use_forwarded_for=true", "--set", "allow_resize_to_same_host=true")
FEATURES = {
    "ratelimit": ("--set", "api_rate_limit=true"),
    "reclaim": ("--set", "reclaim_instance_interval=3600"),
}
SCENARIOS = sorted(
    path.relative_to(HERE / "scenarios").with_suffix("").as_posix() for path in (HERE / "scenarios").glob("*/*.json")
)

# Scenarios count what a project has: one worker for all.
pytestmark = pytest.mark.xdist_group("conformance")


def feature_of(name: str) -> str | None:
    """The feature that a scenario needs a server of its own for."""
    scenario = json.loads((HERE / "scenarios" / f"{name}.json").read_text())
    return next((one for one in scenario.get("requires", ()) if one in FEATURES), None)


def replayed(cloud: RunningCloud, *names: str, seconds: float = 300) -> subprocess.CompletedProcess[str]:
    """Replay scenarios.

    :param names: all of them without any
    :param seconds: how long it may take
    """
    command = [sys.executable, str(HERE / "replay.py"), "--cloud", str(cloud.state / "cloud.json"), "--verbose"]
    for name in names:
        command += ["--only", name]
    return subprocess.run(command, capture_output=True, text=True, timeout=seconds)


@pytest.fixture(scope="module")
def cloud_with(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str | None], RunningCloud]]:
    """The server with a feature, started when the first scenario needs it."""
    running: dict[str | None, RunningCloud] = {}
    with ExitStack() as stack:

        def cloud(feature: str | None) -> RunningCloud:
            if feature not in running:
                folder = tmp_path_factory.mktemp(feature or "conformance")
                options = (*COMMON, *FEATURES.get(feature or "", ()))
                running[feature] = stack.enter_context(running_cloud(folder, *options))
            return running[feature]

        yield cloud


def test_everything_recorded_is_replayed() -> None:
    assert len(SCENARIOS) > 100
    assert {feature_of(name) for name in SCENARIOS} == {None, *FEATURES}


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(cloud_with: Callable[[str | None], RunningCloud], name: str) -> None:
    replay = replayed(cloud_with(feature_of(name)), name)
    assert replay.stdout.splitlines()[-1:] == ["1 passed, 0 failed"], replay.stdout + replay.stderr
