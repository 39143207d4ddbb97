"""Backup schedules of servers in the 1.0 API (spec openstack-core.md 9.5)."""

from collections.abc import Collection, Mapping
from typing import Any

import webob

from nova_api.cloud.backup_schedules import DAILY, DISABLED, WEEKLY, Schedule
from nova_api.openstack import wsgi
from nova_api.openstack.bodies import with_root
from nova_api.openstack.extended import fields_of
from nova_api.openstack.server_input import refuse
from nova_api.openstack.server_requests import attributes_of
from nova_api.openstack.services import ServicesController
from nova_api.openstack.v1_0 import given
from nova_api.openstack.v1_0.views import template
from nova_api.openstack.xml import Element, local_name

_NAMES = ("enabled", "weekly", "daily")
_ONE = template(
    Element(
        "backupSchedule",
        select="backupSchedule",
        attributes={
            "enabled": lambda schedule: str(schedule["enabled"]).lower(),
            "weekly": "weekly",
            "daily": "daily",
        },
    )
)


def _schedule_of(root: Any) -> dict[str, Any]:
    found = attributes_of(root, [name for name in root.attrib if not name.startswith("{")])
    if "enabled" in found:
        found["enabled"] = given.xml_flag(found["enabled"])
    return {"body": {local_name(root): found}}


class Controller(ServicesController):
    """``/servers/ID/backup_schedule``."""

    @wsgi.serializers(xml=_ONE)
    def index(self, req: wsgi.Request, server_id: str) -> dict[str, Any]:
        """The schedule; one that never runs where there is none."""
        found = self.services.backup_schedules.get(req.context, server_id)
        return {"backupSchedule": {name: getattr(found, name) for name in _NAMES}}

    @wsgi.deserializers(xml=with_root(_schedule_of))
    def create(self, req: wsgi.Request, server_id: str, body: Any) -> webob.Response:
        """Set the schedule, in the place of any other."""
        fields = fields_of(body, "backupSchedule")
        if not set(fields) <= set(_NAMES):
            raise refuse("A backup schedule has enabled, weekly and daily.")
        schedule = Schedule(
            enabled=given.flag_of(fields, "enabled"),
            weekly=_one_of(fields, "weekly", WEEKLY),
            daily=_one_of(fields, "daily", DAILY),
        )
        self.services.backup_schedules.put(req.context, server_id, schedule)
        return webob.Response(status=204)

    def delete(self, req: wsgi.Request, server_id: str) -> webob.Response:
        """End the schedule."""
        self.services.backup_schedules.delete(req.context, server_id)
        return webob.Response(status=204)


def _one_of(fields: Mapping[str, Any], name: str, allowed: Collection[str]) -> str:
    """A member with a few possible values; without it, none of them.

    :raises HTTPBadRequest: it has another value
    """
    found = fields.get(name)
    if found is None:
        return DISABLED
    if not isinstance(found, str) or found not in allowed:
        raise refuse(f"Invalid {name} provided.")
    return found


def create_resource() -> wsgi.Resource:
    """The resource of the router."""
    return wsgi.Resource(Controller())
