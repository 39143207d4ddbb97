"""Services on every kind of database: quotas, launches, volumes, addresses, security groups, key pairs."""

import re
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import sqlalchemy as sa

from nova_api import errors
from nova_api.cloud.image import ImageSpec
from nova_api.cloud.launch_plan import LaunchSpec, ServerSpec
from nova_api.cloud.rules import Permission, Source
from nova_api.cloud.servers import ServerQuery
from nova_api.cloud.volume import VolumeSpec
from nova_api.context import RequestContext
from nova_api.db import instances, networks, quotas
from nova_api.db.models import fixed_ips, outbox
from nova_api.db.models import volumes as volume_rows
from nova_api.runtime import Runtime
from tests.openstack.fakes import RAW, Door

ALICE = RequestContext("alice", "acme", roles=("sysadmin", "netadmin"))
MALLORY = RequestContext("mallory", "evil")
ADMIN = RequestContext("admin", "adminproj", is_admin=True, roles=("admin",))
RULE = Permission(protocol="tcp", from_port="22", to_port="22", cidrs=("10.0.0.0/8",))
AT_ONCE = 8


@pytest.fixture
def cloud(any_cloud: Door) -> Iterator[Runtime]:
    """The services; limits of the project end with the test."""
    made = any_cloud.cloud.runtime
    yield made
    any_cloud.cloud.settle()
    own = quotas.quotas.c.project_id == "acme"
    made.db.write(lambda tx: tx.execute(quotas.quotas.delete().where(own)))


@pytest.fixture
def settle(any_cloud: Door) -> Callable[[], None]:
    return any_cloud.cloud.settle


def used(cloud: Runtime, resource: str) -> int:
    with cloud.db.read() as conn:
        return quotas.used(conn, "acme", resource)


def launch(cloud: Runtime, **fields: Any) -> list[int]:
    spec = LaunchSpec(image=RAW, flavor="1", server=ServerSpec(name="s"), **fields)
    return [made.id for made in cloud.compute.run(ALICE, spec).rows]


def row(cloud: Runtime, number: int) -> Any:
    with cloud.db.read() as conn:
        return conn.execute(sa.select(instances.instances).where(instances.instances.c.id == number)).one()


def at_once(work: Callable[[int], object]) -> Counter[str]:
    """Run something several times at once.

    :returns: how often it ended how: ``done``, or the name of a refusal
    """

    def one(number: int) -> str:
        try:
            work(number)
        except errors.ApiError as error:
            return type(error).__name__
        return "done"

    with ThreadPoolExecutor(AT_ONCE) as pool:
        return Counter(pool.map(one, range(AT_ONCE)))


@pytest.mark.parametrize(("resource", "each"), [("instances", 1), ("cores", 1), ("ram", 512)])
def test_one_server_is_left(cloud: Runtime, resource: str, each: int) -> None:
    before = used(cloud, resource)
    cloud.quotas.set_limit("acme", resource, before + each)
    assert at_once(lambda _: launch(cloud)) == {"done": 1, "InstanceLimitExceeded": AT_ONCE - 1}
    assert used(cloud, resource) == before + each


def test_a_limit_is_changed_by_many_at_once(cloud: Runtime) -> None:
    assert at_once(lambda n: cloud.quotas.set_limits("acme", {"volumes": n, "ram": -1})) == {"done": AT_ONCE}
    limits = cloud.quotas.limits("acme")
    assert limits["volumes"] in range(AT_ONCE) and limits["ram"] == -1


def test_a_launch_is_whole_and_ends_whole(cloud: Runtime, settle: Callable[[], None]) -> None:
    before = used(cloud, "instances")
    numbers = launch(cloud, least=3, most=3)
    assert len(numbers) == 3 and used(cloud, "instances") == before + 3
    settle()
    assert [row(cloud, number).vm_state for number in numbers] == ["active"] * 3
    with cloud.db.read() as conn:
        held = conn.execute(sa.select(fixed_ips.c.address).where(fixed_ips.c.instance_id.in_(numbers))).all()
    assert len(held) == 3
    cloud.compute.terminate(ALICE, {f"i-{n:08x}": n for n in numbers}, refuse_protected=True)
    settle()
    assert used(cloud, "instances") == before
    with cloud.db.read() as conn:
        assert conn.execute(sa.select(fixed_ips).where(fixed_ips.c.instance_id.in_(numbers))).all() == []


def test_one_client_token_is_one_reservation(cloud: Runtime) -> None:
    before = used(cloud, "instances")
    spec = LaunchSpec(image=RAW, flavor="1", server=ServerSpec(name="s"), client_token="token-1")
    assert at_once(lambda _: cloud.compute.run(ALICE, spec)) == {"done": AT_ONCE}
    assert used(cloud, "instances") == before + 1


def test_two_changes_of_a_server_at_once(cloud: Runtime, settle: Callable[[], None]) -> None:
    (number,) = launch(cloud)
    settle()
    change = {f"i-{number:08x}": number}
    ways = (cloud.compute.reboot, cloud.compute.stop)
    # Its node is nobody's, so that nothing is finished meanwhile.
    home = row(cloud, number).host
    cloud.db.write(lambda tx: instances.change(tx, [number], {"host": "nobody"}))
    with ThreadPoolExecutor(AT_ONCE) as pool:
        ends = [pool.submit(ways[n % 2], ALICE, change) for n in range(AT_ONCE)]
    failed = [type(one.exception()).__name__ for one in ends if one.exception()]
    assert failed == ["IncorrectInstanceState"] * (AT_ONCE - 1)
    cloud.db.write(lambda tx: tx.execute(sa.delete(outbox)))
    cloud.db.write(lambda tx: instances.change(tx, [number], {"host": home, "task_state": None}))


def test_volumes(cloud: Runtime, settle: Callable[[], None]) -> None:
    (number,) = launch(cloud)
    settle()
    before = used(cloud, "volumes")
    cloud.quotas.set_limit("acme", "volumes", before + 1)
    found = at_once(lambda _: cloud.volume.create(ALICE, VolumeSpec(size=1)))
    assert found == {"done": 1, "VolumeLimitExceeded": AT_ONCE - 1}
    settle()
    with cloud.db.read() as conn:
        mine = volume_rows.c.project_id == "acme", volume_rows.c.status == "available"
        volume = conn.execute(sa.select(sa.func.max(volume_rows.c.id)).where(*mine)).scalar_one()
    server = row(cloud, number).uuid
    found = at_once(lambda n: cloud.volume.attach_to(ALICE, server, volume, f"/dev/vd{'bcdefghi'[n]}"))
    assert found == {"done": 1, "VolumeInUse": AT_ONCE - 1}
    settle()
    with pytest.raises(errors.ApiError):
        cloud.volume.delete(ALICE, volume)
    found = at_once(lambda _: cloud.volume.detach(ALICE, volume))
    assert found["done"] == 1 and sum(found.values()) == AT_ONCE
    settle()
    with pytest.raises(errors.VolumeNotFound):
        cloud.volume.delete(MALLORY, volume)
    found = at_once(lambda _: cloud.volume.delete(ALICE, volume))
    assert found["done"] == 1 and sum(found.values()) == AT_ONCE
    settle()
    assert used(cloud, "volumes") == before


def test_addresses(cloud: Runtime, settle: Callable[[], None]) -> None:
    before = used(cloud, "floating_ips")
    cloud.quotas.set_limit("acme", "floating_ips", before + 2)
    given: list[str] = []
    found = at_once(lambda _: given.append(cloud.network.allocate(ALICE)))
    assert found == {"done": 2, "AddressLimitExceeded": AT_ONCE - 2}
    assert len(set(given)) == 2 and all(re.fullmatch(r"[0-9.]+", address) for address in given)
    (number,) = launch(cloud)
    settle()
    found = at_once(lambda n: cloud.network.associate(ALICE, number, f"i-{number:08x}", given[n % 2]))
    assert found == {"done": 2, "AddressAssociated": AT_ONCE - 2}
    settle()
    with pytest.raises(errors.ApiError):
        cloud.network.release(MALLORY, given[0])
    for address in given:
        cloud.network.disassociate(ALICE, address)
        assert at_once(lambda _, address=address: cloud.network.release(ALICE, address))["done"] == 1
    settle()
    assert used(cloud, "floating_ips") == before


def test_security_groups(cloud: Runtime) -> None:
    before = used(cloud, "security_groups")
    groups = cloud.security_groups
    found = at_once(lambda _: groups.create(ALICE, "web", "of the web"))
    assert found["done"] == 1 and sum(found.values()) == AT_ONCE
    cloud.quotas.set_limit("acme", "security_groups", used(cloud, "security_groups") + 1)
    found = at_once(lambda n: groups.create(ALICE, f"web-{n}", "more"))
    assert found == {"done": 1, "SecurityGroupLimitExceeded": AT_ONCE - 1}
    assert at_once(lambda _: groups.authorize(ALICE, "web", None, [RULE])) == {
        "done": 1,
        "SecurityGroupRuleExists": AT_ONCE - 1,
    }
    cloud.quotas.set_limit("acme", "security_group_rules", 2)

    def one_more(number: int) -> None:
        port = str(100 + number)
        rule = Permission(protocol="udp", from_port=port, to_port=port, cidrs=("10.0.0.0/8",))
        groups.authorize(ALICE, "web", None, [rule])

    assert at_once(one_more) == {"done": 1, "RulesPerSecurityGroupLimitExceeded": AT_ONCE - 1}
    assert at_once(lambda _: groups.revoke(ALICE, "web", None, [RULE])) == {
        "done": 1,
        "SecurityGroupRuleNotFound": AT_ONCE - 1,
    }
    groups.authorize(ALICE, "default", None, [Permission(sources=(Source(name="web", owner="acme"),))])
    found = at_once(lambda _: groups.delete(ALICE, "web", None))
    assert found["done"] == 1 and sum(found.values()) == AT_ONCE
    assert used(cloud, "security_groups") >= before


def test_key_pairs_of_one_name(cloud: Runtime) -> None:
    found = at_once(lambda _: cloud.key_pairs.create(ALICE, "one"))
    assert found["done"] == 1 and sum(found.values()) == AT_ONCE


def test_users_with_the_longest_names_have_key_pairs_too(cloud: Runtime) -> None:
    assert cloud.db.write(lambda tx: cloud.quotas.key_pairs_left(tx, "acme", "u" * 255)) > 0


def test_keys_that_differ_by_blanks_at_their_end(cloud: Runtime) -> None:
    (number,) = launch(cloud)
    image = cloud.image.register(ALICE, ImageSpec(name="blanks"))
    items = {"a": "1", "a ": "2"}
    cloud.servers.set_metadata(ALICE, str(number), {"a": "1"}, replace=True)
    kind = cloud.volume_types.create(ADMIN, "blanks", {}).row.id
    group = cloud.aggregates.create("blanks", "nova").row.id
    spec = LaunchSpec(image=RAW, flavor="1", server=ServerSpec(name="s", metadata=items))
    works: tuple[Callable[[], object], ...] = (
        lambda: cloud.servers.create(ALICE, spec),
        lambda: cloud.servers.set_metadata(ALICE, str(number), {"a ": "2"}, replace=False),
        lambda: cloud.catalogue.set_properties(ALICE, image.uuid, items, replace=False),
        lambda: cloud.image.update(ALICE, f"ami-{image.number:08x}", properties=items),
        lambda: cloud.volume.create(ALICE, VolumeSpec(size=1, metadata=items)),
        lambda: cloud.volume_types.create(ADMIN, "blanks too", items),
        lambda: cloud.volume_types.set_extra_specs(ADMIN, kind, items),
        lambda: cloud.flavors.set_extra_specs(ADMIN, "1", items),
        lambda: cloud.aggregates.set_metadata(group, items),
    )
    for work in works:
        with pytest.raises(errors.InvalidParameterValue, match="differ by blanks"):
            work()
    assert cloud.servers.metadata(ALICE, str(number)) == {"a": "1"}


def test_addresses_and_ranges_with_a_zone(cloud: Runtime) -> None:
    for zone in ("eth0", "\x00", "\n", "x" * 100):
        cidr = Permission(protocol="tcp", from_port="1", to_port="2", cidrs=(f"fe80::%{zone}/64",))
        with pytest.raises(errors.InvalidPermission):
            cloud.security_groups.authorize(ALICE, "default", None, [cidr])
        with pytest.raises(errors.InvalidParameterValue):
            cloud.shared_ip_groups.share(ALICE, "1", f"fe80::1%{zone}", 1, configure=False)
    (number,) = launch(cloud)
    with pytest.raises(errors.SharedIpNotFound):
        cloud.shared_ip_groups.unshare(ALICE, str(number), "fe80::1%\x00")


def test_a_kernel_that_is_named_by_very_many_digits(cloud: Runtime) -> None:
    image = cloud.image.register(ALICE, ImageSpec(name="digits"))
    with pytest.raises(errors.ImageNotFound):
        cloud.image.update(ALICE, f"ami-{image.number:08x}", properties={"kernel_id": "1" * 5000})


def test_patterns_tell_capitals_from_small_letters(cloud: Runtime) -> None:
    cloud.security_groups.create(ALICE, "Capital", "c")
    for pattern, count in (("Capit*", 1), ("capit*", 0), ("?apital", 1), ("CAPITA?", 0)):
        assert len(cloud.security_groups.list(ALICE, filters=[("group-name", [pattern])])) == count


def test_servers_with_one_address_on_two_networks(cloud: Runtime, settle: Callable[[], None]) -> None:
    numbers = []
    for label, cidr in (("left", "10.77.0.0/29"), ("right", "10.78.0.0/29")):
        network = cloud.db.write(lambda tx, label=label, cidr=cidr: networks.create(tx, label, cidr))  # type: ignore[misc]
        with cloud.db.read() as conn:
            uuid = networks.one(conn, label).uuid  # type: ignore[union-attr]
        spec = LaunchSpec(image=RAW, flavor="1", server=ServerSpec(name="s", networks=((uuid, None),)))
        numbers.append(cloud.servers.create(ALICE, spec).server.id)
        settle()
    # Older clouds have networks whose ranges overlap.
    same = sa.update(fixed_ips).where(fixed_ips.c.network_id == network, fixed_ips.c.address == "10.78.0.2")
    cloud.db.write(lambda tx: tx.execute(same.values(address="10.77.0.2")))
    address = cloud.network.allocate(ALICE)
    cloud.network.put_on(ALICE, str(numbers[1]), address)
    found = cloud.servers.list(ALICE, ServerQuery(), detail=True).addresses
    assert [found[n] for n in numbers] == [{"left": ["10.77.0.2"]}, {"right": ["10.77.0.2", address]}]


def test_an_access_key_is_known_by_its_very_letters(cloud: Runtime) -> None:
    access, _ = cloud.identity.create_key("alice", access="AlicesThird")
    assert cloud.identity.user_of_key(access) == "alice"
    for other in (access + " ", access.lower(), access + "\u00a0"):
        assert cloud.identity.credentials(other, "acme") is None and cloud.identity.user_of_key(other) is None
    cloud.identity.revoke_key(access)
