"""The image record that UpdateImage answers, and the properties that it takes (spec ec2.md 4.6)."""

import re
from collections.abc import Mapping

from nova_api.cloud.catalogue import properties_of
from nova_api.cloud.image import ImageRecord
from nova_api.ec2.params import invalid, snake_case
from nova_api.ec2.xml import element_name

#: What an element may be called: the key of a property is one in the answer.
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9-]*\Z")


def given_properties(given: Mapping[str, str]) -> dict[str, str]:
    """Properties by the names that the catalogue has for them: ``KernelId`` is ``kernel_id``.

    :raises InvalidParameterValue: a name that no element can have
    """
    for key in given:
        if not _NAME.match(element_name(snake_case(key))):
            raise invalid(key, "Properties")
    return {snake_case(key): value for key, value in given.items()}


def record(image: ImageRecord) -> dict[str, object]:
    """The image record of 2012.1; kernel and ramdisk are numbers in it."""
    return {
        "id": image.number,
        "name": image.name,
        "status": image.status,
        "isPublic": image.is_public,
        "containerFormat": image.container_format,
        "diskFormat": image.disk_format,
        "size": image.size,
        "checksum": image.checksum,
        "minDisk": image.min_disk,
        "minRam": image.min_ram,
        "createdAt": image.created_at,
        "updatedAt": image.updated_at,
        "deletedAt": None,
        "deleted": False,
        "properties": _properties(image),
    }


def _properties(image: ImageRecord) -> dict[str, object]:
    """Those whose names can be elements: the Compute API takes others too."""
    shown: dict[str, object] = {**properties_of(image)}
    numbers = {"kernel_id": image.kernel_number, "ramdisk_id": image.ramdisk_number}
    shown |= {key: number for key, number in numbers.items() if number is not None}
    return {key: value for key, value in shown.items() if _NAME.match(element_name(key))}
