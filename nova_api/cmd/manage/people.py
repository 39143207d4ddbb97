"""Commands about users, projects, roles and access keys."""

import argparse
from typing import Any

from nova_api import errors
from nova_api.cmd.manage import Output, Tools, command, group


def add_commands(groups: Any) -> None:
    """Add the groups ``user``, ``project``, ``role`` and ``key``."""
    _users(group(groups, "user", "users"))
    _projects(group(groups, "project", "projects and their members"))
    _roles(group(groups, "role", "roles"))
    _keys(group(groups, "key", "access keys"))


def _users(commands: Any) -> None:
    create = command(commands, "create", _user_create, "make a user with an access key")
    create.add_argument("name")
    create.add_argument("--admin", action="store_true")
    create.add_argument("--access", help="access key; a random one without it")
    create.add_argument("--secret", help="secret key; a random one without it")
    modify = command(commands, "modify", _user_modify, "make a user an administrator, or take it back")
    modify.add_argument("name")
    modify.add_argument("--admin", choices=("yes", "no"), required=True)
    command(commands, "delete", _user_delete, "end a user with keys, roles and memberships").add_argument("name")
    command(commands, "list", _user_list, "list users")


def _user_create(tools: Tools, args: argparse.Namespace) -> Output:
    access, secret = tools.identity.create_user(args.name, admin=args.admin, access=args.access, secret=args.secret)
    return [{"user": args.name, "admin": args.admin, "access": access, "secret": secret}]


def _user_modify(tools: Tools, args: argparse.Namespace) -> Output:
    tools.identity.modify_user(args.name, admin=args.admin == "yes")
    return None


def _user_delete(tools: Tools, args: argparse.Namespace) -> Output:
    tools.identity.delete_user(args.name)
    return None


def _user_list(tools: Tools, args: argparse.Namespace) -> Output:
    return [{"user": row.id, "admin": bool(row.is_admin)} for row in tools.identity.list_users()]


def _projects(commands: Any) -> None:
    create = command(commands, "create", _project_create, "make a project")
    create.add_argument("name")
    create.add_argument("manager", help="a user; becomes the first member")
    create.add_argument("--description", default="")
    command(commands, "delete", _project_delete, "end a project").add_argument("name")
    command(commands, "list", _project_list, "list projects")
    for name, run, text in (
        ("add", _member_add, "make a user a member"),
        ("remove", _member_remove, "end a membership"),
    ):
        member = command(commands, name, run, text)
        member.add_argument("project")
        member.add_argument("user")


def _project_create(tools: Tools, args: argparse.Namespace) -> Output:
    tools.identity.create_project(args.name, args.manager, args.description)
    return None


def _project_delete(tools: Tools, args: argparse.Namespace) -> Output:
    tools.identity.delete_project(args.name)
    return None


def _project_list(tools: Tools, args: argparse.Namespace) -> Output:
    members = tools.identity.members()
    return [
        {"project": row.id, "manager": row.project_manager, "members": members.get(row.id, [])}
        for row in tools.identity.list_projects()
    ]


def _member_add(tools: Tools, args: argparse.Namespace) -> Output:
    tools.identity.add_member(args.project, args.user)
    return None


def _member_remove(tools: Tools, args: argparse.Namespace) -> Output:
    tools.identity.remove_member(args.project, args.user)
    return None


def _roles(commands: Any) -> None:
    for name, run, text in (("grant", _role_grant, "give a role"), ("revoke", _role_revoke, "take a role back")):
        role = command(commands, name, run, text)
        role.add_argument("user")
        role.add_argument("role")
        role.add_argument("--project", help="in this project; globally without it. An active role needs both")
    command(commands, "list", _role_list, "list roles")


def _role_grant(tools: Tools, args: argparse.Namespace) -> Output:
    tools.identity.grant(args.user, args.role, args.project)
    return None


def _role_revoke(tools: Tools, args: argparse.Namespace) -> Output:
    tools.identity.revoke(args.user, args.role, args.project)
    return None


def _role_list(tools: Tools, args: argparse.Namespace) -> Output:
    return [
        {"user": user, "where": where, "roles": sorted(roles)}
        for user, held in sorted(tools.identity.roles().items())
        for where, roles in sorted(held.items())
    ]


def _keys(commands: Any) -> None:
    create = command(commands, "create", _key_create, "give a user one more access key")
    create.add_argument("user")
    command(commands, "list", _key_list, "list a user's access keys").add_argument("user")
    command(commands, "revoke", _key_revoke, "end an access key, at once").add_argument("access")
    export = command(commands, "export", _key_export, "print a novarc file for a shell to read")
    export.add_argument("user")
    export.add_argument("project")


def _key_create(tools: Tools, args: argparse.Namespace) -> Output:
    access, secret = tools.identity.create_key(args.user)
    return [{"user": args.user, "access": access, "secret": secret}]


def _key_list(tools: Tools, args: argparse.Namespace) -> Output:
    return [{"user": args.user, "access": access} for access, _ in tools.identity.keys(args.user)]


def _key_revoke(tools: Tools, args: argparse.Namespace) -> Output:
    tools.identity.revoke_key(args.access)
    return None


def _key_export(tools: Tools, args: argparse.Namespace) -> Output:
    keys = tools.identity.keys(args.user)
    if not keys:
        raise errors.UserNotFound(args.user)
    if args.project not in {row.id for row in tools.identity.list_projects()}:
        raise errors.ProjectNotFound(args.project)
    access, secret = keys[0]
    config = tools.config
    host = config.ec2_host or config.my_ip
    url = f"{config.ec2_scheme}://{host}:{config.ec2_port or config.ec2_listen_port}{config.ec2_path}"
    values = {
        "EC2_URL": url,
        "EC2_ACCESS_KEY": f"{access}:{args.project}",
        "EC2_SECRET_KEY": secret,
        "AWS_ACCESS_KEY_ID": f"{access}:{args.project}",
        "AWS_SECRET_ACCESS_KEY": secret,
        "AWS_DEFAULT_REGION": config.region_name,
        "NOVA_USERNAME": args.user,
        "NOVA_API_KEY": access,
        "NOVA_PROJECT_ID": args.project,
    }
    return "".join(f"export {name}='{value}'\n" for name, value in values.items())
