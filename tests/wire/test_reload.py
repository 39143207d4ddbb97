"""SIGHUP, more workers than one, and the death of some of them: no client sees more than a pause."""

import os
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import RunningCloud, broker, running_cloud, spawn
from tests.wire.conftest import get, read_answer, signed_query, wait_for_continue

REGIONS = [("Action", "DescribeRegions")]


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < until, what
        time.sleep(0.02)


def region(cloud: RunningCloud) -> str:
    answer = get(cloud, signed_query(cloud, REGIONS)).decode()
    assert answer.startswith("HTTP/1.1 200"), answer
    return answer.partition("<regionName>")[2].partition("<")[0]


def children(cloud: RunningCloud) -> set[int]:
    text = Path(f"/proc/{cloud.process.pid}/task/{cloud.process.pid}/children").read_text()
    return {int(pid) for pid in text.split()}


@contextmanager
def asking(cloud: RunningCloud) -> Iterator[list[str]]:
    """Clients that ask all the time; each answer must be a good one."""
    done, seen = threading.Event(), []

    def ask() -> None:
        while not done.is_set():
            try:
                seen.append(region(cloud))
            except (AssertionError, OSError) as error:
                seen.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        done.set()
        for thread in threads:
            thread.join(60)


@pytest.fixture
def settings(tmp_path: Path) -> Path:
    path = tmp_path / "nova.conf"
    path.write_text("[DEFAULT]\nregion_name = before\n")
    return path


def test_a_single_process_starts_anew(tmp_path: Path, settings: Path) -> None:
    with running_cloud(tmp_path, "--config", str(settings)) as cloud:
        with asking(cloud) as seen:
            wait_for(lambda: "before" in seen, "no answer")
            settings.write_text("[DEFAULT]\nregion_name = after\n")
            cloud.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "after" in seen, "nothing was reloaded")
        assert set(seen) == {"before", "after"}
        assert cloud.stop() == 0


BROKEN = (
    "no_such_option = 1",
    "policy_file = /nonexistent",
    "api_paste_config = /nonexistent",
    "rpc_transport = pigeon://",
    "compute_driver = nova_api.nodes.drivers:Nothing",
    "console_port_first = 70000",
)


def test_what_does_not_hold_is_not_taken(tmp_path: Path, settings: Path) -> None:
    with running_cloud(tmp_path, "--config", str(settings)) as cloud:
        for count, broken in enumerate(BROKEN, 1):
            settings.write_text(f"[DEFAULT]\nregion_name = after\n{broken}\n")
            cloud.process.send_signal(signal.SIGHUP)
            refused = lambda count=count: cloud.log_path.read_text().count("nothing is reloaded") == count  # noqa: E731
            wait_for(refused, f"nothing was said of {broken}")
            assert region(cloud) == "before"
        settings.write_text("[DEFAULT]\nregion_name = after\n")
        cloud.process.send_signal(signal.SIGHUP)
        wait_for(lambda: region(cloud) == "after", "nothing was reloaded")


def half(sock: socket.socket, head: bytes = b"Host: a\r\nContent-Length: 10\r\n") -> None:
    """Send a request without its body, and return when the server has it in hand."""
    sock.sendall(b"POST /services/Cloud/ HTTP/1.1\r\nExpect: 100-continue\r\n" + head + b"\r\n")
    wait_for_continue(sock)


def test_a_second_reload_does_not_end_it(tmp_path: Path, settings: Path) -> None:
    with running_cloud(tmp_path, "--config", str(settings)) as cloud:
        with socket.create_connection(("127.0.0.1", cloud.port("ec2"))) as slow:
            half(slow)
            cloud.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "stopping" in cloud.log_path.read_text(), "it does not stop")
            settings.write_text("[DEFAULT]\nregion_name = after\n")
            cloud.process.send_signal(signal.SIGHUP)
            wait_for(lambda: "anew already" in cloud.log_path.read_text(), "nothing was said")
            slow.sendall(b"0123456789")
            assert read_answer(slow).startswith(b"HTTP/1.1 ")
        wait_for(lambda: region(cloud) == "after", "nothing was reloaded")
        assert cloud.stop() == 0


def test_a_stop_in_the_middle_of_a_reload_is_a_stop(tmp_path: Path) -> None:
    with running_cloud(tmp_path) as cloud, socket.create_connection(("127.0.0.1", cloud.port("ec2"))) as slow:
        half(slow)
        cloud.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "stopping" in cloud.log_path.read_text(), "it does not stop")
        cloud.process.terminate()
        time.sleep(0.3)  # for it to stop, if the request did not keep it
        slow.sendall(b"0123456789")
        assert read_answer(slow).startswith(b"HTTP/1.1 ")
        assert cloud.process.wait(20) == 0


def test_a_writer_of_another_process_holds_up_no_other_request(tmp_path: Path) -> None:
    with running_cloud(tmp_path) as cloud:
        other = sqlite3.connect(cloud.state / "nova.sqlite", isolation_level=None)
        try:
            other.execute("BEGIN IMMEDIATE")
            for _ in range(60):  # through a heartbeat and more, which would wait for 30 s
                began = time.monotonic()
                assert region(cloud)
                assert time.monotonic() - began < 15
                time.sleep(0.2)
        finally:
            other.close()


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    with running_cloud(tmp_path) as cloud, socket.create_connection(("127.0.0.1", cloud.port("ec2"))) as slow:
        half(slow)
        cloud.process.terminate()
        wait_for(lambda: "stopping" in cloud.log_path.read_text(), "it does not stop")
        cloud.process.terminate()
        assert cloud.process.wait(20) == -signal.SIGTERM


# -- workers -----------------------------------------------------------------------------------------------


def test_messages_in_memory_are_for_one_process(tmp_path: Path) -> None:
    for refused in (("--workers", "2"), ("--set", "workers=3")):
        output = tmp_path / "out"
        process = spawn("api", "--state", str(tmp_path / "state"), *refused, output=output)
        assert process.wait(60) == 2
        (line,) = output.read_text().splitlines()
        assert line.startswith("nova-api: workers=") and "amqp://" in line
        output.unlink()


@pytest.fixture
def workers(tmp_path: Path, settings: Path) -> Iterator[RunningCloud]:
    with broker() as place:
        options = ("--config", str(settings), "--workers", "2", "--set", f"rpc_transport={place}")
        with running_cloud(tmp_path, *options, "--set", "graceful_shutdown_timeout=60") as cloud:
            wait_for(lambda: len(children(cloud)) == 3, "two workers and the nodes")
            yield cloud


@pytest.mark.xdist_group("rabbitmq")
def test_workers_share_the_doors(workers: RunningCloud) -> None:
    cloud = workers
    assert cloud.output_path.read_text().count("nova-api is up.") == 1
    assert "counts failed logins for itself" in cloud.log_path.read_text()
    text = get(cloud, signed_query(cloud, [("Action", "RunInstances"), ("ImageId", "ami-00000003")])).decode()
    number = text.partition("<instanceId>")[2].partition("<")[0]
    described = [("Action", "DescribeInstances"), ("InstanceId.1", number)]
    wait_for(lambda: b"<name>running</name>" in get(cloud, signed_query(cloud, described)), "it does not run")
    assert cloud.stop() == 0
    assert "nova-api: stopped" in cloud.output_path.read_text()


@pytest.mark.xdist_group("rabbitmq")
def test_workers_that_die_are_started_again(workers: RunningCloud) -> None:
    cloud = workers
    for _ in range(2):
        before = children(cloud)
        victim = min(before)
        os.kill(victim, signal.SIGKILL)
        wait_for(lambda victim=victim: victim not in children(cloud) and len(children(cloud)) == 3, "one is missing")
        assert region(cloud) == "before"


@pytest.mark.xdist_group("rabbitmq")
def test_workers_are_exchanged(workers: RunningCloud, settings: Path) -> None:
    cloud, before = workers, children(workers)
    with asking(cloud) as seen:
        wait_for(lambda: "before" in seen, "no answer")
        settings.write_text("[DEFAULT]\nno_such_option = 1\n")
        cloud.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "nothing is reloaded" in cloud.log_path.read_text(), "nothing was said")
        assert children(cloud) == before
        settings.write_text("[DEFAULT]\nregion_name = after\ncompute_driver = nova_api.nodes.drivers:Nothing\n")
        cloud.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "the nodes could not be started" in cloud.log_path.read_text(), "nothing was said")
        assert children(cloud) == before
        settings.write_text("[DEFAULT]\nregion_name = after\npolicy_file = /nonexistent\n")
        cloud.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "a new process does not work" in cloud.log_path.read_text(), "nothing was said")
        wait_for(lambda: children(cloud) == before, "the new ones are still there")
        settings.write_text("[DEFAULT]\nregion_name = after\n")
        cloud.process.send_signal(signal.SIGHUP)
        wait_for(lambda: not children(cloud) & before and len(children(cloud)) == 3, "the old ones are still there")
        count = len(seen)
        wait_for(lambda: len(seen) > count + 3, "no answer")
    assert set(seen) == {"before", "after"} and seen[-1] == "after"


@pytest.mark.xdist_group("rabbitmq")
def test_old_workers_finish_what_they_have(workers: RunningCloud) -> None:
    cloud, before = workers, children(workers)
    query = signed_query(cloud, REGIONS, "POST").encode()
    with socket.create_connection(("127.0.0.1", cloud.port("ec2")), 60) as sock:
        half(
            sock,
            f"Host: 127.0.0.1:{cloud.port('ec2')}\r\n"
            "Content-Type: application/x-www-form-urlencoded\r\n"
            f"Content-Length: {len(query)}\r\n".encode(),
        )
        cloud.process.send_signal(signal.SIGHUP)
        wait_for(lambda: len(before - children(cloud)) >= 2, "nobody is exchanged")  # but for the one that is asked
        sock.sendall(query)
        answer = read_answer(sock)
        assert answer.startswith(b"HTTP/1.1 200") and b"connection: close" in answer.lower()
        wait_for(lambda: not children(cloud) & before, "one stays")


@pytest.mark.xdist_group("rabbitmq")
def test_a_second_signal_ends_workers_at_once(workers: RunningCloud) -> None:
    cloud = workers
    with socket.create_connection(("127.0.0.1", cloud.port("ec2"))) as slow:
        half(slow)
        cloud.process.terminate()
        wait_for(lambda: "stopping" in cloud.log_path.read_text(), "they do not stop")
        cloud.process.terminate()
        assert cloud.process.wait(40) == 0


@pytest.mark.xdist_group("rabbitmq")
def test_children_do_not_outlive_their_parent(workers: RunningCloud) -> None:
    orphans = children(workers)
    workers.kill()
    wait_for(lambda: not any(_lives(pid) for pid in orphans), "one lives on")


def _lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


@pytest.mark.xdist_group("rabbitmq")
def test_workers_that_cannot_start(tmp_path: Path) -> None:
    paste = tmp_path / "broken.ini"
    paste.write_text("[app:ec2]\npaste.app_factory = nowhere:at_all\n")
    with broker() as place:
        options = ("--set", f"rpc_transport={place}", "--set", f"api_paste_config={paste}", "--set", "enabled_apis=ec2")
        ports = ("--ec2-port", "0")
        output = tmp_path / "out"
        process = spawn("api", "--state", str(tmp_path / "state"), "--workers", "2", *ports, *options, output=output)
        assert process.wait(60) == 2
        assert str(paste) in output.read_text() and "Traceback" not in output.read_text()
        assert not (tmp_path / "state" / "cloud.json").exists()
