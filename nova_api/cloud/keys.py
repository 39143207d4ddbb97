"""Keys of metadata, properties and extra specs, as every database can tell them apart."""

from collections.abc import Iterable

from nova_api import errors


def check_keys(keys: Iterable[str]) -> None:
    """Refuse keys that differ by blanks at their end only: to MariaDB they are the same.

    :raises InvalidParameterValue: there are such
    """
    known = set(keys)
    if len({key.rstrip(" ") for key in known}) < len(known):
        raise errors.InvalidParameterValue("Two keys differ by blanks at their end only.")
