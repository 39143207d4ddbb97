"""apache-libcloud's OpenStack 1.0 driver, unmodified: it logs in by itself, and speaks XML."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import libcloud.common.openstack
import pytest
from libcloud.common.exceptions import BaseHTTPError
from libcloud.common.types import InvalidCredsError
from libcloud.compute.drivers.openstack import OpenStack_1_0_NodeDriver, OpenStackNodeDriver
from libcloud.compute.types import NodeState
from lxml import etree

from tests.clients.conftest import Tenant
from tests.clients.test_openstack_xml import XmlClient
from tests.clients.test_openstack_xml_v1_0 import until

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def connect(who: Tenant, key: str | None = None) -> Any:
    driver = OpenStackNodeDriver(
        who.user,
        key or who.key,
        secure=False,
        host=who.host,
        port=who.port,
        api_version="1.0",
        ex_force_auth_url=who.auth_url,
        ex_force_auth_version="1.0",
        ex_force_base_url=who.url,
    )
    assert isinstance(driver, OpenStack_1_0_NodeDriver)
    return driver


def raw_status(driver: Any, node: Any) -> str:
    return str(driver.connection.request(f"/servers/{node.id}").object.get("status"))


def wait(driver: Any, node: Any, status: str) -> Any:
    until(lambda: raw_status(driver, node), lambda seen: seen == status)
    return next(one for one in driver.list_nodes() if one.id == node.id)


@contextmanager
def refused(code: int, text: str | None = None) -> Iterator[None]:
    """A refusal as the client shows it.

    It reads refusals in XML by a method that the standard library's elements have not had since Python 3.9; those of
    lxml, the parser that its own switch would choose, have it still.
    """
    with pytest.MonkeyPatch.context() as patch, pytest.raises(BaseHTTPError, match=text) as held:
        patch.setattr(libcloud.common.openstack, "ET", etree)
        yield
    assert held.value.code == code


def named(things: Any, name: str) -> Any:
    return next(one for one in things if one.name == name)


def test_a_users_day(old_perf: Tenant) -> None:
    driver = connect(old_perf)
    tiny, small = (named(driver.list_sizes(), name) for name in ("m1.tiny", "m1.small"))
    assert (tiny.id, tiny.ram, tiny.disk) == ("1", 512, 0)
    image, other = (named(driver.list_images(), name) for name in ("oracle-raw", "oracle-ami"))
    assert image.id.isdigit() and image.extra["status"] == "ACTIVE"
    node = driver.create_node(
        name="libcloud", image=image, size=tiny, ex_metadata={"k": "v"}, ex_files={"/etc/motd": "hello"}
    )
    assert node.id.isdigit() and len(node.extra["password"]) == 16
    node = wait(driver, node, "ACTIVE")
    assert (node.state, node.extra["imageId"], node.extra["flavorId"]) == (NodeState.RUNNING, image.id, "1")
    assert (node.extra["metadata"], node.public_ips, node.private_ips[0][:3]) == ({"k": "v"}, [], "10.")
    addresses = driver.ex_list_ip_addresses(node)
    assert (addresses.public_addresses, addresses.private_addresses) == ([], node.private_ips)
    assert driver.ex_set_server_name(node, "renamed")
    node = wait(driver, node, "ACTIVE")
    assert node.name == "renamed"
    assert driver.ex_set_password(node, "n3w")
    wait(driver, node, "ACTIVE")
    assert driver.reboot_node(node)
    wait(driver, node, "ACTIVE")
    assert driver.ex_hard_reboot_node(node)
    wait(driver, node, "ACTIVE")
    assert driver.ex_rebuild(node, other)
    assert wait(driver, node, "ACTIVE").extra["imageId"] == other.id
    assert driver.ex_resize(node, small)
    wait(driver, node, "VERIFY_RESIZE")
    assert driver.ex_confirm_resize(node)
    assert wait(driver, node, "ACTIVE").extra["flavorId"] == small.id
    assert driver.ex_resize(node, tiny)
    wait(driver, node, "VERIFY_RESIZE")
    # The service says 202, as its documents did; this client counts 204 alone.
    assert driver.ex_revert_resize(node) is False
    assert wait(driver, node, "ACTIVE").extra["flavorId"] == small.id
    made = driver.create_image(node, "from libcloud")
    assert made.extra["serverId"] == node.id
    found = until(lambda: driver.list_images(ex_only_active=True), lambda seen: made.id in {one.id for one in seen})
    assert named(found, "from libcloud").extra["serverId"] == node.id
    assert driver.delete_image(made)
    assert driver.destroy_node(node)
    until(lambda: {one.id for one in driver.list_nodes()}, lambda seen: node.id not in seen)


def test_limits(old_bob: Tenant) -> None:
    found = connect(old_bob).ex_limits()["absolute"]
    assert (found["maxTotalInstances"], found["maxIPGroups"], found["maxIPGroupMembers"]) == ("10", "50", "25")


def test_shared_addresses(old_perf: Tenant, tenant_perf: Tenant) -> None:
    driver = connect(old_perf)
    image, size = named(driver.list_images(), "oracle-raw"), named(driver.list_sizes(), "m1.tiny")
    owner = driver.create_node(name="owner", image=image, size=size)
    wait(driver, owner, "ACTIVE")
    group = driver.ex_create_ip_group("web", owner)
    assert (group.name, group.servers) == ("web", [owner.id])
    second = driver.create_node(name="second", image=image, size=size, ex_shared_ip_group_id=group.id)
    wait(driver, second, "ACTIVE")
    assert named(driver.ex_list_ip_groups(), "web").servers is None
    assert set(named(driver.ex_list_ip_groups(details=True), "web").servers) == {owner.id, second.id}
    # A public address comes from the version after.
    modern = XmlClient(tenant_perf)
    made = modern.ask("POST", "/os-floating-ips", "<floating_ip/>")
    address = made.get("ip") or made.findtext("{*}ip")
    modern.act(f"/servers/{owner.id}", f'<addFloatingIp address="{address}"/>')
    until(lambda: driver.ex_list_ip_addresses(owner).public_addresses, lambda seen: seen == [address])
    assert driver.ex_share_ip(group.id, second.id, address)
    shown = {one.id: one.public_ips for one in driver.list_nodes()}
    assert shown[owner.id] == shown[second.id] == [address]
    with refused(409):
        driver.ex_delete_ip_group(group.id)
    with refused(403, "own address"):
        driver.ex_unshare_ip(owner, address)
    assert driver.ex_unshare_ip(second, address)
    assert driver.ex_list_ip_addresses(second).public_addresses == []
    assert driver.ex_list_ip_addresses(owner).public_addresses == [address]
    assert driver.ex_share_ip(group.id, second.id, address, configure_node=False)
    # The end of a server ends its membership, and what is shared with it.
    assert driver.destroy_node(second)
    until(lambda: named(driver.ex_list_ip_groups(details=True), "web").servers, lambda seen: seen == [owner.id])
    assert driver.ex_delete_ip_group(group.id)
    assert group.id not in {one.id for one in driver.ex_list_ip_groups()}
    assert driver.destroy_node(owner)


def test_refusals_as_the_client_shows_them(old_bob: Tenant) -> None:
    driver = connect(old_bob)
    image, size = named(driver.list_images(), "oracle-raw"), driver.list_sizes()[0]
    with refused(404, "The resource could not be found"):
        driver.connection.request("/flavors/99")
    image.id = "987654"
    with refused(400, "Can not find requested image"):
        driver.create_node(name="x", image=image, size=size)
    with pytest.raises(InvalidCredsError):
        connect(old_bob, "nonsense").list_nodes()


def test_over_quota(old_bob: Tenant) -> None:
    driver = connect(old_bob)
    image, large = named(driver.list_images(), "oracle-raw"), named(driver.list_sizes(), "m1.xlarge")
    made = []
    try:
        for _ in range(2):
            made.append(driver.create_node(name="x", image=image, size=large))
        with refused(413, "InstanceLimitExceeded"):
            driver.create_node(name="x", image=image, size=large)
    finally:
        for node in made:
            driver.destroy_node(node)
