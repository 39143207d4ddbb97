"""Cloud Controller: the EC2 actions, which are dispatched by one explicit table.

What the documentation of 2012 calls the critical dispatch between inbound API calls and messages to the other nodes:
the methods here parse and name elements, the services of the runtime decide, write and send.
"""

from collections.abc import Mapping
from types import MappingProxyType

from nova_api import errors, limits, runtime
from nova_api.ec2.actions import (
    addresses,
    extras,
    images,
    instances,
    keypairs,
    regions,
    securitygroups,
    snapshots,
    volumes,
)
from nova_api.ec2.ids import is_ec2_id
from nova_api.ec2.table import Action

#: Every action there is, by its wire name.
ACTIONS: Mapping[str, Action] = MappingProxyType(
    {
        action.name: action
        for group in (
            regions,
            keypairs,
            securitygroups,
            addresses,
            volumes,
            snapshots,
            images,
            instances,
            extras,
        )
        for action in group.ACTIONS
    }
)


def validate_ec2_id(val: object) -> None:
    """Check the form of an EC2 id.

    :raises InvalidInstanceIDMalformed: text whose part after the last ``-`` is not hexadecimal
    """
    if not is_ec2_id(val):
        raise errors.InvalidInstanceIDMalformed(str(val)[: limits.MAX_NAME])


class CloudController(
    regions.RegionActions,
    keypairs.KeyPairActions,
    securitygroups.SecurityGroupActions,
    addresses.AddressActions,
    volumes.VolumeActions,
    snapshots.SnapshotActions,
    images.ImageActions,
    instances.InstanceActions,
    extras.ExtraActions,
):
    """The actions of the EC2 door, one mixin per resource.

    :param services: by default the current runtime
    :cvar actions: the table
    """

    actions = ACTIONS

    def __init__(self, services: runtime.Runtime | None = None) -> None:
        self.runtime = services or runtime.current()

    def __str__(self) -> str:
        return "CloudController"
