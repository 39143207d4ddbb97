"""The tables.

SQLAlchemy Core tables rather than mapped classes: every query names the columns it needs and gets rows, so there is
nothing to load lazily. The columns are those of 2012.1 (spec ec2.md 8.1) with real constraints.

``deleted`` is 0 while a row lives and the row's own id afterwards: a unique constraint over (name, deleted) then means
"unique among the living" on every database. Kinds that nobody asks about after their end are deleted for good.
"""

from nova_api.db.models.addresses import dns_domains, dns_entries, fixed_ips, floating_ips, networks, virtual_interfaces
from nova_api.db.models.catalogue import image_properties, images, key_pairs, security_group_rules, security_groups
from nova_api.db.models.columns import UtcDateTime, metadata, now
from nova_api.db.models.guests import (
    block_devices,
    client_tokens,
    console_tokens,
    consoles,
    instance_actions,
    instance_builds,
    instance_groups,
    instance_metadata,
    instances,
    migrations,
)
from nova_api.db.models.hosts import (
    aggregate_hosts,
    aggregate_metadata,
    aggregates,
    compute_nodes,
    flavor_extra_specs,
    flavors,
    services,
)
from nova_api.db.models.messages import outbox
from nova_api.db.models.people import (
    access_keys,
    auth_tokens,
    global_roles,
    memberships,
    project_locks,
    project_roles,
    projects,
    quotas,
    users,
)
from nova_api.db.models.storage import snapshots, volume_metadata, volume_type_extra_specs, volume_types, volumes
from nova_api.db.models.v1_0 import (
    backup_schedules,
    flavor_numbers,
    image_numbers,
    shared_ip_group_members,
    shared_ip_groups,
    shared_ips,
)

__all__ = [
    "UtcDateTime",
    "access_keys",
    "aggregate_hosts",
    "aggregate_metadata",
    "aggregates",
    "auth_tokens",
    "backup_schedules",
    "block_devices",
    "client_tokens",
    "compute_nodes",
    "console_tokens",
    "consoles",
    "dns_domains",
    "dns_entries",
    "fixed_ips",
    "flavor_extra_specs",
    "flavor_numbers",
    "flavors",
    "floating_ips",
    "global_roles",
    "image_numbers",
    "image_properties",
    "images",
    "instance_actions",
    "instance_builds",
    "instance_groups",
    "instance_metadata",
    "instances",
    "key_pairs",
    "memberships",
    "metadata",
    "migrations",
    "networks",
    "now",
    "outbox",
    "project_locks",
    "project_roles",
    "projects",
    "quotas",
    "security_group_rules",
    "security_groups",
    "services",
    "shared_ip_group_members",
    "shared_ip_groups",
    "shared_ips",
    "snapshots",
    "users",
    "virtual_interfaces",
    "volume_metadata",
    "volume_type_extra_specs",
    "volume_types",
    "volumes",
]
