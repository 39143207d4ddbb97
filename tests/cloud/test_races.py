"""Two requests about the same things at once, on every kind of database: one is first, the other one sees it."""

import threading
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api import errors
from nova_api.cloud.project_groups import GroupNotFound, RuleSpec
from nova_api.cloud.volume import VolumeSpec
from nova_api.context import RequestContext
from nova_api.db import dns, floating, instances, networks, securitygroups, volumes
from nova_api.db import identity as people
from nova_api.db.models import snapshots
from nova_api.db.models import volumes as volume_rows
from nova_api.runtime import Runtime
from tests.cloud.test_services import ADMIN, ALICE, AT_ONCE, MALLORY, RULE, at_once, launch
from tests.openstack.fakes import Door

#: Enough for a request that nothing keeps waiting; one that waits goes on when the first one has ended.
SECONDS = 0.5


@pytest.fixture
def cloud(any_cloud: Door) -> Iterator[Runtime]:
    yield any_cloud.cloud.runtime
    any_cloud.cloud.settle()


class Other:
    """Another request that comes when the first one calls a function for the first time, before it does.

    :ivar end: what it ended with: an error, or None
    """

    def __init__(self, patch: pytest.MonkeyPatch, module: Any, name: str, work: Callable[[], object]) -> None:
        self.end: Exception | None = None
        self._work, self._call = work, getattr(module, name)
        self._thread = threading.Thread(target=self._run)
        self._begun = False
        patch.setattr(module, name, self._called)

    def _called(self, *args: Any, **options: Any) -> Any:
        if not self._begun:
            self._begun = True
            self._thread.start()
            self._thread.join(SECONDS)
        return self._call(*args, **options)

    def _run(self) -> None:
        try:
            self._work()
        except Exception as error:
            self.end = error

    def wait(self) -> Exception | None:
        self._thread.join()
        return self.end


def test_no_address_stays_on_a_server_that_ends(
    cloud: Runtime, any_cloud: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hang in ("associate", "put_on"):
        (number,) = launch(cloud)
        any_cloud.cloud.settle()
        address = cloud.network.allocate(ALICE)
        with monkeypatch.context() as patch:
            ending = Other(
                patch,
                floating,
                "associate",
                lambda number=number: cloud.db.write(lambda tx: instances.delete(tx, [number])),  # type: ignore[misc]
            )
            if hang == "associate":
                cloud.network.associate(ALICE, number, f"i-{number:08x}", address)
            else:
                cloud.network.put_on(ALICE, str(number), address)
            assert ending.wait() is None
        with cloud.db.read() as conn:
            row = floating.by_address(conn, address)
        assert row is not None and row.fixed_ip_id is None and row.project_id == "acme"


def test_a_group_that_ends(cloud: Runtime, any_cloud: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    (number,) = launch(cloud)
    any_cloud.cloud.settle()
    groups, mine = cloud.security_groups, cloud.project_groups
    found: list[type[Exception]] = []
    for name, module, function in (
        ("authorize", securitygroups, "add_rules"),
        ("add_rule", securitygroups, "add_rules"),
        ("put_on", instances, "put_into_groups"),
    ):
        group = groups.create(ALICE, name, "ends")
        spec = RuleSpec(parent=group.id, protocol="tcp", from_port="1", to_port="2")
        work: dict[str, Callable[[], object]] = {
            "authorize": lambda: groups.authorize(ALICE, "authorize", None, [RULE]),
            "add_rule": lambda spec=spec: mine.add_rule(ALICE, spec),  # type: ignore[misc]
            "put_on": lambda: mine.put_on(ALICE, str(number), "put_on"),
        }
        with monkeypatch.context() as patch:
            ending = Other(patch, module, function, lambda name=name: groups.delete(ALICE, name, None))  # type: ignore[misc]
            try:
                work[name]()
            except errors.NotFound as error:
                found.append(type(error))
            ending.wait()
    if not cloud.db.is_sqlite:  # its second writer waits for the first one
        assert [one.__name__ for one in found] == [
            "SecurityGroupNotFoundForProject",
            "ParentNotFound",
            "SecurityGroupNotFoundForProject",
        ]


def test_the_source_of_a_rule_that_ends(cloud: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    groups = cloud.security_groups
    parent, source = (groups.create(ALICE, name, "g") for name in ("parent", "source"))
    ending = Other(monkeypatch, securitygroups, "add_rules", lambda: groups.delete(ALICE, "source", None))
    try:
        cloud.project_groups.add_rule(ALICE, RuleSpec(parent=parent.id, group=source.id))
    except (errors.InvalidParameterValue, GroupNotFound):
        assert not cloud.db.is_sqlite
    assert ending.wait() is None
    ((_, rules),) = groups.list(ALICE, ["parent"])
    assert not rules


def test_no_snapshot_of_a_volume_that_is_deleted(
    cloud: Runtime, any_cloud: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = cloud.volume.create(ALICE, VolumeSpec(size=1)).id
    any_cloud.cloud.settle()
    deleting = Other(monkeypatch, volumes, "insert_snapshot", lambda: cloud.volume.delete(ALICE, volume))
    made = cloud.volume.create_snapshot(ALICE, volume).id
    assert isinstance(deleting.wait(), errors.VolumeNotDeletable)
    any_cloud.cloud.settle()
    with cloud.db.read() as conn:
        row = conn.execute(sa.select(volume_rows).where(volume_rows.c.id == volume)).one()
        snapshot = conn.execute(sa.select(snapshots).where(snapshots.c.id == made)).one()
    assert (row.deleted, row.status, snapshot.status) == (0, "available", "available")


def test_extra_specs(cloud: Runtime) -> None:
    kind = cloud.volume_types.create(ADMIN, "fast", {}).row.id
    set_of_flavor, set_of_type = cloud.flavors.set_extra_specs, cloud.volume_types.set_extra_specs
    assert at_once(lambda n: set_of_flavor(ADMIN, "1", {"a": str(n), "b": "x"})) == {"done": AT_ONCE}
    assert at_once(lambda n: set_of_type(ADMIN, kind, {"a": str(n), "b": "x"})) == {"done": AT_ONCE}
    for specs in (cloud.flavors.extra_specs("1"), cloud.volume_types.get(kind).extra_specs):
        assert specs["b"] == "x" and int(specs["a"]) in range(AT_ONCE)


def test_users_and_members(cloud: Runtime) -> None:
    identity = cloud.identity
    assert at_once(lambda _: identity.create_user("zed")) == {"done": 1, "Duplicate": AT_ONCE - 1}
    assert at_once(lambda _: identity.add_member("acme", "zed")) == {"done": AT_ONCE}
    assert at_once(lambda _: identity.put_project("zeds", "zed", None)) == {"done": AT_ONCE}
    assert identity.projects_of("zed") == ["acme", "zeds"]


def test_a_user_is_made_once(cloud: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    identity = cloud.identity
    identity.create_user("xia")
    for make in (lambda: identity.create_user("yan"), lambda: identity.create_key("xia", access="OnlyOne")):
        with monkeypatch.context() as patch:
            other = Other(patch, people, "insert", make)
            mine: Exception | None = None
            try:
                make()
            except errors.Duplicate as error:
                mine = error
            assert Counter(map(type, (mine, other.wait()))) == {type(None): 1, errors.Duplicate: 1}


def test_an_aggregate_comes_back_once(cloud: Runtime) -> None:
    made = cloud.aggregates.create("back", "nova")
    cloud.aggregates.delete(made.row.id)
    found = at_once(lambda _: cloud.aggregates.create("back", "nova"))
    assert found == {"done": 1, "AggregateConflict": AT_ONCE - 1}


def test_a_name_that_another_project_takes_first(cloud: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    cloud.dns.put_domain(ADMIN, "example.org", scope="public")

    def put(context: RequestContext, address: str) -> object:
        return cloud.dns.put_entry(context, "example.org", "www", address, "A")

    first = Other(monkeypatch, dns, "add_entry", lambda: put(ALICE, "192.0.2.1"))
    refused = False
    try:
        put(MALLORY, "192.0.2.66")
    except errors.NotAuthorized:
        refused = True
    # Whoever was first has it, and nobody else.
    assert refused == (first.wait() is None)
    kept = cloud.dns.entry(ALICE, "example.org", "www")
    assert kept.address == ("192.0.2.1" if refused else "192.0.2.66")
    assert kept.project_id == (ALICE if refused else MALLORY).project_id


def test_a_network_that_a_server_is_given_an_address_of(
    cloud: Runtime, any_cloud: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    (number,) = launch(cloud)
    any_cloud.cloud.settle()
    cloud.db.write(lambda tx: networks.create(tx, "more", "10.88.0.0/29"))
    with cloud.db.read() as conn:
        uuid = networks.one(conn, "more").uuid  # type: ignore[union-attr]
    deleting = Other(monkeypatch, cloud.outbox, "cast", lambda: cloud.networks.delete(ADMIN, uuid))
    cloud.networks.add_fixed_ip(ALICE, str(number), uuid)
    assert isinstance(deleting.wait(), errors.IncorrectState)
