"""The composition root: from a configuration to the services that the doors and the nodes call.

Nothing below this module reads a global; the doors' constructors default to :func:`current`, so that the classes of
the 2012 documentation stay callable as they stand there (``Lockout(application)``).
"""

import importlib
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from nova_api import config as configuration
from nova_api.auth.identity import Identity
from nova_api.cloud.aggregates import Aggregates
from nova_api.cloud.backup_schedules import BackupSchedules
from nova_api.cloud.catalogue import Catalogue
from nova_api.cloud.certificates import Certificates
from nova_api.cloud.cloudpipe import Cloudpipes
from nova_api.cloud.compute import Compute
from nova_api.cloud.consoles import Consoles
from nova_api.cloud.dns import Dns
from nova_api.cloud.flavors import Flavors
from nova_api.cloud.hosts import Hosts
from nova_api.cloud.image import Images
from nova_api.cloud.instance_images import InstanceImages
from nova_api.cloud.keypairs import KeyPairs
from nova_api.cloud.metadata import Metadata
from nova_api.cloud.network import Network
from nova_api.cloud.networks import Networks
from nova_api.cloud.numbers import Numbers
from nova_api.cloud.policy import Policy
from nova_api.cloud.project_groups import ProjectGroups
from nova_api.cloud.quota import Quotas
from nova_api.cloud.securitygroups import SecurityGroups
from nova_api.cloud.server_actions import ServerActions
from nova_api.cloud.server_reports import ServerReports
from nova_api.cloud.servers import Servers
from nova_api.cloud.shared_ip_groups import SharedIpGroups
from nova_api.cloud.usage import Usage
from nova_api.cloud.volume import Volumes
from nova_api.cloud.volume_types import VolumeTypes
from nova_api.cloud.zones import Zones
from nova_api.config import Config
from nova_api.context import new_uuid
from nova_api.db import schema, services, vitals
from nova_api.db.engine import Database
from nova_api.errors import ConfigError
from nova_api.metrics import Metrics, Source
from nova_api.readiness import Readiness
from nova_api.rpc.client import Rpc
from nova_api.rpc.inprocess import InProcessTransport
from nova_api.rpc.outbox import Outbox
from nova_api.rpc.transport import Transport

if TYPE_CHECKING:
    from nova_api.rpc.probe import BrokerProbe


@dataclass(slots=True, kw_only=True)
class Runtime:
    """Everything one process works with."""

    config: Config
    db: Database
    transport: Transport
    rpc: Rpc
    outbox: Outbox
    policy: Policy
    quotas: Quotas
    identity: Identity
    key_pairs: KeyPairs
    security_groups: SecurityGroups
    project_groups: ProjectGroups
    flavors: Flavors
    numbers: Numbers
    network: Network
    networks: Networks
    dns: Dns
    volume: Volumes
    volume_types: VolumeTypes
    image: Images
    compute: Compute
    servers: Servers
    server_actions: ServerActions
    server_reports: ServerReports
    instance_images: InstanceImages
    backup_schedules: BackupSchedules
    shared_ip_groups: SharedIpGroups
    catalogue: Catalogue
    consoles: Consoles
    certificates: Certificates
    cloudpipes: Cloudpipes
    metadata: Metadata
    zones: Zones
    usage: Usage
    hosts: Hosts
    aggregates: Aggregates
    readiness: Readiness
    probe: "BrokerProbe | None"
    metrics: Metrics | None

    def close(self) -> None:
        """Stop the relay, close broker and database connections."""
        self.outbox.stop()
        self.transport.close()
        if self.probe is not None:
            self.probe.close()
        self.db.close()


def build(config: Config) -> Runtime:
    """Wire the services of one process together; the datastore is created or checked.

    :raises ConfigError: the state folder, the datastore or a file named by an option cannot be used
    """
    config.prepare_state()
    db = Database(config.database_url, pool_size=config.sql_pool_size, sqlite_synchronous=config.sqlite_synchronous)
    schema.ensure(db)
    vitals.watch(db, config.slow_query_seconds)
    transport = make_transport(config)
    probe = make_probe(config)
    readiness = _readiness(config, db, probe)
    outbox = Outbox(db, transport, process_id=f"{config.host}-{os.getpid()}-{new_uuid()[:8]}")
    rpc = Rpc(transport, config.rpc_response_timeout, _down_check(config, db) if transport.survives_process else None)
    policy = Policy(config.policy_path, config.policy_default_rule)
    quotas = Quotas(config, db)
    key_pairs = KeyPairs(db, quotas, config)
    security_groups = SecurityGroups(db, quotas, outbox)
    network = Network(db, quotas, outbox, policy, config)
    volumes = Volumes(db, quotas, outbox, policy, config)
    images = Images(db, config)
    compute = Compute(
        db,
        quotas,
        outbox,
        rpc,
        policy,
        config,
        images=images,
        key_pairs=key_pairs,
        security_groups=security_groups,
        volumes=volumes,
        network=network,
    )
    servers = Servers(db, quotas, outbox, policy, config, compute.launcher)
    actions = ServerActions(servers, images)
    project_groups = ProjectGroups(security_groups, servers)
    instance_images = InstanceImages(db, outbox, policy, quotas, images, servers)
    return Runtime(
        config=config,
        db=db,
        transport=transport,
        rpc=rpc,
        outbox=outbox,
        policy=policy,
        quotas=quotas,
        identity=Identity(db, config),
        key_pairs=key_pairs,
        security_groups=security_groups,
        project_groups=project_groups,
        flavors=Flavors(db),
        numbers=Numbers(db),
        network=network,
        networks=Networks(db, policy, servers, actions),
        dns=Dns(db, policy),
        volume=volumes,
        volume_types=VolumeTypes(db),
        image=images,
        compute=compute,
        servers=servers,
        server_actions=actions,
        server_reports=ServerReports(servers, rpc),
        instance_images=instance_images,
        backup_schedules=BackupSchedules(db, instance_images, servers),
        shared_ip_groups=SharedIpGroups(db, quotas, outbox, servers),
        catalogue=Catalogue(db, quotas),
        consoles=Consoles(db, rpc, outbox, policy, config),
        certificates=Certificates(rpc),
        cloudpipes=Cloudpipes(db, servers, project_groups, key_pairs, images, config),
        metadata=Metadata(db, config),
        zones=Zones(db, config),
        usage=Usage(db),
        hosts=Hosts(db, rpc),
        aggregates=Aggregates(db, outbox),
        readiness=readiness,
        probe=probe,
        metrics=_metrics(Source(db, outbox, transport, probe, readiness, config.service_down_time), config),
    )


def _down_check(config: Config, db: Database) -> Callable[[str], bool]:
    def is_down(topic: str) -> bool:
        with db.read() as conn:
            return services.all_down(conn, topic, config.service_down_time)

    return is_down


def _readiness(config: Config, db: Database, probe: "BrokerProbe | None") -> Readiness:
    checks: dict[str, Callable[[], object]] = {"database": partial(vitals.ping, db)}
    if probe is None:
        return Readiness(checks)
    checks["broker"] = probe.ping
    # Without a broker requests are still taken, and their messages wait in the outbox.
    return Readiness(checks, None if config.ready_needs_broker else ("database",))


def _metrics(source: Source, config: Config) -> Metrics | None:
    if config.metrics_port < 0:
        return None
    try:
        return Metrics(source)
    except ImportError as error:
        raise ConfigError("metrics_port needs the package prometheus_client (nova_api[metrics])") from error


def make_transport(config: Config) -> Transport:
    """The message transport that ``rpc_transport`` names.

    :raises ConfigError: an unknown kind
    """
    if config.rpc_transport.startswith("memory:"):
        return InProcessTransport()
    if config.rpc_transport.startswith(("amqp:", "amqps:")):
        from nova_api.rpc.amqp import AmqpTransport

        return AmqpTransport(
            config.rpc_transport, exchange=config.control_exchange, durable=config.rabbit_durable_queues
        )
    raise ConfigError(f"rpc_transport={config.rpc_transport!r}: neither memory:// nor amqp://")


def make_probe(config: Config) -> "BrokerProbe | None":
    """What asks the broker after its health; None where messages stay in the process."""
    if not config.rpc_transport.startswith(("amqp:", "amqps:")):
        return None
    from nova_api.rpc.broker import Broker
    from nova_api.rpc.probe import BrokerProbe

    return BrokerProbe(Broker(config.rpc_transport, config.control_exchange, config.rabbit_durable_queues))


def load_class(path: str) -> Any:
    """What ``package.module:name`` names.

    :raises ConfigError: there is no such thing
    """
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{path}: {error}") from error


_lock = threading.Lock()
_current: list[Runtime] = []


def install(runtime: Runtime) -> None:
    """Make ``runtime`` the one that constructors default to."""
    with _lock:
        _current[:] = [runtime]


def uninstall() -> None:
    """Forget the installed runtime; the caller closes it."""
    with _lock:
        _current.clear()


def current() -> Runtime:
    """The installed runtime; made on first use from the file that ``NOVA_API_CONFIG`` names, else from the defaults.

    :raises ConfigError: that configuration cannot be used
    """
    if _current:
        return _current[0]
    with _lock:
        if not _current:
            _current.append(build(configuration.load(os.environ.get("NOVA_API_CONFIG"))))
        return _current[0]
