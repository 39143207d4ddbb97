"""Shared IP groups: quotas, membership, and shares that end with what they hang on."""

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api import errors
from nova_api.cloud.shared_ip_groups import SharedIpGroups
from nova_api.context import RequestContext
from nova_api.db import models
from nova_api.runtime import Runtime
from tests.openstack.fakes import RAW, Door

ALICE = RequestContext(user_id="alice", project_id="acme")
BOB = RequestContext(user_id="bob", project_id="globex")
ADMIN = RequestContext(user_id="admin", project_id="adminproj", is_admin=True, roles=("admin",))


class Shared:
    """A group of two servers, one of which has a public address.

    :ivar owner: number of that one; other: of the other one
    """

    def __init__(self, door: Door) -> None:
        self.door, self.runtime = door, door.cloud.runtime
        self.groups: SharedIpGroups = self.runtime.shared_ip_groups
        self.owner = self.boot()
        self.group = self.groups.create(ALICE, "g", str(self.owner)).id
        self.other = self.boot(group=self.group)
        self.address = self.runtime.network.allocate(ALICE)
        self.runtime.network.put_on(ALICE, str(self.owner), self.address)
        door.cloud.settle()

    def boot(self, group: int | None = None) -> int:
        """A server that runs."""
        return boot(self.door, group)

    def share(self, *, configure: bool = True, server: int | None = None) -> None:
        number = str(self.other if server is None else server)
        self.groups.share(ALICE, number, self.address, self.group, configure=configure)
        self.door.cloud.settle()

    def shared(self) -> Sequence[str]:
        return self.groups.addresses([self.other]).get(self.other, [])

    def told(self, server: int | None = None) -> bool:
        """Whether the server itself has been told of the address."""
        self.door.cloud.settle()
        number = self.other if server is None else server
        text = self.runtime.compute.console_output(ALICE, number, f"i-{number:08x}")
        return f"{self.address} is shared" in text


def boot(door: Door, group: int | None = None) -> int:
    old = Door(door.cloud, "v1.0", tokens=door.tokens)
    fields: dict[str, Any] = {"name": "s", "imageId": RAW, "flavorId": 1}
    if group is not None:
        fields["sharedIpGroupId"] = group
    answer = old.post("/servers", {"server": fields})
    assert answer.status_int == 202, answer.text
    door.cloud.settle()
    return int(answer.json["server"]["id"])


@pytest.fixture
def one(any_cloud: Door) -> Shared:
    return Shared(any_cloud)


def count(runtime: Runtime, table: sa.Table, *where: Any) -> int:
    with runtime.db.read() as conn:
        return int(conn.execute(sa.select(sa.func.count()).select_from(table).where(*where)).scalar_one())


def together(calls: Sequence[Callable[[], object]]) -> list[object]:
    """What calls that run at a time return, or refuse with."""

    def outcome(call: Callable[[], object]) -> object:
        try:
            return call()
        except errors.ApiError as error:
            return type(error)

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(outcome, calls))


# -- groups ------------------------------------------------------------------------------------------------


def test_a_life(any_cloud: Door) -> None:
    groups, server = any_cloud.cloud.runtime.shared_ip_groups, boot(any_cloud)
    made = groups.create(ALICE, "one", str(server))
    assert groups.get(ALICE, made.id) == made and list(made.servers) == [server]
    empty = groups.create(ALICE, "two")
    assert [one for one in groups.list(ALICE) if one.id >= made.id] == [made, empty]
    assert groups.list(ALICE, offset=len(groups.list(ALICE)) - 1, limit=5) == [empty]
    with pytest.raises(errors.InSharedIpGroup):
        groups.create(ALICE, "three", str(server))
    groups.delete(ALICE, made.id)
    with pytest.raises(errors.SharedIpGroupNotFound):
        groups.get(ALICE, made.id)
    assert list(groups.create(ALICE, "three", str(server)).servers) == [server]


@pytest.mark.parametrize("context", [BOB, ADMIN])
def test_a_group_is_its_projects(one: Shared, context: RequestContext) -> None:
    with pytest.raises(errors.SharedIpGroupNotFound):
        one.groups.get(context, one.group)
    with pytest.raises(errors.SharedIpGroupNotFound):
        one.groups.delete(context, one.group)
    with pytest.raises(errors.InstanceNotFound):
        one.groups.create(context, "g", str(one.owner))
    assert one.group not in [group.id for group in one.groups.list(context)]


def test_groups_have_a_quota(any_cloud: Door) -> None:
    runtime = any_cloud.cloud.runtime
    used = len(runtime.shared_ip_groups.list(ALICE))
    runtime.quotas.set_limit("acme", "shared_ip_groups", used + 1)
    try:
        outcomes = together([lambda: runtime.shared_ip_groups.create(ALICE, "x").name] * 16)
    finally:
        runtime.quotas.set_limit("acme", "shared_ip_groups", -1)
    assert outcomes.count("x") == 1 and outcomes.count(errors.SharedIpGroupLimitExceeded) == 15
    assert len(runtime.shared_ip_groups.list(ALICE)) == used + 1


def test_members_have_a_quota(any_cloud: Door) -> None:
    runtime, old = any_cloud.cloud.runtime, Door(any_cloud.cloud, "v1.0", tokens=any_cloud.tokens)
    old.login("alice")
    group = runtime.shared_ip_groups.create(ALICE, "x", str(boot(any_cloud))).id
    fields = {"name": "s", "imageId": RAW, "flavorId": 1, "sharedIpGroupId": group}
    before = count(runtime, models.instances)
    runtime.quotas.set_limit("acme", "shared_ip_group_members", 2)
    try:
        outcomes = together([lambda: old.post("/servers", {"server": fields}).status_int] * 8)
    finally:
        runtime.quotas.set_limit("acme", "shared_ip_group_members", 25)
    assert sorted(map(str, outcomes)) == ["202", *["413"] * 7]
    assert count(runtime, models.instances) == before + 1
    assert len(runtime.shared_ip_groups.get(ALICE, group).servers) == 2
    any_cloud.cloud.settle()


def test_a_server_joins_one_group(any_cloud: Door) -> None:
    runtime, server = any_cloud.cloud.runtime, boot(any_cloud)
    outcomes = together([lambda: runtime.shared_ip_groups.create(ALICE, "x", str(server)).name] * 8)
    assert outcomes.count("x") == 1 and outcomes.count(errors.InSharedIpGroup) == 7
    members = models.shared_ip_group_members
    assert count(runtime, members, members.c.instance_id == server) == 1


# -- addresses ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("configure", [True, False])
def test_shared_and_taken_back(one: Shared, configure: bool) -> None:
    one.share(configure=configure)
    assert one.shared() == [one.address] and one.told() is configure
    one.share(configure=not configure)  # without effect
    assert one.shared() == [one.address] and one.told() is configure
    with pytest.raises(errors.SharedIpGroupInUse):
        one.groups.delete(ALICE, one.group)
    with pytest.raises(errors.NotAuthorized):
        one.groups.unshare(ALICE, str(one.owner), one.address)
    one.groups.unshare(ALICE, str(one.other), one.address)
    assert one.shared() == [] and not one.told()
    with pytest.raises(errors.SharedIpNotFound):
        one.groups.unshare(ALICE, str(one.other), one.address)
    one.groups.delete(ALICE, one.group)


def test_the_owner_stays_the_owner(one: Shared) -> None:
    one.share()
    (found,) = one.runtime.network.list(ALICE, [one.address])
    assert found.instance_id == one.owner
    assert one.address in one.door.server(str(one.owner))["addresses"]["private"][1]["addr"]
    assert one.address not in str(one.door.server(str(one.other))["addresses"])


def test_what_cannot_be_shared(one: Shared) -> None:
    outside = one.boot()
    loose = one.runtime.network.allocate(ALICE)
    foreign = one.runtime.network.allocate(BOB)
    for server, address in (
        (one.owner, one.address),
        (outside, one.address),
        (one.other, loose),
        (one.other, foreign),
        (one.other, "10.0.0.1"),
        (one.other, "192.0.2.9"),
        (one.other, "nonsense"),
        (one.other, ""),
    ):
        with pytest.raises(errors.InvalidParameterValue):
            one.groups.share(ALICE, str(server), address, one.group, configure=True)
    other_group = one.groups.create(ALICE, "h").id
    with pytest.raises(errors.InvalidParameterValue):
        one.groups.share(ALICE, str(one.other), one.address, other_group, configure=True)
    with pytest.raises(errors.SharedIpGroupNotFound):
        one.groups.share(ALICE, str(one.other), one.address, 987654, configure=True)
    with pytest.raises(errors.InstanceNotFound):
        one.groups.share(BOB, str(one.other), one.address, one.group, configure=True)
    with pytest.raises(errors.InstanceNotFound):
        one.groups.unshare(BOB, str(one.other), one.address)
    assert count(one.runtime, models.shared_ips, models.shared_ips.c.group_id == one.group) == 0


@pytest.mark.parametrize(
    ("values", "refusal"),
    [
        ({"vm_state": "error"}, errors.ServerState),
        ({"vm_state": "soft-delete"}, errors.ServerState),
        ({"task_state": "deleting"}, errors.ServerState),
        ({"locked": True}, errors.ServerLocked),
    ],
)
def test_servers_that_are_given_nothing(one: Shared, values: dict[str, Any], refusal: type[Exception]) -> None:
    chosen = sa.update(models.instances).where(models.instances.c.id == one.other)
    one.runtime.db.write(lambda tx: tx.execute(chosen.values(**values)))
    with pytest.raises(refusal):
        one.share()
    assert one.shared() == []
    back = {"vm_state": "active", "task_state": None, "locked": False}
    one.runtime.db.write(lambda tx: tx.execute(chosen.values(**back)))


# -- ends --------------------------------------------------------------------------------------------------


def _disassociate(one: Shared) -> None:
    one.runtime.network.disassociate(ALICE, one.address)


def _over_ec2(one: Shared) -> None:
    answer = one.door.cloud.ec2_request("DisassociateAddress", {"PublicIp": one.address}, user="alice")
    assert answer.status_int == 200


def _give_back(one: Shared) -> None:
    (found,) = one.runtime.network.list(ALICE, [one.address])
    one.runtime.network.give_back(ALICE, found.id)


def _remove_fixed(one: Shared) -> None:
    (found,) = one.runtime.network.list(ALICE, [one.address])
    one.runtime.networks.remove_fixed_ip(ALICE, str(one.owner), found.fixed_address)


def _delete_owner(one: Shared) -> None:
    one.runtime.servers.delete(ALICE, str(one.owner))


def _terminate_owner(one: Shared) -> None:
    number = f"i-{one.owner:08x}"
    assert one.door.cloud.ec2_request("TerminateInstances", {"InstanceId.1": number}, user="alice").status_int == 200


@pytest.mark.parametrize(
    "end",
    [_disassociate, _over_ec2, _give_back, _remove_fixed, _delete_owner, _terminate_owner],
    ids=lambda f: f.__name__,
)
def test_a_share_ends_with_the_place_of_the_address(one: Shared, end: Callable[[Shared], None]) -> None:
    one.share()
    assert one.told()
    end(one)
    one.door.cloud.settle()
    assert one.shared() == [] and not one.told()
    one.groups.delete(ALICE, one.group)


def test_an_address_that_moves_is_shared_anew(one: Shared) -> None:
    third = one.boot(one.group)
    one.share()
    one.runtime.network.disassociate(ALICE, one.address)
    one.runtime.network.put_on(ALICE, str(third), one.address)
    assert one.shared() == []
    one.share()
    assert one.shared() == [one.address] and one.told()


def test_a_server_takes_its_share_and_its_membership_along(one: Shared) -> None:
    one.share()
    one.runtime.servers.delete(ALICE, str(one.other))
    one.door.cloud.settle()
    assert list(one.groups.get(ALICE, one.group).servers) == [one.owner]
    assert count(one.runtime, models.shared_ips, models.shared_ips.c.group_id == one.group) == 0
    (found,) = one.runtime.network.list(ALICE, [one.address])
    assert found.instance_id == one.owner
    one.groups.delete(ALICE, one.group)


def test_a_server_that_was_never_placed_leaves_its_group(one: Shared) -> None:
    failed = one.boot(one.group)
    chosen = sa.update(models.instances).where(models.instances.c.id == failed)
    lost = {"vm_state": "error", "host": None, "task_state": None}
    one.runtime.db.write(lambda tx: tx.execute(chosen.values(**lost)))
    one.runtime.servers.delete(ALICE, str(failed))
    assert failed not in one.groups.get(ALICE, one.group).servers


@pytest.mark.parametrize("end", [_disassociate, _delete_owner], ids=lambda f: f.__name__)
def test_no_share_outlives_a_race(one: Shared, end: Callable[[Shared], None]) -> None:
    def share() -> None:
        one.groups.share(ALICE, str(one.other), one.address, one.group, configure=True)

    together([share, share, lambda: end(one), share, share])
    one.door.cloud.settle()
    assert one.shared() == [] and not one.told()


def test_no_share_of_a_server_that_ends_meanwhile(one: Shared) -> None:
    def share() -> None:
        one.groups.share(ALICE, str(one.other), one.address, one.group, configure=True)

    together([share, lambda: one.runtime.servers.delete(ALICE, str(one.other)), share, share])
    one.door.cloud.settle()
    assert count(one.runtime, models.shared_ips, models.shared_ips.c.group_id == one.group) == 0
    assert list(one.groups.get(ALICE, one.group).servers) == [one.owner]


def test_no_share_through_a_group_that_ends_meanwhile(one: Shared) -> None:
    def share() -> None:
        one.groups.share(ALICE, str(one.other), one.address, one.group, configure=False)

    outcomes = together([share, lambda: one.groups.delete(ALICE, one.group), share])
    kept = outcomes[1] is errors.SharedIpGroupInUse
    shares = count(one.runtime, models.shared_ips, models.shared_ips.c.group_id == one.group)
    assert shares == (1 if kept else 0)
