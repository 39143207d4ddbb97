"""What a cloud holds when it begins: a document of users, projects, images, ... or the first start's own choice.

A document has the form of ``cloud.json``, which :func:`describe` writes: what describes a cloud makes another.
Loading is one transaction and may be repeated; what exists already is left or brought to what the document says.
"""

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from nova_api import errors
from nova_api.auth.identity import Identity, new_access_key, new_secret
from nova_api.cloud.image import COLUMNS
from nova_api.cloud.quota import RESOURCES, UNLIMITED
from nova_api.config import Config
from nova_api.context import new_uuid
from nova_api.db import flavors, floating, networks, quotas
from nova_api.db import identity as people
from nova_api.db import images as catalogue
from nova_api.db.engine import Database, Transaction, follow_ids
from nova_api.db.models import flavors as flavor_table
from nova_api.db.models import floating_ips, global_roles, images, memberships, project_roles, projects, users

#: Properties of an image that have a column of their own.
#: Properties that say whose an image is; the first one counts.
_OWNERS = ("owner_id", "project_id")

_KINDS = ("users", "projects", "roles", "quotas", "flavors", "images", "networks", "floating")

_STANDARD_FLAVORS = (
    # row id, name, flavorid, MB, vcpus, root GB: rows in the order that 2012.1 made them
    (1, "m1.medium", "3", 4096, 2, 40),
    (2, "m1.tiny", "1", 512, 1, 0),
    (3, "m1.large", "4", 8192, 4, 80),
    (4, "m1.xlarge", "5", 16384, 8, 160),
    (5, "m1.small", "2", 2048, 1, 20),
)


@dataclass(frozen=True, slots=True)
class DefaultUser:
    """The user whose credentials the greeting shows."""

    name: str
    project: str
    access: str
    secret: str


def bootstrap(db: Database, config: Config, document: Mapping[str, Any]) -> dict[str, int]:
    """Load a document.

    :param document: ``users``, ``projects``, ``roles``, ``quotas``, ``flavors``, ``images``, ``networks`` and
        ``floating``; any of them may be absent, further keys are ignored
    :returns: how many entries of each kind were read
    :raises ConfigError: the document does not have that form
    """
    identity = Identity(db, config)
    try:
        return db.write(lambda tx: _load(tx, identity, config, document))
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise errors.ConfigError(f"bootstrap document: {type(error).__name__} {error}") from error


def _load(tx: Transaction, identity: Identity, config: Config, document: Mapping[str, Any]) -> dict[str, int]:
    for name, about in document.get("users", {}).items():
        people.put(tx, users, {"id": name, "is_admin": bool(about.get("admin"))})
        identity.put_key(tx, name, about["access"], about["secret"])
    for name, about in document.get("projects", {}).items():
        _load_project(tx, name, about)
    for user, held in document.get("roles", {}).items():
        _load_roles(tx, user, held)
    for project, limits in document.get("quotas", {}).items():
        _load_quotas(tx, project, limits)
    for flavor in document.get("flavors", ()):
        _load_flavor(tx, flavor)
    for image in document.get("images", ()):
        _load_image(tx, image)
    follow_ids(tx, flavor_table, images)
    for network in document.get("networks", ()):
        _load_network(tx, config, network)
    pool = document.get("floating")
    if pool:
        floating.create(tx, pool["cidr"], pool["pool"])
    return {kind: len(document[kind]) for kind in _KINDS if document.get(kind)}


def _load_project(tx: Transaction, name: str, about: Mapping[str, Any]) -> None:
    values = {"id": name, "project_manager": about["manager"], "description": about.get("note", "")}
    people.put(tx, projects, values)
    for member in about["members"]:
        people.put(tx, memberships, {"user_id": member, "project_id": name})


def _load_quotas(tx: Transaction, project: str, limits: Mapping[str, int]) -> None:
    for resource, limit in limits.items():
        if resource in RESOURCES:
            quotas.set_limit(tx, project, resource, None if limit == UNLIMITED else int(limit))


def _load_network(tx: Transaction, config: Config, network: Mapping[str, Any]) -> None:
    if network["label"] not in {row.label for row in networks.every(tx.conn)}:
        uuid, limit = network.get("uuid"), config.network_size_limit
        networks.create(tx, network["label"], network["cidr"], uuid=uuid, limit=limit)


def _load_roles(tx: Transaction, user: str, held: Mapping[str, Sequence[str]]) -> None:
    for place, roles in held.items():
        for role in roles:
            if place == "global":
                people.put(tx, global_roles, {"user_id": user, "role": role})
            else:
                people.put(tx, project_roles, {"user_id": user, "project_id": place, "role": role})


def _load_flavor(tx: Transaction, flavor: Mapping[str, Any]) -> None:
    if flavors.by_name(tx.conn, flavor["name"]) is not None:
        return
    wanted = ("name", "flavorid", "memory_mb", "vcpus", "root_gb", "ephemeral_gb", "swap", "rxtx_factor")
    values = {name: flavor[name] for name in wanted if name in flavor}
    number = flavor.get("id")
    taken = number is not None and tx.execute(sa.select(flavor_table.c.id).where(flavor_table.c.id == number)).first()
    if number is not None and not taken:
        values["id"] = number
    flavors.insert(tx, values)


def _load_image(tx: Transaction, image: Mapping[str, Any]) -> None:
    known = sa.select(images.c.id).where(images.c.uuid == image["id"])
    if tx.execute(known).first() is not None:
        return
    given = dict(image.get("properties", {}))
    values: dict[str, Any] = {column: given.pop(name) for name, column in COLUMNS.items() if name in given}
    owners = [given.pop(name) for name in _OWNERS if name in given]
    values |= {
        "uuid": image["id"],
        "name": image["name"],
        "container_format": image["container_format"],
        "disk_format": image["disk_format"],
        "is_public": bool(image["public"]),
        "min_ram": image.get("min_ram", 0),
        "min_disk": image.get("min_disk", 0),
        "project_id": owners[0] if owners else None,
        "user_id": given.pop("user_id", None),
    }
    if "ec2_id" in image:
        values["id"] = int(image["ec2_id"].rpartition("-")[2], 16)
    catalogue.insert(tx, values, {name: str(value) for name, value in given.items()})


def first_start(db: Database, config: Config) -> bool:
    """Give an empty cloud an administrator, an ordinary user, flavors, images, a network and addresses.

    :returns: whether the cloud was empty
    """
    with db.read() as conn:
        if people.all_rows(conn, users):
            return False
    bootstrap(db, config, _first_document())
    return True


def _first_document() -> dict[str, Any]:
    kernel, ramdisk = new_uuid(), new_uuid()
    people_ = {
        name: {"access": new_access_key(), "secret": new_secret(), "admin": name == "admin"}
        for name in ("admin", "demo")
    }
    roles = ["sysadmin", "netadmin"]
    linux = {"kernel_id": kernel, "ramdisk_id": ramdisk, "architecture": "x86_64"}
    return {
        "users": people_,
        "projects": {name: {"manager": name, "members": [name]} for name in people_},
        "roles": {"demo": {"global": roles, "demo": roles}},
        "flavors": [
            {"id": row, "name": n, "flavorid": f, "memory_mb": mb, "vcpus": cpus, "root_gb": gb}
            for row, n, f, mb, cpus, gb in _STANDARD_FLAVORS
        ],
        "images": [
            _image(1, kernel, "linux-kernel", "aki", {}),
            _image(2, ramdisk, "linux-ramdisk", "ari", {}),
            _image(
                3,
                new_uuid(),
                "tiny-linux",
                "ami",
                {**linux, "image_location": "images/tiny-linux.manifest.xml"},
            ),
            _image(
                4,
                new_uuid(),
                "server-linux",
                "ami",
                {**linux, "image_location": "images/server.manifest.xml"},
            ),
            _image(5, new_uuid(), "whole-disk", "bare", {"architecture": "x86_64"}),
        ],
        "networks": [{"label": "private", "cidr": "10.0.0.0/20"}],
        "floating": {"cidr": "172.24.4.0/24", "pool": "nova"},
    }


def _image(number: int, uuid: str, name: str, container: str, properties: dict[str, str]) -> dict[str, Any]:
    return {
        "ec2_id": f"{container if container != 'bare' else 'ami'}-{number:08x}",
        "id": uuid,
        "name": name,
        "container_format": container,
        "disk_format": "raw" if container == "bare" else container,
        "public": True,
        "properties": properties,
    }


def default_user(db: Database, config: Config) -> DefaultUser | None:
    """The first user that is no administrator and has a project and a key; the administrator if there is no other."""
    identity = Identity(db, config)
    members = identity.members()
    for user in sorted(identity.list_users(), key=lambda row: (bool(row.is_admin), row.id)):
        mine = sorted((project for project, who in members.items() if user.id in who), key=lambda p: (p != user.id, p))
        keys = identity.keys(user.id)
        if mine and keys:
            return DefaultUser(user.id, mine[0], *keys[0])
    return None


def describe(db: Database, config: Config, endpoints: Mapping[str, str]) -> dict[str, Any]:
    """The running cloud, as ``cloud.json`` has it: secrets included.

    :param endpoints: addresses of the doors by name
    """
    identity = Identity(db, config)
    members = identity.members()
    described: dict[str, Any] = {
        "endpoints": dict(endpoints),
        "ec2_access_form": "<access>:<project>",
        "region": config.region_name,
        "zone": config.node_availability_zone,
        "host": config.host,
        "features": _features(config),
        "users": {row.id: _user(identity, row) for row in identity.list_users()},
        "projects": {
            row.id: {"manager": row.project_manager, "members": members.get(row.id, [])}
            for row in identity.list_projects()
        },
        "roles": {row.id: {} for row in identity.list_users()} | identity.roles(),
    }
    with db.read() as conn:
        described["flavors"] = [_flavor(row) for row in flavors.every(conn)]
        described["images"] = _images(conn)
        described["networks"] = [
            {"label": row.label, "cidr": row.cidr, "uuid": row.uuid} for row in networks.every(conn)
        ]
        described["floating"] = _floating(conn, config)
    return described


def _features(config: Config) -> list[str]:
    switches = {
        "forwarded_for": config.use_forwarded_for,
        "ratelimit": config.api_rate_limit,
        "reclaim": config.reclaim_instance_interval > 0,
    }
    return [name for name, on in switches.items() if on]


def _user(identity: Identity, row: Any) -> dict[str, Any]:
    access, secret = next(iter(identity.keys(row.id)), ("", ""))
    return {
        "access": access,
        "secret": secret,
        "admin": bool(row.is_admin),
        "os_user": row.id,
        "os_key": access,
    }


def _flavor(row: Any) -> dict[str, Any]:
    wanted = (
        "id",
        "name",
        "flavorid",
        "memory_mb",
        "vcpus",
        "root_gb",
        "ephemeral_gb",
        "swap",
        "rxtx_factor",
    )
    return {name: getattr(row, name) for name in wanted}


def _images(conn: Any) -> list[dict[str, Any]]:
    query = sa.select(images).where(images.c.deleted == 0).order_by(images.c.id)
    rows = conn.execute(query).all()
    free = catalogue.properties(conn, [row.id for row in rows])
    made = []
    for row in rows:
        kind = row.container_format if row.container_format in ("aki", "ari") else "ami"
        own = {name: getattr(row, column) for name, column in COLUMNS.items() if getattr(row, column)}
        owner = {"owner_id": row.project_id, "project_id": row.project_id, "user_id": row.user_id}
        made.append(
            {
                "id": row.uuid,
                "ec2_id": f"{kind}-{row.id:08x}",
                "name": row.name,
                "container_format": row.container_format,
                "disk_format": row.disk_format,
                "public": bool(row.is_public),
                "min_ram": row.min_ram,
                "min_disk": row.min_disk,
                "properties": own | {k: v for k, v in owner.items() if v} | free.get(row.id, {}),
            }
        )
    return made


def _floating(conn: Any, config: Config) -> dict[str, Any]:
    """The default pool; its range is the smallest network around its addresses."""
    query = sa.select(floating_ips.c.address).where(floating_ips.c.pool == config.default_floating_pool)
    found = sorted(int(ipaddress.IPv4Address(address)) for address in conn.execute(query).scalars())
    if not found:
        return {"pool": config.default_floating_pool, "cidr": ""}
    bits = (found[0] ^ found[-1]).bit_length()
    # One bit more when the range's own first or last address would be left out again.
    size = 1 << bits
    if found[0] % size == 0 or found[-1] % size == size - 1:
        bits += 1 if len(found) > 2 else 0
    block = ipaddress.ip_network((found[0], 32 - bits), strict=False)
    return {"pool": config.default_floating_pool, "cidr": str(block)}
