"""Every option: typed, with default, unit and help; read once at start into one frozen value.

Names are those of 2012.1 (spec ec2.md 7) where it had the option. A file is read by oslo.config, section ``[DEFAULT]``;
``etc/nova-api.conf`` lists all options and is generated from this module.
"""

import dataclasses
import math
import os
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_type_hints

from nova_api.errors import ConfigError

if TYPE_CHECKING:
    from oslo_config import cfg

Strings = tuple[str, ...]


def option(
    default: Any,
    text: str,
    *,
    unit: str = "",
    choices: Iterable[str] = (),
    least: float | None = None,
    most: float | None = None,
) -> Any:
    """A field of :class:`Config`.

    :param default: its value when nobody sets it
    :param text: help for the operator
    :param unit: unit of a number
    :param choices: the only values allowed
    :param least: smallest value allowed
    :param most: greatest one
    """
    about = {"help": text, "unit": unit, "choices": tuple(choices), "least": least, "most": most}
    return field(default=default, metadata=about)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """The settings of one process."""

    # -- where
    state_path: str = option("./state", "folder of the embedded datastore, keys, logs and cloud.json")
    sql_connection: str = option("", "SQLAlchemy URL of the datastore; empty: a SQLite file nova.sqlite in state_path")
    sql_pool_size: int = option(10, "database connections kept open by one process", least=1)
    sqlite_synchronous: str = option(
        "FULL",
        "SQLite durability: FULL outlives a power cut, NORMAL only the death of the process",
        choices=("FULL", "NORMAL"),
    )
    secret_key_file: str = option(
        "", "file of the key that encrypts access key secrets; empty: secret.key in state_path"
    )
    log_file: str = option("", "log file; empty: nova-api.log in state_path; '-': standard error")
    log_level: str = option("INFO", "least level that is logged", choices=("DEBUG", "INFO", "WARNING", "ERROR"))
    log_format: str = option(
        "text", "form of the log: lines for people, or one JSON object a line", choices=("text", "json")
    )
    slow_query_seconds: float = option(
        1.0, "statements of the datastore that take this long are logged; 0: none", unit="seconds", least=0
    )
    my_ip: str = option("127.0.0.1", "address that is advertised to clients")
    host: str = option("node1", "name of this node in the services table and in topics")

    # -- doors
    enabled_apis: Strings = option(("ec2", "osapi_compute", "osapi_volume", "metadata"), "doors that nova-api opens")
    api_paste_config: str = option("", "Paste file; empty: the shipped api-paste.ini")
    auth_strategy: str = option(
        "local",
        "who authenticates: local (the datastore; 'deprecated' is its old name), keystone, noauth",
        choices=("local", "deprecated", "keystone", "noauth"),
    )
    allow_insecure_noauth: bool = option(False, "let noauth listen on an address other than loopback")
    api_rate_limit: bool = option(False, "false chooses the pipeline <strategy>_nolimit where the Paste file has one")
    ec2_listen: str = option("127.0.0.1", "address the EC2 API listens on")
    ec2_listen_port: int = option(8773, "port of the EC2 API; 0: any free one", least=0, most=65535)
    osapi_compute_listen: str = option("127.0.0.1", "address the OpenStack Compute API listens on")
    osapi_compute_listen_port: int = option(
        8774, "port of the OpenStack Compute API; 0: any free one", least=0, most=65535
    )
    metadata_listen: str = option("127.0.0.1", "address the metadata service listens on")
    metadata_listen_port: int = option(8775, "port of the metadata service; 0: any free one", least=0, most=65535)
    osapi_volume_listen: str = option("127.0.0.1", "address the OpenStack Volume API listens on")
    osapi_volume_listen_port: int = option(
        8776, "port of the OpenStack Volume API; 0: any free one", least=0, most=65535
    )
    workers: int = option(1, "processes of nova-api that answer requests; more than one need amqp://", least=1)
    max_connections: int = option(1000, "connections one door serves at a time", least=1)
    graceful_shutdown_timeout: float = option(
        30.0, "how long a stop waits for requests in hand", unit="seconds", least=0
    )

    # -- operations
    metrics_listen: str = option("127.0.0.1", "address that the metrics for Prometheus are read at")
    metrics_port: int = option(
        -1,
        "port of the metrics, or the next free one: every process has its own; 0: any free one; -1: no metrics",
        least=-1,
        most=65535,
    )
    ready_needs_broker: bool = option(
        False,
        "/healthcheck/ready says 503 without the message broker; else requests are taken and their messages wait",
    )

    # -- EC2
    ec2_scheme: str = option("http", "scheme of the advertised EC2 endpoint", choices=("http", "https"))
    ec2_host: str = option("", "host of the advertised EC2 endpoint; empty: my_ip")
    ec2_port: int = option(0, "port of the advertised EC2 endpoint; 0: the one listened on", least=0)
    ec2_path: str = option("/services/Cloud", "path of the advertised EC2 endpoint")
    region_list: Strings = option((), "regions as name=host; empty: one region 'nova' at ec2_host")
    region_name: str = option("nova", "the only region's name when region_list is empty")
    ec2_private_dns_show_ip: bool = option(False, "privateDnsName is the fixed address rather than the host name")
    ec2_timestamp_window: int = option(900, "how far a request's time stamp may be off", unit="seconds", least=1)
    ec2_signature_v0: bool = option(False, "accept signature version 0, which signs next to nothing")
    ec2_signature_v1: bool = option(False, "accept signature version 1, whose text is ambiguous")
    ec2_signature_sha1: bool = option(True, "accept HmacSHA1 with signature version 2")
    ec2_dialect: str = option(
        "auto",
        "answers: auto (by the request's Version), essex (2012.1's to everybody)",
        choices=("auto", "essex"),
    )
    lockout_attempts: int = option(5, "failed authentications that lock an access key", least=1)
    lockout_window: int = option(15, "life of the count, from the first failure", unit="minutes", least=1)
    lockout_minutes: int = option(15, "life of the lock, from the failure that set it", unit="minutes", least=1)
    lockout_memcached_servers: Strings = option(
        (), "memcached servers (host:port) that hold the counts; empty: in this process"
    )
    keystone_ec2_url: str = option("http://localhost:5000/v2.0/ec2tokens", "where Keystone checks EC2 signatures")
    keystone_timeout: float = option(10.0, "how long Keystone may take", unit="seconds", least=0.1)
    keystone_ca_file: str = option("", "certificates that Keystone's is checked against; empty: the system's")
    keystone_auth_url: str = option(
        "", "root of Keystone's API v3, http://localhost:5000/v3; empty: beside keystone_ec2_url"
    )
    keystone_user: str = option(
        "", "user that nova_api is to Keystone, which asks for the role service; empty: no token is sent, as in 2012"
    )
    keystone_password: str = option("", "password of that user")
    keystone_project: str = option("service", "project of that user")
    keystone_user_domain: str = option("default", "id of the domain of that user")
    keystone_project_domain: str = option("default", "id of the domain of that project")
    use_forwarded_for: bool = option(False, "take the caller's address from X-Forwarded-For of trusted proxies")
    trusted_proxies: Strings = option(("127.0.0.1", "::1"), "addresses or networks whose X-Forwarded-For counts")
    allowed_roles: Strings = option(
        ("cloudadmin", "itsec", "sysadmin", "netadmin", "developer"), "roles that a project may grant"
    )
    superuser_roles: Strings = option(("cloudadmin",), "global roles that make an administrator")
    global_roles: Strings = option(("cloudadmin", "itsec"), "roles that need only the global grant")
    ec2_role_aliases: Strings = option(
        (),
        "role=alias: lets a role of Keystone stand for sysadmin, netadmin or projectmanager (Member=sysadmin)",
    )
    policy_file: str = option("", "policy rules; empty: the shipped policy.json")
    policy_default_rule: str = option("default", "rule for actions that the policy file does not name")

    ended_instances_seconds: int = option(
        3600, "how long clients of today still see an instance that has ended", unit="seconds", least=0
    )

    # -- OpenStack
    osapi_max_limit: int = option(1000, "most items of one page of a list", least=1)
    osapi_compute_link_prefix: str = option("", "scheme and host of links to servers, flavors and images")
    osapi_glance_link_prefix: str = option("", "scheme and host of links to the image service")
    glance_host: str = option("", "host of the image service in links; empty: my_ip")
    glance_port: int = option(9292, "port of the image service in links", least=1)
    osapi_compute_extension: Strings = option(
        ("nova_api.openstack.contrib:standard_extensions",),
        "factories of extensions, module:callable; each is called with the extension manager",
    )
    osapi_extensions_path: str = option("", "folder with further extensions, one module each")
    osapi_compute_ext_list: Strings = option((), "classes that select_extensions loads")
    enable_instance_password: bool = option(True, "show the administrator password in the answer of a create")
    password_length: int = option(12, "length of generated administrator passwords", unit="characters", least=4)
    allow_instance_snapshots: bool = option(True, "let users make images of their servers")
    allow_resize_to_same_host: bool = option(False, "let a resize stay on the host that the server is on")

    # -- the cloud
    default_instance_type: str = option("m1.small", "flavor of RunInstances without InstanceType")
    null_kernel: str = option("nokernel", "kernel id that means 'none'")
    vpn_image_id: str = option("0", "image whose instances ordinary users do not see")
    vpn_key_suffix: str = option("-vpn", "key pairs with this ending are not listed to ordinary users")
    default_schedule_zone: str = option("", "zone of instances that name none; empty: any")
    storage_availability_zone: str = option("nova", "zone of volumes that name none")
    node_availability_zone: str = option("nova", "zone of this process's nodes")
    default_floating_pool: str = option("nova", "pool that addresses are allocated from")
    dhcp_domain: str = option("novalocal", "domain of instances' host names")
    network_size_limit: int = option(65536, "largest network nova-manage makes", unit="addresses", least=4)
    reclaim_instance_interval: int = option(0, "how long deleted servers can be restored", unit="seconds", least=0)
    service_down_time: int = option(60, "silence after which a service counts as down", unit="seconds", least=1)
    backup_schedule_interval: float = option(
        60.0,
        "how often schedulers look for backups that are due, well below the two hours of a window; 0: never",
        unit="seconds",
        least=0,
    )
    report_interval: float = option(10.0, "how often a node reports", unit="seconds", least=0.01)

    # -- quotas (-1: unlimited)
    quota_instances: int = option(10, "instances of a project", least=-1)
    quota_cores: int = option(20, "virtual CPUs of a project", least=-1)
    quota_ram: int = option(50 * 1024, "memory of a project", unit="MB", least=-1)
    quota_volumes: int = option(10, "volumes of a project", least=-1)
    quota_gigabytes: int = option(1000, "size of all volumes of a project", unit="GB", least=-1)
    quota_snapshots: int = option(100, "snapshots of a project", least=-1)
    quota_floating_ips: int = option(10, "floating addresses of a project", least=-1)
    quota_security_groups: int = option(50, "security groups of a project", least=-1)
    quota_security_group_rules: int = option(100, "rules of a security group", least=-1)
    quota_key_pairs: int = option(100, "key pairs of a user", least=-1)
    quota_metadata_items: int = option(128, "metadata items of a server", least=-1)
    quota_shared_ip_groups: int = option(50, "shared IP groups of a project", least=-1)
    quota_shared_ip_group_members: int = option(25, "servers of a shared IP group", least=-1)
    quota_max_injected_files: int = option(5, "files put into a new server", least=-1)
    quota_max_injected_file_content_bytes: int = option(10 * 1024, "size of such a file", unit="bytes", least=-1)
    quota_max_injected_file_path_bytes: int = option(255, "length of its path", unit="bytes", least=-1)

    # -- messages and nodes
    rpc_transport: str = option(
        "memory://", "memory:// (nodes in this process) or amqp://user:password@host:port/vhost"
    )
    rpc_response_timeout: float = option(60.0, "how long a call to a node may take", unit="seconds", least=0.1)
    control_exchange: str = option("nova", "AMQP exchange")
    rabbit_durable_queues: bool = option(True, "queues and exchange survive a restart of the broker")
    embedded_nodes: bool = option(True, "run scheduler, compute, network, volume, cert and console inside nova-api")
    node_workers: int = option(64, "messages one service handles at a time", least=1)
    simulated_immediate: bool = option(False, "the simulated drivers take no time at all")
    simulated_boot_seconds: float = option(0.5, "how long a simulated instance boots", unit="seconds", least=0)
    simulated_stop_seconds: float = option(0.2, "how long one stops or reboots", unit="seconds", least=0)
    simulated_volume_seconds: float = option(0.1, "how long a simulated volume takes", unit="seconds", least=0)
    simulated_snapshot_seconds: float = option(0.2, "how long a simulated snapshot takes", unit="seconds", least=0)
    compute_driver: str = option(
        "nova_api.nodes.drivers.simulated:SimulatedHypervisor", "hypervisor driver, module:class"
    )
    volume_driver: str = option("nova_api.nodes.drivers.volumestore:SimulatedVolumeStore", "volume driver")
    simulated_vcpus: int = option(1_000_000, "virtual CPUs of the simulated host", least=1)
    simulated_memory_mb: int = option(1_000_000_000, "memory of the simulated host", unit="MB", least=1)
    simulated_disk_gb: int = option(1_000_000_000, "disk of the simulated host", unit="GB", least=1)
    console_public_hostname: str = option("", "host name that clients reach consoles under; empty: my_ip")
    console_port_first: int = option(5900, "first port that a console node gives to consoles", least=1)
    console_port_last: int = option(6899, "last port that it gives to them, up to 65535", least=1)
    console_token_ttl: int = option(600, "how long a console URL can be opened", unit="seconds", least=1)
    novncproxy_base_url: str = option("http://127.0.0.1:6080/vnc_auto.html", "where browsers reach the noVNC proxy")
    xvpvncproxy_base_url: str = option("http://127.0.0.1:6081/console", "where clients reach the XVP VNC proxy")

    def in_state(self, name: str) -> str:
        """A path below ``state_path``."""
        return str(Path(self.state_path).absolute() / name)

    def prepare_state(self) -> None:
        """Make the state folder.

        :raises ConfigError: it cannot be made or written
        """
        folder = Path(self.state_path)
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = folder / f".writable-{os.getpid()}"
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise ConfigError(f"state folder {folder} cannot be used: {error.strerror}") from error

    @property
    def database_url(self) -> str:
        """The datastore's URL."""
        return self.sql_connection or "sqlite:///" + self.in_state("nova.sqlite")

    @property
    def secret_key_path(self) -> str:
        """The file of the encryption key."""
        return self.secret_key_file or self.in_state("secret.key")

    @property
    def paste_path(self) -> str:
        """The Paste file in use."""
        return self.api_paste_config or shipped("api-paste.ini")

    @property
    def policy_path(self) -> str:
        """The policy file in use."""
        return self.policy_file or shipped("policy.json")


def shipped(name: str) -> str:
    """Path of a file of ``etc/``: beside the sources, else where the package installed it.

    :raises ConfigError: it is in neither place
    """
    for folder in (Path(__file__).parent.parent / "etc", Path(sys.prefix) / "share" / "nova_api" / "etc"):
        if (folder / name).is_file():
            return str(folder / name)
    raise ConfigError(f"{name} is missing from this installation")


def load(path: str | None = None, settings: Mapping[str, str] | None = None) -> Config:
    """Read the configuration.

    :param path: an ini file with a ``[DEFAULT]`` section, or None
    :param settings: option texts that win over the file (``--set name=value``)
    :raises ConfigError: an unknown option, a value of the wrong type, an unreadable file
    """
    if path is None and not settings:
        return Config()  # nothing to parse: the library is not even imported, which a quick start thanks us for
    conf = _parser()
    _read_file(conf, path)
    known = {f.name for f in dataclasses.fields(Config)}
    for name, text in (settings or {}).items():
        if name not in known:
            raise ConfigError(f"unknown option {name!r}")
        _override(conf, name, text)
    try:
        values = {name: conf[name] for name in known}
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error
    typed: dict[str, Any] = {n: tuple(v) if isinstance(v, list) else v for n, v in values.items()}
    return Config(**typed)


def options() -> "list[cfg.Opt]":
    """The options as oslo.config's, in the order of :class:`Config`."""
    from oslo_config import cfg, types

    hints = get_type_hints(Config)
    made: list[cfg.Opt] = []
    for f in dataclasses.fields(Config):
        hint, meta = hints[f.name], f.metadata
        kind: Any
        if hint is bool:
            kind = types.Boolean()
        elif hint is int:
            kind = types.Integer(min=meta["least"], max=meta["most"])
        elif hint is float:
            kind = _finite(types.Float(min=meta["least"], max=meta["most"]))
        elif hint is str:
            kind = types.String(choices=meta["choices"] or None)
        else:
            kind = types.List()
        default = list(f.default) if isinstance(f.default, tuple) else f.default
        made.append(cfg.Opt(f.name, type=kind, default=default, help=help_text(f)))
    return made


def _finite(number: Callable[[str], Any]) -> Callable[[str], float]:
    """A kind of number without those that are endless or none: nothing can be waited for that long."""

    def convert(text: str) -> float:
        value = float(number(text))
        if not math.isfinite(value):
            raise ValueError("Should be a finite number")
        return value

    return convert


def help_text(f: "dataclasses.Field[Any]") -> str:
    """Help, unit and choices of an option in one sentence."""
    text = str(f.metadata["help"])
    if f.metadata["unit"]:
        text += f" ({f.metadata['unit']})"
    return text


def sample() -> str:
    """The text of ``etc/nova-api.conf``: every option with its default and help."""
    lines = [
        "# nova-api.conf: every option with its default. Generated by 'nova-manage config sample'.",
        "[DEFAULT]",
    ]
    for f in dataclasses.fields(Config):
        lines += ["", f"# {help_text(f)}"]
        if f.metadata["choices"]:
            lines.append(f"# one of: {', '.join(f.metadata['choices'])}")
        value = ",".join(f.default) if isinstance(f.default, tuple) else f.default
        lines.append(f"# {f.name} = {str(value).lower() if isinstance(value, bool) else value}".rstrip())
    return "\n".join(lines) + "\n"


def _parser() -> Any:
    from oslo_config import cfg

    conf = cfg.ConfigOpts()
    conf.register_opts(options())
    return conf


def _read_file(conf: Any, path: str | None) -> None:
    from oslo_config import cfg

    if path is not None and not Path(path).is_file():
        raise ConfigError(f"config file {path} cannot be read")
    try:
        conf([], project="nova_api", default_config_files=[path] if path else [], default_config_dirs=[])
        unknown = _unknown_names(conf)
    except cfg.Error as error:
        raise ConfigError(f"{path}: {str(error).splitlines()[0]}") from error
    if unknown:
        raise ConfigError(f"{path}: unknown option {', '.join(unknown)}")


def _unknown_names(conf: Any) -> list[str]:
    known = {f.name for f in dataclasses.fields(Config)}
    namespace = conf._namespace  # the library offers no public way to see what a file holds besides its options
    parsed = namespace._parsed if namespace is not None else []
    return sorted({name for sections in parsed for name in sections.get("DEFAULT", {}) if name not in known})


def _override(conf: Any, name: str, text: str) -> None:
    opt = conf._opts[name]["opt"]
    try:
        conf.set_override(name, opt.type(text))
    except ValueError as error:
        raise ConfigError(f"{name}={text}: {error}") from error
