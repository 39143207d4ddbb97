"""Instance actions (spec ec2.md 4.7 to 4.10)."""

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from nova_api import errors, limits
from nova_api.cloud.compute import Change, InstanceDetail, InstanceState
from nova_api.cloud.launch import LaunchSpec
from nova_api.context import RequestContext
from nova_api.db.instance_lists import InstanceList
from nova_api.ec2 import blockdevices, ids
from nova_api.ec2.dialect import ESSEX, Dialect
from nova_api.ec2.instance_view import DEFAULT_ROOT, InstanceView
from nova_api.ec2.paging import Page, page_of
from nova_api.ec2.params import Base64, Boolean, Filter, Filters, Integer, ListOf, Struct, Text
from nova_api.ec2.table import ALL, SYSADMIN, Action
from nova_api.ec2.xml import Markup

_LIST = {
    "InstanceId": ListOf(Text(), most=limits.MAX_IDS),
    "Filter": Filters(),
    "MaxResults": Integer(limits.MIN_PAGE, limits.MAX_PAGE),
    "NextToken": Text(),
}
_SOME = {"InstanceId": ListOf(Text(), most=limits.MAX_IDS, required=True)}
#: The quota goes before the most that one request may start, as in 2012.1.
_COUNT = Integer(0, limits.MAX_INTEGER)

ACTIONS: tuple[Action, ...] = (
    Action("DescribeInstances", "describe_instances", ALL, _LIST),
    Action("DescribeInstancesV6", "describe_instances_v6", ALL, _LIST),
    Action(
        "DescribeInstanceAttribute",
        "describe_instance_attribute",
        ALL,
        {"InstanceId": Text(required=True), "Attribute": Text(required=True)},
    ),
    Action(
        "GetConsoleOutput",
        "get_console_output",
        SYSADMIN,
        {"InstanceId": ListOf(Text(), most=limits.MAX_IDS, required=True)},
    ),
    Action(
        "RunInstances",
        "run_instances",
        SYSADMIN,
        {
            "ImageId": Text(required=True),
            "MinCount": _COUNT,
            "MaxCount": _COUNT,
            "InstanceType": Text(),
            "KeyName": Text(),
            "UserData": Base64(),
            "KernelId": Text(),
            "RamdiskId": Text(),
            "SecurityGroup": ListOf(Text(), most=100),
            "SecurityGroupId": ListOf(Text(), most=100),
            "Placement": Struct({"AvailabilityZone": Text()}),
            "BlockDeviceMapping": blockdevices.MAPPING,
            "DisableApiTermination": Boolean(),
            "InstanceInitiatedShutdownBehavior": Text(max=16),
            "ClientToken": Text(max=limits.MAX_CLIENT_TOKEN),
        },
    ),
    Action("TerminateInstances", "terminate_instances", SYSADMIN, _SOME),
    Action("RebootInstances", "reboot_instances", SYSADMIN, _SOME),
    Action("StopInstances", "stop_instances", SYSADMIN, _SOME),
    Action("StartInstances", "start_instances", SYSADMIN, _SOME),
)


class InstanceActions:
    """The instance actions of CloudController."""

    runtime: Any

    # -- description -------------------------------------------------------------------------------------

    def describe_instances(
        self,
        context: RequestContext,
        instance_id: Sequence[str] | None = None,
        *,
        filter: Sequence[Filter] = (),
        max_results: int | None = None,
        next_token: str | None = None,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Instances by reservation.

        :param instance_id: only these; 2012.1's dialect leaves out those that do not exist, today's refuses them
        """
        page = Page(max_results, next_token)
        found = self.runtime.compute.list(
            context,
            None if not instance_id else {text: _described_number(text) for text in instance_id},
            filters=[(one.name, one.values) for one in filter],
            after=page.after,
            limit=page.limit,
            all_known=dialect.unknown_instances_refused,
            ended=dialect.ended_instances_shown,
        )
        found.rows, token = page_of(page, found.rows, lambda row: row.id)
        answer: dict[str, object] = {"reservationSet": Markup(self._view(context, found, dialect).reservations())}
        return answer if token is None else {**answer, "nextToken": token}

    def describe_instances_v6(self, context: RequestContext, **kwargs: Any) -> dict[str, object]:
        """The same as :meth:`describe_instances`, as it was in 2012.1."""
        return self.describe_instances(context, **kwargs)

    def _view(self, context: RequestContext, found: InstanceList, dialect: Dialect) -> InstanceView:
        return InstanceView(
            found,
            dialect,
            administrator=context.is_admin,
            show_address=self.runtime.config.ec2_private_dns_show_ip,
        )

    def describe_instance_attribute(
        self,
        context: RequestContext,
        instance_id: str,
        attribute: str,
        *,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """One attribute of an instance.

        :raises UnsupportedOperation: an unknown attribute; checked before the instance, as in 2012.1
        """
        shown = {**_ATTRIBUTES, **(_MODERN_ATTRIBUTES if dialect.modern_elements else {})}
        if attribute not in shown:
            raise errors.UnsupportedOperation(f"attribute not supported: {attribute}")
        detail = self.runtime.compute.get(context, instance_number(instance_id), instance_id)
        return {"instanceId": instance_id, **shown[attribute](detail, dialect)}

    def get_console_output(
        self, context: RequestContext, instance_id: Sequence[str] | str, **kwargs: object
    ) -> dict[str, object]:
        """The console text of one instance; further ids are ignored, as in 2012.1."""
        text = instance_id if isinstance(instance_id, str) else instance_id[0]
        output = self.runtime.compute.console_output(context, instance_number(text), text)
        return {
            "instanceId": text,
            "timestamp": datetime.now(UTC),
            "output": base64.b64encode(output.encode("ascii", "replace")).decode("ascii"),
        }

    # -- life cycle --------------------------------------------------------------------------------------

    def run_instances(
        self, context: RequestContext, *, image_id: str, dialect: Dialect = ESSEX, **kwargs: Any
    ) -> dict[str, object]:
        """Start instances; the answer shows them pending.

        :returns: the reservation, at the top level
        """
        found = self.runtime.compute.run(context, _launch_spec(image_id, kwargs))
        rows = list(found.rows)
        view = self._view(context, found, dialect)
        _, items = view.reservation(rows)
        return {
            "reservationId": rows[0].reservation_id,
            "ownerId": rows[0].project_id,
            "groupSet": Markup(view.group_set(rows[0].id)[len("<groupSet>") : -len("</groupSet>")]),
            "instancesSet": Markup(items),
        }

    def terminate_instances(
        self,
        context: RequestContext,
        instance_id: Sequence[str],
        *,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """End instances: all of them, or none."""
        numbers = {text: instance_number(text) for text in instance_id}
        ended = self.runtime.compute.terminate(
            context, numbers, refuse_protected=dialect.termination_protection_refused
        )
        items = []
        for before, after in ended:
            current = _state(after, dialect)
            items.append(
                {
                    "instanceId": ids.instance_id(before.id),
                    # libcloud takes the first name that it meets for the state the instance goes to.
                    "currentState": current,
                    "previousState": _state(before, dialect),
                    "shutdownState": current,
                }
            )
        return {"instancesSet": items}

    def reboot_instances(self, context: RequestContext, instance_id: Sequence[str], **kwargs: object) -> bool:
        """Reboot instances: all of them, or none.

        instance_id is a list of instance ids
        """
        self.runtime.compute.reboot(context, {text: instance_number(text) for text in instance_id})
        return True

    def stop_instances(
        self,
        context: RequestContext,
        instance_id: Sequence[str],
        *,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Stop each instances in instance_id: all of them, or none.

        Here instance_id is a list of instance ids
        """
        return self._changed(context, instance_id, dialect, self.runtime.compute.stop)

    def start_instances(
        self,
        context: RequestContext,
        instance_id: Sequence[str],
        *,
        dialect: Dialect = ESSEX,
        **kwargs: object,
    ) -> dict[str, object]:
        """Start each instances in instance_id: all of them, or none.

        Here instance_id is a list of instance ids
        """
        return self._changed(context, instance_id, dialect, self.runtime.compute.start)

    @staticmethod
    def _changed(
        context: RequestContext,
        instance_id: Sequence[str],
        dialect: Dialect,
        change: Callable[[RequestContext, Mapping[str, int]], Sequence[Change]],
    ) -> dict[str, object]:
        changed = change(context, {text: instance_number(text) for text in instance_id})
        return {
            "return": True,
            "instancesSet": [
                {
                    "instanceId": ids.instance_id(before.id),
                    "currentState": _state(after, dialect),
                    "previousState": _state(before, dialect),
                }
                for before, after in changed
            ],
        }


def instance_number(text: str) -> int:
    """The number in an instance id.

    :raises InvalidInstanceIDMalformed: it is none
    """
    number = ids.parse(text, "i")
    if number is None:
        raise errors.InvalidInstanceIDMalformed(text)
    return number


def _described_number(text: str) -> int:
    number = ids.parse(text, "i")
    if number is None:
        raise errors.MalformedId("InvalidInstanceID.Malformed", text)
    return number


def _state(state: InstanceState, dialect: Dialect) -> dict[str, object]:
    code, name = dialect.instance_state(state.vm_state, state.task_state, state.shutdown_terminate)
    return {"code": code, "name": name}


# -- what is asked for ------------------------------------------------------------------------------------


def _launch_spec(image_id: str, given: Mapping[str, Any]) -> LaunchSpec:
    most = given.get("max_count") or 1
    least = given.get("min_count", most) or 1
    if least > most:
        raise errors.InvalidParameterValue("MinCount is larger than MaxCount.")
    behaviour = given.get("instance_initiated_shutdown_behavior")
    if behaviour not in (None, "", "stop", "terminate"):
        raise errors.InvalidParameterValue(
            f"Value ({behaviour}) for parameter InstanceInitiatedShutdownBehavior is invalid."
        )
    return LaunchSpec(
        image=image_id,
        least=least,
        most=most,
        flavor=given.get("instance_type") or None,
        key_name=given.get("key_name") or None,
        user_data=given.get("user_data") or "",
        kernel=given.get("kernel_id") or None,
        ramdisk=given.get("ramdisk_id") or None,
        zone=(given.get("placement") or {}).get("availability_zone") or None,
        groups=tuple(given.get("security_group") or ()),
        group_ids=tuple(given.get("security_group_id") or ()),
        devices=tuple(blockdevices.device(entry) for entry in given.get("block_device_mapping") or ()),
        disable_terminate=bool(given.get("disable_api_termination")),
        shutdown_terminate=None if not behaviour else behaviour == "terminate",
        client_token=given.get("client_token") or None,
    )


# -- attributes --------------------------------------------------------------------------------------------

_Shown = Callable[[InstanceDetail, Dialect], dict[str, object]]


def _wrapped(value: object, dialect: Dialect) -> object:
    return {"value": value} if dialect.wrapped_attributes else value


def _user_data(detail: InstanceDetail, dialect: Dialect) -> dict[str, object]:
    """2012.1 sent the decoded text, today's clients decode it themselves."""
    text = detail.row.user_data
    if dialect.wrapped_attributes:
        return {"userData": {"value": text} if text else {}}
    try:
        return {"userData": base64.b64decode(text).decode("utf-8", "replace")}
    except (binascii.Error, ValueError):
        return {"userData": text}


def _image_part(name: str, column: str, prefix: str) -> _Shown:
    def shown(detail: InstanceDetail, dialect: Dialect) -> dict[str, object]:
        number = getattr(detail.row, column)
        return {} if number is None else {name: _wrapped(ids.image_id(number, prefix), dialect)}

    return shown


def _devices(detail: InstanceDetail, dialect: Dialect) -> dict[str, object]:
    view = InstanceView(InstanceList([]), dialect, administrator=False, show_address=False)
    rows = [_AttachedDevice(device) for device in detail.devices if device.volume_id is not None]
    answer: dict[str, object] = {"rootDeviceType": "ebs" if detail.row.volume_backed else "instance-store"}
    if dialect.wrapped_attributes:
        answer = {}
    if rows or dialect.wrapped_attributes:
        answer["blockDeviceMapping"] = Markup("".join(view.device(row) for row in rows))
    return answer


class _AttachedDevice:
    """A device row under the names that the view of lists reads."""

    __slots__ = ("attach_time", "delete_on_termination", "device_name", "status", "volume_id")

    def __init__(self, row: Any) -> None:
        self.device_name, self.volume_id, self.status = row.device_name, row.volume_id, row.volume_status
        self.attach_time, self.delete_on_termination = row.attach_time, row.delete_on_termination


def _groups(detail: InstanceDetail, dialect: Dialect) -> dict[str, object]:
    return {
        "groupSet": [
            {
                "groupId": group.name if dialect.group_id_is_name else ids.group_id(group.id),
                "groupName": group.name,
            }
            for group in detail.groups
        ]
    }


_ATTRIBUTES: Mapping[str, _Shown] = {
    "instanceType": lambda detail, dialect: {"instanceType": _wrapped(detail.flavor, dialect)},
    "kernel": _image_part("kernel", "kernel_number", "aki"),
    "ramdisk": _image_part("ramdisk", "ramdisk_number", "ari"),
    "userData": _user_data,
    "disableApiTermination": lambda detail, dialect: {
        "disableApiTermination": _wrapped(bool(detail.row.disable_terminate), dialect)
    },
    "instanceInitiatedShutdownBehavior": lambda detail, dialect: {
        "instanceInitiatedShutdownBehavior": _wrapped("terminate" if detail.row.shutdown_terminate else "stop", dialect)
    },
    "rootDeviceName": lambda detail, dialect: {
        "rootDeviceName": _wrapped(detail.row.root_device_name or DEFAULT_ROOT, dialect)
    },
    "blockDeviceMapping": _devices,
    "groupSet": _groups,
}
#: 2012.1 knew only those above.
_MODERN_ATTRIBUTES: Mapping[str, _Shown] = {
    "productCodes": lambda detail, dialect: {"productCodes": []},
    "sourceDestCheck": lambda detail, dialect: {"sourceDestCheck": {"value": True}},
    "ebsOptimized": lambda detail, dialect: {"ebsOptimized": {"value": False}},
    "enaSupport": lambda detail, dialect: {"enaSupport": {"value": False}},
    "sriovNetSupport": lambda detail, dialect: {"sriovNetSupport": {}},
}
