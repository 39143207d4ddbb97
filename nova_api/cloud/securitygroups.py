"""Security groups (spec ec2.md 4.3)."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row
from sqlalchemy.exc import IntegrityError

from nova_api import errors, limits
from nova_api.cloud.quota import Quotas
from nova_api.cloud.rules import Permission, Rule, Source, rules_of
from nova_api.context import RequestContext
from nova_api.db import securitygroups as queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.filters import build
from nova_api.db.models import security_groups
from nova_api.rpc.outbox import Outbox

DEFAULT = "default"
_NAME = re.compile(r"[a-zA-Z0-9_\- ]+\Z")
_ID = re.compile(r"(?:sg-([0-9a-fA-F]{1,16})|([0-9]{1,18}))\Z", re.ASCII)


class SecurityGroups:
    """Security groups as a service."""

    def __init__(self, db: Database, quotas: Quotas, outbox: Outbox) -> None:
        self.db, self.quotas, self.outbox = db, quotas, outbox

    # -- reading ---------------------------------------------------------------------------------------

    def list(
        self,
        context: RequestContext,
        names: Sequence[str] = (),
        ids: Sequence[str] = (),
        *,
        filters: Sequence[tuple[str, Sequence[str]]] = (),
        after: int = 0,
        limit: int | None = None,
    ) -> Sequence[tuple[Row[Any], Sequence[Row[Any]]]]:
        """Groups with their rules.

        :param names: of the caller's project; each must exist
        :param ids: of the caller's project, for administrators of any; each must exist
        :raises SecurityGroupNotFoundForProject: a name does not exist
        :raises SecurityGroupNotFound: an id does not exist
        """
        where = build(queries.FILTERS, filters)
        with self.db.read() as conn:
            if queries.by_name(conn, context.project_id, DEFAULT) is not None:
                return self._listed(conn, context, names, ids, where, after, limit)
        self.ensure_default_exists(context)
        with self.db.read() as conn:
            return self._listed(conn, context, names, ids, where, after, limit)

    def _listed(
        self,
        conn: Connection,
        context: RequestContext,
        names: Sequence[str],
        ids: Sequence[str],
        where: Sequence[sa.ColumnElement[bool]],
        after: int,
        limit: int | None,
    ) -> Sequence[tuple[Row[Any], Sequence[Row[Any]]]]:
        if names and not (ids or where or after or limit):
            found = self._by_names(conn, context, names)
        else:
            if names or ids:
                where = [*where, security_groups.c.id.in_(self.resolve(conn, context, names, ids))]
            found = queries.find(conn, queries.owned(context), *where, after=after, limit=limit)
        rules = queries.rules(conn, [row.id for row in found])
        return [(row, rules.get(row.id, [])) for row in found]

    @staticmethod
    def _by_names(conn: Connection, context: RequestContext, names: Sequence[str]) -> Sequence[Row[Any]]:
        """Groups of the project, by name."""
        found = []
        for name in sorted(set(names)):
            row = queries.by_name(conn, context.project_id, name)
            if row is None:
                raise errors.SecurityGroupNotFoundForProject(name, context.project_id)
            found.append(row)
        return found

    def resolve(
        self, conn: Connection, context: RequestContext, names: Sequence[str], ids: Sequence[str] = ()
    ) -> Sequence[int]:
        """The numbers of groups, in the order in which they are named, each once.

        :raises SecurityGroupNotFoundForProject: a name does not exist in the project
        :raises SecurityGroupNotFound: an id does not exist
        """
        found: dict[int, None] = {}
        for name in names:
            row = queries.by_name(conn, context.project_id, name)
            if row is None:
                raise errors.SecurityGroupNotFoundForProject(name, context.project_id)
            found[row.id] = None
        for text in ids:
            found[self.by_id(conn, context, text).id] = None
        return list(found)

    def by_id(self, conn: Connection, context: RequestContext, text: str) -> Row[Any]:
        """A group by ``sg-…`` or its bare number.

        :raises SecurityGroupNotFound: there is none that the caller may see; the message has the text as it was sent
        """
        match = _ID.match(text)
        number = int(match[1], 16) if match and match[1] else int(match[2]) if match else -1
        if 0 < number <= limits.MAX_DATABASE_ID:
            rows = queries.find(conn, security_groups.c.id == number, queries.owned(context))
            if rows:
                return rows[0]
        raise errors.SecurityGroupNotFound(text)

    def named(self, conn: Connection, context: RequestContext, name: str | None, group_id: str | None) -> Row[Any]:
        """The group that a request is about, by id or by name.

        :raises UnsupportedOperation: neither is given, in the words of 2012.1
        """
        if group_id:
            return self.by_id(conn, context, group_id)
        if not name:
            raise errors.UnsupportedOperation("Not enough parameters, need group_name or group_id")
        row = queries.by_name(conn, context.project_id, name)
        if row is None:
            raise errors.SecurityGroupNotFoundForProject(name, context.project_id)
        return row

    def ensure_default_exists(self, context: RequestContext) -> None:
        """Make the group ``default`` of the caller's project, if it is missing."""
        with self.db.read() as conn:
            if queries.by_name(conn, context.project_id, DEFAULT) is not None:
                return
        try:
            self.db.write(lambda tx: self.ensure_default(tx, context))
        except IntegrityError:
            pass  # another request has just made it

    def ensure_default(self, tx: Transaction, context: RequestContext) -> int:
        """The number of the project's group ``default``, made if it is missing."""
        row = queries.by_name(tx.conn, context.project_id, DEFAULT)
        if row is not None:
            return int(row.id)
        return queries.insert(
            tx,
            {
                "user_id": context.user_id,
                "project_id": context.project_id,
                "name": DEFAULT,
                "description": DEFAULT,
            },
        )

    # -- changing --------------------------------------------------------------------------------------

    def create(self, context: RequestContext, name: str, description: str) -> Row[Any]:
        """A new group.

        :raises InvalidParameterValue: characters or length of the name
        :raises SecurityGroupExists: the project has one of that name
        :raises SecurityGroupLimitExceeded: quota
        """
        if not _NAME.match(name):
            raise errors.InvalidParameterValue(
                f"Value ({name}) for parameter GroupName is invalid. Content limited to Alphanumeric characters, "
                "spaces, dashes, and underscores."
            )
        if len(name) > limits.MAX_NAME:
            raise errors.InvalidParameterValue(
                f"Value ({name}) for parameter GroupName is invalid. Length exceeds maximum of {limits.MAX_NAME}."
            )
        return self.store(context, name, description)

    def store(self, context: RequestContext, name: str, description: str) -> Row[Any]:
        """:meth:`create` for a door that has judged the name itself.

        :raises SecurityGroupExists: the project has one of that name
        :raises SecurityGroupLimitExceeded: quota
        """
        self.ensure_default_exists(context)

        def work(tx: Transaction) -> Row[Any]:
            left = self.quotas.left(tx, context.project_id or "", "security_groups")
            if queries.by_name(tx.conn, context.project_id, name) is not None:
                raise errors.SecurityGroupExists(name)
            if left["security_groups"] < 1:
                raise errors.SecurityGroupLimitExceeded
            number = queries.insert(
                tx,
                {
                    "user_id": context.user_id,
                    "project_id": context.project_id,
                    "name": name,
                    "description": description,
                },
            )
            return queries.find(tx.conn, security_groups.c.id == number)[0]

        try:
            return self.db.write(work)
        except IntegrityError as error:
            raise errors.SecurityGroupExists(name) from error

    def delete(self, context: RequestContext, name: str | None, group_id: str | None) -> None:
        """End a group, and the rules of others that name it.

        :param name: wins over ``group_id``
        :raises SecurityGroupInUse: instances hold it, or it is ``default``
        """

        def work(tx: Transaction) -> None:
            row = self.named(tx.conn, context, name, None if name else group_id)
            if row.name == DEFAULT:
                raise errors.SecurityGroupInUse("The security group 'default' cannot be deleted.")
            if queries.in_use(tx.conn, row.id):
                raise errors.SecurityGroupInUse(f"The security group '{row.name}' is in use by instances.")
            if not queries.delete(tx, row.id):
                self.named(tx.conn, context, name, None if name else group_id)  # another request was first: not found

        try:
            self.db.write(work)
        except IntegrityError as error:
            raise errors.SecurityGroupInUse("The security group is in use by instances.") from error

    def authorize(
        self,
        context: RequestContext,
        name: str | None,
        group_id: str | None,
        permissions: Sequence[Permission],
    ) -> None:
        """Add rules: all of them, or none.

        :param group_id: wins over ``name``
        :raises SecurityGroupRuleExists: one of them is there already
        :raises InvalidPermission: the permissions make no rule
        :raises RulesPerSecurityGroupLimitExceeded: quota
        """
        self._change(context, name, group_id, permissions, self._add)

    def revoke(
        self,
        context: RequestContext,
        name: str | None,
        group_id: str | None,
        permissions: Sequence[Permission],
    ) -> None:
        """Remove rules: all of them, or none.

        :param group_id: wins over ``name``
        :raises SecurityGroupRuleNotFound: one of them is not there
        """
        self._change(context, name, group_id, permissions, self._remove)

    def _change(
        self,
        context: RequestContext,
        name: str | None,
        group_id: str | None,
        permissions: Sequence[Permission],
        change: Callable[[Transaction, RequestContext, int, Sequence[Rule]], None],
    ) -> None:
        self.ensure_default_exists(context)

        def work(tx: Transaction) -> None:
            row = self.named(tx.conn, context, name, group_id)
            # Taken before anything is read that the change depends on: two changes of a group run one after the other.
            self.quotas.left(tx, row.project_id)
            wanted: dict[Rule, None] = {}
            for permission in permissions:
                for rule in rules_of(permission, lambda source: self._source(tx.conn, context, source)):
                    wanted[rule] = None
            change(tx, context, row.id, list(wanted))
            for host in queries.member_hosts(tx.conn, row.id):
                self.outbox.cast(
                    tx, context, f"compute.{host}", "refresh_security_group_rules", security_group_id=row.id
                )

        self.db.write_racing(work)  # against the end of one of the groups: not found

    def _add(self, tx: Transaction, context: RequestContext, group: int, rules: Sequence[Rule]) -> None:
        known = known_rules(tx, group)
        for rule in rules:
            if rule in known:
                raise errors.SecurityGroupRuleExists(rule.as_2012(group))
        if self.quotas.rules_left(tx, context.project_id or "", group) < len(rules):
            raise errors.RulesPerSecurityGroupLimitExceeded
        queries.add_rules(tx, [{"parent_group_id": group, **rule.columns()} for rule in rules])

    @staticmethod
    def _remove(tx: Transaction, context: RequestContext, group: int, rules: Sequence[Rule]) -> None:
        known = known_rules(tx, group)
        if any(rule not in known for rule in rules):
            raise errors.SecurityGroupRuleNotFound
        queries.remove_rules(tx, [known[rule] for rule in rules])

    def _source(self, conn: Connection, context: RequestContext, source: Source) -> int:
        """The number of a source group, of whichever project: rules may name other people's groups."""
        if source.group_id:
            return int(self.by_id(conn, context.elevated(), source.group_id).id)
        owner = source.owner.rpartition(":")[2] if source.owner else context.project_id
        row = queries.by_name(conn, owner, source.name or "")
        if row is None:
            raise errors.SecurityGroupNotFoundForProject(source.name or "", owner)
        return int(row.id)


def known_rules(tx: Transaction, group: int) -> dict[Rule, int]:
    """The rules of a group with their numbers."""
    return {
        Rule(
            protocol=row.protocol,
            from_port=row.from_port,
            to_port=row.to_port,
            cidr=row.cidr,
            group_id=row.group_id,
        ): row.id
        for row in queries.rules(tx.conn, [group]).get(group, [])
    }
