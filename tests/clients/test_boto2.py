"""boto 2.49, what the clients and scripts of 2012 are written with: both of its signature versions."""

import time
from typing import Any

import pytest

from tests.clients.conftest import Account

# boto 2 leaves its sockets to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")

boto_ec2 = pytest.importorskip(
    "boto.ec2.connection",
    reason="boto 2.49 cannot be imported by Python 3.12 and later",
    exc_type=ImportError,
)
from boto.exception import EC2ResponseError  # noqa: E402
from boto.regioninfo import RegionInfo  # noqa: E402


def connect(who: Account, version: str = "2010-08-31", secret: str | None = None) -> Any:
    connection = boto_ec2.EC2Connection(
        who.access,
        secret or who.secret,
        is_secure=False,
        port=who.port,
        path="/services/Cloud",
        region=RegionInfo(None, "nova", who.host),
    )
    connection.APIVersion = version
    connection.num_retries = 0
    return connection


def wait(thing: Any, attribute: str, wanted: str) -> None:
    for _ in range(300):
        thing.update()
        if getattr(thing, attribute) == wanted:
            return
        time.sleep(0.1)
    raise AssertionError(f"{thing} is {getattr(thing, attribute)}")


@pytest.mark.parametrize("version", ["2010-08-31", "2014-10-01"])
def test_a_users_day(perf: Account, version: str) -> None:
    ec2 = connect(perf, version)
    name = f"boto2-{version}"
    image = next(i for i in ec2.get_all_images() if i.name == "oracle-ami")
    pair = ec2.create_key_pair(name)
    assert pair.material.startswith("-----BEGIN RSA PRIVATE KEY-----")
    group = ec2.create_security_group(name, "a group")
    assert group.authorize("tcp", 80, 80, "0.0.0.0/0")
    [again] = ec2.get_all_security_groups([name])
    assert [(r.ip_protocol, r.from_port, [str(g) for g in r.grants]) for r in again.rules] == [
        ("tcp", "80", ["0.0.0.0/0"])
    ]
    reservation = image.run(key_name=name, security_groups=[name], instance_type="m1.tiny")
    [instance] = reservation.instances
    wait(instance, "state", "running")
    assert ec2.get_console_output(instance.id).output
    address = ec2.allocate_address()
    assert ec2.associate_address(instance.id, address.public_ip)
    assert ec2.get_all_addresses([address.public_ip])[0].instance_id == instance.id
    assert address.disassociate()
    assert address.release()
    volume = ec2.create_volume(1, "nova")
    wait(volume, "status", "available")
    assert volume.attach(instance.id, "/dev/vdb")
    wait(volume, "status", "in-use")
    assert volume.attachment_state() == "attached"
    volume.detach()
    wait(volume, "status", "available")
    assert volume.delete()
    instance.stop()
    wait(instance, "state", "stopped")
    instance.start()
    wait(instance, "state", "running")
    assert ec2.reboot_instances([instance.id])
    wait(instance, "state", "running")
    ec2.terminate_instances([instance.id])
    for _ in range(300):
        try:
            left = [i.state for r in ec2.get_all_reservations([instance.id]) for i in r.instances]
            if set(left) <= {"terminated"}:
                break
        except EC2ResponseError as error:
            assert error.error_code == "InvalidInstanceID.NotFound"
            break
        time.sleep(0.1)
    assert ec2.delete_security_group(name)
    assert ec2.delete_key_pair(name)


def test_the_error_codes_of_2012(alice: Account) -> None:
    ec2 = connect(alice)
    with pytest.raises(EC2ResponseError) as caught:
        ec2.terminate_instances(["i-0fffffff"])
    assert (caught.value.status, caught.value.error_code) == (400, "InstanceNotFound")


def test_a_wrong_secret(bob: Account) -> None:
    with pytest.raises(EC2ResponseError) as caught:
        connect(bob, secret="wrong").get_all_regions()
    assert (caught.value.status, caught.value.error_code) == (403, "AuthFailure")
