"""Address actions (spec ec2.md 4.4)."""

from collections.abc import Sequence
from typing import Any

from nova_api import errors, limits
from nova_api.context import RequestContext
from nova_api.ec2 import ids
from nova_api.ec2.dialect import ESSEX, Dialect
from nova_api.ec2.params import Filter, Filters, ListOf, Text
from nova_api.ec2.table import ALL, NETADMIN, Action

_ADDRESS = {"PublicIp": Text(max=64, required=True)}
_LIST = {"PublicIp": ListOf(Text(max=64), most=limits.MAX_IDS), "Filter": Filters()}

ACTIONS: tuple[Action, ...] = (
    Action("DescribeAddresses", "describe_addresses", ALL, _LIST),
    Action("FormatAddresses", "format_addresses", ALL),
    Action("AllocateAddress", "allocate_address", NETADMIN),
    Action("ReleaseAddress", "release_address", NETADMIN, _ADDRESS),
    Action("AssociateAddress", "associate_address", NETADMIN, {"InstanceId": Text(required=True), **_ADDRESS}),
    Action("DisassociateAddress", "disassociate_address", NETADMIN, _ADDRESS),
)


class AddressActions:
    """The address actions of CloudController."""

    runtime: Any

    def describe_addresses(
        self,
        context: RequestContext,
        public_ip: Sequence[str] | None = None,
        *,
        filter: Sequence[Filter] = (),
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Addresses that the caller's project has allocated.

        :param public_ip: only these; each must be the project's
        """
        filters = [(one.name, one.values) for one in filter]
        found = self.runtime.network.list(context, public_ip, filters=filters)
        return {"addressesSet": [_address(row, context, dialect) for row in found]}

    def format_addresses(
        self, context: RequestContext, *, dialect: Dialect = ESSEX, **kwargs: object
    ) -> dict[str, object]:
        """:meth:`describe_addresses` under the name that 2012.1 let clients call by accident."""
        return self.describe_addresses(context, dialect=dialect)

    def allocate_address(self, context: RequestContext, **kwargs: object) -> dict[str, object]:
        """Take an address from the default pool."""
        return {"publicIp": self.runtime.network.allocate(context), "domain": "standard"}

    def release_address(self, context: RequestContext, public_ip: str, **kwargs: object) -> bool:
        """Return an address to its pool."""
        self.runtime.network.release(context, public_ip)
        return True

    def associate_address(self, context: RequestContext, instance_id: str, public_ip: str, **kwargs: object) -> bool:
        """Hang an address on an instance."""
        number = ids.parse(instance_id, "i")
        if number is None:
            raise errors.MalformedId("InvalidInstanceID.Malformed", instance_id)
        self.runtime.network.associate(context, number, instance_id, public_ip)
        return True

    def disassociate_address(self, context: RequestContext, public_ip: str, **kwargs: object) -> bool:
        """Take an address off its instance."""
        self.runtime.network.disassociate(context, public_ip)
        return True


def _address(row: Any, context: RequestContext, dialect: Dialect) -> dict[str, object]:
    instance = ids.instance_id(row.instance_id) if row.instance_id else None
    shown: object = instance
    if context.is_admin and dialect.administrator_texts:
        shown = f"{instance} ({row.project_id})"
    return {
        "publicIp": row.address,
        "instanceId": shown,
        "domain": "standard",
        **dialect.added({"privateIpAddress": row.fixed_address} if row.fixed_address else {}),
    }
