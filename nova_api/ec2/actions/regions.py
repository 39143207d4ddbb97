"""Regions and availability zones (spec ec2.md 4.1)."""

from collections.abc import Sequence
from typing import Any

from nova_api import errors, limits
from nova_api.context import RequestContext
from nova_api.ec2.dialect import ESSEX, Dialect
from nova_api.ec2.filters import at, filtered
from nova_api.ec2.params import Filter, Filters, ListOf, Text
from nova_api.ec2.table import ALL, Action

ACTIONS: tuple[Action, ...] = (
    Action(
        "DescribeRegions",
        "describe_regions",
        ALL,
        {"RegionName": ListOf(Text(), most=limits.MAX_IDS), "Filter": Filters()},
    ),
    Action(
        "DescribeAvailabilityZones",
        "describe_availability_zones",
        ALL,
        {"ZoneName": ListOf(Text(), most=limits.MAX_IDS), "Filter": Filters()},
    ),
)

_VERBOSE = "verbose"


class RegionActions:
    """The region actions of CloudController."""

    runtime: Any

    def describe_regions(
        self,
        context: RequestContext,
        region_name: Sequence[str] | None = None,
        *,
        filter: Sequence[Filter] = (),
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Regions as the configuration names them.

        :param region_name: only these; each must exist
        :raises InvalidParameterValue: one does not exist
        """
        regions = [
            {
                "regionName": name,
                "regionEndpoint": endpoint,
                **dialect.added({"optInStatus": "opt-in-not-required"}),
            }
            for name, endpoint in self._regions()
        ]
        known = {region["regionName"] for region in regions}
        for name in region_name or ():
            if name not in known:
                raise errors.InvalidParameterValue(f"Invalid region name provided: {name}")
        shown = [region for region in regions if not region_name or region["regionName"] in region_name]
        names = {
            "region-name": at("regionName"),
            "endpoint": at("regionEndpoint"),
        }
        return {"regionInfo": filtered(shown, filter, names)}

    def _regions(self) -> list[tuple[str, str]]:
        config = self.runtime.config
        port = config.ec2_port or config.ec2_listen_port

        def endpoint(host: str) -> str:
            return f"{config.ec2_scheme}://{host}:{port}{config.ec2_path}"

        if config.region_list:
            pairs = [text.partition("=") for text in config.region_list]
            return [(name, endpoint(host)) for name, _, host in pairs]
        return [(config.region_name, endpoint(config.ec2_host or config.my_ip))]

    def describe_availability_zones(
        self,
        context: RequestContext,
        zone_name: Sequence[str] | None = None,
        *,
        filter: Sequence[Filter] = (),
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Zones of the services.

        :param zone_name: only these; each must exist. ``verbose`` lists hosts and services, for administrators
        :raises ZoneNotFound: one does not exist
        """
        asked = list(zone_name or ())
        verbose = any(_VERBOSE in name for name in asked)
        if verbose and context.is_admin:
            return {"availabilityZoneInfo": self._verbose()}
        asked = [name for name in asked if _VERBOSE not in name]
        region = self._regions()[0][0]
        zones = [
            {
                "zoneName": zone.name,
                "zoneState": "available" if zone.available else "not available",
                "regionName": region,
                **dialect.added({"messageSet": []}),
            }
            for zone in self.runtime.zones.list()
        ]
        known = {zone["zoneName"] for zone in zones}
        for name in asked:
            if name not in known:
                raise errors.ZoneNotFound(name)
        shown = [zone for zone in zones if not asked or zone["zoneName"] in asked]
        names = {
            "zone-name": at("zoneName"),
            "state": at("zoneState"),
            "region-name": at("regionName"),
        }
        return {"availabilityZoneInfo": filtered(shown, filter, names)}

    def _verbose(self) -> list[dict[str, object]]:
        """Hosts and their services as 2012.1 drew them."""
        shown: list[dict[str, object]] = [{"zoneName": "nova", "zoneState": "available"}]
        states = [state for state in self.runtime.zones.services() if not state.disabled]
        for host in dict.fromkeys(state.host for state in states):
            shown.append({"zoneName": f"|- {host}", "zoneState": ""})
            for state in states:
                if state.host == host:
                    mark = ":-)" if state.alive else "XXX"
                    when = state.updated_at.strftime("%Y-%m-%d %H:%M:%S.%f") if state.updated_at else None
                    shown.append({"zoneName": f"| |- {state.binary}", "zoneState": f"enabled {mark} {when}"})
        return shown
