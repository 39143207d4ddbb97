"""The limits of a project and of a user (spec openstack-core.md 9.3)."""

from collections.abc import Mapping
from typing import Any

from nova_api.openstack import limits, wsgi
from nova_api.openstack.services import ServicesController
from nova_api.openstack.v1_0.views import template
from nova_api.openstack.xml import Element

_ABSOLUTE: Mapping[str, str] = {
    **limits.ABSOLUTE,
    "maxIPGroups": "shared_ip_groups",
    "maxIPGroupMembers": "shared_ip_group_members",
}
_RATE = ("verb", "URI", "regex", "value", "remaining", "unit", "resetTime")
_TEMPLATE = template(
    Element(
        "limits",
        Element("rate", Element("limit", select="rate", attributes=_RATE)),
        limits.absolute_element(),
        select="limits",
    )
)


class LimitsController(ServicesController):
    """``/limits``."""

    @wsgi.serializers(xml=_TEMPLATE)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """Both kinds: those of requests in a flat list, with times in seconds since the epoch."""
        rates = [_shown(rate) for rate in limits.rates_of(req)]
        return {"limits": {"rate": rates, "absolute": limits.absolute_of(self.services, req.context, _ABSOLUTE)}}


def _shown(rate: Mapping[str, Any]) -> dict[str, Any]:
    return {**{name: rate[name] for name in _RATE}, "resetTime": int(rate["resetTime"])}


def create_resource() -> wsgi.Resource:
    """The resource of the router."""
    return wsgi.Resource(LimitsController())
