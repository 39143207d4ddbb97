"""The limits of a project and of a user (spec openstack-core.md 6.6)."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nova_api import runtime
from nova_api.cloud.quota import UNLIMITED
from nova_api.context import RequestContext
from nova_api.openstack import wsgi
from nova_api.openstack.ratelimit import LIMITS
from nova_api.openstack.services import ServicesController
from nova_api.openstack.xml import COMMON_NSMAP, Element, Template

#: Names of absolute limits, and the quotas that they are.
ABSOLUTE: Mapping[str, str] = {
    "maxTotalRAMSize": "ram",
    "maxTotalInstances": "instances",
    "maxTotalCores": "cores",
    "maxServerMeta": "metadata_items",
    "maxImageMeta": "metadata_items",
    "maxPersonality": "injected_files",
    "maxPersonalitySize": "injected_file_content_bytes",
}

_RATE = Element(
    "rate",
    Element("limit", select="limit", attributes=("verb", "value", "remaining", "unit", "next-available")),
    select="rate",
    attributes=("uri", "regex"),
)


def absolute_element() -> Element:
    """``absolute`` with a ``limit`` per name."""
    limit = Element(
        "limit",
        select=lambda found: list(found.items()),
        attributes={"name": lambda pair: pair[0], "value": lambda pair: pair[1]},
    )
    return Element("absolute", limit, select="absolute")


_TEMPLATE = Template(
    Element(
        "limits",
        Element("rates", _RATE),
        absolute_element(),
        select="limits",
    ),
    COMMON_NSMAP,
)


class LimitsController(ServicesController):
    """``/limits``."""

    @wsgi.serializers(xml=_TEMPLATE)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """Both kinds."""
        absolute = absolute_of(self.services, req.context, ABSOLUTE)
        return {"limits": {"rate": grouped(rates_of(req)), "absolute": absolute}}


def absolute_of(services: runtime.Runtime, context: RequestContext, names: Mapping[str, str]) -> dict[str, int]:
    """The limits of the caller's project; those that are none are left out.

    :param names: as documents have them -> the quotas that they are
    """
    quotas = services.quotas.limits(context.project_id or "")
    return {name: quotas[quota] for name, quota in names.items() if quotas[quota] != UNLIMITED}


def rates_of(req: wsgi.Request) -> Sequence[Mapping[str, Any]]:
    """The caller's limits with what is left of them; none where the pipeline limits nothing."""
    rates = req.environ.get(LIMITS)
    return rates() if rates is not None else ()


def grouped(rates: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Limits as documents have them: those of one URI together, in the order of the table.

    :param rates: of :meth:`nova_api.openstack.ratelimit.Limiter.get_limits`
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}
    for rate in rates:
        uri, regex = rate["URI"], rate["regex"]
        place = found.setdefault((uri, regex), {"uri": uri, "regex": regex, "limit": []})
        when = datetime.fromtimestamp(rate["resetTime"], UTC)
        place["limit"].append(
            {
                **{name: rate[name] for name in ("verb", "value", "remaining", "unit")},
                "next-available": when.strftime("%Y-%m-%dT%H:%M:%SZ"),
            }
        )
    return list(found.values())


def create_resource() -> wsgi.Resource:
    """The resource of the routers."""
    return wsgi.Resource(LimitsController())
