"""Requests for servers in XML, as JSON would have them (spec openstack-core.md 8.3)."""

from collections.abc import Sequence
from typing import Any

from nova_api.openstack.bodies import with_root
from nova_api.openstack.xml import attribute, child, children, local_name, text_of

_SERVER = ("name", "imageRef", "flavorRef", "adminPass", "accessIPv4", "accessIPv6", "auto_disk_config")
_DISK_CONFIG = "OS-DCF:diskConfig"


def metadata_of(element: Any) -> dict[str, str]:
    """The items of a ``metadata`` element; an element of another name has none."""
    return {one.get("key", ""): text_of(one) for one in children(element, "meta")}


def _attributes(element: Any, names: Sequence[str]) -> dict[str, Any]:
    found = {name: attribute(element, name) for name in names}
    return {name: value for name, value in found.items() if value is not None}


def _files(element: Any) -> list[dict[str, Any]]:
    files = []
    for one in children(element, "file"):
        file = _attributes(one, ("path",))
        file["contents"] = text_of(one)
        files.append(file)
    return files


def _common(element: Any) -> dict[str, Any]:
    """What servers and rebuilds have in common."""
    found: dict[str, Any] = {}
    for name, read in (("metadata", metadata_of), ("personality", _files)):
        part = child(element, name)
        if part is not None:
            found[name] = read(part)
    disk_config = next((value for key, value in element.attrib.items() if key.endswith("}diskConfig")), None)
    if disk_config:
        found[_DISK_CONFIG] = disk_config
    return found


def server_of(root: Any) -> dict[str, Any]:
    """A ``server`` to be created."""
    found = {**_attributes(root, _SERVER), **_common(root)}
    networks = child(root, "networks")
    if networks is not None:
        found["networks"] = [_attributes(one, ("uuid", "fixed_ip")) for one in children(networks, "network")]
    groups = child(root, "security_groups")
    if groups is not None:
        found["security_groups"] = [_attributes(one, ("name",)) for one in children(groups, "security_group")]
    body: dict[str, Any] = {local_name(root): found}
    hints = child(root, "scheduler_hints")
    if hints is not None:
        body["os:scheduler_hints"] = _hints(hints)
    return {"body": body}


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
    found |= _common(root)
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
server_action = with_root(action_of)
set_metadata = with_root(metadata_request)
set_item = with_root(meta_request)
