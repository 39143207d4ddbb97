"""What lists of servers can be narrowed by, under the names of the OpenStack door (spec openstack-core.md 5.4).

Ordinary users have five filters; administrators have columns too, by a list of names: in 2012.1 any name of the query
was taken for a column (spec 11.1, row 18).
"""

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.expression import FunctionElement

from nova_api import errors
from nova_api.db.filters import wide
from nova_api.db.models import fixed_ips, flavors, floating_ips, instances
from nova_api.db.patterns import starts_with_match
from nova_api.db.server_lists import as_number

Condition = Callable[[str], sa.ColumnElement[bool]]


class _InstanceName(FunctionElement[str]):
    """The name that hypervisors know a server by, from its number: ``instance-0000000a``."""

    type = sa.String()
    inherit_cache = True
    name = "instance_name"


@compiles(_InstanceName, "sqlite")
def _in_sqlite(element: Any, compiler: Any, **options: Any) -> str:
    return f"printf('instance-%08x', {compiler.process(element.clauses, **options)})"


@compiles(_InstanceName, "postgresql")
def _in_postgresql(element: Any, compiler: Any, **options: Any) -> str:
    digits = f"to_hex({compiler.process(element.clauses, **options)})"
    return f"('instance-' || lpad({digits}, greatest(8, length({digits})), '0'))"


@compiles(_InstanceName, "mysql", "mariadb")
def _in_mysql(element: Any, compiler: Any, **options: Any) -> str:
    digits = f"lower(hex({compiler.process(element.clauses, **options)}))"
    return f"concat('instance-', lpad({digits}, greatest(8, length({digits})), '0'))"


def _pattern(column: Any) -> Condition:
    return lambda text: starts_with_match(column, text)


def _exact(column: Any) -> Condition:
    return lambda text: sa.and_(column == text)


def _number(column: Any) -> Condition:
    def condition(text: str) -> sa.ColumnElement[bool]:
        number = as_number(text)
        return sa.false() if number is None else sa.and_(column == wide(number))

    return condition


def _flavor(text: str) -> sa.ColumnElement[bool]:
    known = sa.select(flavors.c.id).where(flavors.c.flavorid == text)
    return instances.c.instance_type_id.in_(known)


def _address(condition: Callable[[Any], sa.ColumnElement[bool]]) -> sa.ColumnElement[bool]:
    joined = fixed_ips.outerjoin(floating_ips, floating_ips.c.fixed_ip_id == fixed_ips.c.id)
    found = (
        sa.select(fixed_ips.c.instance_id)
        .select_from(joined)
        .where(sa.or_(condition(fixed_ips.c.address), condition(floating_ips.c.address)))
    )
    return instances.c.id.in_(found.where(fixed_ips.c.instance_id.is_not(None)))


def _ip(text: str) -> sa.ColumnElement[bool]:
    return _address(lambda column: starts_with_match(column, text))


def _fixed_ip(text: str) -> sa.ColumnElement[bool]:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return sa.false()
    return instances.c.id.in_(sa.select(fixed_ips.c.instance_id).where(fixed_ips.c.address == text))


#: For everybody; ``status`` and ``changes-since`` are the door's.
FILTERS: Mapping[str, Condition] = {
    "reservation_id": _pattern(instances.c.reservation_id),
    "name": _pattern(instances.c.display_name),
    "image": _exact(instances.c.image_ref),
    "flavor": _flavor,
}
#: Names of the filter by project, which counts in a list of all projects only: any other list is the caller's own.
OF_PROJECTS = ("project_id", "tenant_id")
#: For administrators.
ADMIN_FILTERS: Mapping[str, Condition] = {
    **FILTERS,
    **{
        name: _pattern(instances.c[name])
        for name in (
            "architecture",
            "availability_zone",
            "config_drive",
            "display_description",
            "display_name",
            "host",
            "hostname",
            "kernel_id",
            "key_name",
            "os_type",
            "ramdisk_id",
            "root_device_name",
            "task_state",
            "vm_mode",
            "access_ip_v4",
            "access_ip_v6",
        )
    },
    **{name: _exact(instances.c[name]) for name in ("image_ref", "user_id", "uuid", "vm_state")},
    **{
        name: _number(instances.c[name])
        for name in ("id", "instance_type_id", "launch_index", "memory_mb", "power_state", "root_gb", "vcpus")
    },
    **dict.fromkeys(OF_PROJECTS, _exact(instances.c.project_id)),
    "instance_name": _pattern(_InstanceName(instances.c.id)),
    "ip": _ip,
    # No network of this cloud has IPv6 addresses.
    "ip6": lambda text: sa.false(),
    "fixed_ip": _fixed_ip,
}


def condition(name: str, text: str, *, admin: bool) -> sa.ColumnElement[bool] | None:
    """The condition of a filter; None for one that is not known to the caller, which is dropped as in 2012.1.

    :raises InvalidParameterValue: a pattern that is no regular expression
    """
    table = ADMIN_FILTERS if admin else FILTERS
    return table[name](text) if name in table else None


def refusal_of(error: sa.exc.DBAPIError) -> errors.ApiError | None:
    """What a database's complaint about a pattern is; None when it complains about something else.

    RE2 and the databases agree on nearly everything; where they do not, the database has the last word.
    """
    text = str(error.orig).lower()
    if "regular expression" in text or "regex" in text:
        return errors.InvalidParameterValue("The pattern is not a regular expression that can be used.")
    return None
