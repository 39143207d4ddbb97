"""The two dialects of the EC2 door, and every difference between them in one visible table.

*essex* is what Nova 2012.1 answered; *modern* is what the SDKs of today expect. A request is modern when its
``Version`` is a date of 2012-01-01 or later (spec ec2.md 12). Authorisation, limits and signatures never depend on it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from nova_api import errors

_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}\Z")
_FIRST_MODERN = "2012-01-01"


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """What differs. A field per difference; the two instances below are the table."""

    name: str
    #: Elements that 2012.1 did not have and today's SDKs read (verdict "add" of the spec).
    modern_elements: bool
    #: Administrators read project and host inside of other fields: "in-use (acme, node1, …)".
    administrator_texts: bool
    #: DescribeInstanceAttribute, DescribeImageAttribute: ``<x><value>…</value></x>`` rather than ``<x>…</x>``,
    #: and user data in base64.
    wrapped_attributes: bool
    #: DescribeKeyPairs refuses unknown names.
    unknown_key_pairs_refused: bool
    #: Terminate of a protected instance is refused rather than ignored.
    termination_protection_refused: bool
    #: Attach and Detach answer what they do (attaching, detaching) rather than what was before.
    attachment_in_progress: bool
    #: ``groupSet`` carries the name as ``groupId``.
    group_id_is_name: bool
    #: A time that is not known: an empty element rather than none.
    empty_times: bool
    #: DescribeInstances refuses unknown ids.
    unknown_instances_refused: bool
    #: DescribeInstances still shows instances that have just ended, which today's waiters look for.
    ended_instances_shown: bool
    #: Device mappings of instances: the volume's own status, rather than that of the attachment.
    device_status_is_volumes: bool
    #: Code and name of instances by vm_state; states that are not here are shown as they are, with code 0.
    instance_states: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    #: The same by task_state, which goes first where it is here.
    task_states: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    #: Snapshot status by the datastore's.
    snapshot_states: Mapping[str, str] = field(default_factory=dict)
    #: Wire code by class of the error; without an entry the error's own code.
    error_codes: Mapping[str, str] = field(default_factory=dict)
    #: HTTP status by class of the error; 400 without an entry.
    error_statuses: Mapping[str, int] = field(default_factory=dict)

    def added(self, elements: dict[str, object]) -> dict[str, object]:
        """``elements`` in the dialect that has them, nothing in the other."""
        return elements if self.modern_elements else {}

    def instance_state(self, vm_state: str, task_state: str | None, shutdown_terminate: bool) -> tuple[int, str]:
        """Code and name of an instance's state (spec ec2.md 4.8)."""
        found = self.task_states.get(task_state or "")
        if found is not None:
            return found
        if vm_state == "shutoff" and not shutdown_terminate:
            return 80, "stopped"
        return self.instance_states.get(vm_state, (0, vm_state))

    def code(self, error: errors.ApiError) -> str:
        """The ``Code`` of an error."""
        return self.error_codes.get(type(error).__name__) or error.ec2_code

    def status(self, error: errors.ApiError) -> int:
        """The HTTP status of an error."""
        for kind in type(error).__mro__:
            if kind.__name__ in self.error_statuses:
                return self.error_statuses[kind.__name__]
        return 400


_PENDING, _RUNNING, _STOPPED, _TERMINATED = (
    (0, "pending"),
    (16, "running"),
    (80, "stopped"),
    (48, "terminated"),
)

ESSEX = Dialect(
    name="essex",
    modern_elements=False,
    administrator_texts=True,
    wrapped_attributes=False,
    unknown_key_pairs_refused=False,
    termination_protection_refused=False,
    attachment_in_progress=False,
    group_id_is_name=True,
    empty_times=True,
    unknown_instances_refused=False,
    ended_instances_shown=False,
    device_status_is_volumes=True,
    instance_states={
        "building": _PENDING,
        "rebuilding": _PENDING,
        "active": _RUNNING,
        "deleted": _TERMINATED,
        "soft-delete": _TERMINATED,
        "stopped": _STOPPED,
        "shutoff": (48, "shutoff"),
        "migrating": (16, "migrate"),
        "resizing": (16, "resize"),
        "paused": (80, "pause"),
        "suspended": (80, "suspend"),
        "rescued": (16, "rescue"),
    },
    error_codes={"KeystoneFailure": "Unauthorized"},
    error_statuses={
        "KeystoneFailure": 400,
        "AuthFailure": 403,
        "UnauthorizedOperation": 401,
        "LengthRequired": 411,
        "RequestTooLarge": 413,
        "ServiceUnavailable": 503,
        "InternalError": 500,
    },
)

MODERN = Dialect(
    name="modern",
    modern_elements=True,
    administrator_texts=False,
    wrapped_attributes=True,
    unknown_key_pairs_refused=True,
    termination_protection_refused=True,
    attachment_in_progress=True,
    group_id_is_name=False,
    empty_times=False,
    unknown_instances_refused=True,
    ended_instances_shown=True,
    device_status_is_volumes=False,
    instance_states={
        "building": _PENDING,
        "rebuilding": _RUNNING,
        "active": _RUNNING,
        "deleted": _TERMINATED,
        "soft-delete": _TERMINATED,
        "stopped": _STOPPED,
        "shutoff": _STOPPED,
        "migrating": _RUNNING,
        "resizing": _RUNNING,
        "paused": _STOPPED,
        "suspended": _STOPPED,
        "rescued": _RUNNING,
        "error": _TERMINATED,
    },
    task_states={"deleting": (32, "shutting-down"), "stopping": (64, "stopping"), "starting": _PENDING},
    snapshot_states={"creating": "pending", "available": "completed", "deleting": "completed"},
    error_codes={
        "InvalidRequest": "InvalidAction",
        "NotAuthorized": "UnauthorizedOperation",
        "PolicyNotAuthorized": "UnauthorizedOperation",
        "ImageNotAuthorized": "AuthFailure",
        "KeystoneUnauthorized": "AuthFailure",
        "UnsupportedOperation": "InvalidParameterValue",
        "InstanceNotFound": "InvalidInstanceID.NotFound",
        "InvalidInstanceIDMalformed": "InvalidInstanceID.Malformed",
        "VolumeNotFound": "InvalidVolume.NotFound",
        "SnapshotNotFound": "InvalidSnapshot.NotFound",
        "ImageNotFound": "InvalidAMIID.NotFound",
        "KeypairNotFound": "InvalidKeyPair.NotFound",
        "KeyPairExists": "InvalidKeyPair.Duplicate",
        "InvalidKeyName": "InvalidParameterValue",
        "SecurityGroupNotFound": "InvalidGroup.NotFound",
        "SecurityGroupNotFoundForProject": "InvalidGroup.NotFound",
        "SecurityGroupExists": "InvalidGroup.Duplicate",
        "SecurityGroupRuleExists": "InvalidPermission.Duplicate",
        "SecurityGroupRuleNotFound": "InvalidPermission.NotFound",
        "InvalidPermission": "InvalidParameterValue",
        "InvalidPortRange": "InvalidParameterValue",
        "FlavorNotFoundByName": "InvalidParameterValue",
        "FloatingIpNotFound": "InvalidAddress.NotFound",
        "NoMoreFloatingIps": "InsufficientAddressCapacity",
        "FixedIpNotFoundForInstance": "IncorrectInstanceState",
        "VolumeInUse": "VolumeInUse",
        "VolumeNotDeletable": "VolumeInUse",
        "ImageNotAvailable": "InvalidAMIID.Unavailable",
        "ZoneNotFound": "InvalidZone.NotFound",
        "InstanceLimitExceeded": "InstanceLimitExceeded",
        "VolumeLimitExceeded": "VolumeLimitExceeded",
        "VolumeSizeTooLarge": "VolumeLimitExceeded",
        "QuotaError": "ResourceLimitExceeded",
        "RequestExpired": "RequestExpired",
    },
    error_statuses={
        "AuthFailure": 401,
        "LockedOut": 403,
        "KeystoneUnauthorized": 401,
        "UnauthorizedOperation": 403,
        "NotAuthorized": 403,
        "DryRunOperation": 412,
        "LengthRequired": 411,
        "RequestTooLarge": 413,
        "ServiceUnavailable": 503,
        "InternalError": 500,
    },
)


def dialect_of(version: str) -> Dialect:
    """The dialect of a request's ``Version``; any text that is no date is essex."""
    return MODERN if _DATE.match(version) and version >= _FIRST_MODERN else ESSEX
