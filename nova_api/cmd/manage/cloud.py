"""Commands about the datastore, flavors, images, networks, addresses, quotas and services."""

import argparse
import json
from pathlib import Path
from typing import Any

from nova_api import config as configuration
from nova_api import errors
from nova_api.cloud import bootstrap
from nova_api.cloud.quota import RESOURCES
from nova_api.cloud.zones import Zones
from nova_api.cmd.manage import Output, Tools, command, group
from nova_api.context import admin_context, new_uuid
from nova_api.db import flavors, floating, images, networks, schema, services
from nova_api.db.engine import Transaction


def add_commands(groups: Any) -> None:
    """Add the other groups."""
    _datastore(group(groups, "db", "the datastore's tables"))
    _flavors(group(groups, "flavor", "flavors, the instance types"))
    _images(group(groups, "image", "the image catalogue"))
    _networks(group(groups, "network", "networks"))
    _floating(group(groups, "floating", "floating addresses"))
    _quotas(group(groups, "quota", "limits of projects"))
    _services(group(groups, "service", "services of the nodes"))
    load = command(groups, "bootstrap", _bootstrap, "load users, projects, images, ... from a JSON file")
    load.add_argument("file")
    settings = group(groups, "config", "the configuration")
    command(settings, "sample", _config_sample, "print every option with its default", datastore=False)


def _datastore(commands: Any) -> None:
    command(commands, "sync", _db_sync, "make the tables, or bring them up to date", datastore=False)
    command(commands, "version", _db_version, "print the revision of the tables", datastore=False)
    back = command(commands, "downgrade", _db_downgrade, "bring the tables back to a revision", datastore=False)
    back.add_argument("revision", help="'base' removes every table")


def _db_sync(tools: Tools, args: argparse.Namespace) -> Output:
    schema.ensure(tools.db)
    return schema.version(tools.db)


def _db_version(tools: Tools, args: argparse.Namespace) -> Output:
    return schema.version(tools.db) or "empty"


def _db_downgrade(tools: Tools, args: argparse.Namespace) -> Output:
    schema.downgrade(tools.db, args.revision)
    return schema.version(tools.db) or "empty"


def _flavors(commands: Any) -> None:
    create = command(commands, "create", _flavor_create, "make a flavor")
    create.add_argument("name")
    create.add_argument("--id", help="as the OpenStack API shows it; a random one without it")
    for name, text in (("memory", "MB"), ("vcpus", "virtual CPUs"), ("disk", "GB")):
        create.add_argument(f"--{name}", type=int, required=True, metavar="N", help=text)
    create.add_argument("--ephemeral", type=int, default=0, metavar="N", help="GB")
    create.add_argument("--swap", type=int, default=0, metavar="N", help="MB")
    command(commands, "delete", _flavor_delete, "end a flavor").add_argument("name")
    command(commands, "list", _flavor_list, "list flavors")


def _flavor_create(tools: Tools, args: argparse.Namespace) -> Output:
    if min(args.memory, args.vcpus) < 1 or min(args.disk, args.ephemeral, args.swap) < 0:
        raise errors.InvalidParameterValue("A flavor has memory and CPUs, and no negative disks.")
    values = {
        "name": args.name,
        "flavorid": args.id or new_uuid(),
        "memory_mb": args.memory,
        "vcpus": args.vcpus,
        "root_gb": args.disk,
        "ephemeral_gb": args.ephemeral,
        "swap": args.swap,
    }

    def work(tx: Transaction) -> None:
        if flavors.by_name(tx.conn, args.name) or flavors.by_flavorid(tx.conn, values["flavorid"]):
            raise errors.Duplicate(f"Flavor {args.name} exists already.")
        flavors.insert(tx, values)

    tools.db.write(work)
    return None


def _flavor_delete(tools: Tools, args: argparse.Namespace) -> Output:
    if not tools.db.write(lambda tx: flavors.delete(tx, args.name)):
        raise errors.FlavorNotFoundByName(args.name)
    return None


def _flavor_list(tools: Tools, args: argparse.Namespace) -> Output:
    wanted = ("name", "flavorid", "memory_mb", "vcpus", "root_gb", "ephemeral_gb", "swap")
    with tools.db.read() as conn:
        return [{name: getattr(row, name) for name in wanted} for row in flavors.every(conn)]


def _images(commands: Any) -> None:
    create = command(commands, "create", _image_create, "record an image")
    create.add_argument("name")
    create.add_argument("--format", choices=("ami", "aki", "ari", "bare"), default="ami")
    create.add_argument("--project", help="whose it is; without it an administrator's")
    create.add_argument("--private", action="store_true")
    create.add_argument("--location")
    create.add_argument("--architecture", default="x86_64")
    command(commands, "delete", _image_delete, "end an image").add_argument("id", help="ami-…, aki-…, ari-…")
    command(commands, "list", _image_list, "list images")


def _image_create(tools: Tools, args: argparse.Namespace) -> Output:
    values = {
        "uuid": new_uuid(),
        "name": args.name,
        "container_format": args.format,
        "disk_format": "raw" if args.format == "bare" else args.format,
        "project_id": args.project,
        "is_public": not args.private,
        "location": args.location,
        "architecture": args.architecture if args.format not in ("aki", "ari") else None,
    }
    number = tools.db.write(lambda tx: images.insert(tx, values, {}))
    return [{"id": _image_id(number, args.format), "uuid": values["uuid"], "name": args.name}]


def _image_delete(tools: Tools, args: argparse.Namespace) -> Output:
    def work(tx: Transaction) -> None:
        for row in images.find(tx.conn, admin_context()):
            if _image_id(row.id, row.container_format) == args.id:
                images.delete(tx, row.id)
                return
        raise errors.ImageNotFound(args.id)

    tools.db.write(work)
    return None


def _image_list(tools: Tools, args: argparse.Namespace) -> Output:
    with tools.db.read() as conn:
        return [
            {
                "id": _image_id(row.id, row.container_format),
                "uuid": row.uuid,
                "name": row.name,
                "project": row.project_id,
                "public": bool(row.is_public),
                "status": row.status,
            }
            for row in images.find(conn, admin_context())
        ]


def _image_id(number: int, container_format: str) -> str:
    return f"{container_format if container_format in ('aki', 'ari') else 'ami'}-{number:08x}"


def _networks(commands: Any) -> None:
    create = command(commands, "create", _network_create, "make a network with its addresses")
    create.add_argument("label")
    create.add_argument("cidr")
    command(commands, "delete", _network_delete, "end a network").add_argument("label")
    command(commands, "list", _network_list, "list networks")


def _network_create(tools: Tools, args: argparse.Namespace) -> Output:
    limit = tools.config.network_size_limit
    tools.db.write(lambda tx: networks.create(tx, args.label, args.cidr, limit=limit))
    return None


def _network_delete(tools: Tools, args: argparse.Namespace) -> Output:
    if not tools.db.write(lambda tx: networks.delete(tx, args.label)):
        raise errors.NetworkNotFound(args.label)
    return None


def _network_list(tools: Tools, args: argparse.Namespace) -> Output:
    with tools.db.read() as conn:
        return [{"label": row.label, "cidr": row.cidr, "uuid": row.uuid} for row in networks.every(conn)]


def _floating(commands: Any) -> None:
    create = command(commands, "create", _floating_create, "add the addresses of a range to a pool")
    create.add_argument("cidr")
    create.add_argument("--pool")
    command(commands, "delete", _floating_delete, "take the free addresses of a range out").add_argument("cidr")
    command(commands, "list", _floating_list, "list floating addresses")


def _floating_create(tools: Tools, args: argparse.Namespace) -> Output:
    pool = args.pool or tools.config.default_floating_pool
    return f"{tools.db.write(lambda tx: floating.create(tx, args.cidr, pool))} added"


def _floating_delete(tools: Tools, args: argparse.Namespace) -> Output:
    return f"{tools.db.write(lambda tx: floating.delete(tx, args.cidr))} removed"


def _floating_list(tools: Tools, args: argparse.Namespace) -> Output:
    with tools.db.read() as conn:
        return [
            {
                "address": row.address,
                "pool": row.pool,
                "project": row.project_id,
                "instance": f"i-{row.instance_id:08x}" if row.instance_id else None,
            }
            for row in floating.every(conn)
        ]


def _quotas(commands: Any) -> None:
    command(commands, "show", _quota_show, "show the limits of a project").add_argument("project")
    change = command(commands, "set", _quota_set, "give a project a limit of its own")
    change.add_argument("project")
    change.add_argument("resource", choices=RESOURCES)
    change.add_argument("limit", type=int, help="-1 for none")


def _quota_show(tools: Tools, args: argparse.Namespace) -> Output:
    limits = tools.quotas.limits(args.project)
    return [{"resource": name, "limit": limit} for name, limit in limits.items()]


def _quota_set(tools: Tools, args: argparse.Namespace) -> Output:
    if args.limit < -1:
        raise errors.InvalidParameterValue("A limit is -1 or more.")
    tools.quotas.set_limit(args.project, args.resource, args.limit)
    return None


def _services(commands: Any) -> None:
    command(commands, "list", _service_list, "list services and whether they are alive")
    for name, run, text in (
        ("enable", _service_enable, "let a service take new work"),
        ("disable", _service_disable, "keep new work from a service"),
    ):
        switch = command(commands, name, run, text)
        switch.add_argument("host")
        switch.add_argument("topic")


def _service_list(tools: Tools, args: argparse.Namespace) -> Output:
    return [
        {
            "binary": state.binary,
            "host": state.host,
            "zone": state.zone,
            "status": "disabled" if state.disabled else "enabled",
            "state": "up" if state.alive else "down",
            "updated": state.updated_at,
        }
        for state in Zones(tools.db, tools.config).services()
    ]


def _service_enable(tools: Tools, args: argparse.Namespace) -> Output:
    return _switch(tools, args, False)


def _service_disable(tools: Tools, args: argparse.Namespace) -> Output:
    return _switch(tools, args, True)


def _switch(tools: Tools, args: argparse.Namespace, disabled: bool) -> Output:
    if not tools.db.write(lambda tx: services.set_disabled(tx, args.host, args.topic, disabled)):
        raise errors.NotFound(f"No service {args.topic} on the host {args.host}.")
    return None


def _bootstrap(tools: Tools, args: argparse.Namespace) -> Output:
    try:
        document = json.loads(Path(args.file).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise errors.ConfigError(f"{args.file}: {error}") from error
    if not isinstance(document, dict):
        raise errors.ConfigError(f"{args.file}: expected a JSON object")
    counts = bootstrap.bootstrap(tools.db, tools.config, document)
    return [{"kind": kind, "read": count} for kind, count in counts.items()]


def _config_sample(tools: Tools, args: argparse.Namespace) -> Output:
    return configuration.sample()
