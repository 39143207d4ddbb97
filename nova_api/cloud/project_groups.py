"""Security groups as the OpenStack door has them: by number, a rule at a time, put on servers and taken off them.

(Spec openstack-extensions.md 5.) What both doors share is in :mod:`nova_api.cloud.securitygroups`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from nova_api import errors, limits
from nova_api.cloud.rules import EVERYBODY, checked_cidr, server_rule
from nova_api.cloud.securitygroups import DEFAULT, SecurityGroups, known_rules
from nova_api.cloud.servers import Servers
from nova_api.context import RequestContext
from nova_api.db import instances
from nova_api.db import securitygroups as queries
from nova_api.db.engine import Transaction
from nova_api.db.models import security_groups

_RUNNING = 1
#: A group with its rules.
Group = tuple[Row[Any], Sequence[Row[Any]]]


class GroupNotFound(errors.NotFound):
    """:param number: of a group that is not the caller's."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Security group {number} not found.")


class ParentNotFound(errors.NotFound):
    """:param number: of the group that a rule is meant for."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Security group ({number}) not found")


class RuleNotFound(errors.NotFound):
    """:param number: of a rule that is not the caller's."""

    def __init__(self, number: int) -> None:
        super().__init__(f"Rule ({number}) not found")


class GroupRefused(errors.ApiError):
    """What 2012.1 answered with a bad request, although the state of things is in the way."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleSpec:
    """A rule as the caller asks for it.

    :ivar parent: number of the group it is for; group: number of the group that may come in, which goes before
        ``cidr``
    :ivar from_port: the text of a port, as ``to_port``
    """

    parent: int
    protocol: str | None = None
    from_port: str | None = None
    to_port: str | None = None
    cidr: str | None = None
    group: int | None = None


class ProjectGroups:
    """Security groups of a project as a service."""

    def __init__(self, groups: SecurityGroups, servers: Servers) -> None:
        self.groups, self.servers = groups, servers
        self.db, self.quotas, self.outbox = groups.db, groups.quotas, groups.outbox

    # -- groups ----------------------------------------------------------------------------------------

    def list(self, context: RequestContext) -> Sequence[Group]:
        """The groups of the caller's project by name; an administrator's too are those of one project."""
        self.groups.ensure_default_exists(context)
        with self.db.read() as conn:
            return _with_rules(conn, queries.find(conn, security_groups.c.project_id == context.project_id))

    def get(self, context: RequestContext, number: int) -> Group:
        """One group.

        :raises GroupNotFound: it is not the caller's
        """
        with self.db.read() as conn:
            return _with_rules(conn, [_group(conn, context, number)])[0]

    def create(self, context: RequestContext, name: str, description: str) -> Group:
        """A new group, under any name.

        :raises GroupRefused: the project has one of that name
        :raises SecurityGroupLimitExceeded: quota
        """
        try:
            return self.groups.store(context, name, description), ()
        except errors.SecurityGroupExists:
            raise GroupRefused(f"Security group {name} already exists") from None

    def update(self, context: RequestContext, number: int, name: str, description: str) -> Group:
        """Change name and description.

        :raises GroupNotFound: it is not the caller's
        :raises GroupRefused: the name is taken, or the group is ``default``, which keeps its name
        """

        def work(tx: Transaction) -> Group:
            row = _group(tx.conn, context, number)
            if row.name == DEFAULT and name != DEFAULT:
                raise GroupRefused("Unable to rename security group 'default'")
            queries.update(tx, row.id, {"name": name, "description": description})
            return _with_rules(tx.conn, [_group(tx.conn, context, number)])[0]

        try:
            return self.db.write(work)
        except IntegrityError:
            raise GroupRefused(f"Security group {name} already exists") from None

    def delete(self, context: RequestContext, number: int) -> None:
        """End a group with its rules, and the rules that name it; ``default`` comes back when it is needed.

        :raises GroupNotFound: it is not the caller's
        :raises GroupRefused: servers hold it
        """

        def work(tx: Transaction) -> None:
            row = _group(tx.conn, context, number)
            if queries.in_use(tx.conn, row.id):
                raise GroupRefused("Security group is still in use")
            if not queries.delete(tx, row.id):
                _group(tx.conn, context, number)  # another request was first: not found

        try:
            self.db.write(work)
        except IntegrityError:
            raise GroupRefused("Security group is still in use") from None

    # -- rules -----------------------------------------------------------------------------------------

    def add_rule(self, context: RequestContext, spec: RuleSpec) -> Row[Any]:
        """A new rule of a group.

        :raises ParentNotFound: the group is not the caller's
        :raises InvalidParameterValue: the source group is not the caller's; protocol or ports of another form
        :raises InvalidPermission: no network, or something is missing
        :raises InvalidPortRange: ports out of range
        :raises GroupRefused: the group has the rule
        :raises RulesPerSecurityGroupLimitExceeded: quota
        """
        self.groups.ensure_default_exists(context)
        # Against the end of one of the groups: not found.
        return self.db.write_racing(lambda tx: self._add_rule(tx, context, spec))

    def _add_rule(self, tx: Transaction, context: RequestContext, spec: RuleSpec) -> Row[Any]:
        try:
            parent = _group(tx.conn, context, spec.parent)
        except GroupNotFound:
            raise ParentNotFound(spec.parent) from None
        left = self.quotas.rules_left(tx, parent.project_id, parent.id)
        rule = server_rule(spec.protocol, spec.from_port, spec.to_port, _source(tx.conn, context, spec))
        if rule in known_rules(tx, parent.id):
            raise GroupRefused(f"This rule already exists in group {parent.id}")
        if left < 1:
            raise errors.RulesPerSecurityGroupLimitExceeded
        queries.add_rules(tx, [{"parent_group_id": parent.id, **rule.columns()}])
        self._refresh(tx, context, parent.id)
        return queries.rules(tx.conn, [parent.id])[parent.id][-1]

    def delete_rule(self, context: RequestContext, number: int) -> None:
        """End a rule.

        :raises RuleNotFound: it is not of a group of the caller's
        """
        self.groups.ensure_default_exists(context)

        def work(tx: Transaction) -> None:
            parent = queries.group_of_rule(tx.conn, number, queries.owned(context))
            if parent is None:
                raise RuleNotFound(number)
            queries.remove_rules(tx, [number])
            self._refresh(tx, context, parent)

        self.db.write(work)

    def _refresh(self, tx: Transaction, context: RequestContext, group: int) -> None:
        for host in queries.member_hosts(tx.conn, group):
            self._tell(tx, context, host, group)

    def _tell(self, tx: Transaction, context: RequestContext, host: str, group: int) -> None:
        self.outbox.cast(tx, context, f"compute.{host}", "refresh_security_group_rules", security_group_id=group)

    # -- groups of servers -----------------------------------------------------------------------------

    def of_server(self, context: RequestContext, server: str) -> Sequence[Group]:
        """The groups of a server, by name.

        :raises InstanceNotFound: it is not the caller's
        """
        self.groups.ensure_default_exists(context)
        with self.db.read() as conn:
            row = self.servers.row(conn, context, server, "compute:get")
            numbers = [group.id for group in instances.groups(conn, row.id)]
            return _with_rules(conn, queries.find(conn, security_groups.c.id.in_(numbers)))

    def put_on(self, context: RequestContext, server: str, name: str) -> None:
        """Put a running server into a group of its project.

        :raises InstanceNotFound: it is not the caller's
        :raises SecurityGroupNotFoundForProject: there is no such group
        :raises GroupRefused: it is in the group, or does not run
        :raises ServerLocked: an administrator has locked it
        """

        def work(tx: Transaction) -> None:
            row, group, held = self._pair(tx, context, server, name, "addSecurityGroup", "compute:add_security_group")
            if held:
                raise GroupRefused(f"Security group {group} is already associated with the instance {row.uuid}")
            _require_running(row)
            instances.put_into_groups(tx, [row.id], [group])
            self._tell(tx, context, row.host, group)

        self.db.write_racing(work)  # against the end of the group: not found

    def take_off(self, context: RequestContext, server: str, name: str) -> None:
        """Take a running server out of a group.

        :raises GroupRefused: it is not in the group, or does not run
        :raises ApiError: as :meth:`put_on`
        """

        def work(tx: Transaction) -> None:
            action, rule = "removeSecurityGroup", "compute:remove_security_group"
            row, group, held = self._pair(tx, context, server, name, action, rule)
            if not held:
                raise GroupRefused(f"Security group {group} is not associated with the instance {row.uuid}")
            _require_running(row)
            instances.take_out_of_group(tx, row.id, group)
            self._tell(tx, context, row.host, group)

        self.db.write(work)

    def _pair(
        self, tx: Transaction, context: RequestContext, server: str, name: str, action: str, rule: str
    ) -> tuple[Row[Any], int, bool]:
        """A server, the number of a group, and whether the server is in it."""
        row = self.servers.locked(tx, context, server, rule)
        if row.locked and not context.is_admin:
            raise errors.ServerLocked(action)
        group = queries.by_name(tx.conn, row.project_id, name)
        if group is None:
            raise errors.SecurityGroupNotFoundForProject(name, row.project_id)
        held = any(one.id == group.id for one in instances.groups(tx.conn, row.id))
        return row, int(group.id), held


def _require_running(row: Row[Any]) -> None:
    if row.power_state != _RUNNING or not row.host:
        raise GroupRefused(f"Instance {row.uuid} is not running.")


def _group(conn: Connection, context: RequestContext, number: int) -> Row[Any]:
    if number <= limits.MAX_DATABASE_ID:
        rows = queries.find(conn, security_groups.c.id == number, queries.owned(context))
        if rows:
            return rows[0]
    raise GroupNotFound(number)


def _source(conn: Connection, context: RequestContext, spec: RuleSpec) -> str | int:
    """What a rule lets in: a network as it was sent, or a group of the caller's."""
    if spec.group is None:
        try:
            return checked_cidr(spec.cidr or EVERYBODY)
        except errors.InvalidPermission:
            raise errors.InvalidPermission(f"Invalid cidr {unquote(spec.cidr or '')}.") from None
    try:
        return int(_group(conn, context, spec.group).id)
    except GroupNotFound as error:
        raise errors.InvalidParameterValue(error.message) from None


def _with_rules(conn: Connection, rows: Sequence[Row[Any]]) -> Sequence[Group]:
    rules = queries.rules(conn, [row.id for row in rows])
    return [(row, rules.get(row.id, [])) for row in rows]
