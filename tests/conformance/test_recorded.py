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
DOORS = ("ec2", "metadata", "openstack")
#: What scenarios call the doors that exist.
OPEN = {"ec2", "metadata", "os"}
#: Scenarios that need an extension which is not there yet.
PENDING = {
    f"openstack/{name}"
    for name in (
        "accounts-users",
        "admin-actions",
        "aggregates",
        "cloudpipe",
        "consoles",
        "deferred-delete",
        "deferred-delete-off",
        "extensions",
        "flavor-manage",
        "floating-ip-quota",
        "floating-ips",
        "floating-ips-errors",
        "hosts",
        "keypairs",
        "networks",
        "pause-suspend",
        "quotas",
        "rate-limits",
        "security-group-rules",
        "security-group-rules-errors",
        "security-groups",
        "server-administration",
        "server-create-options",
        "tenant-usage",
        "virtual-interfaces",
        "volume-attachments",
        "volumes",
        "volumes-boot",
    )
}


def needs(path: Path) -> set[str]:
    """The doors that a scenario speaks to: a few of EC2 and metadata make their servers through OpenStack."""
    scenario = json.loads(path.read_text())
    return {step["api"] for part in ("steps", "cleanup") for step in scenario.get(part, ())}


SCENARIOS = sorted(
    path.relative_to(HERE / "scenarios").with_suffix("").as_posix()
    for door in DOORS
    for path in (HERE / "scenarios" / door).glob("*.json")
    if needs(path) <= OPEN and f"{door}/{path.stem}" not in PENDING
)

# One server for all, hence one worker: the scenarios count what a project has.
pytestmark = pytest.mark.xdist_group("conformance")


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    folder = tmp_path_factory.mktemp("conformance")
    with running_cloud(folder, "--set", "use_forwarded_for=true", "--set", "allow_resize_to_same_host=true") as running:
        yield running


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario(cloud: RunningCloud, name: str) -> None:
    description = str(cloud.state / "cloud.json")
    command = [sys.executable, str(HERE / "replay.py"), "--cloud", description, "--verbose", "--only", name]
    replay = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert replay.stdout.splitlines()[-1:] == ["1 passed, 0 failed"], replay.stdout + replay.stderr
