"""Actions of today that 2012.1 did not have, answered from what this cloud knows (spec ec2.md 12).

They are here because consoles and tools ask them before anything else. What this cloud does not have -- tags, private
networks -- is an empty list.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from nova_api import limits
from nova_api.context import RequestContext
from nova_api.ec2 import ids
from nova_api.ec2.actions.instances import instance_number
from nova_api.ec2.dialect import ESSEX, Dialect
from nova_api.ec2.filters import at, filtered
from nova_api.ec2.paging import Page, page_of
from nova_api.ec2.params import Boolean, Filter, Filters, Integer, ListOf, Param, Struct, Text
from nova_api.ec2.table import ALL, SYSADMIN, Action

_IDS = ListOf(Text(), most=limits.MAX_IDS)
_LISTED: Mapping[str, Param] = {
    "Filter": Filters(),
    "MaxResults": Integer(limits.MIN_PAGE, limits.MAX_PAGE),
    "NextToken": Text(),
}

ACTIONS: tuple[Action, ...] = (
    Action("DescribeAccountAttributes", "describe_account_attributes", ALL, {"AttributeName": ListOf(Text())}),
    Action("DescribeInstanceTypes", "describe_instance_types", ALL, {"InstanceType": _IDS, "Filter": Filters()}),
    Action(
        "DescribeInstanceStatus",
        "describe_instance_status",
        ALL,
        {"InstanceId": _IDS, "IncludeAllInstances": Boolean(), **_LISTED},
    ),
    Action("DescribeTags", "describe_tags", ALL, {"Filter": Filters()}),
    Action(
        "CreateTags",
        "create_tags",
        SYSADMIN,
        {"ResourceId": _IDS, "Tag": ListOf(Struct({"Key": Text(), "Value": Text()}))},
    ),
    Action("DescribeVpcs", "describe_vpcs", ALL),
    Action("DescribeSubnets", "describe_subnets", ALL),
    Action("DescribeVolumeStatus", "describe_volume_status", SYSADMIN, {"VolumeId": _IDS, **_LISTED}),
)

_TYPE_FILTERS = {
    "instance-type": at("instanceType"),
    "current-generation": at("currentGeneration"),
    "vcpu-info.default-vcpus": at("vCpuInfo", "defaultVCpus"),
    "memory-info.size-in-mib": at("memoryInfo", "sizeInMiB"),
    "instance-storage-supported": at("instanceStorageSupported"),
    "instance-storage-info.total-size-in-gb": at("instanceStorageInfo", "totalSizeInGB"),
}
_INSTANCE_FILTERS = {
    "availability-zone": at("availabilityZone"),
    "instance-state-code": at("instanceState", "code"),
    "instance-state-name": at("instanceState", "name"),
    "instance-status.status": at("instanceStatus", "status"),
    "system-status.status": at("systemStatus", "status"),
}
_VOLUME_FILTERS = {
    "availability-zone": at("availabilityZone"),
    "volume-status.status": at("volumeStatus", "status"),
}

#: Account attributes by the quota that they show.
_ATTRIBUTES = {"max-instances": "instances", "max-elastic-ips": "floating_ips"}


class ExtraActions:
    """Further actions of CloudController."""

    runtime: Any

    def describe_account_attributes(
        self, context: RequestContext, attribute_name: Sequence[str] | None = None, **kwargs: object
    ) -> dict[str, object]:
        """Limits of the project, and that there are no private networks."""
        quota = self.runtime.quotas.limits(context.project_id or "")
        values = {name: str(quota[resource]) for name, resource in _ATTRIBUTES.items()}
        values |= {"supported-platforms": "EC2", "default-vpc": "none"}
        return {
            "accountAttributeSet": [
                {"attributeName": name, "attributeValueSet": [{"attributeValue": value}]}
                for name, value in values.items()
                if not attribute_name or name in attribute_name
            ]
        }

    def describe_instance_types(
        self,
        context: RequestContext,
        instance_type: Sequence[str] | None = None,
        *,
        filter: Sequence[Filter] = (),
        **kwargs: object,
    ) -> dict[str, object]:
        """Flavors."""
        found = [
            {
                "instanceType": row.name,
                "currentGeneration": True,
                "vCpuInfo": {"defaultVCpus": row.vcpus},
                "memoryInfo": {"sizeInMiB": row.memory_mb},
                "instanceStorageSupported": True,
                "instanceStorageInfo": {"totalSizeInGB": row.root_gb + row.ephemeral_gb},
            }
            for row in self.runtime.compute.flavors()
            if not instance_type or row.name in instance_type
        ]
        return {"instanceTypeSet": filtered(found, filter, _TYPE_FILTERS)}

    def describe_instance_status(
        self,
        context: RequestContext,
        instance_id: Sequence[str] | None = None,
        *,
        include_all_instances: bool = False,
        filter: Sequence[Filter] = (),
        max_results: int | None = None,
        next_token: str | None = None,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """States of instances; only running ones unless all are asked for. A page may have fewer items than asked for.

        :raises InvalidInstanceIDMalformed: an id that is none
        :raises InstanceNotFound: one that is not the project's
        """
        page = Page(max_results, next_token)
        numbers = {text: instance_number(text) for text in instance_id or ()}
        found = self.runtime.compute.states(context, numbers or None, after=page.after, limit=page.limit)
        states, token = page_of(page, found, lambda instance: instance.id)
        shown = []
        for instance in states:
            code, name = dialect.instance_state(instance.vm_state, instance.task_state, instance.shutdown_terminate)
            if name != "running" and not include_all_instances:
                continue
            health = "ok" if name == "running" else "not-applicable"
            shown.append(
                {
                    "instanceId": ids.instance_id(instance.id),
                    "availabilityZone": instance.zone,
                    "instanceState": {"code": code, "name": name},
                    "systemStatus": {"status": health, "details": []},
                    "instanceStatus": {"status": health, "details": []},
                }
            )
        answer: dict[str, object] = {"instanceStatusSet": filtered(shown, filter, _INSTANCE_FILTERS)}
        return answer if token is None else {**answer, "nextToken": token}

    def describe_tags(self, context: RequestContext, **kwargs: object) -> dict[str, object]:
        """This cloud keeps no tags."""
        return {"tagSet": []}

    def create_tags(self, context: RequestContext, **kwargs: object) -> bool:
        """Accepted and not kept: libcloud tags every volume it makes and would fail otherwise."""
        return True

    def describe_vpcs(self, context: RequestContext, **kwargs: object) -> dict[str, object]:
        """This cloud has no private networks."""
        return {"vpcSet": []}

    def describe_subnets(self, context: RequestContext, **kwargs: object) -> dict[str, object]:
        """This cloud has no private networks."""
        return {"subnetSet": []}

    def describe_volume_status(
        self,
        context: RequestContext,
        volume_id: Sequence[str] | None = None,
        *,
        filter: Sequence[Filter] = (),
        max_results: int | None = None,
        next_token: str | None = None,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Volumes are well unless they failed. A page may have fewer items than asked for."""
        answer = self.describe_volumes(  # type: ignore[attr-defined]
            context, volume_id, max_results=max_results, next_token=next_token, dialect=dialect
        )
        found = [
            {
                "volumeId": volume["volumeId"],
                "availabilityZone": volume["availabilityZone"],
                "volumeStatus": {
                    "status": "impaired" if str(volume["status"]).startswith("error") else "ok",
                    "details": [],
                },
            }
            for volume in answer.pop("volumeSet")
        ]
        return {"volumeStatusSet": filtered(found, filter, _VOLUME_FILTERS), **answer}
