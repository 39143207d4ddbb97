"""Every recorded conversation with Nova 2012.1, replayed against a nova-api of its own.

replay.py and the scenarios are data from outside (README.md describes them); this file only makes a pytest
case of each scenario of the doors that exist.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import RunningCloud, running_cloud

HERE = Path(__file__).parent
DOORS = ("ec2", "metadata")


def needs(path: Path) -> set[str]:
    """The doors that a scenario speaks to: a few of EC2 and metadata make their servers through OpenStack."""
    scenario = json.loads(path.read_text())
    return {step["api"] for part in ("steps", "cleanup") for step in scenario.get(part, ())}


SCENARIOS = sorted(
    path.relative_to(HERE / "scenarios").with_suffix("").as_posix()
    for door in DOORS
    for path in (HERE / "scenarios" / door).glob("*.json")
    if needs(path) <= set(DOORS)
)

# One server for all, hence one worker: the scenarios count what a project has.
pytestmark = pytest.mark.xdist_group("conformance")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    folder = tmp_path_factory.mktemp("conformance")
    with running_cloud(folder, "--set", "use_forwarded_for=true") as running:
        yield running


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(cloud: RunningCloud, name: str) -> None:
    description = str(cloud.state / "cloud.json")
    command = [sys.executable, str(HERE / "replay.py"), "--cloud", description, "--verbose", "--only", name]
    replay = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert replay.stdout.splitlines()[-1:] == ["1 passed, 0 failed"], replay.stdout + replay.stderr
