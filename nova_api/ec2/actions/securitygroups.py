"""Security group actions (spec ec2.md 4.3)."""

from collections.abc import Mapping, Sequence
from typing import Any

from nova_api import errors, limits
from nova_api.cloud.rules import EVERYTHING, Permission, Source
from nova_api.context import RequestContext
from nova_api.ec2 import ids
from nova_api.ec2.dialect import ESSEX, Dialect
from nova_api.ec2.paging import Page, page_of
from nova_api.ec2.params import Filter, Filters, Integer, ListOf, Struct, Text
from nova_api.ec2.table import ALL, NETADMIN, Action

_PERMISSION = Struct(
    {
        "IpProtocol": Text(),
        "FromPort": Text(),
        "ToPort": Text(),
        "IpRanges": ListOf(Struct({"CidrIp": Text()}), most=limits.MAX_PERMISSIONS),
        "Ipv6Ranges": ListOf(Struct({"CidrIpv6": Text()}), most=limits.MAX_PERMISSIONS),
        "Groups": ListOf(
            Struct({"GroupName": Text(), "GroupId": Text(), "UserId": Text()}), most=limits.MAX_PERMISSIONS
        ),
    }
)
_RULES = {
    "GroupName": Text(),
    "GroupId": Text(),
    "IpProtocol": Text(),
    "FromPort": Text(),
    "ToPort": Text(),
    "CidrIp": Text(),
    "SourceSecurityGroupName": Text(),
    "SourceSecurityGroupOwnerId": Text(),
    "IpPermissions": ListOf(_PERMISSION, most=limits.MAX_PERMISSIONS),
}

ACTIONS: tuple[Action, ...] = (
    Action(
        "DescribeSecurityGroups",
        "describe_security_groups",
        ALL,
        {
            "GroupName": ListOf(Text(), most=limits.MAX_IDS),
            "GroupId": ListOf(Text(), most=limits.MAX_IDS),
            "Filter": Filters(),
            "MaxResults": Integer(limits.MIN_PAGE, limits.MAX_PAGE),
            "NextToken": Text(),
        },
    ),
    Action(
        "CreateSecurityGroup",
        "create_security_group",
        NETADMIN,
        {
            # The name's own error says how long it may be.
            "GroupName": Text(max=4096, required=True),
            "GroupDescription": Text(max=limits.MAX_DESCRIPTION, required=True),
        },
    ),
    Action("DeleteSecurityGroup", "delete_security_group", NETADMIN, {"GroupName": Text(), "GroupId": Text()}),
    Action("AuthorizeSecurityGroupIngress", "authorize_security_group_ingress", NETADMIN, _RULES),
    Action("RevokeSecurityGroupIngress", "revoke_security_group_ingress", NETADMIN, _RULES),
)


class SecurityGroupActions:
    """The security group actions of CloudController."""

    runtime: Any

    def describe_security_groups(
        self,
        context: RequestContext,
        group_name: Sequence[str] | None = None,
        group_id: Sequence[str] | None = None,
        *,
        filter: Sequence[Filter] = (),
        max_results: int | None = None,
        next_token: str | None = None,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Groups with their rules, by owner and name.

        :param group_name: of the caller's project; each must exist
        :param group_id: ``sg-…`` or bare numbers; each must exist
        """
        page = Page(max_results, next_token)
        found, token = page_of(
            page,
            self.runtime.security_groups.list(
                context,
                group_name or (),
                group_id or (),
                filters=[(one.name, one.values) for one in filter],
                after=page.after,
                limit=page.limit,
            ),
            lambda pair: pair[0].id,
        )
        answer: dict[str, object] = {"securityGroupInfo": [_group(row, rules, dialect) for row, rules in found]}
        return answer if token is None else {**answer, "nextToken": token}

    def create_security_group(
        self,
        context: RequestContext,
        group_name: str,
        group_description: str,
        *,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """A new group without rules."""
        row = self.runtime.security_groups.create(context, group_name, group_description)
        return {
            "return": True,
            "groupId": ids.group_id(row.id),
            "securityGroupSet": [_group(row, [], dialect)],
        }

    def delete_security_group(
        self,
        context: RequestContext,
        group_name: str | None = None,
        group_id: str | None = None,
        **kwargs: object,
    ) -> bool:
        """End a group that no instance holds."""
        self.runtime.security_groups.delete(context, group_name, group_id)
        return True

    def authorize_security_group_ingress(
        self,
        context: RequestContext,
        group_name: str | None = None,
        group_id: str | None = None,
        **kwargs: Any,
    ) -> bool:
        """Add rules, by ``IpPermissions`` or by the flat parameters of early clients."""
        self.runtime.security_groups.authorize(context, group_name, group_id, _permissions(kwargs))
        return True

    def revoke_security_group_ingress(
        self,
        context: RequestContext,
        group_name: str | None = None,
        group_id: str | None = None,
        **kwargs: Any,
    ) -> bool:
        """Remove rules, named as they were added."""
        self.runtime.security_groups.revoke(context, group_name, group_id, _permissions(kwargs))
        return True


def _permissions(given: Mapping[str, Any]) -> list[Permission]:
    """What a request asks for; with ``IpPermissions`` the flat parameters do not count."""
    if given.get("ip_permissions"):
        return [_permission(entry) for entry in given["ip_permissions"]]
    name = given.get("source_security_group_name")
    sources = [Source(name=name, owner=given.get("source_security_group_owner_id"))] if name else []
    cidr = given.get("cidr_ip")
    return [
        Permission(
            protocol=given.get("ip_protocol"),
            from_port=given.get("from_port"),
            to_port=given.get("to_port"),
            # A flat rule is about one or the other; the group wins, as in 2012.1.
            cidrs=[cidr] if cidr and not sources else [],
            sources=sources,
        )
    ]


def _permission(entry: Mapping[str, Any]) -> Permission:
    ranges = [r["cidr_ip"] for r in entry.get("ip_ranges", ()) if "cidr_ip" in r]
    ranges += [r["cidr_ipv6"] for r in entry.get("ipv6_ranges", ()) if "cidr_ipv6" in r]
    sources = [
        Source(name=group.get("group_name"), group_id=group.get("group_id"), owner=group.get("user_id"))
        for group in entry.get("groups", ())
    ]
    if any(not (source.name or source.group_id) for source in sources):
        raise errors.MissingParameter("IpPermissions.Groups.GroupName")
    return Permission(
        protocol=entry.get("ip_protocol"),
        from_port=entry.get("from_port"),
        to_port=entry.get("to_port"),
        cidrs=ranges,
        sources=sources,
    )


def _group(row: Any, rules: Sequence[Any], dialect: Dialect) -> dict[str, object]:
    return {
        "groupId": ids.group_id(row.id),
        "groupName": row.name,
        "groupDescription": row.description,
        "ownerId": row.project_id,
        "ipPermissions": [shown for rule in rules for shown in _shown(rule, dialect)],
        **dialect.added({"ipPermissionsEgress": [], "tagSet": []}),
    }


def _shown(rule: Any, dialect: Dialect) -> list[dict[str, object]]:
    """A rule as items; one without a protocol is three of them in 2012.1's dialect, and ``-1`` in today's."""
    source: dict[str, object] = {"groups": [], "ipRanges": []}
    if rule.group_id is not None:
        group = {"groupName": rule.source_name, "userId": rule.source_project}
        source["groups"] = [group | dialect.added({"groupId": ids.group_id(rule.group_id)})]
    elif dialect.modern_elements and ":" in rule.cidr:
        source["ipv6Ranges"] = [{"cidrIpv6": rule.cidr}]
    else:
        source["ipRanges"] = [{"cidrIp": rule.cidr}]
    if rule.protocol is None and dialect.modern_elements:
        return [{"ipProtocol": "-1", **source}]
    spans = EVERYTHING if rule.protocol is None else ((rule.protocol, rule.from_port, rule.to_port),)
    return [{"ipProtocol": protocol, "fromPort": low, "toPort": high, **source} for protocol, low, high in spans]
