"""Media types: what comes in, what goes out, and which is meant (spec openstack-core.md 1.6)."""

import re
from collections.abc import Sequence
from functools import lru_cache

JSON, XML, ATOM = "application/json", "application/xml", "application/atom+xml"
VENDOR_JSON, VENDOR_XML = "application/vnd.openstack.compute+json", "application/vnd.openstack.compute+xml"
#: In the server's order of preference.
SUPPORTED = (JSON, VENDOR_JSON, XML, VENDOR_XML)
#: The class of serializers and deserializers that a type belongs to.
CLASSES = {JSON: "json", VENDOR_JSON: "json", XML: "xml", VENDOR_XML: "xml", ATOM: "atom"}
#: Where the type that was negotiated for an answer travels.
BEST = "nova.best_content_type"

_PARAMETER = re.compile(r';\s*([A-Za-z0-9_.+-]+)\s*=\s*("[^"]*"|[^;\s]*)')
_MAX_MASKS = 64

Mask = tuple[str, float, dict[str, str]]


def parse_options(text: str) -> tuple[str, dict[str, str]]:
    """``application/json;version=2`` -> the type and its parameters."""
    name, _, rest = text.partition(";")
    parameters = {key.lower(): value.strip('"') for key, value in _PARAMETER.findall(f";{rest}")}
    return name.strip(), parameters


@lru_cache(maxsize=256)
def best_match(accept: str, supported: Sequence[str]) -> tuple[str | None, dict[str, str]]:
    """The supported type that an ``Accept`` header likes best.

    Quality goes first, then the mask with fewer stars; what is left is the server's order. ``q=0`` is no refusal.

    :param supported: types, the preferred one first; a tuple
    :returns: the type, None when nothing matches, and the parameters of the mask that chose it
    """
    masks = _masks(accept)
    best, best_mask, best_quality, parameters = None, "*/*", -1.0, {}
    for candidate in supported:
        for mask, quality, options in masks:
            if quality < best_quality or not _matches(candidate, mask):
                continue
            if quality == best_quality and best_mask.count("*") <= mask.count("*"):
                continue
            best, best_mask, best_quality, parameters = candidate, mask, quality, options
    return best, parameters


def _masks(accept: str) -> list[Mask]:
    masks: list[Mask] = []
    for part in accept.split(",")[:_MAX_MASKS]:
        mask, options = parse_options(part)
        try:
            masks.append((mask, float(options.pop("q", 1)), options))
        except ValueError:
            continue
    return masks


def _matches(candidate: str, mask: str) -> bool:
    if mask in ("*", "*/*") or mask == candidate:
        return True
    kind, _, rest = mask.partition("/")
    return rest == "*" and candidate.startswith(f"{kind}/")


def body_type(content_type: str) -> str | None:
    """The supported type of a request body; None when the body is not to be read."""
    name = content_type.partition(";")[0].strip()
    return name if name in SUPPORTED else None


def plain(content_type: str) -> str:
    """``application/json`` or ``application/xml``, whichever a type is a form of."""
    return XML if CLASSES.get(content_type, "json") in ("xml", "atom") else JSON
