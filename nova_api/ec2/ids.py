"""EC2 ids: a prefix and a number in hexadecimal (spec ec2.md 3)."""

import re
from functools import lru_cache

_FORM = re.compile(r"([a-z]{1,8})-([0-9a-fA-F]{1,32})\Z")


def parse(text: str, prefix: str) -> int | None:
    """The number in an id.

    The prefix is checked, which 2012.1 did not do; more than eight digits work, as they did.

    :param text: ``i-0000002a``
    :param prefix: ``i``, ``vol``, ``snap``, ``ami``, ``aki``, ``ari`` or ``sg``
    :returns: None for a text that is no id of this kind
    """
    match = _FORM.match(text)
    if match is None or match[1] != prefix:
        return None
    return int(match[2], 16)


def instance_id(number: int) -> str:
    """``i-0000002a``"""
    return f"i-{number:08x}"


def volume_id(number: int) -> str:
    """``vol-0000002a``"""
    return f"vol-{number:08x}"


def snapshot_id(number: int) -> str:
    """``snap-0000002a``"""
    return f"snap-{number:08x}"


def group_id(number: int) -> str:
    """``sg-0000002a``"""
    return f"sg-{number:08x}"


@lru_cache(maxsize=4096)
def image_id(number: int, container_format: str) -> str:
    """``ami-0000002a``; ``aki`` and ``ari`` for kernels and ramdisks, ``ami`` for every other format."""
    prefix = container_format if container_format in ("aki", "ari") else "ami"
    return f"{prefix}-{number:08x}"


def is_ec2_id(value: object) -> bool:
    """Whether a value has the form of an EC2 id of any kind (spec ec2.md 2.9)."""
    if not isinstance(value, str):
        return False
    try:
        int(value.rpartition("-")[2], 16)
    except ValueError:
        return False
    return value.isascii()
