"""The composition root: from a configuration to the services that the doors and the nodes call.

Nothing below this module reads a global; the doors' constructors default to :func:`current`, so that the classes of
the 2012 documentation stay callable as they stand there (``Lockout(application)``).
"""

import importlib
import os
import threading
from dataclasses import dataclass
from typing import Any

from nova_api import config as configuration
from nova_api.auth.identity import Identity
from nova_api.cloud.catalogue import Catalogue
from nova_api.cloud.compute import Compute
from nova_api.cloud.consoles import Consoles
from nova_api.cloud.flavors import Flavors
from nova_api.cloud.image import Images
from nova_api.cloud.instance_images import InstanceImages
from nova_api.cloud.keypairs import KeyPairs
from nova_api.cloud.metadata import Metadata
from nova_api.cloud.network import Network
from nova_api.cloud.policy import Policy
from nova_api.cloud.quota import Quotas
from nova_api.cloud.securitygroups import SecurityGroups
from nova_api.cloud.server_actions import ServerActions
from nova_api.cloud.servers import Servers
from nova_api.cloud.volume import Volumes
from nova_api.cloud.zones import Zones
from nova_api.config import Config
from nova_api.context import new_uuid
from nova_api.db import schema
from nova_api.db.engine import Database
from nova_api.errors import ConfigError
from nova_api.rpc.client import Rpc
from nova_api.rpc.inprocess import InProcessTransport
from nova_api.rpc.outbox import Outbox
from nova_api.rpc.transport import Transport


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
    flavors: Flavors
    network: Network
    volume: Volumes
    image: Images
    compute: Compute
    servers: Servers
    server_actions: ServerActions
    instance_images: InstanceImages
    catalogue: Catalogue
    consoles: Consoles
    metadata: Metadata
    zones: Zones

    def close(self) -> None:
        """Stop the relay, close broker and database connections."""
        self.outbox.stop()
        self.transport.close()
        self.db.close()


def build(config: Config) -> Runtime:
    """Wire the services of one process together; the datastore is created or checked.

    :raises ConfigError: the state folder, the datastore or a file named by an option cannot be used
    """
    config.prepare_state()
    db = Database(config.database_url, pool_size=config.sql_pool_size, sqlite_synchronous=config.sqlite_synchronous)
    schema.ensure(db)
    transport = make_transport(config)
    outbox = Outbox(db, transport, process_id=f"{config.host}-{os.getpid()}-{new_uuid()[:8]}")
    rpc = Rpc(transport, default_timeout=config.rpc_response_timeout)
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
        flavors=Flavors(db),
        network=network,
        volume=volumes,
        image=images,
        compute=compute,
        servers=servers,
        server_actions=ServerActions(servers, images),
        instance_images=InstanceImages(db, outbox, policy, quotas, images, servers),
        catalogue=Catalogue(db, quotas),
        consoles=Consoles(db, rpc, outbox, policy, config),
        metadata=Metadata(db, config),
        zones=Zones(db, config),
    )


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
