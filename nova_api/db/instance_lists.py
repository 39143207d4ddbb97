"""Lists of instances: a number of queries that does not depend on how many there are.

One select of the instances, then one each for addresses, groups and volumes over the same set, in columns. The
statements without filters are built once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Row

from nova_api.context import RequestContext
from nova_api.db import filters
from nova_api.db.models import (
    block_devices,
    fixed_ips,
    flavors,
    floating_ips,
    instance_groups,
    instances,
    security_groups,
    services,
    volumes,
)

#: What is every instance's own comes first: the columns after it are the same for many rows, and rendered once.
_OWN = (
    instances.c.id,
    instances.c.reservation_id,
    instances.c.hostname,
    # As the driver gives it: a thousand times made for nothing but to be written out again cost a tenth of the answer.
    sa.type_coerce(instances.c.created_at, sa.types.NullType()).label("created_at"),
    instances.c.launch_index,
)
OWN_COLUMNS = len(_OWN)
_COLUMNS = (
    *_OWN,
    instances.c.project_id,
    instances.c.vm_state,
    instances.c.task_state,
    instances.c.image_number,
    instances.c.kernel_number,
    instances.c.ramdisk_number,
    instances.c.key_name,
    instances.c.host,
    instances.c.root_device_name,
    instances.c.volume_backed,
    instances.c.shutdown_terminate,
    instances.c.architecture,
    instances.c.client_token,
    instances.c.fault_message,
    flavors.c.name.label("flavor"),
)
_FROM = instances.join(flavors, flavors.c.id == instances.c.instance_type_id)
_ZONES = sa.select(services.c.host, services.c.availability_zone).order_by(services.c.id)
_PENDING, _RUNNING, _STOPPED, _TERMINATED = (
    ("building",),
    ("active",),
    ("stopped", "shutoff"),
    ("deleted", "soft-delete"),
)
_STATES: Mapping[str, Sequence[str]] = {
    "pending": _PENDING,
    "running": (*_RUNNING, "rebuilding", "migrating", "resizing", "rescued"),
    "stopped": (*_STOPPED, "paused", "suspended"),
    "terminated": (*_TERMINATED, "error"),
}
_CODES = {
    "0": "pending",
    "16": "running",
    "32": "shutting-down",
    "48": "terminated",
    "64": "stopping",
    "80": "stopped",
}


def _within(found: sa.Select[Any]) -> sa.ColumnElement[bool]:
    return instances.c.id.in_(found)


def _by_state(values: Sequence[str]) -> sa.ColumnElement[bool]:
    """State names of today; a task that ends or stops the instance goes before its state."""
    options: list[sa.ColumnElement[bool]] = [sa.false()]
    busy = {"shutting-down": "deleting", "stopping": "stopping", "pending": "starting"}
    idle = sa.or_(instances.c.task_state.is_(None), instances.c.task_state.not_in(list(busy.values())))
    for value in values:
        if value in busy:
            options.append(instances.c.task_state == busy[value])
        if value in _STATES:
            options.append(sa.and_(instances.c.vm_state.in_(_STATES[value]), idle))
    return sa.or_(*options)


def _through_groups(column: sa.ColumnElement[Any], condition: filters.Condition) -> filters.Condition:
    joined = instance_groups.join(security_groups, security_groups.c.id == instance_groups.c.security_group_id)

    def made(values: Sequence[str]) -> sa.ColumnElement[bool]:
        return _within(sa.select(instance_groups.c.instance_id).select_from(joined).where(condition(values)))

    return made


def _through_addresses(column: sa.ColumnElement[Any]) -> filters.Condition:
    joined = fixed_ips.outerjoin(floating_ips, floating_ips.c.fixed_ip_id == fixed_ips.c.id)
    by_column = filters.text(column)

    def made(values: Sequence[str]) -> sa.ColumnElement[bool]:
        return _within(sa.select(fixed_ips.c.instance_id).select_from(joined).where(by_column(values)))

    return made


def _through_devices(condition: filters.Condition) -> filters.Condition:
    joined = block_devices.outerjoin(volumes, volumes.c.id == block_devices.c.volume_id)

    def made(values: Sequence[str]) -> sa.ColumnElement[bool]:
        return _within(sa.select(block_devices.c.instance_id).select_from(joined).where(condition(values)))

    return made


def _zone(values: Sequence[str]) -> sa.ColumnElement[bool]:
    hosts = sa.select(services.c.host).where(filters.text(services.c.availability_zone)(values))
    return instances.c.host.in_(hosts)


def _flavor(values: Sequence[str]) -> sa.ColumnElement[bool]:
    found = sa.select(flavors.c.id).where(filters.text(flavors.c.name)(values))
    return instances.c.instance_type_id.in_(found)


def _root_type(values: Sequence[str]) -> sa.ColumnElement[bool]:
    wanted = [name == "ebs" for name in ("ebs", "instance-store") if name in values]
    return sa.or_(sa.false(), *(instances.c.volume_backed.is_(value) for value in wanted))


def _image(values: Sequence[str]) -> sa.ColumnElement[bool]:
    return filters.number(instances.c.image_number, "ami")(values)


_PUBLIC = _through_addresses(floating_ips.c.address)
_GROUP_NAME = _through_groups(security_groups.c.name, filters.text(security_groups.c.name))
_GROUP_ID = _through_groups(security_groups.c.id, filters.number(security_groups.c.id, "sg"))

#: What lists of instances can be narrowed by, under EC2's names.
FILTERS: Mapping[str, filters.Condition] = {
    "instance-id": filters.number(instances.c.id, "i"),
    "image-id": _image,
    "kernel-id": filters.number(instances.c.kernel_number, "aki"),
    "ramdisk-id": filters.number(instances.c.ramdisk_number, "ari"),
    "instance-type": _flavor,
    "instance-state-name": _by_state,
    "instance-state-code": lambda values: _by_state([_CODES.get(value, "") for value in values]),
    "key-name": filters.text(instances.c.key_name),
    "reservation-id": filters.text(instances.c.reservation_id),
    "owner-id": filters.text(instances.c.project_id),
    "availability-zone": _zone,
    "private-ip-address": _through_addresses(fixed_ips.c.address),
    "ip-address": _PUBLIC,
    "dns-name": _PUBLIC,
    "private-dns-name": filters.text(instances.c.hostname),
    "group-name": _GROUP_NAME,
    "instance.group-name": _GROUP_NAME,
    "group-id": _GROUP_ID,
    "instance.group-id": _GROUP_ID,
    "launch-time": filters.time(instances.c.created_at),
    "launch-index": filters.integer(instances.c.launch_index),
    "client-token": filters.text(instances.c.client_token),
    "architecture": filters.text(sa.func.coalesce(instances.c.architecture, "x86_64")),
    "root-device-name": filters.text(sa.func.coalesce(instances.c.root_device_name, "/dev/sda1")),
    "root-device-type": _root_type,
    "block-device-mapping.device-name": _through_devices(filters.text(block_devices.c.device_name)),
    "block-device-mapping.volume-id": _through_devices(filters.number(block_devices.c.volume_id, "vol")),
    "block-device-mapping.status": _through_devices(filters.text(volumes.c.attach_status)),
    "block-device-mapping.delete-on-termination": _through_devices(
        filters.boolean(block_devices.c.delete_on_termination)
    ),
    "virtualization-type": filters.constant("hvm"),
    "hypervisor": filters.constant("xen"),
    "tenancy": filters.constant("default"),
    "monitoring-state": filters.constant("disabled"),
}


@dataclass(slots=True)
class InstanceList:
    """Instances with everything that an answer shows of them.

    :ivar rows: the instances, by number
    :ivar fixed: first fixed address by instance; floating the first floating one
    :ivar groups: (number, name) of the security groups by instance
    :ivar devices: block devices with a volume by instance
    :ivar zones: zone by host
    """

    rows: Sequence[Row[Any]]
    fixed: dict[int, str] = field(default_factory=dict)
    floating: dict[int, str] = field(default_factory=dict)
    groups: dict[int, tuple[tuple[int, str], ...]] = field(default_factory=dict)
    devices: dict[int, list[Row[Any]]] = field(default_factory=dict)
    zones: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Statements:
    rows: sa.Select[Any]
    ended: sa.Select[Any]
    addresses: sa.Select[Any]
    groups: sa.Select[Any]
    devices: sa.Select[Any]


@lru_cache(maxsize=8)
def _statements(everybody: bool, by_ids: bool | None, hidden_image: str) -> _Statements:
    """The four statements of a scope.

    :param everybody: of all projects
    :param by_ids: only those of the parameter ``ids``; None for the one of ``id``, which costs less than a list of one
    :param hidden_image: instances of this image are left out
    """
    mine: list[sa.ColumnElement[bool]] = []
    if not everybody:
        mine.append(instances.c.project_id == sa.bindparam("project"))
        if hidden_image:
            image = instances.c.image_ref
            mine.append(sa.or_(image.is_(None), image != hidden_image))
    if by_ids is None:
        mine.append(instances.c.id == sa.bindparam("id"))
    elif by_ids:
        mine.append(instances.c.id.in_(sa.bindparam("ids", expanding=True)))
    scope = [instances.c.deleted == 0, *mine]
    if by_ids is False:
        # Who names one that can still be restored is told that it has ended (spec ec2.md 4.7, 4.8).
        scope.append(instances.c.vm_state != "soft-delete")
    fixed = instances.join(fixed_ips, fixed_ips.c.instance_id == instances.c.id)
    groups = instances.join(instance_groups, instance_groups.c.instance_id == instances.c.id)
    devices = instances.join(block_devices, block_devices.c.instance_id == instances.c.id)
    return _Statements(
        rows=sa.select(*_COLUMNS).select_from(_FROM).where(*scope).order_by(instances.c.id),
        ended=sa.select(*_COLUMNS)
        .select_from(_FROM)
        .where(instances.c.deleted_at > sa.bindparam("since"), *mine)
        .order_by(instances.c.id),
        addresses=sa.select(fixed_ips.c.instance_id, fixed_ips.c.address, floating_ips.c.address)
        .select_from(fixed.outerjoin(floating_ips, floating_ips.c.fixed_ip_id == fixed_ips.c.id))
        .where(*scope)
        .order_by(fixed_ips.c.virtual_interface_id, fixed_ips.c.id, floating_ips.c.id),
        groups=sa.select(instance_groups.c.instance_id, security_groups.c.id, security_groups.c.name)
        .select_from(groups.join(security_groups, security_groups.c.id == instance_groups.c.security_group_id))
        .where(*scope)
        .order_by(security_groups.c.name),
        devices=sa.select(
            block_devices.c.instance_id,
            block_devices.c.device_name,
            block_devices.c.volume_id,
            block_devices.c.delete_on_termination,
            volumes.c.status,
            volumes.c.attach_status,
            volumes.c.attach_time,
        )
        .select_from(devices.join(volumes, volumes.c.id == block_devices.c.volume_id))
        .where(*scope, ~block_devices.c.no_device)
        .order_by(block_devices.c.device_name),
    )


def find(
    conn: Connection,
    context: RequestContext,
    *,
    ids: Sequence[int] | None = None,
    where: Sequence[sa.ColumnElement[bool]] = (),
    after: int = 0,
    limit: int | None = None,
    hidden_image: str = "",
    ended_since: datetime | None = None,
) -> InstanceList:
    """Instances that the caller sees, by number.

    :param ids: only these
    :param where: further conditions over the table of instances
    :param after: number of the last one of the page before
    :param limit: most rows
    :param hidden_image: image whose instances ordinary callers do not see
    :param ended_since: also those that have ended after this moment
    """
    scope: dict[str, Any] = {} if context.is_admin else {"project": context.project_id}
    by_ids: bool | None = ids is not None
    if ids is not None and len(ids) == 1:
        by_ids, scope["id"] = None, ids[0]
    elif ids is not None:
        scope["ids"] = list(ids)
    made = _statements(context.is_admin, by_ids, hidden_image)
    narrowed = bool(where) or after > 0 or limit is not None
    query, ended = made.rows, made.ended
    if narrowed:
        query = query.where(*where, instances.c.id > after).limit(limit)
        ended = ended.where(*where, instances.c.id > after).limit(limit)
    found = InstanceList(rows=conn.execute(query, scope).all())
    if ended_since is not None and (ids is None or len(found.rows) < len(ids)):
        known = {row.id for row in found.rows}  # one that can be restored is both: named, and ended
        late = [row for row in conn.execute(ended, {**scope, "since": ended_since}).all() if row.id not in known]
        if late:
            found.rows = sorted([*found.rows, *late], key=lambda row: row.id)[:limit]
    if not found.rows:
        return found
    if narrowed:
        # The rest is read for the rows that were found, so that the filters run once.
        made = _statements(context.is_admin, True, hidden_image)
        scope["ids"] = [row[0] for row in found.rows]
    _add_details(conn, made, scope, found)
    return found


def _add_details(conn: Connection, made: _Statements, scope: dict[str, Any], found: InstanceList) -> None:
    fixed, floating, groups, devices = found.fixed, found.floating, found.groups, found.devices
    for instance, address, public in conn.execute(made.addresses, scope).all():
        fixed.setdefault(instance, address)
        if public is not None:
            floating.setdefault(instance, public)
    for instance, number, name in conn.execute(made.groups, scope).all():
        groups[instance] = (*groups.get(instance, ()), (number, name))
    for row in conn.execute(made.devices, scope):
        devices.setdefault(row[0], []).append(row)
    for host, zone in conn.execute(_ZONES):
        found.zones.setdefault(host, zone)
