"""One running cloud for the client tests of a worker; every test uses a project's day of its own."""

import gc
import http.client
from collections.abc import Iterator
from dataclasses import dataclass, replace
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
    with running_cloud(
        folder,
        "--set",
        "use_forwarded_for=true",
        "--set",
        "simulated_boot_seconds=0.1",
        "--set",
        "allow_resize_to_same_host=true",
    ) as running:
        yield running


@dataclass(frozen=True)
class Tenant:
    """What a person pastes into an OpenStack client of the 1.1 era.

    :ivar auth_url: the version root; url: what a login there answers
    """

    user: str
    key: str
    project: str
    auth_url: str
    url: str
    token: str
    host: str
    port: int


def tenant(cloud: RunningCloud, user: str, project: str) -> Tenant:
    port = cloud.port("compute_v1.1")
    key = cloud.cloud["users"][user]["os_key"]
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/v1.1/", headers={"X-Auth-User": user, "X-Auth-Key": key, "X-Auth-Project-Id": project})
    answer = connection.getresponse()
    answer.read()
    connection.close()
    return Tenant(
        user=user,
        key=key,
        project=project,
        auth_url=cloud.cloud["endpoints"]["compute_v1.1"] + "/",
        url=answer.headers["X-Server-Management-Url"],
        token=answer.headers["X-Auth-Token"],
        host="127.0.0.1",
        port=port,
    )


def old_tenant(cloud: RunningCloud, user: str, project: str) -> Tenant:
    """The same for a client of the 1.0 era."""
    url = cloud.cloud["endpoints"]["compute_v1.0"]
    return replace(tenant(cloud, user, project), auth_url=url.removesuffix("/v1.0"), url=url)


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
def tenant_perf(cloud: RunningCloud) -> Tenant:
    """The same user, at the OpenStack door."""
    return tenant(cloud, "perf", "perf")


@pytest.fixture
def old_perf(cloud: RunningCloud) -> Tenant:
    """The same user, at the door of the 1.0 API."""
    return old_tenant(cloud, "perf", "perf")


@pytest.fixture
def old_bob(cloud: RunningCloud) -> Tenant:
    """Another user, in another project, at the door of the 1.0 API."""
    return old_tenant(cloud, "bob", "globex")


@pytest.fixture
def tenant_bob(cloud: RunningCloud) -> Tenant:
    """Another user, in another project."""
    return tenant(cloud, "bob", "globex")


@pytest.fixture
def tenant_admin(cloud: RunningCloud) -> Tenant:
    """The administrator."""
    return tenant(cloud, "admin", "adminproj")


@pytest.fixture
def workdir(tmp_path: Path) -> Path:
    return tmp_path
