import base64
import subprocess
import sys

import pytest

from nova_api.config import Config
from nova_api.nodes.drivers.console import boot_messages, key_fingerprint
from nova_api.nodes.drivers.hypervisor import BlockDevice, Guest, Interface, PowerState, WrongState
from nova_api.nodes.drivers.simulated import SimulatedHypervisor

CARD = Interface("02:16:3e:00:00:01", "10.0.0.5", "10.0.0.0/24", "10.0.0.1", "br100")
VOLUME = BlockDevice("/dev/vdb", 7, {})


def make_guest(number: int = 1, **values: object) -> Guest:
    defaults: dict[str, object] = {
        "id": number,
        "uuid": f"00000000-0000-4000-8000-{number:012x}",
        "hostname": f"server-{number}",
        "project_id": "acme",
        "image": None,
        "kernel": None,
        "ramdisk": None,
        "vcpus": 2,
        "memory_mb": 512,
        "root_gb": 10,
        "ephemeral_gb": 0,
        "key_name": None,
        "key_data": None,
        "user_data": "",
        "root_device_name": "/dev/sda1",
    }
    return Guest(**{**defaults, **values})  # type: ignore[arg-type]


class Time:
    """A clock that only waiting moves."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)
        self.now += seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
def driver(time: Time) -> SimulatedHypervisor:
    config = Config(simulated_boot_seconds=4, simulated_stop_seconds=2, simulated_snapshot_seconds=3)
    return SimulatedHypervisor(config, sleep=time.sleep, clock=lambda: time.now)


GUEST = make_guest()


def running(driver: SimulatedHypervisor) -> SimulatedHypervisor:
    driver.spawn(GUEST, [CARD], [])
    return driver


def test_a_life(driver: SimulatedHypervisor, time: Time) -> None:
    assert driver.power_state(GUEST) is PowerState.NOSTATE
    states = []
    for step in (
        lambda: driver.spawn(GUEST, [CARD], []),
        lambda: driver.pause(GUEST),
        lambda: driver.unpause(GUEST),
        lambda: driver.suspend(GUEST),
        lambda: driver.resume(GUEST),
        lambda: driver.power_off(GUEST),
        lambda: driver.power_on(GUEST, [CARD], []),
        lambda: driver.reboot(GUEST, "SOFT"),
        lambda: driver.rescue(GUEST, [CARD]),
        lambda: driver.unrescue(GUEST),
        lambda: driver.destroy(GUEST),
    ):
        step()
        states.append(driver.power_state(GUEST).name)
    assert states == [
        "RUNNING", "PAUSED", "RUNNING", "SUSPENDED", "RUNNING", "SHUTDOWN", "RUNNING", "RUNNING", "RUNNING",
        "RUNNING", "NOSTATE",
    ]  # fmt: skip
    assert time.waits == [4, 2, 4, 2, 4, 4]


def test_everything_may_be_said_twice(driver: SimulatedHypervisor) -> None:
    for _ in range(2):
        driver.spawn(GUEST, [CARD], [VOLUME])
    for _ in range(2):
        driver.attach_volume(GUEST, VOLUME)
    for _ in range(2):
        driver.detach_volume(GUEST, "/dev/vdb", 7)
    for action in (
        driver.pause,
        driver.unpause,
        driver.suspend,
        driver.resume,
        driver.power_off,
        driver.destroy,
    ):
        before = action(GUEST), driver.power_state(GUEST)
        assert (action(GUEST), driver.power_state(GUEST)) == before


@pytest.mark.parametrize(
    "action",
    [
        lambda d: d.power_off(GUEST),
        lambda d: d.power_on(GUEST, [], []),
        lambda d: d.reboot(GUEST, "HARD"),
        lambda d: d.pause(GUEST),
        lambda d: d.resume(GUEST),
        lambda d: d.diagnostics(GUEST),
        lambda d: d.snapshot(GUEST, "image"),
        lambda d: d.attach_volume(GUEST, VOLUME),
        lambda d: d.rescue(GUEST, []),
        lambda d: d.set_admin_password(GUEST, "secret"),
        lambda d: d.reset_network(GUEST),
        lambda d: d.inject_network_info(GUEST, []),
        lambda d: d.migrate_off(GUEST, "h2"),
    ],
)
def test_nothing_is_done_to_a_guest_that_is_not_there(driver: SimulatedHypervisor, action) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(WrongState):
        action(driver)
    assert driver.power_state(GUEST) is PowerState.NOSTATE


def test_a_stopped_guest_cannot_be_paused_or_asked_to_reboot(driver: SimulatedHypervisor) -> None:
    running(driver).power_off(GUEST)
    for refused in (driver.pause, driver.suspend, driver.unpause, lambda g: driver.reboot(g, "SOFT")):
        with pytest.raises(WrongState):
            refused(GUEST)
    driver.reboot(GUEST, "HARD")
    assert driver.power_state(GUEST) is PowerState.RUNNING


def test_the_console_tells_what_the_guest_is_and_grows(driver: SimulatedHypervisor, time: Time) -> None:
    assert driver.console(GUEST, [CARD]) == ""
    first = running(driver).console(GUEST, [CARD])
    for part in ("server-1", "10.0.0.5", "02:16:3e:00:00:01", "root=/dev/sda1", "login:", GUEST.uuid):
        assert part in first
    time.now += 3 * 1200
    later = driver.console(GUEST, [CARD])
    assert later.startswith(first) and later.count("-- MARK --") == 3
    driver.reboot(GUEST, "HARD")
    again = driver.console(GUEST, [CARD])
    assert again.count("cloud-init boot finished") == 2 and "Restarting system (boot 2)" in again
    driver.power_off(GUEST)
    assert driver.console(GUEST, [CARD]).endswith("System halted\n")


def test_the_console_is_bounded(driver: SimulatedHypervisor, time: Time) -> None:
    running(driver)
    for _ in range(300):
        driver.reboot(GUEST, "HARD")
    time.now += 10 * 365 * 86400
    text = driver.console(GUEST, [CARD])
    assert len(text) <= 65_536
    assert "(boot 301)" in text and "(boot 100)" not in text


def test_the_key_on_the_console_is_the_guests() -> None:
    blob = base64.b64encode(b"\0\0\0\7ssh-rsa").decode()
    fingerprint = key_fingerprint(f"ssh-rsa {blob} me")
    text = boot_messages(make_guest(key_name="mine", key_data=f"ssh-rsa {blob}"), [])
    assert f"authorized key {fingerprint} mine" in text
    assert "no authorized ssh keys" in boot_messages(GUEST, [])


@pytest.mark.parametrize("text", [None, "", "ssh-rsa", "ssh-rsa !!!", "ssh-rsa a", "\0 \xff"])
def test_a_key_that_cannot_be_read_has_no_fingerprint(text: str | None) -> None:
    assert key_fingerprint(text) == ""


def test_diagnostics_move_with_the_uptime(driver: SimulatedHypervisor, time: Time) -> None:
    before = running(driver).diagnostics(GUEST)
    driver.attach_volume(GUEST, VOLUME)
    time.now += 600
    after = driver.diagnostics(GUEST)
    assert after["cpu0_time"] > before["cpu0_time"] and after["cpu1_time"] > before["cpu1_time"]
    assert after["memory"] == before["memory"] == 512 * 1024
    assert "vdb_read" in after and "vdb_read" not in before
    driver.pause(GUEST)
    frozen = driver.diagnostics(GUEST)
    time.now += 600
    assert driver.diagnostics(GUEST) == frozen


def test_two_volumes_do_not_share_a_device(driver: SimulatedHypervisor) -> None:
    running(driver).attach_volume(GUEST, VOLUME)
    with pytest.raises(WrongState):
        driver.attach_volume(GUEST, BlockDevice("/dev/vdb", 8, {}))
    driver.detach_volume(GUEST, "/dev/vdb", 8)
    assert "vdb_read" in driver.diagnostics(GUEST)


def test_adopted_guests_are_as_they_were(driver: SimulatedHypervisor) -> None:
    driver.adopt(1, PowerState.SHUTDOWN, 500.0)
    driver.adopt(2, PowerState.RUNNING, 500.0)
    driver.adopt(3, 99, 500.0)
    states = [driver.power_state(make_guest(n)) for n in (1, 2, 3)]
    assert states == [PowerState.SHUTDOWN, PowerState.RUNNING, PowerState.SHUTDOWN]
    driver.power_on(GUEST, [], [])
    driver.adopt(1, PowerState.SHUTDOWN, 500.0)
    assert driver.power_state(GUEST) is PowerState.RUNNING


def test_immediate_takes_no_time(time: Time) -> None:
    driver = SimulatedHypervisor(Config(simulated_immediate=True), sleep=time.sleep)
    running(driver).reboot(GUEST, "HARD")
    assert driver.snapshot(GUEST, "image") == 10 * 1024**3
    assert time.waits == []


MEASURE = """
import tracemalloc
from nova_api.config import Config
from nova_api.nodes.drivers.simulated import SimulatedHypervisor
driver = SimulatedHypervisor(Config())
tracemalloc.start()
for number in range(10_000, 20_000):
    driver.adopt(number, 1, number + 0.5)
print(tracemalloc.get_traced_memory()[0] // 10_000)
"""


def test_an_idle_guest_is_small() -> None:
    said = subprocess.run([sys.executable, "-c", MEASURE], capture_output=True, text=True, check=True)
    assert int(said.stdout) < 300  # bytes


# -- moves and rebuilds ------------------------------------------------------------------------------------


def test_a_rebuilt_guest_boots_for_the_first_time(driver: SimulatedHypervisor) -> None:
    running(driver).reboot(GUEST, "HARD")
    for _ in range(2):
        driver.rebuild(GUEST, [CARD], [VOLUME])
        assert driver.power_state(GUEST) is PowerState.RUNNING
        assert "(boot 2)" not in driver.console(GUEST, [CARD])
        assert "vdb_read" in driver.diagnostics(GUEST)


def test_a_password_needs_a_guest_that_runs(driver: SimulatedHypervisor) -> None:
    running(driver).set_admin_password(GUEST, "secret")
    driver.power_off(GUEST)
    with pytest.raises(WrongState):
        driver.set_admin_password(GUEST, "secret")


@pytest.mark.parametrize("back", [False, True])
def test_a_move_within_a_host(driver: SimulatedHypervisor, back: bool) -> None:
    big = make_guest(memory_mb=1024)
    running(driver).reboot(GUEST, "HARD")
    for _ in range(2):
        driver.migrate_off(GUEST, "h1")
    assert driver.power_state(GUEST) is PowerState.NOSTATE
    for _ in range(2):
        driver.finish_migration(big, [CARD], [VOLUME])
    assert driver.power_state(big) is PowerState.RUNNING
    assert driver.diagnostics(big)["memory"] == 1024 * 1024
    if not back:
        for _ in range(2):
            driver.confirm_migration(big)
        assert driver.power_state(big) is PowerState.RUNNING
        return
    for _ in range(2):
        driver.revert_migration(big)
    assert driver.power_state(big) is PowerState.NOSTATE
    for _ in range(2):
        driver.finish_revert_migration(GUEST, [CARD], [])
    assert driver.power_state(GUEST) is PowerState.RUNNING
    assert "(boot 3)" in driver.console(GUEST, [CARD])
    assert "vdb_read" not in driver.diagnostics(GUEST)


def test_an_arrival_that_was_adopted_is_started(driver: SimulatedHypervisor) -> None:
    driver.adopt(GUEST.id, PowerState.SHUTDOWN, 900.0)
    driver.finish_migration(GUEST, [CARD], [VOLUME])
    assert driver.power_state(GUEST) is PowerState.RUNNING


def test_destroy_leaves_nothing_to_go_back_to(driver: SimulatedHypervisor) -> None:
    running(driver).migrate_off(GUEST, "h2")
    driver.destroy(GUEST)
    with pytest.raises(WrongState):
        driver.migrate_off(GUEST, "h2")
