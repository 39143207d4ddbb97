"""What clients of the 1.0 API say: integer ids, which XML has as texts (spec openstack-core.md 9.1, 9.2)."""

from collections.abc import Mapping
from typing import Any

import webob.exc

from nova_api import runtime
from nova_api.openstack.extended import number_in, text_field
from nova_api.openstack.server_input import is_uuid, refuse


def id_of(fields: Mapping[str, Any], name: str) -> Any:
    """A member that names something.

    :raises HTTPBadRequest: it is not there
    """
    found = fields.get(name)
    if found is None or found == "":
        raise refuse(f"Missing {name} attribute")
    return found


def server_of(fields: Mapping[str, Any], name: str) -> str:
    """A server's id as services take it: a number, or a UUID.

    :raises HTTPBadRequest: it is neither
    """
    found = id_of(fields, name)
    number = number_in(found)
    if number is not None:
        return str(number)
    if isinstance(found, str) and is_uuid(found):
        return found.lower()
    raise refuse(f"Invalid {name} provided.")


def image_name_of(fields: Mapping[str, Any]) -> str:
    """The name of a new image.

    :raises HTTPBadRequest: it is not there, no text, or too long
    """
    found = text_field(fields, "name")
    if not found:
        raise refuse("Image name is not defined")
    return found


def image_of(services: runtime.Runtime, value: Any) -> str | None:
    """The UUID of an image, by its number or as it is; None for a number that no image has, and for what is neither."""
    number = number_in(value)
    if number is not None:
        return services.numbers.image(number)
    return value.lower() if isinstance(value, str) and is_uuid(value) else None


def image_or_404(services: runtime.Runtime, text: str) -> str:
    """:func:`image_of` of a path.

    :raises HTTPNotFound: there is none
    """
    found = image_of(services, text)
    if found is None:
        raise webob.exc.HTTPNotFound(explanation="Image not found.")
    return found


def flavor_of(services: runtime.Runtime, value: Any) -> str | None:
    """A flavor's id, by its number; None for a number that no flavor can have, and for what is none."""
    number = number_in(value)
    return None if number is None else services.numbers.flavor(number)


def group_of(fields: Mapping[str, Any]) -> int | None:
    """The number of the shared IP group that a new server is put into; None for none.

    :raises HTTPBadRequest: it is no number
    """
    if fields.get("sharedIpGroupId") is None:
        return None
    number = number_in(fields["sharedIpGroupId"])
    if number is None:
        raise refuse("Invalid sharedIpGroupId provided.")
    return number


def flag_of(fields: Mapping[str, Any], name: str, *, default: bool | None = None) -> bool:
    """A truth value.

    :param default: what a missing one means; None if there must be one
    :raises HTTPBadRequest: it is not there, or is something else
    """
    found = fields.get(name, default)
    if not isinstance(found, bool):
        raise refuse(f"{name} must be true or false")
    return found


def xml_flag(text: str) -> Any:
    """A truth value as XML writes it; text that is none stays as it is."""
    return {"true": True, "1": True, "false": False, "0": False}.get(text, text)
