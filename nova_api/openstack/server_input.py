"""What clients say of a new server, checked field by field with the words of 2012.1 (spec openstack-core.md 5.5)."""

import base64
import binascii
import re
import secrets
import socket
from collections.abc import Mapping, Sequence
from typing import Any

import webob.exc

from nova_api import limits

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z", re.IGNORECASE)
_BLANKS = re.compile(r"\s+")
#: Letters of passwords: none that is easily taken for another.
_DIGITS, _UPPER, _LOWER = "23456789", "ABCDEFGHJKLMNPQRSTUVWXYZ", "abcdefghijkmnopqrstuvwxyz"
_NUMBER = re.compile(r"\s*[+]?\d{1,9}\s*\Z", re.ASCII)

Fields = Mapping[str, Any]


def refuse(text: str) -> webob.exc.HTTPBadRequest:
    """A field that cannot be what it is."""
    return webob.exc.HTTPBadRequest(explanation=text)


def entity(body: Any, name: str) -> Fields:
    """The document's only member.

    :raises HTTPUnprocessableEntity: there is none of that name
    :raises HTTPBadRequest: it is no object
    """
    if not isinstance(body, dict) or name not in body:
        raise webob.exc.HTTPUnprocessableEntity
    found = body[name]
    if not isinstance(found, dict):
        raise webob.exc.HTTPBadRequest
    return found


def is_uuid(text: str) -> bool:
    """Whether a text has the form of a UUID."""
    return _UUID.match(text) is not None


def name_of(value: Any) -> str:
    """The name of a server, without the blanks around it."""
    if not isinstance(value, str):
        raise refuse("Server name is not a string or unicode")
    text = value.strip()
    if not text:
        raise refuse("Server name is an empty string")
    if len(text) > limits.MAX_SERVER_NAME:
        raise refuse("Server name must be less than 256 characters.")
    return storable(text)


def storable(text: str) -> str:
    """A text that every database holds: no NUL, no half of a character."""
    if not is_storable(text):
        raise webob.exc.HTTPBadRequest
    return text


def is_storable(text: str) -> bool:
    """Whether every database holds a text, or can be asked for it."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def reference(value: Any) -> str:
    """The id at the end of a reference, which may be a URL."""
    return str(value).rstrip("/").rpartition("/")[2] if isinstance(value, (str, int)) else ""


def image_of(fields: Fields, missing: str = "Missing imageRef attribute") -> str:
    """The UUID of the image that is meant."""
    if fields.get("imageRef") is None:
        raise refuse(missing)
    uuid = reference(fields["imageRef"])
    if not is_uuid(uuid):
        raise refuse("Invalid imageRef provided.")
    return uuid.lower()


def flavor_of(fields: Fields) -> str:
    """The id of the flavor that is meant."""
    if fields.get("flavorRef") is None:
        raise refuse("Missing flavorRef attribute")
    flavorid = flavor_id(fields["flavorRef"])
    if not flavorid:
        raise refuse("Invalid flavorRef provided.")
    return flavorid


def flavor_id(value: Any) -> str:
    """The id in a reference to a flavor; empty for one that no flavor can have."""
    text = reference(value)
    return text if len(text) <= limits.MAX_FLAVOR_ID and is_storable(text) else ""


def new_password(length: int) -> str:
    """A random password with at least one digit, one capital and one small letter."""
    kinds = (_DIGITS, _UPPER, _LOWER)
    letters = [secrets.choice(kind) for kind in kinds]
    letters += [secrets.choice("".join(kinds)) for _ in range(length - len(letters))]
    secrets.SystemRandom().shuffle(letters)
    return "".join(letters)


def password_of(value: Any) -> str:
    """A password that the client has chosen."""
    if not isinstance(value, str) or not value or len(value) > limits.MAX_ADMIN_PASSWORD:
        raise refuse("Invalid adminPass")
    return value


def addresses_of(fields: Fields) -> dict[str, str]:
    """Access addresses as columns; null is none."""
    found = {}
    for name, column, check in (
        ("accessIPv4", "access_ip_v4", _is_ipv4),
        ("accessIPv6", "access_ip_v6", _is_ipv6),
    ):
        value = fields.get(name)
        if value is None:
            continue
        if not isinstance(value, str) or not check(value):
            raise refuse(f"{name} is not proper IPv{name[-1]} format")
        found[column] = value
    return found


def _is_ipv4(text: str) -> bool:
    """By the rules of ``inet_aton``, which takes ``1`` for an address too."""
    if _BLANKS.search(text) or len(text) > 39:
        return False
    try:
        socket.inet_aton(text)
    except (OSError, UnicodeError, ValueError):
        return False
    return True


def _is_ipv6(text: str) -> bool:
    try:
        socket.inet_pton(socket.AF_INET6, text)
    except (OSError, UnicodeError, ValueError):
        return False
    return len(text) <= 39


def metadata_of(value: Any) -> dict[str, str]:
    """Metadata: texts by text."""
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise webob.exc.HTTPBadRequest
    for key, text in value.items():
        if not isinstance(text, str):
            raise webob.exc.HTTPBadRequest
        storable(key)
        storable(text)
    return dict(value)


def files_of(value: Any) -> list[tuple[str, str]]:
    """Files to put into the server: path and content, base64 without blanks."""
    found = []
    if value is not None and not isinstance(value, list):
        raise refuse("Bad personality format")
    for one in value or ():
        if not isinstance(one, dict):
            raise refuse("Bad personality format")
        for name in ("path", "contents"):
            if name not in one:
                raise refuse(f"Bad personality format: missing '{name}'")
        path, contents = one["path"], one["contents"]
        if not isinstance(path, str):
            raise refuse("Bad personality format")
        found.append((path, _content(path, contents)))
    return found


def _content(path: str, contents: Any) -> str:
    text = _BLANKS.sub("", contents) if isinstance(contents, str) else "?"
    try:
        base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise refuse(f"Personality content for {path} cannot be decoded") from None
    return text


def groups_of(value: Any) -> tuple[str, ...]:
    """Names of security groups, each once."""
    if value is None:
        return ("default",)
    if not isinstance(value, list) or len(value) > limits.MAX_GROUPS:
        raise webob.exc.HTTPBadRequest
    names = []
    for one in value:
        if not isinstance(one, dict) or not isinstance(one.get("name"), str) or not one["name"]:
            raise webob.exc.HTTPBadRequest
        names.append(storable(one["name"]))
    return tuple(dict.fromkeys(names)) or ("default",)


def networks_of(value: Any) -> list[tuple[str, str | None]] | None:
    """UUID and fixed address of the networks that are asked for; None when nothing is said of them."""
    if value is None:
        return None
    if not isinstance(value, list) or len(value) > limits.MAX_NETWORKS:
        raise refuse("Bad networks format")
    found: dict[str, str | None] = {}
    for one in value:
        if not isinstance(one, dict):
            raise refuse("Bad networks format")
        if "uuid" not in one:
            raise refuse("Bad network format: missing 'uuid'")
        uuid = str(one["uuid"])
        if not is_uuid(uuid):
            raise refuse(f"Bad networks format: network uuid is not in proper format ({uuid})")
        if uuid in found:
            raise refuse(f"Duplicate networks ({uuid}) are not allowed")
        found[uuid] = _fixed_address(one.get("fixed_ip"))
    return list(found.items())


def _fixed_address(value: Any) -> str | None:
    if value is None:
        return None
    if not isinstance(value, str) or not _is_ipv4(value) or value.count(".") != 3:
        raise refuse(f"Invalid fixed IP address ({value})")
    return value


def user_data_of(value: Any) -> str:
    """User data, base64 as it came; characters that are none are skipped, as in 2012.1."""
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > limits.MAX_USER_DATA or not is_storable(value):
        raise refuse("Userdata content cannot be decoded")
    try:
        base64.b64decode(value, validate=False)
    except (binascii.Error, ValueError):
        raise refuse("Userdata content cannot be decoded") from None
    return value


def counts_of(fields: Fields) -> tuple[int, int]:
    """Least and greatest number of servers."""
    least = _count(fields.get("min_count")) or 1
    most = _count(fields.get("max_count")) or least
    return min(least, most), min(most, limits.MAX_INSTANCES_PER_CALL)


def _count(value: Any) -> int:
    """A number; null, 0 and an empty text are none."""
    if value is None or value == "":
        return 0
    if isinstance(value, bool) or not isinstance(value, (int, str)) or not _NUMBER.match(str(value)):
        raise webob.exc.HTTPBadRequest
    return int(value)


def text_of(fields: Fields, name: str) -> str | None:
    """A text that may be missing.

    :raises HTTPBadRequest: it is something else, or longer than a name
    """
    value = fields.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or len(value) > limits.MAX_NAME:
        raise webob.exc.HTTPBadRequest
    return storable(value)


def config_drive_of(value: Any) -> str:
    """Whether there is a config drive, or the image that it is."""
    if value in (None, "", False, "False", "false"):
        return ""
    if value in (True, "True", "true", "1", 1):
        return "True"
    uuid = reference(value)
    if not is_uuid(uuid):
        raise refuse("Can not find requested image")
    return uuid.lower()


def disk_config_of(fields: Fields) -> bool | None:
    """``OS-DCF:diskConfig``; XML has it as ``auto_disk_config``."""
    if "OS-DCF:diskConfig" not in fields:
        plain = fields.get("auto_disk_config")
        return None if plain is None else truth(plain)
    value = fields["OS-DCF:diskConfig"]
    if value not in ("AUTO", "MANUAL"):
        raise refuse("OS-DCF:diskConfig must be either 'MANUAL' or 'AUTO'.")
    return bool(value == "AUTO")


def truth(value: Any) -> bool:
    """A truth value in any of the forms that clients write it in."""
    return value is True or str(value).strip().lower() in ("1", "t", "true", "y", "yes", "on")


def hints_of(body: Fields, fields: Fields) -> Mapping[str, Any] | None:
    """Hints for the scheduler; those beside the server go before those within (CVE-2012-3371: bounded)."""
    if "os:scheduler_hints" not in body and fields.get("scheduler_hints") is None:
        return None
    hints = body.get("os:scheduler_hints", fields.get("scheduler_hints"))
    if not isinstance(hints, dict) or len(hints) > limits.MAX_SCHEDULER_HINTS:
        raise webob.exc.HTTPBadRequest
    for key, value in hints.items():
        values: Sequence[Any] = value if isinstance(value, list) else [value]
        if len(key) > limits.MAX_NAME or len(values) > limits.MAX_HINT_VALUES:
            raise webob.exc.HTTPBadRequest
        if any(isinstance(one, (dict, list)) or len(str(one)) > limits.MAX_NAME for one in values):
            raise webob.exc.HTTPBadRequest
    return hints
