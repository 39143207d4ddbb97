"""What a server looks like (spec openstack-core.md 5.2, 5.3).

Documents are written as JSON text, row by row, without an object in between: a list of a thousand servers spends most
of its time here. What wants the document as data (XML, foreign extensions) reads the text.
"""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from json.encoder import encode_basestring_ascii
from typing import Any

from nova_api.db.server_lists import Labelled, ServerList
from nova_api.openstack.extensions import AttributeExtension
from nova_api.openstack.views.links import Links

#: vm_state -> status, and by task_state what differs from it.
_STATUS: Mapping[str, tuple[str, Mapping[str, str]]] = {
    "active": (
        "ACTIVE",
        {
            "rebooting": "REBOOT",
            "rebooting_hard": "HARD_REBOOT",
            "updating_password": "PASSWORD",
            "resize_verify": "VERIFY_RESIZE",
        },
    ),
    "building": ("BUILD", {}),
    "rebuilding": ("REBUILD", {}),
    "stopped": ("STOPPED", {}),
    "shutoff": ("SHUTOFF", {}),
    "migrating": ("MIGRATING", {}),
    "resizing": ("RESIZE", {"resize_reverting": "REVERT_RESIZE"}),
    "paused": ("PAUSED", {}),
    "suspended": ("SUSPENDED", {}),
    "rescued": ("RESCUE", {}),
    "error": ("ERROR", {}),
    "deleted": ("DELETED", {}),
    "soft-delete": ("DELETED", {}),
}
#: A text as JSON; written in C.
quoted = encode_basestring_ascii

_WITH_PROGRESS = frozenset({"ACTIVE", "BUILD", "REBUILD", "RESIZE", "VERIFY_RESIZE"})


def status_of(vm_state: str, task_state: str | None) -> str:
    """The status that a client reads."""
    default, by_task = _STATUS.get(vm_state, ("UNKNOWN_STATE", {}))
    return by_task.get(task_state, default) if task_state else default


def vm_states_of(status: str) -> list[str]:
    """The states behind a status in any case; empty for one that a list cannot be narrowed to."""
    wanted = status.upper()
    return [state for state, (default, _) in _STATUS.items() if default == wanted]


def stamp(value: Any) -> str:
    """A time as documents have it, from what the driver gives; a missing one prints the current time, as in 2012.1."""
    if isinstance(value, str):
        return f"{value[:10]}T{value[11:19]}Z"
    return (value or datetime.now(UTC)).strftime("%Y-%m-%dT%H:%M:%SZ")


def members_of(links: Sequence[Mapping[str, Any]]) -> str:
    """Links as JSON."""
    return json.dumps(links, separators=(",", ":"))


class ServerView:
    """Writes the servers of one answer.

    :param links: of the request
    :param attributes: what extensions add, as far as the caller sees it
    """

    def __init__(self, links: Links, attributes: Sequence[AttributeExtension] = ()) -> None:
        self.links = links
        self.added: Sequence[Callable[[Any], str]] = [one.write for one in attributes]
        own, plain = quoted(links.own)[1:-1], quoted(links.plain)[1:-1]
        self._self = f'"links":[{{"rel":"self","href":"{own}/servers/'
        self._bookmark = f'"}},{{"rel":"bookmark","href":"{plain}/servers/'
        self._images: dict[str | None, str] = {}
        self._flavors: dict[str, str] = {}
        self._hosts: dict[tuple[str, str], str] = {}
        self._texts: dict[str | None, str] = {None: '""'}

    def brief(self, row: Any) -> str:
        """Id, name and links."""
        uuid = row.uuid
        return f'{{"id":"{uuid}","name":{quoted(row.display_name)},{self._links(uuid)}}}'

    def _links(self, uuid: str) -> str:
        return f'{self._self}{uuid}{self._bookmark}{uuid}"}}]'

    def detail(self, row: Any, found: ServerList, more: str = "") -> str:
        """All of it.

        :param more: further members, each after a comma
        """
        number, uuid, vm_state = row.id, row.uuid, row.vm_state
        status = status_of(vm_state, row.task_state)
        text, project = self._text, row.project_id or ""
        parts = [
            f'{{"id":"{uuid}","name":{quoted(row.display_name)},"status":"{status}","tenant_id":{text(project)},'
            f'"user_id":{text(row.user_id)},"created":"{stamp(row.created_at)}","updated":"{stamp(row.updated_at)}",'
            f'"hostId":"{self._host(project, row.host)}","accessIPv4":{text(row.access_ip_v4)},'
            f'"accessIPv6":{text(row.access_ip_v6)},"key_name":{text(row.key_name)},'
            f'"config_drive":{text(row.config_drive)},"image":{self._image(row.image_ref)},'
            f'"flavor":{self._flavor(row.flavorid)},"addresses":{addresses_text(found.addresses.get(number))},'
            f'"metadata":{_metadata(found.metadata.get(number))},{self._links(uuid)}'
        ]
        if status in _WITH_PROGRESS:
            parts.append(f',"progress":{row.progress}')
        elif status == "ERROR" and row.fault_message is not None:
            parts.append(f',"fault":{_fault(row)}')
        parts.extend(write(row) for write in self.added)
        parts.append(f"{more}}}")
        return "".join(parts)

    def _text(self, value: str | None) -> str:
        """A text that many rows share."""
        found = self._texts.get(value)
        if found is None:
            found = self._texts[value] = quoted(value or "")
        return found

    def _host(self, project: str, host: str | None) -> str:
        """Tells whether two servers of a project are on one host, and not on which."""
        if not host:
            return ""
        found = self._hosts.get((project, host))
        if found is None:
            digest = hashlib.sha224((project + host).encode("utf-8", "surrogatepass"))
            found = self._hosts[project, host] = digest.hexdigest()
        return found

    def _image(self, image: str | None) -> str:
        found = self._images.get(image)
        if found is None:
            shown = {"id": image, "links": [self.links.bookmark("images", image)]} if image else ""
            found = self._images[image] = json.dumps(shown)
        return found

    def _flavor(self, flavorid: str) -> str:
        found = self._flavors.get(flavorid)
        if found is None:
            shown = {"id": flavorid, "links": [self.links.bookmark("flavors", flavorid)]}
            found = self._flavors[flavorid] = json.dumps(shown)
        return found


def addresses_text(labelled: Labelled | None) -> str:
    """Addresses by network, as JSON."""
    if not labelled:
        return "{}"
    nets = (
        f"{quoted(label)}:[" + ",".join([f'{{"version":4,"addr":"{address}"}}' for address in found]) + "]"
        for label, found in labelled.items()
    )
    return f"{{{','.join(nets)}}}"


def _metadata(found: Mapping[str, str] | None) -> str:
    return json.dumps(found) if found else "{}"


def _fault(row: Any) -> str:
    fault: dict[str, Any] = {
        "code": row.fault_code or 500,
        "created": stamp(row.fault_at or row.updated_at),
        "message": row.fault_message,
    }
    if fault["code"] != 500:
        fault["details"] = row.fault_message
    return json.dumps(fault)
