"""Users, projects, roles and access keys (spec ec2.md 2.5).

Nothing is remembered between requests: a key that is revoked, or a membership that ends, is gone with the next one.
"""

import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy.engine import Row

from nova_api import errors
from nova_api.auth.secretbox import SecretBox
from nova_api.config import Config
from nova_api.db import identity as queries
from nova_api.db.engine import Database, Transaction
from nova_api.db.models import (
    access_keys,
    auth_tokens,
    global_roles,
    key_pairs,
    memberships,
    project_roles,
    projects,
    users,
)

_ALPHABET = string.ascii_letters + string.digits


@dataclass(frozen=True, slots=True)
class Credentials:
    """Whom an access key belongs to, and what that user is in a project.

    :ivar allowed: the project exists, and the user is a member or an administrator
    :ivar roles: active roles in the project
    """

    user_id: str
    is_admin: bool
    secret: str = field(repr=False)
    project_id: str
    roles: tuple[str, ...]
    allowed: bool


@dataclass(frozen=True, slots=True)
class Rights:
    """What a user is in a project.

    :ivar exists: there is such a project; member: the user belongs to it
    :ivar roles: active roles in the project
    """

    is_admin: bool
    exists: bool
    member: bool
    roles: tuple[str, ...]


class Identity:
    """Identity as a service."""

    def __init__(self, db: Database, config: Config) -> None:
        self.db = db
        self.box = SecretBox(config.secret_key_path)
        self.allowed_roles = frozenset(config.allowed_roles) | {"projectmanager"}
        self.global_roles = frozenset(config.global_roles)
        self.superuser_roles = frozenset(config.superuser_roles)

    def credentials(self, access: str, project: str | None = None) -> Credentials | None:
        """Who is behind an access key.

        :param project: that they want to work in; None: the one named like the user (spec ec2.md 2.5)
        :returns: None when nobody has the key
        """
        with self.db.read() as conn:
            key = queries.key(conn, access)
            if key is None:
                return None
            name = project or key.id
            rows = queries.rights(conn, key.id, name)
        return self._judge(key, name, rows)

    def _judge(self, key: Row[Any], project: str, rows: Sequence[Row[Any]]) -> Credentials:
        rights = self._rights(key.id, bool(key.is_admin), rows)
        return Credentials(
            user_id=key.id,
            is_admin=rights.is_admin,
            secret=self.box.open(key.secret),
            project_id=project,
            roles=rights.roles,
            allowed=rights.exists and (rights.is_admin or rights.member),
        )

    def _rights(self, user: str, is_admin: bool, rows: Sequence[Row[Any]]) -> Rights:
        """Step 6 of the rule: a role is active when it is held globally and in the project."""
        found: dict[str, set[str]] = {"project": set(), "member": set(), "global": set(), "local": set()}
        for row in rows:
            found[row.kind].add(row.value)
        everywhere = found["global"]
        is_admin = is_admin or bool(everywhere & (self.superuser_roles | self.global_roles))
        active = everywhere & (found["local"] | self.global_roles) & self.allowed_roles
        if user in found["project"]:
            active = active | {"projectmanager"}
        roles = sorted(active)
        if is_admin and "admin" not in roles:
            roles.append("admin")
        return Rights(is_admin, bool(found["project"]), bool(found["member"]), tuple(roles))

    def rights(self, user: str, project: str, *, is_admin: bool = False) -> Rights:
        """What a user is in a project.

        :param is_admin: the user's own flag
        """
        with self.db.read() as conn:
            return self._rights(user, is_admin, queries.rights(conn, user, project))

    def user_of_key(self, access: str) -> str | None:
        """The user that an access key belongs to."""
        with self.db.read() as conn:
            key = queries.key(conn, access)
        return None if key is None else str(key.id)

    def projects_of(self, user: str) -> Sequence[str]:
        """The projects that a user is a member of, by name."""
        with self.db.read() as conn:
            return queries.projects_of(conn, user)

    # -- administration ----------------------------------------------------------------------------------

    def create_user(
        self, name: str, *, admin: bool = False, access: str | None = None, secret: str | None = None
    ) -> tuple[str, str]:
        """A new user with one access key.

        :returns: access key and secret
        :raises Duplicate: the user, or the access key, exists
        """

        def work(tx: Transaction) -> tuple[str, str]:
            if queries.user(tx.conn, name) is not None:
                raise errors.Duplicate(f"User {name} exists already.")
            queries.insert(tx, users, {"id": name, "is_admin": admin})
            return self._new_key(tx, name, access, secret)

        return self.db.write_racing(work)

    def modify_user(
        self, name: str, *, admin: bool | None = None, access: str | None = None, secret: str | None = None
    ) -> None:
        """Make a user an administrator, or take it back; change the user's oldest access key. None leaves it.

        :raises UserNotFound: no such user
        :raises Duplicate: the access key is another one's
        """

        def work(tx: Transaction) -> None:
            self._require_user(tx, name)
            if admin is not None:
                queries.put(tx, users, {"id": name, "is_admin": admin})
            if access is not None or secret is not None:
                self._change_key(tx, name, access, secret)

        self.db.write_racing(work)

    def _change_key(self, tx: Transaction, user: str, access: str | None, secret: str | None) -> None:
        found = next(iter(queries.keys_of(tx.conn, user)), None)
        old = None if found is None else found.access_key
        kept = None if found is None else self.box.open(found.secret)
        if old is not None:
            # Whoever has got a token with the key as it was has it no longer.
            queries.remove(tx, access_keys, access_key=old)
            queries.remove(tx, auth_tokens, user_id=user)
        self._new_key(tx, user, access or old, secret or kept)

    def delete_user(self, name: str) -> None:
        """End a user with access keys, key pairs, roles and memberships.

        :raises UserNotFound: no such user
        """

        def work(tx: Transaction) -> None:
            if not queries.remove(tx, users, id=name):
                raise errors.UserNotFound(name)
            queries.remove(tx, key_pairs, user_id=name)

        self.db.write_racing(work)

    def user(self, name: str) -> Row[Any]:
        """One user.

        :raises UserNotFound: no such user
        """
        with self.db.read() as conn:
            found = queries.user(conn, name)
        if found is None:
            raise errors.UserNotFound(name)
        return found

    def first_keys(self) -> dict[str, tuple[str, str]]:
        """The oldest access key of every user that has one, with its secret."""
        with self.db.read() as conn:
            rows = queries.all_rows(conn, access_keys)
        found: dict[str, tuple[str, str]] = {}
        for row in sorted(rows, key=lambda row: (row.created_at, row.access_key)):
            if row.user_id not in found:
                found[row.user_id] = (row.access_key, self.box.open(row.secret))
        return found

    def list_users(self) -> Sequence[Row[Any]]:
        """All users."""
        with self.db.read() as conn:
            return queries.all_rows(conn, users)

    def create_project(self, name: str, manager: str, description: str = "") -> None:
        """A new project; its manager is its first member.

        :raises Duplicate: it exists
        :raises UserNotFound: no such manager
        """

        def work(tx: Transaction) -> None:
            self._require_user(tx, manager)
            if queries.project(tx.conn, name) is not None:
                raise errors.Duplicate(f"Project {name} exists already.")
            queries.insert(tx, projects, {"id": name, "project_manager": manager, "description": description})
            queries.put(tx, memberships, {"user_id": manager, "project_id": name})

        self.db.write_racing(work)

    def project(self, name: str) -> Row[Any]:
        """One project.

        :raises ProjectNotFound: no such project
        """
        with self.db.read() as conn:
            found = queries.project(conn, name)
        if found is None:
            raise errors.ProjectNotFound(name)
        return found

    def put_project(self, name: str, manager: str | None, description: str | None) -> None:
        """A new project, described by its name if nothing else is said, or another manager or description of one that
        exists; None leaves it.

        :raises UserNotFound: no such manager
        :raises InvalidParameterValue: a new project without a manager
        """

        def work(tx: Transaction) -> None:
            known = queries.project(tx.conn, name)
            if known is None and manager is None:
                raise errors.InvalidParameterValue("A new project needs a manager.")
            if manager is not None:
                self._require_user(tx, manager)
            unsaid = name if known is None else None
            given = {"project_manager": manager, "description": unsaid if description is None else description}
            queries.put(tx, projects, {"id": name, **{key: one for key, one in given.items() if one is not None}})
            if manager is not None:
                queries.put(tx, memberships, {"user_id": manager, "project_id": name})

        self.db.write_racing(work)

    def delete_project(self, name: str) -> None:
        """End a project with its memberships and roles; what it owns stays, for administrators.

        :raises ProjectNotFound: no such project
        """

        def work(tx: Transaction) -> None:
            if not queries.remove(tx, projects, id=name):
                raise errors.ProjectNotFound(name)
            queries.remove(tx, auth_tokens, project_id=name)

        self.db.write_racing(work)

    def list_projects(self) -> Sequence[Row[Any]]:
        """All projects."""
        with self.db.read() as conn:
            return queries.all_rows(conn, projects)

    def members(self) -> dict[str, list[str]]:
        """Members by project."""
        found: dict[str, list[str]] = {}
        with self.db.read() as conn:
            for row in queries.all_rows(conn, memberships):
                found.setdefault(row.project_id, []).append(row.user_id)
        return found

    def add_member(self, project: str, user: str) -> None:
        """Make a user a member.

        :raises UserNotFound: no such user
        :raises ProjectNotFound: no such project
        """

        def work(tx: Transaction) -> None:
            self._require_user(tx, user)
            self._require_project(tx, project)
            queries.put(tx, memberships, {"user_id": user, "project_id": project})

        self.db.write_racing(work)

    def remove_member(self, project: str, user: str) -> None:
        """End a membership, and the user's roles in the project.

        :raises ProjectNotFound: the user is no member of such a project
        """

        def work(tx: Transaction) -> None:
            if not queries.remove(tx, memberships, user_id=user, project_id=project):
                raise errors.ProjectNotFound(project)
            queries.remove(tx, project_roles, user_id=user, project_id=project)
            queries.remove(tx, auth_tokens, user_id=user, project_id=project)

        self.db.write_racing(work)

    def grant(self, user: str, role: str, project: str | None = None) -> None:
        """Give a user a role, globally or in a project.

        :raises InvalidParameterValue: a role that is not among ``allowed_roles``
        """

        def work(tx: Transaction) -> None:
            self._require_user(tx, user)
            if project is None:
                queries.put(tx, global_roles, {"user_id": user, "role": role})
                return
            self._require_project(tx, project)
            queries.put(tx, project_roles, {"user_id": user, "project_id": project, "role": role})

        if role not in self.allowed_roles | self.superuser_roles | self.global_roles:
            raise errors.InvalidParameterValue(f"The role {role} is not one of: {errors.names(self.allowed_roles)}.")
        self.db.write_racing(work)

    def revoke(self, user: str, role: str, project: str | None = None) -> None:
        """Take a role back.

        :raises NotFound: the user has no such role
        """

        def work(tx: Transaction) -> None:
            if project is None:
                gone = queries.remove(tx, global_roles, user_id=user, role=role)
            else:
                gone = queries.remove(tx, project_roles, user_id=user, role=role, project_id=project)
            if not gone:
                raise errors.NotFound(f"User {user} does not have the role {role} there.")

        self.db.write_racing(work)

    def roles(self) -> dict[str, dict[str, list[str]]]:
        """Roles by user: ``global`` and by project."""
        found: dict[str, dict[str, list[str]]] = {}
        with self.db.read() as conn:
            for row in queries.all_rows(conn, global_roles):
                found.setdefault(row.user_id, {}).setdefault("global", []).append(row.role)
            for row in queries.all_rows(conn, project_roles):
                found.setdefault(row.user_id, {}).setdefault(row.project_id, []).append(row.role)
        return found

    def create_key(self, user: str, *, access: str | None = None, secret: str | None = None) -> tuple[str, str]:
        """One more access key of a user.

        :returns: access key and secret; the secret is shown this once
        :raises UserNotFound: no such user
        :raises Duplicate: the access key exists
        """

        def work(tx: Transaction) -> tuple[str, str]:
            self._require_user(tx, user)
            return self._new_key(tx, user, access, secret)

        return self.db.write_racing(work)

    def keys(self, user: str) -> Sequence[tuple[str, str]]:
        """Access keys of a user with their secrets, oldest first."""
        with self.db.read() as conn:
            return [(row.access_key, self.box.open(row.secret)) for row in queries.keys_of(conn, user)]

    def revoke_key(self, access: str) -> None:
        """End an access key, and the tokens of its user: any of them may have been got with it.

        :raises NotFound: there is no such key
        """

        def work(tx: Transaction) -> None:
            key = queries.key(tx.conn, access)
            if key is None:
                raise errors.NotFound(f"Access key {access} could not be found.")
            queries.remove(tx, access_keys, access_key=access)
            queries.remove(tx, auth_tokens, user_id=key.id)

        self.db.write_racing(work)

    def put_key(self, tx: Transaction, user: str, access: str, secret: str) -> None:
        """Set an access key of a user, whether it exists or not."""
        queries.put(tx, access_keys, {"access_key": access, "user_id": user, "secret": self.box.seal(secret)})

    def _new_key(self, tx: Transaction, user: str, access: str | None, secret: str | None) -> tuple[str, str]:
        access, secret = access or new_access_key(), secret or new_secret()
        if access != access.strip():
            raise errors.InvalidParameterValue("An access key begins and ends with something else than a blank.")
        if queries.key(tx.conn, access) is not None:
            raise errors.Duplicate(f"Access key {access} exists already.")
        queries.insert(tx, access_keys, {"access_key": access, "user_id": user, "secret": self.box.seal(secret)})
        return access, secret

    @staticmethod
    def _require_user(tx: Transaction, name: str) -> None:
        if queries.user(tx.conn, name) is None:
            raise errors.UserNotFound(name)

    @staticmethod
    def _require_project(tx: Transaction, name: str) -> None:
        if queries.project(tx.conn, name) is None:
            raise errors.ProjectNotFound(name)


def new_access_key() -> str:
    """20 characters, as clients expect of an access key."""
    return "AK" + "".join(secrets.choice(string.ascii_uppercase + string.digits) for _ in range(18))


def new_secret() -> str:
    """40 characters."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(40))
