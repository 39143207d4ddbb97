"""Requests for servers in XML, as JSON would have them (spec openstack-core.md 8.3)."""

from collections.abc import Sequence
from typing import Any

from nova_api.openstack.bodies import with_root
from nova_api.openstack.xml import attribute, child, children, local_name, text_of, to_plain

_SERVER = ("name", "imageRef", "flavorRef", "adminPass", "accessIPv4", "accessIPv6", "auto_disk_config")
_DISK_CONFIG = "OS-DCF:diskConfig"


def metadata_of(element: Any) -> dict[str, str]:
    """The items of a ``metadata`` element; an element of another name has none."""
    return {one.get("key", ""): text_of(one) for one in children(element, "meta")}


def attributes_of(element: Any, names: Sequence[str]) -> dict[str, Any]:
    """Attributes out of these that are there, and not empty."""
    found = {name: attribute(element, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _files(element: Any) -> list[dict[str, Any]]:
    files = []
    for one in children(element, "file"):
        file = attributes_of(one, ("path",))
        file["contents"] = text_of(one)
        files.append(file)
    return files


def parts_of(element: Any) -> dict[str, Any]:
    """Metadata, files and disk layout, which servers and rebuilds have in common."""
    found: dict[str, Any] = {}
    for name, read in (("metadata", metadata_of), ("personality", _files)):
        part = child(element, name)
        if part is not None:
            found[name] = read(part)
    return {**found, **disk_layout_of(element)}


def disk_layout_of(element: Any) -> dict[str, str]:
    """How the disk is to be laid out, where the element says so by the attribute of OS-DCF."""
    said = next((value for key, value in element.attrib.items() if key.endswith("}diskConfig")), None)
    return {_DISK_CONFIG: said} if said else {}


def server_of(root: Any) -> dict[str, Any]:
    """A ``server`` to be created."""
    found = {**attributes_of(root, _SERVER), **parts_of(root)}
    networks = child(root, "networks")
    if networks is not None:
        found["networks"] = [attributes_of(one, ("uuid", "fixed_ip")) for one in children(networks, "network")]
    groups = child(root, "security_groups")
    if groups is not None:
        found["security_groups"] = [attributes_of(one, ("name",)) for one in children(groups, "security_group")]
    body: dict[str, Any] = {local_name(root): found}
    hints = child(root, "scheduler_hints")
    if hints is not None:
        body["os:scheduler_hints"] = _hints(hints)
    return {"body": body}


def update_of(root: Any) -> dict[str, Any]:
    """What of a ``server`` is to be changed: attributes and children are the same, as in every plain document."""
    found = to_plain(root) or {}
    if isinstance(found, dict):
        found |= disk_layout_of(root)
    return {"body": {local_name(root): found}}


def _hints(element: Any) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in element:
        found.setdefault(local_name(one), []).append(text_of(one))
    return found


def action_of(root: Any) -> dict[str, Any]:
    """An action: its attributes, and what rebuild and createImage have besides."""
    name = local_name(root)
    if name in ("confirmResize", "revertResize"):
        return {"body": {name: None}}
    found: dict[str, Any] = {key: value for key, value in root.attrib.items() if not key.startswith("{")}
    found |= parts_of(root)
    if name == "rebuild":
        for ignored in ("adminPass", "accessIPv4", "accessIPv6"):
            found.pop(ignored, None)
    return {"body": {name: found}}


def metadata_request(root: Any) -> dict[str, Any]:
    """The document of all metadata."""
    return {"body": {"metadata": metadata_of(root)}}


def meta_request(root: Any) -> dict[str, Any]:
    """The document of one item."""
    return {"body": {"meta": {root.get("key", ""): text_of(root)}}}


create_server = with_root(server_of)
update_server = with_root(update_of)
server_action = with_root(action_of)
set_metadata = with_root(metadata_request)
set_item = with_root(meta_request)
