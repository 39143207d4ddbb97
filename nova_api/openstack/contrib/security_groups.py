"""security_groups: groups of a project, their rules, and which servers are in them (spec openstack-extensions.md 5)."""

from collections.abc import Iterable, Mapping
from types import NoneType
from typing import Any

import webob
import webob.exc

from nova_api import errors, limits
from nova_api.cloud.project_groups import Group, RuleSpec
from nova_api.openstack import wsgi
from nova_api.openstack.bodies import with_root
from nova_api.openstack.extended import ExtensionController, number_in, page_by_offset
from nova_api.openstack.extensions import ControllerExtension, ExtensionDescriptor, ResourceExtension
from nova_api.openstack.server_input import refuse, storable
from nova_api.openstack.xml import COMPUTE_NS, Element, Template, child, local_name, text_of

_RULE = (
    Element("ip_protocol", text="ip_protocol"),
    Element("from_port", text="from_port"),
    Element("to_port", text="to_port"),
    Element("group", Element("name", text="name"), Element("tenant_id", text="tenant_id"), select="group"),
    Element("ip_range", Element("cidr", text="cidr"), select="ip_range"),
)
_RULE_ATTRIBUTES = ("parent_group_id", "id")
_GROUP = (
    Element("description", text="description"),
    Element(
        "rules",
        Element("rule", *_RULE, select=lambda rules: rules, attributes=_RULE_ATTRIBUTES),
        select=lambda group: [group["rules"]],
    ),
)
_GROUP_ATTRIBUTES = ("tenant_id", "id", "name")
_NSMAP = {None: COMPUTE_NS}
_ONE = Template(Element("security_group", *_GROUP, select="security_group", attributes=_GROUP_ATTRIBUTES), _NSMAP)
_ALL = Template(
    Element(
        "security_groups", Element("security_group", *_GROUP, select="security_groups", attributes=_GROUP_ATTRIBUTES)
    ),
    _NSMAP,
)
_ONE_RULE = Template(
    Element("security_group_rule", *_RULE, select="security_group_rule", attributes=_RULE_ATTRIBUTES), _NSMAP
)


def rule_view(rule: Any) -> dict[str, Any]:
    """What a rule looks like."""
    by_group = rule.group_id is not None
    return {
        "id": rule.id,
        "parent_group_id": rule.parent_group_id,
        "ip_protocol": rule.protocol,
        "from_port": rule.from_port,
        "to_port": rule.to_port,
        "group": {"name": rule.source_name, "tenant_id": rule.source_project} if by_group else {},
        "ip_range": {} if by_group else {"cidr": rule.cidr},
    }


def group_view(group: Group) -> dict[str, Any]:
    """What a group looks like."""
    row, rules = group
    return {
        "id": row.id,
        "name": row.name,
        "description": row.description,
        "tenant_id": row.project_id,
        "rules": [rule_view(rule) for rule in rules],
    }


def _entity(body: Any, name: str) -> Mapping[str, Any]:
    found = body.get(name) if isinstance(body, dict) else None
    if not found:
        raise webob.exc.HTTPUnprocessableEntity
    if not isinstance(found, dict):
        raise webob.exc.HTTPBadRequest
    return found


def _text(fields: Mapping[str, Any], name: str) -> str:
    value = fields.get(name)
    if not isinstance(value, str):
        raise refuse(f"Security group {name} is not a string or unicode")
    text = value.strip()
    if not text:
        raise refuse(f"Security group {name} cannot be empty.")
    if len(text) > limits.MAX_NAME:
        raise refuse(f"Security group {name} should not be greater than 255 characters.")
    return storable(text)


def _number(text: Any, refusal: str) -> int:
    """A number; a negative one is one too, that nothing has."""
    shown = str(text)
    number = number_in(shown[1:] if shown.startswith("-") else text)
    if number is None:
        raise refuse(refusal)
    return -number if shown.startswith("-") else number


def _group_request(root: Any) -> dict[str, Any]:
    """A group in XML: the name is an attribute, the description a child."""
    found: dict[str, Any] = {}
    if root.get("name") is not None:
        found["name"] = root.get("name")
    description = child(root, "description")
    if description is not None:
        found["description"] = text_of(description)
    return {"body": {local_name(root): found}}


class SecurityGroupController(ExtensionController):
    """``/os-security-groups``."""

    rule = "security_groups"

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request) -> dict[str, Any]:
        """The project's groups; pages are of the oldest ones first, and each is sorted for itself."""
        self.authorize(req)
        found = sorted(self.services.project_groups.list(req.context), key=lambda one: int(one[0].id))
        page = page_by_offset(req, found, self.services.config.osapi_max_limit)
        shown = [group_view(one) for one in page]
        return {"security_groups": sorted(shown, key=lambda one: (one["tenant_id"], one["name"]))}

    @wsgi.serializers(xml=_ONE)
    def show(self, req: wsgi.Request, id: str) -> dict[str, Any]:
        """One group."""
        self.authorize(req)
        return {"security_group": group_view(self.services.project_groups.get(req.context, self._id(id)))}

    @wsgi.serializers(xml=_ONE)
    @wsgi.deserializers(xml=with_root(_group_request))
    def create(self, req: wsgi.Request, body: Any) -> dict[str, Any]:
        """A new group."""
        self.authorize(req)
        fields = _entity(body, "security_group")
        name, description = _text(fields, "name"), _text(fields, "description")
        return {"security_group": group_view(self.services.project_groups.create(req.context, name, description))}

    @wsgi.serializers(xml=_ONE)
    @wsgi.deserializers(xml=with_root(_group_request))
    def update(self, req: wsgi.Request, id: str, body: Any) -> dict[str, Any]:
        """Change name and description; 2012.1 had no such request, later clients send it."""
        self.authorize(req)
        number, groups = self._id(id), self.services.project_groups
        groups.get(req.context, number)
        fields = _entity(body, "security_group")
        name, description = _text(fields, "name"), _text(fields, "description")
        return {"security_group": group_view(groups.update(req.context, number, name, description))}

    def delete(self, req: wsgi.Request, id: str) -> webob.Response:
        """End a group."""
        self.authorize(req)
        self.services.project_groups.delete(req.context, self._id(id))
        return wsgi.accepted()

    @staticmethod
    def _id(text: str) -> int:
        return _number(text, "Security group id should be integer")


class SecurityGroupRulesController(ExtensionController):
    """``/os-security-group-rules``."""

    rule = "security_groups"

    @wsgi.serializers(xml=_ONE_RULE)
    def create(self, req: wsgi.Request, body: Any) -> dict[str, Any]:
        """A new rule."""
        self.authorize(req)
        fields = _entity(body, "security_group_rule")
        if fields.get("parent_group_id") is None:
            raise webob.exc.HTTPBadRequest
        group = fields.get("group_id")
        spec = RuleSpec(
            parent=_number(fields["parent_group_id"], "Parent group id is not integer"),
            group=None
            if group is None
            else _number(group, "Invalid input received: Parent or group id is not integer"),
            protocol=_given(fields, "ip_protocol"),
            from_port=_port(fields, "from_port"),
            to_port=_port(fields, "to_port"),
            cidr=_given(fields, "cidr"),
        )
        return {"security_group_rule": rule_view(self.services.project_groups.add_rule(req.context, spec))}

    def delete(self, req: wsgi.Request, id: str) -> webob.Response:
        """End a rule."""
        self.authorize(req)
        self.services.project_groups.delete_rule(req.context, _number(id, "Rule id is not integer"))
        return wsgi.accepted()


def _given(fields: Mapping[str, Any], name: str) -> str | None:
    """A part of a rule as text; null and nothing are the same."""
    return _port(fields, name) or None


def _port(fields: Mapping[str, Any], name: str) -> str | None:
    """A port as text. An empty one is none that there is, but not left out either: the rule would be a wider one."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, (str, int)):
        raise webob.exc.HTTPBadRequest
    return storable(str(value)[: limits.MAX_NAME])


class ServerSecurityGroupController(ExtensionController):
    """``/servers/{server_id}/os-security-groups``."""

    rule = "security_groups"

    @wsgi.serializers(xml=_ALL)
    def index(self, req: wsgi.Request, server_id: str) -> dict[str, Any]:
        """The groups of a server."""
        self.authorize(req)
        found = self.services.project_groups.of_server(req.context, server_id)
        return {"security_groups": [group_view(one) for one in found]}


class SecurityGroupActionController(ExtensionController):
    """``addSecurityGroup`` and ``removeSecurityGroup``."""

    rule = "security_groups"

    @wsgi.action("addSecurityGroup")
    def _put_on(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        return self._change(req, id, body["addSecurityGroup"], self.services.project_groups.put_on)

    @wsgi.action("removeSecurityGroup")
    def _take_off(self, req: wsgi.Request, id: str, body: Any) -> webob.Response:
        return self._change(req, id, body["removeSecurityGroup"], self.services.project_groups.take_off)

    def _change(self, req: wsgi.Request, server: str, given: Any, change: Any) -> webob.Response:
        self.authorize(req)
        if not isinstance(given, dict):
            raise refuse("Missing parameter dict")
        name = given.get("name")
        if "name" not in given or not isinstance(name, (str, NoneType)):
            raise refuse("Security group not specified")
        if name is None or not name.strip():
            raise refuse("Security group name cannot be empty")
        try:
            change(req.context, server, storable(name))
        except errors.InstanceNotFound as error:
            raise webob.exc.HTTPNotFound(explanation=error.message) from None
        return wsgi.accepted()


class Security_groups(ExtensionDescriptor):
    """Security groups: firewall rules that servers share."""

    name = "SecurityGroups"
    alias = "security_groups"
    namespace = "http://docs.openstack.org/compute/ext/securitygroups/api/v1.1"
    updated = "2011-07-21T00:00:00+00:00"

    def get_resources(self) -> Iterable[ResourceExtension]:
        yield ResourceExtension("os-security-groups", SecurityGroupController())
        yield ResourceExtension("os-security-group-rules", SecurityGroupRulesController())
        parent = {"member_name": "server", "collection_name": "servers"}
        yield ResourceExtension("os-security-groups", ServerSecurityGroupController(), parent)

    def get_controller_extensions(self) -> Iterable[ControllerExtension]:
        yield ControllerExtension(self, "servers", SecurityGroupActionController())
