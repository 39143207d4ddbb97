"""apache-libcloud's EC2 driver for clouds of this kind, unmodified."""

import time
from typing import Any

import pytest
from libcloud.compute.base import NodeSize
from libcloud.compute.drivers.ec2 import EC2NodeLocation, EucNodeDriver, ExEC2AvailabilityZone

from tests.clients.conftest import Account

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::DeprecationWarning")


def connect(who: Account, secret: str | None = None) -> Any:
    return EucNodeDriver(
        who.access, secret or who.secret, secure=False, host=who.host, port=who.port, path="/services/Cloud/"
    )


def wait(look: Any, wanted: str) -> None:
    for _ in range(300):
        found = str(look())
        if found == wanted:
            return
        time.sleep(0.1)
    raise AssertionError(f"it is {found}")


def test_a_users_day(perf: Account) -> None:
    driver = connect(perf)
    image = next(image for image in driver.list_images() if image.name == "oracle-ami")
    # The driver reads sizes off an action of Eucalyptus alone.
    size = NodeSize("m1.tiny", "m1.tiny", 512, 0, None, None, driver)
    pair = driver.create_key_pair("libcloud")
    assert pair.private_key.startswith("-----BEGIN RSA PRIVATE KEY-----")
    driver.ex_create_security_group("libcloud", "made by a test")
    driver.ex_authorize_security_group("libcloud", 22, 22, "10.0.0.0/8")
    node = driver.create_node(
        name="n", image=image, size=size, ex_keyname="libcloud", ex_securitygroup="libcloud", ex_assign_public_ip=False
    )

    def state() -> str:
        # Its own table of states does not know "stopped".
        return str(next((n.extra["status"] for n in driver.list_nodes() if n.id == node.id), "gone"))

    wait(state, "running")
    assert driver.ex_get_console_output(node)["output"]
    # It lists zones of the region that it was made for, an Amazon one.
    place = ExEC2AvailabilityZone("nova", "available", "nova")
    location = EC2NodeLocation("0", "here", "here", driver, place)
    volume = driver.create_volume(1, "v", location=location)
    wait(lambda: next(v.state for v in driver.list_volumes() if v.id == volume.id), "available")
    assert driver.attach_volume(node, volume, "/dev/vdb")
    wait(lambda: next(v.state for v in driver.list_volumes() if v.id == volume.id), "inuse")
    assert driver.detach_volume(volume)
    wait(lambda: next(v.state for v in driver.list_volumes() if v.id == volume.id), "available")
    assert driver.destroy_volume(volume)
    assert driver.stop_node(node)
    wait(state, "stopped")
    assert driver.start_node(node)
    wait(state, "running")
    assert driver.reboot_node(node)
    assert driver.destroy_node(node)
    for _ in range(300):
        if state() in ("gone", "terminated"):
            break
        time.sleep(0.1)
    assert driver.ex_delete_security_group("libcloud")
    assert driver.delete_key_pair(pair)


def test_a_wrong_secret(bob: Account) -> None:
    with pytest.raises(Exception, match="AuthFailure|credentials"):
        connect(bob, "wrong").list_nodes()
