"""One running cloud for the client tests of a worker; every test uses a project's day of its own."""

import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import RunningCloud, running_cloud


@dataclass(frozen=True)
class Account:
    """What a person pastes into a client.

    :ivar access: access key with its project
    """

    url: str
    access: str
    secret: str
    host: str
    port: int
    metadata: str


@pytest.fixture(autouse=True)
def clients_are_collected() -> Iterator[None]:
    """The clients leave sockets to the garbage collector: let that happen here, not in somebody else's test."""
    yield
    gc.collect()


@pytest.fixture(scope="session")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningCloud]:
    folder = tmp_path_factory.mktemp("clients")
    with running_cloud(folder, "--set", "use_forwarded_for=true", "--set", "simulated_boot_seconds=0.1") as running:
        yield running


def account(cloud: RunningCloud, user: str, project: str) -> Account:
    endpoints = cloud.cloud["endpoints"]
    who = cloud.cloud["users"][user]
    return Account(
        url=endpoints["ec2"],
        access=f"{who['access']}:{project}",
        secret=who["secret"],
        host="127.0.0.1",
        port=cloud.port("ec2"),
        metadata=endpoints["metadata"],
    )


@pytest.fixture
def alice(cloud: RunningCloud) -> Account:
    """A user with the roles sysadmin and netadmin."""
    return account(cloud, "alice", "acme")


@pytest.fixture
def bob(cloud: RunningCloud) -> Account:
    """Another user, in another project."""
    return account(cloud, "bob", "globex")


@pytest.fixture
def perf(cloud: RunningCloud) -> Account:
    """A user whose project has raised quotas."""
    return account(cloud, "perf", "perf")


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    return tmp_path
