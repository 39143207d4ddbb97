"""Messages that come late: what they asked for was done, and their object has gone on."""

import threading
from functools import partial
from typing import Any

import pytest

from nova_api.db import models
from tests.nodes.conftest import CONTEXT, World
from tests.nodes.test_disks import attach, attaching, detach, saving
from tests.nodes.test_live_moves import migrate
from tests.nodes.test_moves import placed


def test_an_image_that_was_made_does_not_end_the_task_of_the_next(world: World) -> None:
    world.start()
    row = world.running()
    first, second = saving(world, row), saving(world, row)
    row = world.do(row, "image_snapshot", "snapshot_instance", image_id=first.uuid)
    world.update(models.instances, row.id, task_state="image_snapshot")
    for image in (first, second):
        world.cast("compute.h1", "snapshot_instance", instance_uuid=row.uuid, image_id=image.uuid)
        world.settle()
        assert world.again(row).task_state == ("image_snapshot" if image is first else None)
    assert world.row(models.images, second.id).status == "active"


def test_two_deliveries_of_an_image_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slower one finishes when the instance is at its next image."""
    world.start()
    row = world.running()
    first, second = saving(world, row), saving(world, row)
    driver = world.hosts["h1"].driver
    snapshot, gate, begun = driver.snapshot, threading.Event(), threading.Event()
    calls: list[str] = []

    def slowly(guest: Any, image_id: str) -> int:
        calls.append(image_id)
        if len(calls) == 1:
            begun.set()
            gate.wait(30)
        return snapshot(guest, image_id)

    monkeypatch.setattr(driver, "snapshot", slowly)
    world.update(models.instances, row.id, task_state="image_snapshot")
    slow = threading.Thread(target=world.hosts["h1"].snapshot_instance, args=(None, row.uuid, first.uuid))
    slow.start()
    assert begun.wait(30)
    world.cast("compute.h1", "snapshot_instance", instance_uuid=row.uuid, image_id=first.uuid)
    world.settle()
    assert world.again(row).task_state is None
    world.update(models.instances, row.id, task_state="image_snapshot")
    gate.set()
    slow.join(30)
    assert world.again(row).task_state == "image_snapshot"
    world.cast("compute.h1", "snapshot_instance", instance_uuid=row.uuid, image_id=second.uuid)
    world.settle()
    assert [world.row(models.images, one.id).status for one in (first, second)] == ["active", "active"]
    assert world.again(row).task_state is None


def test_an_image_that_its_owner_deleted_frees_the_instance(world: World) -> None:
    world.start()
    row = world.running()
    image = saving(world, row)
    world.update(models.images, image.id, deleted=image.id, status="deleted")
    assert world.do(row, "image_snapshot", "snapshot_instance", image_id=image.uuid).task_state is None
    assert world.row(models.images, image.id).status == "deleted"


def test_a_build_that_another_host_has_taken_up(world: World) -> None:
    world.start("h1", "h2")
    row = world.instance(host="h2", task_state="networking")
    world.cast("compute.h1", "run_instance", instance_uuid=row.uuid)
    world.settle()
    assert (world.again(row).task_state, world.addresses()) == ("networking", [])
    world.cast("compute.h2", "run_instance", instance_uuid=row.uuid)
    world.settle()
    assert world.again(row).vm_state == "active"
    assert row.id not in world.hosts["h1"].driver._domains  # type: ignore[attr-defined]
    assert len(world.addresses()) == 1


def test_a_volume_is_attached_where_it_is_to_be_now(world: World) -> None:
    world.start()
    row = world.running()
    volume = attaching(world, row)
    attach(world, row, volume)
    detach(world, row, volume)
    world.update(models.volumes, volume, status="attaching", instance_id=row.id, mountpoint="/dev/vdc")
    for place in ("/dev/vdb", "/dev/vdc"):  # the first was carried out before
        world.cast("compute.h1", "attach_volume", volume_id=volume, mountpoint=place, instance_uuid=row.uuid)
        world.settle()
        assert world.row(models.volumes, volume).mountpoint == "/dev/vdc"
    assert [one.device_name for one in world.rows(models.block_devices)] == ["/dev/vdc"]


def test_a_volume_that_is_used_again_keeps_its_connection(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start()
    row = world.running()
    volume = attaching(world, row)
    ended: list[str] = []
    monkeypatch.setattr(world.volume.store, "terminate_connection", lambda number, host: ended.append(host))
    attach(world, row, volume)
    for host in ("h1", "elsewhere"):
        world.cast("volume.v1", "terminate_connection", volume_id=volume, host=host)
    world.settle()
    assert ended == ["elsewhere"]
    detach(world, row, volume)
    assert ended == ["elsewhere", "h1"]


def test_a_snapshot_that_has_ended_leaves_nothing_in_the_store(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start()
    volume = world.volume_row()
    values = {"uuid": "s-1", "project_id": "acme", "volume_id": volume, "volume_size": 1, "status": "creating"}
    number = world.insert(models.snapshots, **values)
    removed: list[int] = []

    def create(volume_id: int, snapshot_id: int) -> None:
        """Meanwhile another delivery finishes, and the owner deletes it."""
        world.update(models.snapshots, number, status="deleted", deleted=number)

    monkeypatch.setattr(world.volume.store, "create_snapshot", create)
    monkeypatch.setattr(world.volume.store, "delete_snapshot", removed.append)
    world.cast("volume.v1", "create_snapshot", volume_id=volume, snapshot_id=number)
    world.settle()
    assert removed == [number]


def test_a_password_alongside_another_task(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.start()
    row = world.running()
    told: list[str] = []
    monkeypatch.setattr(world.hosts["h1"].driver, "set_admin_password", lambda guest, word: told.append(word))
    world.update(models.instances, row.id, task_state="rebooting")
    for word in ("one", "two"):
        world.cast("compute.h1", "set_admin_password", instance_uuid=row.uuid, new_pass=word, alongside=True)
        world.settle()
    assert (told, world.again(row).task_state) == (["one", "two"], "rebooting")


@pytest.mark.parametrize(
    ("state", "task", "method", "told"),
    [
        ("active", "updating_password", "set_admin_password", {"new_pass": "x"}),
        ("active", "rescuing", "rescue_instance", {"rescue_password": "x"}),
        ("active", "rebooting", "reboot_instance", {"reboot_type": "HARD"}),
        ("rebuilding", None, "rebuild_instance", {"new_pass": "x"}),
    ],
)
def test_a_task_is_done_as_the_request_that_began_it_says(
    world: World, state: str, task: str | None, method: str, told: dict[str, str]
) -> None:
    world.start()
    row = world.running()
    world.update(models.instances, row.id, vm_state=state, task_state=task, task_request="req-of-another")
    world.cast("compute.h1", method, instance_uuid=row.uuid, **told)
    world.settle()
    assert (world.again(row).vm_state, world.again(row).task_state) == (state, task)
    world.update(models.instances, row.id, task_request=CONTEXT.request_id)
    world.cast("compute.h1", method, instance_uuid=row.uuid, **told)
    world.settle()
    after = world.again(row)
    assert (after.vm_state, after.task_state) == ("rescued" if task == "rescuing" else "active", None)


@pytest.mark.parametrize("method", ["attach_volume", "detach_volume"])
@pytest.mark.parametrize("meanwhile", [False, True], ids=["afterwards", "meanwhile"])
def test_a_volume_follows_its_instance(
    world: World, monkeypatch: pytest.MonkeyPatch, method: str, meanwhile: bool
) -> None:
    """Whether the message comes after the instance has moved, or meanwhile."""
    world.start("h1", "h2")
    row = placed(world)
    volume, wanted, place = attaching(world, row), "in-use", {"mountpoint": "/dev/vdb"}
    if method == "detach_volume":
        attach(world, row, volume)
        world.update(models.volumes, volume, status="detaching")
        wanted, place = "available", {}
    tell = partial(world.cast, "compute.h1", method, volume_id=volume, instance_uuid=row.uuid, **place)
    driver = world.hosts["h1"].driver
    go = driver.live_migrate

    def move_on(*args: Any, **options: Any) -> None:
        if meanwhile:
            tell()
        go(*args, **options)

    monkeypatch.setattr(driver, "live_migrate", move_on)
    migrate(world, row, "h2")
    if not meanwhile:
        tell()
        world.settle()
    assert world.again(row).host == "h2"
    assert world.row(models.volumes, volume).status == wanted
    assert ("vdb_read" in world.call(row, "get_diagnostics")) is (wanted == "in-use")


def test_two_deliveries_of_a_volume_at_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """The slower one does not undo what the other one, or a later request, has done."""
    world.start()
    row, node = world.running(), world.hosts["h1"]
    volume = attaching(world, row)
    others: list[threading.Thread] = []

    def overtaken(action: Any, work: Any) -> Any:
        """The first time, ``work`` is done meanwhile, unless it has to wait."""

        def act(*args: Any) -> None:
            if not others:
                others.append(threading.Thread(target=work))
                others[0].start()
                others[0].join(1)
            action(*args)

        return act

    def attach_again() -> None:
        node.attach_volume(CONTEXT, volume, "/dev/vdb", row.uuid)

    def detach_and_attach() -> None:
        node.detach_volume(CONTEXT, volume, row.uuid)
        world.update(models.volumes, volume, status="attaching", instance_id=row.id, mountpoint="/dev/vdb")
        attach_again()

    for method, work, do in (
        ("attach_volume", attach_again, attach),
        ("detach_volume", detach_and_attach, detach),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(node.driver, method, overtaken(getattr(node.driver, method), work))
            do(world, row, volume)
            others.pop().join(30)
        assert world.row(models.volumes, volume).status == "in-use"
        assert "vdb_read" in world.call(row, "get_diagnostics")
