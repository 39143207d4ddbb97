"""Cloudpipes: an instance per project that lets its people into its network (spec openstack-extensions.md 10.4).

What runs in such an instance is the image ``vpn_image_id``; the networks of this cloud have no VPN address of their
own, so whether the VPN answers is not known here.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from sqlalchemy.exc import IntegrityError

from nova_api import errors
from nova_api.cloud.image import Images
from nova_api.cloud.keypairs import KeyPairs
from nova_api.cloud.launch import LaunchSpec, ServerSpec
from nova_api.cloud.project_groups import GroupRefused, ProjectGroups, RuleSpec
from nova_api.cloud.servers import Servers
from nova_api.config import Config
from nova_api.context import RequestContext
from nova_api.db import cloudpipes as queries
from nova_api.db import flavors
from nova_api.db.engine import Database

_VPN_PORT = "1194"


class NoVpnImage(errors.ApiError):
    """The operator has not said which image a cloudpipe runs."""

    status = 501

    def __init__(self) -> None:
        super().__init__("No VPN image is configured (vpn_image_id).")


@dataclass(frozen=True, slots=True, kw_only=True)
class Pipe:
    """A cloudpipe.

    :ivar state: ``pending`` without an address, else ``invalid``: its network has no VPN address
    """

    project_id: str
    instance_id: str
    created_at: datetime
    internal_ip: str | None

    @property
    def state(self) -> str:
        """What is known of the VPN."""
        return "pending" if self.internal_ip is None else "invalid"


class Cloudpipes:
    """Cloudpipes as a service."""

    def __init__(
        self,
        db: Database,
        servers: Servers,
        groups: ProjectGroups,
        key_pairs: KeyPairs,
        images: Images,
        config: Config,
    ) -> None:
        self.db, self.servers, self.groups = db, servers, groups
        self.key_pairs, self.images, self.config = key_pairs, images, config

    def list(self, project: str | None = None) -> Sequence[Pipe]:
        """Cloudpipes of all projects, or of one, oldest first."""
        with self.db.read() as conn:
            rows = queries.find(conn, self.config.vpn_image_id, project)
        return [
            Pipe(
                project_id=row.project_id,
                instance_id=row.uuid,
                created_at=row.created_at,
                internal_ip=row.address,
            )
            for row in rows
        ]

    def create(self, context: RequestContext, project: str) -> str:
        """Start the cloudpipe of a project, unless it has one.

        :returns: UUID of the instance
        :raises NoVpnImage: there is no image for it
        :raises ProjectNotFound: no such project
        """
        found = self.list(project)
        if found:
            return found[0].instance_id
        with self.db.read() as conn:
            try:
                self.images.by_uuid(conn, context.elevated(), self.config.vpn_image_id)
            except errors.ImageNotFound:
                raise NoVpnImage from None
            if not queries.project_exists(conn, project):
                raise errors.ProjectNotFound(project)
            flavor = flavors.by_name(conn, self.config.default_instance_type)
        if flavor is None:
            raise errors.FlavorNotFoundByName(self.config.default_instance_type)
        inside = replace(context.elevated(), project_id=project)
        name = f"{project}{self.config.vpn_key_suffix}"
        self._ensure_key(inside, name)
        self._ensure_group(inside, name)
        spec = LaunchSpec(
            image=self.config.vpn_image_id,
            flavor=flavor.flavorid,
            key_name=name,
            groups=(name,),
            server=ServerSpec(name=name),
        )
        return str(self.servers.create(inside, spec).server.uuid)

    def _ensure_key(self, context: RequestContext, name: str) -> None:
        try:
            self.key_pairs.create(context, name)
        except errors.KeyPairExists:
            pass

    def _ensure_group(self, context: RequestContext, name: str) -> None:
        try:
            group, _ = self.groups.create(context, name, "Group for vpn")
        except (GroupRefused, IntegrityError):
            return
        try:
            for protocol, port in (("udp", _VPN_PORT), ("icmp", "-1")):
                rule = RuleSpec(parent=group.id, protocol=protocol, from_port=port, to_port=port)
                self.groups.add_rule(context, rule)
        except errors.ApiError:
            self.groups.delete(context, group.id)  # the next request would take it for one that is whole
            raise
