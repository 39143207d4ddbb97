"""The framework of extensions, with one that a stranger wrote (spec openstack-core.md 7)."""

import importlib.metadata
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from lxml import etree

from nova_api import runtime as runtimes
from nova_api.errors import Duplicate
from nova_api.openstack import compute
from nova_api.openstack.extensions import ExtensionDescriptor, ExtensionManager
from nova_api.testing import cloud as running
from nova_api.testing import make_runtime
from tests.openstack.fakes import DOCUMENT, STOCK_404, Door, message

SAMPLES = Path(__file__).parent / "sample_extensions"


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    state = tmp_path_factory.mktemp("extensions") / "state"
    with running(state, DOCUMENT, osapi_extensions_path=str(SAMPLES)) as made:
        yield Door(made)


def test_a_stranger_s_resource(door: Door) -> None:
    assert door.ask("/badges").json == {"badges": [{"id": "gold", "of": "acme"}]}
    assert door.ask("/badges/gold/polish").json == {"badge": {"id": "gold", "shine": True}}
    assert etree.fromstring(door.ask("/badges.xml").body).findtext("badge/id") == "gold"
    assert message(door.ask("/badges/gold")) == (404, STOCK_404)


def test_a_stranger_s_action_hook_and_attribute(door: Door) -> None:
    server = door.boot(name="four")
    assert door.act(server, "award", "gold").json == {"awarded": {"server": server, "badge": "gold"}}
    shown = door.server(server)
    assert (shown["BADGE:seen"], shown["BADGE:letters"]) == (True, 4)
    (listed,) = [one for one in door.ask("/servers/detail").json["servers"] if one["id"] == server]
    assert listed["BADGE:letters"] == 4
    assert "BADGE:seen" not in listed
    root = etree.fromstring(door.ask(f"/servers/{server}.xml").body)
    assert root.get("{http://example.org/badges}letters") == "4"


def test_the_list_of_extensions(door: Door) -> None:
    listed = {one["alias"]: one for one in door.ask("/extensions").json["extensions"]}
    assert listed["BADGE"] == {
        "name": "Badges",
        "alias": "BADGE",
        "namespace": "http://example.org/badges",
        "updated": "2026-11-24T00:00:00+00:00",
        "description": "Badges for good servers",
        "links": [],
    }
    assert {"OS-DCF", "OS-EXT-STS", "OS-EXT-SRV-ATTR", "OS-FLV-EXT-DATA", "os-scheduler-hints"} <= set(listed)
    assert door.ask("/extensions/OS-DCF").json["extension"] == listed["OS-DCF"]
    assert message(door.ask("/extensions/nothing")) == (404, STOCK_404)
    assert door.delete("/extensions/OS-DCF").status_int == 404
    root = etree.fromstring(door.ask("/extensions/BADGE.xml").body)
    common = "{http://docs.openstack.org/common/api/v1.0}"
    assert (root.tag, root.get("alias"), root.findtext(f"{common}description")) == (
        f"{common}extension",
        "BADGE",
        "Badges for good servers",
    )


@pytest.fixture
def services(tmp_path: Path) -> Iterator[runtimes.Runtime]:
    made = make_runtime(tmp_path / "state")
    runtimes.install(made)
    yield made
    runtimes.uninstall()
    made.close()


class Sample(ExtensionDescriptor):
    """A sample."""

    name, alias, namespace, updated = "Sample", "SMP", "urn:sample", "2012-01-01T00:00:00+00:00"


class Nameless(ExtensionDescriptor):
    """Lacks a field."""

    alias, namespace, updated = "NON", "urn:none", "2012-01-01T00:00:00+00:00"


def test_factories_by_callable_and_by_name(services: runtimes.Runtime) -> None:
    manager = ExtensionManager(())
    manager.load_extension(Sample)
    assert manager.is_loaded("SMP")
    assert Sample.nsmap()["SMP"] == "urn:sample"
    assert Sample.xmlname("x") == "{urn:sample}x"
    by_name = ExtensionManager(["nova_api.openstack.contrib.disk_config.Disk_config"])
    assert list(by_name.extensions) == ["OS-DCF"]


def test_entry_points(services: runtimes.Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    class Point:
        """An entry point of an installed package."""

        def __init__(self, name: str, found: Any) -> None:
            self.name, self.found = name, found

        def load(self) -> Any:
            if isinstance(self.found, Exception):
                raise self.found
            return self.found

    points = [Point("broken", ImportError("no")), Point("sample", Sample)]
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points)
    manager = ExtensionManager()
    assert manager.is_loaded("SMP")
    assert manager.is_loaded("OS-DCF")


def test_what_cannot_be_loaded_is_logged(
    services: runtimes.Runtime, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "broken.py").write_text("1 / 0")
    manager = ExtensionManager(["nowhere:Thing"])
    manager._load_folder(str(tmp_path))
    with caplog.at_level(logging.WARNING):
        manager.load_extension(Nameless)
    assert manager.extensions == {}
    assert len(caplog.records) == 3


def test_an_alias_is_taken_once(services: runtimes.Runtime) -> None:
    manager = ExtensionManager(())
    Sample(manager)
    with pytest.raises(Duplicate, match="Found duplicate extension: SMP"):
        Sample(manager)


def test_selected_extensions(tmp_path: Path) -> None:
    made = make_runtime(
        tmp_path / "state",
        osapi_compute_extension=("nova_api.openstack.contrib:select_extensions",),
        osapi_compute_ext_list=("Disk_config", "Extended_status"),
    )
    runtimes.install(made)
    try:
        assert set(ExtensionManager().extensions) == {"OS-DCF", "OS-EXT-STS"}
    finally:
        runtimes.uninstall()
        made.close()


def test_a_router_needs_extensions(services: runtimes.Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compute.APIRouter, "ExtensionManager", None)
    with pytest.raises(Exception, match="Must specify an ExtensionManager class"):
        compute.APIRouter()
    assert "servers" in compute.APIRouter(ExtensionManager(())).resources
