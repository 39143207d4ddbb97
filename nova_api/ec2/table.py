"""What an action is: a row of the table that dispatch, authorisation and decoding read."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from nova_api.ec2.params import Boolean, Param

#: Everybody who is authenticated.
ALL = frozenset({"all"})
NETADMIN = frozenset({"netadmin"})
SYSADMIN = frozenset({"projectmanager", "sysadmin"})
#: Administrators only: they may call every action.
ADMIN: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Action:
    """One action.

    :ivar name: wire name
    :ivar method: the method of CloudController
    :ivar roles: active roles of which one is needed (spec ec2.md 2.8)
    :ivar params: declared parameters by wire name
    :ivar secret: the answer holds a secret and must not be kept by caches
    """

    name: str
    method: str
    roles: frozenset[str]
    params: Mapping[str, Param] = field(default_factory=dict)
    secret: bool = False

    def allows(self, roles: tuple[str, ...], is_admin: bool) -> bool:
        """Whether a caller with these active roles may call it."""
        return is_admin or "all" in self.roles or not self.roles.isdisjoint(roles)


#: Every action understands it: the request is checked and not carried out.
DRY_RUN = "DryRun"
DRY_RUN_PARAM = Boolean()
