"""apache-libcloud's OpenStack 1.1 driver, unmodified.

It has no login of the 1.1 era left, so it is given the token and the URL that the login answers.
"""

import time
from typing import Any

import pytest
from libcloud.common.exceptions import BaseHTTPError
from libcloud.compute.drivers.openstack import OpenStackNodeDriver
from libcloud.compute.types import NodeState

from tests.clients.conftest import Tenant

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def connect(who: Tenant, token: str | None = None) -> Any:
    return OpenStackNodeDriver(
        who.user,
        who.key,
        secure=False,
        host=who.host,
        port=who.port,
        api_version="1.1",
        ex_force_auth_url=who.auth_url,
        ex_force_auth_token=token or who.token,
        ex_force_base_url=who.url,
    )


def wait(driver: Any, node: Any, status: str) -> Any:
    for _ in range(300):
        found = raw_status(driver, node)
        if found == status:
            return driver.ex_get_node_details(node.id)
        assert found != "ERROR"
        time.sleep(0.1)
    raise AssertionError(f"it is {found}")


def raw_status(driver: Any, node: Any) -> str:
    return str(driver.connection.request(f"/servers/{node.id}").object["server"]["status"])


def test_a_users_day(tenant_perf: Tenant) -> None:
    driver = connect(tenant_perf)
    sizes = {size.name: size for size in driver.list_sizes()}
    assert sizes["m1.tiny"].ram == 512
    images = {image.name: image for image in driver.list_images()}
    node = driver.create_node(
        name="libcloud",
        image=images["oracle-raw"],
        size=sizes["m1.tiny"],
        ex_metadata={"k": "v"},
        ex_files={"/etc/motd": "hello"},
        ex_userdata="#!/bin/sh",
    )
    assert node.extra["password"]
    node = wait(driver, node, "ACTIVE")
    assert (node.state, node.private_ips[0][:3]) == (NodeState.RUNNING, "10.")
    assert driver.ex_get_metadata(node) == {"k": "v"}
    assert driver.ex_set_metadata(node, {"a": "b"}) == {"a": "b"}
    assert driver.ex_set_server_name(node, "renamed").name == "renamed"
    assert driver.reboot_node(node)
    wait(driver, node, "ACTIVE")
    assert driver._reboot_node(node, reboot_type="HARD")
    wait(driver, node, "ACTIVE")
    assert driver.ex_rebuild(node, images["oracle-ami"])
    assert wait(driver, node, "ACTIVE").extra["imageId"] == images["oracle-ami"].id
    assert driver.ex_resize(node, sizes["m1.small"])
    wait(driver, node, "VERIFY_RESIZE")
    assert driver.ex_confirm_resize(node)
    assert wait(driver, node, "ACTIVE").extra["flavorId"] == "2"
    assert driver.ex_resize(node, sizes["m1.tiny"])
    wait(driver, node, "VERIFY_RESIZE")
    assert driver.ex_revert_resize(node)
    assert wait(driver, node, "ACTIVE").extra["flavorId"] == "2"
    driver.ex_set_password(node, "n3w")
    wait(driver, node, "ACTIVE")
    made = driver.create_image(node, "from libcloud", metadata={"x": "y"})
    for _ in range(100):
        image = driver.get_image(made.id)
        if image.extra["status"] == "ACTIVE":
            break
        time.sleep(0.1)
    assert (image.extra["metadata"]["x"], image.extra["serverId"]) == ("y", node.id)
    assert driver.delete_image(image)
    assert driver.destroy_node(node)
    for _ in range(100):
        if node.id not in {one.id for one in driver.list_nodes()}:
            return
        time.sleep(0.1)
    raise AssertionError("it is still there")


def test_refusals_as_the_client_shows_them(tenant_bob: Tenant) -> None:
    driver = connect(tenant_bob)
    image = next(image for image in driver.list_images() if image.name == "oracle-raw")
    size = driver.list_sizes()[0]
    with pytest.raises(BaseHTTPError, match="The resource could not be found") as missing:
        driver.ex_get_size("99")
    assert missing.value.code == 404
    image.id = "nonsense"
    with pytest.raises(BaseHTTPError, match="Invalid imageRef provided"):
        driver.create_node(name="x", image=image, size=size)
    image.id = "00000000-0000-4000-8000-00000000dead"
    with pytest.raises(BaseHTTPError, match="Can not find requested image") as unknown:
        driver.create_node(name="x", image=image, size=size)
    assert unknown.value.code == 400
    with pytest.raises(BaseHTTPError, match="This server could not verify") as unauthorized:
        connect(tenant_bob, "nonsense").list_nodes()
    assert unauthorized.value.code == 401


def test_over_quota(tenant_bob: Tenant) -> None:
    driver = connect(tenant_bob)
    image = next(image for image in driver.list_images() if image.name == "oracle-raw")
    large = next(size for size in driver.list_sizes() if size.name == "m1.xlarge")
    made = []
    try:
        with pytest.raises(BaseHTTPError, match="InstanceLimitExceeded") as refused:
            for _ in range(4):
                made.append(driver.create_node(name="x", image=image, size=large))
        assert refused.value.code == 413
    finally:
        for node in made:
            driver.destroy_node(node)
