"""os-admin-actions: what operators do to servers, and some that owners may (spec openstack-extensions.md 3)."""

from collections.abc import Iterable, Mapping
from typing import Any

import webob
import webob.exc

from nova_api import errors
from nova_api.cloud import server_states as states
from nova_api.cloud.instance_images import SnapshotSpec
from nova_api.cloud.server_actions import Action
from nova_api.openstack import wsgi
from nova_api.openstack.extended import ExtensionController
from nova_api.openstack.extensions import ControllerExtension, ExtensionDescriptor
from nova_api.openstack.server_actions import by_name, location_of
from nova_api.openstack.server_input import metadata_of, refuse, storable, truth


class AdminActionsController(ExtensionController):
    """Each action has a rule of its own."""

    rule = "admin_actions"

    def _act(self, req: wsgi.Request, server: str, action: Action) -> webob.Response:
        self.authorize(req, action.name)
        self.services.server_actions.act(req.context, server, action)
        return wsgi.accepted()

    @wsgi.action("pause")
    def _pause(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        return self._act(req, id, states.PAUSE)

    @wsgi.action("unpause")
    def _unpause(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        return self._act(req, id, states.UNPAUSE)

    @wsgi.action("suspend")
    def _suspend(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        return self._act(req, id, states.SUSPEND)

    @wsgi.action("resume")
    def _resume(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        return self._act(req, id, states.RESUME)

    @wsgi.action("resetNetwork")
    def _reset_network(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        return self._act(req, id, states.RESET_NETWORK)

    @wsgi.action("injectNetworkInfo")
    def _inject_network_info(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        return self._act(req, id, states.INJECT_NETWORK_INFO)

    @wsgi.action("lock")
    def _lock(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        return self._act(req, id, states.LOCK)

    @wsgi.action("unlock")
    def _unlock(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        return self._act(req, id, states.UNLOCK)

    @wsgi.action("migrate")
    def _migrate(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        self.authorize(req, "migrate")
        self.services.server_actions.migrate(req.context, id)
        return wsgi.accepted()

    @wsgi.action("os-migrateLive")
    def _migrate_live(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        self.authorize(req, "migrateLive")
        given = body["os-migrateLive"]
        names = ("host", "block_migration", "disk_over_commit")
        if not isinstance(given, dict) or any(name not in given for name in names):
            raise refuse("host and block_migration must be specified.")
        # Null is the "any" of later clients, and no host here, as every other name that is none.
        host = storable(str(given["host"])[:255])
        options = {name: truth(given[name]) for name in names[1:]}
        self.services.server_reports.migrate_live(req.context, id, host, **options)
        return wsgi.accepted()

    @wsgi.action("os-resetState")
    def _reset_state(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        # A policy file of 2012 does not know the rule, and would leave it to owners.
        if not req.context.is_admin:
            raise errors.PolicyNotAuthorized("compute_extension:admin_actions:resetState")
        self.authorize(req, "resetState")
        given = body["os-resetState"]
        action = states.RESET_STATE.get(str(given.get("state"))) if isinstance(given, dict) else None
        if action is None:
            raise refuse(f"Desired state must be specified. Valid states are: {', '.join(sorted(states.RESET_STATE))}")
        self.services.server_actions.act(req.context, id, action)
        return wsgi.accepted()

    @by_name("createBackup")
    def _create_backup(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        self.authorize(req, "createBackup")
        spec = _backup_of(body["createBackup"])
        image = self.services.instance_images.of_server(req.context, id, spec, states.BACKUP)
        answer = wsgi.accepted()
        answer.headers["Location"] = location_of(req, self.services, "images", image)
        return answer


def _backup_of(given: Any) -> SnapshotSpec:
    if not isinstance(given, dict):
        raise refuse("Malformed createBackup entity")
    for name in ("name", "backup_type", "rotation"):
        if name not in given:
            raise refuse(f"createBackup entity requires '{name}' attribute")
    metadata = given.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise refuse("Invalid metadata")
    return SnapshotSpec(
        name=_text(given, "name"),
        backup_type=_text(given, "backup_type"),
        rotation=_rotation(given["rotation"]),
        metadata=metadata_of(metadata),
    )


def _text(given: Mapping[str, Any], name: str) -> str:
    value = given[name]
    if not isinstance(value, str) or not value or len(value) > 255:
        raise webob.exc.HTTPBadRequest
    return storable(value)


def _rotation(value: Any) -> int:
    if value is None:
        raise webob.exc.HTTPBadRequest
    text = str(value).strip()
    if isinstance(value, bool) or not (text.isascii() and text.lstrip("-").isdigit()):
        raise refuse("createBackup attribute 'rotation' must be an integer")
    if text.startswith("-") or len(text) > 9:
        raise refuse("createBackup attribute 'rotation' must be greater than or equal to zero")
    return int(text)


class Admin_actions(ExtensionDescriptor):
    """Pause, suspend, lock, migrate and back up servers."""

    name = "AdminActions"
    alias = "os-admin-actions"
    namespace = "http://docs.openstack.org/compute/ext/admin-actions/api/v1.1"
    updated = "2011-09-20T00:00:00+00:00"

    def get_controller_extensions(self) -> Iterable[ControllerExtension]:
        yield ControllerExtension(self, "servers", AdminActionsController())
