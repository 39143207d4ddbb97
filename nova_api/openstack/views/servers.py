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

from nova_api.db.server_lists import OWN_COLUMNS, Labelled, ServerList
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

    What many servers have in common (flavor, image, host, state, ...) is written once and looked up by those columns.

    :param links: of the request
    :param attributes: what extensions add, as far as the caller sees it
    """

    def __init__(self, links: Links, attributes: Sequence[AttributeExtension] = ()) -> None:
        self.links = links
        self.shared: Sequence[Callable[[Any], str]] = [one.write for one in attributes if not one.own]
        self.own: Sequence[Callable[[Any], str]] = [one.write for one in attributes if one.own]
        own, plain = quoted(links.own)[1:-1], quoted(links.plain)[1:-1]
        self._self = f'"links":[{{"rel":"self","href":"{own}/servers/'
        self._bookmark = f'"}},{{"rel":"bookmark","href":"{plain}/servers/'
        self._written: dict[tuple[Any, ...], str] = {}

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
        number, uuid, name, created, updated = row[:OWN_COLUMNS]
        common = row[OWN_COLUMNS:]
        shared = self._written.get(common)
        if shared is None:
            shared = self._written[common] = self._shared(row)
        own = "".join([write(row) for write in self.own]) if self.own else ""
        return (
            f'{{"id":"{uuid}","name":{quoted(name)},"created":"{stamp(created)}","updated":"{stamp(updated)}",'
            f'"addresses":{addresses_text(found.addresses.get(number))},'
            f'"metadata":{_metadata(found.metadata.get(number))},{self._links(uuid)}{shared}{own}{more}}}'
        )

    def _shared(self, row: Any) -> str:
        """What a server has in common with others, each member after a comma."""
        status = status_of(row.vm_state, row.task_state)
        members = {
            "status": status,
            "tenant_id": row.project_id or "",
            "user_id": row.user_id or "",
            "hostId": host_id(row.project_id or "", row.host),
            "accessIPv4": row.access_ip_v4 or "",
            "accessIPv6": row.access_ip_v6 or "",
            "key_name": row.key_name or "",
            "config_drive": row.config_drive or "",
            "image": self._item("images", row.image_ref) if row.image_ref else "",
            "flavor": self._item("flavors", row.flavorid),
        }
        if status in _WITH_PROGRESS:
            members["progress"] = row.progress
        elif status == "ERROR" and row.fault_message is not None:
            members["fault"] = _fault(row)
        text = json.dumps(members, separators=(",", ":"))
        return f",{text[1:-1]}{''.join(write(row) for write in self.shared)}"

    def _item(self, collection: str, item: str) -> dict[str, Any]:
        return {"id": item, "links": [self.links.bookmark(collection, item)]}


def host_id(project: str, host: str | None) -> str:
    """Tells whether two servers of a project are on one host, and not on which."""
    if not host:
        return ""
    return hashlib.sha224((project + host).encode("utf-8", "surrogatepass")).hexdigest()


def addresses_text(labelled: Labelled | None) -> str:
    """Addresses by network, as JSON."""
    if not labelled:
        return "{}"
    nets = []
    for label, found in labelled.items():
        listed = '"},{"version":4,"addr":"'.join(found)
        nets.append(f'{quoted(label)}:[{{"version":4,"addr":"{listed}"}}]')
    return f"{{{','.join(nets)}}}"


def _metadata(found: Mapping[str, str] | None) -> str:
    return json.dumps(found) if found else "{}"


def _fault(row: Any) -> dict[str, Any]:
    fault: dict[str, Any] = {
        "code": row.fault_code or 500,
        "created": stamp(row.fault_at or row.updated_at),
        "message": row.fault_message,
    }
    if fault["code"] != 500:
        fault["details"] = row.fault_message
    return fault
