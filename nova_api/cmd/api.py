"""``nova-api``: every door and, unless told otherwise, every node in one process."""

from nova_api import server  # first: it makes sockets and threads cooperative before others make any

server.patch()

import argparse  # noqa: E402
import dataclasses  # noqa: E402
import ipaddress  # noqa: E402
import json  # noqa: E402
import logging  # noqa: E402
import os  # noqa: E402
import signal  # noqa: E402
import sys  # noqa: E402
import threading  # noqa: E402
from collections.abc import Sequence  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from paste.deploy import loadapp  # noqa: E402

from nova_api import runtime as runtimes  # noqa: E402
from nova_api.cloud import bootstrap  # noqa: E402
from nova_api.cmd import startup  # noqa: E402
from nova_api.config import Config  # noqa: E402
from nova_api.errors import ApiError, ConfigError  # noqa: E402
from nova_api.nodes import service as nodes  # noqa: E402
from nova_api.runtime import Runtime  # noqa: E402

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class DoorPlan:
    """A door that this release has.

    :ivar host_option: option of the address, port_option of the port
    :ivar paste_name: the application's name in the Paste file
    """

    name: str
    paste_name: str
    host_option: str
    port_option: str


DOORS = {
    "ec2": DoorPlan("ec2", "ec2", "ec2_listen", "ec2_listen_port"),
    "osapi_compute": DoorPlan("osapi_compute", "osapi_compute", "osapi_compute_listen", "osapi_compute_listen_port"),
    "metadata": DoorPlan("metadata", "metadata", "metadata_listen", "metadata_listen_port"),
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT.

    :returns: 0 after a clean stop, 2 when the configuration, the state folder or a port cannot be used
    """
    args = _parser().parse_args(argv)
    try:
        config = _config(args)
        return _run(config, args.bootstrap)
    except (ConfigError, ApiError) as error:
        print(f"nova-api: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nova-api", description="A cloud that speaks EC2 and OpenStack.")
    startup.add_options(parser)
    parser.add_argument("--bootstrap", metavar="FILE", help="users, projects, images, ... to load (JSON)")
    parser.add_argument("--host", metavar="ADDRESS", help="address that every door listens on (default 127.0.0.1)")
    for switch in ("ec2", "openstack", "metadata", "volume"):
        parser.add_argument(f"--{switch}-port", metavar="PORT", type=_port, help="0 takes a free one")
    return parser


def _port(text: str) -> int:
    number = int(text)
    if not 0 <= number <= 65535:
        raise argparse.ArgumentTypeError("a port is a number up to 65535")
    return number


def _config(args: argparse.Namespace) -> Config:
    host = args.host
    listen = dict.fromkeys(("ec2_listen", "osapi_compute_listen", "metadata_listen", "osapi_volume_listen"), host)
    advertised = host if host and not _is_wildcard(host) else None
    config = startup.load_config(
        args,
        **listen,
        my_ip=advertised,
        ec2_listen_port=args.ec2_port,
        osapi_compute_listen_port=args.openstack_port,
        metadata_listen_port=args.metadata_port,
        osapi_volume_listen_port=args.volume_port,
    )
    _check_doors(config)
    return config


def _is_wildcard(host: str) -> bool:
    return host in ("0.0.0.0", "::")  # noqa: S104 -- recognised, not bound


def _check_doors(config: Config) -> None:
    unknown = [name for name in config.enabled_apis if name not in DOORS]
    if unknown:
        raise ConfigError(f"enabled_apis: no door is called {unknown[0]!r} (there are: {', '.join(DOORS)})")
    if config.auth_strategy == "noauth" and not config.allow_insecure_noauth:
        for name in config.enabled_apis:
            host = getattr(config, DOORS[name].host_option)
            if name != "metadata" and not _is_loopback(host):
                raise ConfigError(
                    f"auth_strategy=noauth makes every caller an administrator: on loopback only, not {host}"
                    " (allow_insecure_noauth=true overrides this)"
                )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _run(config: Config, bootstrap_file: str | None) -> int:
    document = _read_bootstrap(bootstrap_file)
    signals = server.Signals(signal.SIGTERM, signal.SIGINT)
    config.prepare_state()
    place = startup.start_log(config, "nova-api.log")
    listeners = server.Server(config.max_connections)
    for name in config.enabled_apis:
        plan = DOORS[name]
        listeners.bind(name, getattr(config, plan.host_option), getattr(config, plan.port_option))
    endpoints = _endpoints(config, listeners.ports)
    runtime = runtimes.build(_with_ports(config, listeners.ports))
    runtimes.install(runtime)
    if document is None:
        bootstrap.first_start(runtime.db, runtime.config)
    else:
        bootstrap.bootstrap(runtime.db, runtime.config, document)
    for name in config.enabled_apis:
        listeners.serve(name, _load(config, DOORS[name].paste_name))
    running = nodes.start_all(runtime) if config.embedded_nodes else []
    runtime.outbox.start()
    _write_cloud(runtime, endpoints)
    _greet(runtime, endpoints, place)
    threading.Thread(target=runtime.policy.warm, name="warm-up", daemon=True).start()
    number = signals.wait()
    log.info("stopping on %s", signal.Signals(number).name)
    listeners.stop(config.graceful_shutdown_timeout)
    nodes.stop_all(running, config.graceful_shutdown_timeout)
    runtime.close()
    print("nova-api: stopped", flush=True)
    server.exit_now(0)


def _read_bootstrap(path: str | None) -> dict[str, Any] | None:
    if path is None:
        return None
    try:
        document = json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(f"bootstrap file {path}: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"bootstrap file {path}: expected a JSON object")
    return document


def _with_ports(config: Config, ports: dict[str, int]) -> Config:
    """The configuration with the ports that were really taken, where 0 asked for any."""
    taken: dict[str, Any] = {DOORS[name].port_option: port for name, port in ports.items()}
    return dataclasses.replace(config, **taken)


def _load(config: Config, name: str) -> Any:
    try:
        return loadapp(f"config:{Path(config.paste_path).absolute()}", name=name)
    except (LookupError, OSError, ValueError, ImportError) as error:
        raise ConfigError(f"{config.paste_path}: {error}") from error


def _endpoints(config: Config, ports: dict[str, int]) -> dict[str, str]:
    """Addresses as clients use them, by the names of cloud.json."""
    host = f"[{config.my_ip}]" if ":" in config.my_ip else config.my_ip
    paths = {
        "ec2": {"ec2": config.ec2_path},
        "osapi_compute": {"compute_v1.1": "/v1.1", "compute_v2": "/v2"},
        "metadata": {"metadata": ""},
    }
    made = {name: f"http://{host}:{port}{path}" for door, port in ports.items() for name, path in paths[door].items()}
    # Images carry an 'alternate' link to the image service of 2012.1; nothing listens there.
    made["glance"] = f"http://{host}:9292"
    return made


def _write_cloud(runtime: Runtime, endpoints: dict[str, str]) -> None:
    """Write ``cloud.json``; it holds secrets, so nobody else may read it."""
    target = Path(runtime.config.in_state("cloud.json"))
    draft = target.with_suffix(".tmp")
    text = json.dumps(bootstrap.describe(runtime.db, runtime.config, endpoints), indent=1, sort_keys=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
        os.fchmod(stream.fileno(), 0o600)
        stream.write(text + "\n")
    os.replace(draft, target)


def _greet(runtime: Runtime, endpoints: dict[str, str], log_place: str) -> None:
    lines = ["nova-api is up.", ""]
    lines += [f"  {name:<10} {url}" for name, url in sorted(endpoints.items()) if name != "glance"]
    user = bootstrap.default_user(runtime.db, runtime.config)
    if user is not None:
        access, url = f"{user.access}:{user.project}", endpoints.get("ec2", "")
        lines += ["", f"  user {user.name}, project {user.project}", f"  access key  {access}"]
        lines += [f"  secret key  {user.secret}", ""]
        lines += _examples(url, access, user.secret, runtime.config.region_name)
        if "compute_v1.1" in endpoints:
            lines += _openstack_examples(endpoints["compute_v1.1"], user.name, user.access, user.project)
    lines += ["", f"  state  {Path(runtime.config.state_path).absolute()}", f"  log    {log_place}"]
    lines += ["", "Ctrl-C stops it; started again on the same state it goes on where it was."]
    print("\n".join(lines), flush=True)


def _examples(url: str, access: str, secret: str, region: str) -> list[str]:
    return [
        "  aws-cli:",
        f"    AWS_ACCESS_KEY_ID='{access}' AWS_SECRET_ACCESS_KEY='{secret}' AWS_DEFAULT_REGION={region} \\",
        f"      aws --endpoint-url {url} ec2 describe-images",
        "  boto3:",
        "    python3 -c \"import boto3; ec2 = boto3.client('ec2', endpoint_url='" + url + "', "
        f"region_name='{region}', aws_access_key_id='{access}', aws_secret_access_key='{secret}'); "
        "print([i['ImageId'] for i in ec2.describe_images()['Images']])\"",
        "  euca2ools:",
        f"    EC2_URL={url} EC2_ACCESS_KEY='{access}' EC2_SECRET_KEY='{secret}' euca-describe-images",
    ]


def _openstack_examples(url: str, user: str, key: str, project: str) -> list[str]:
    """The OpenStack door: the key of a user is the user's access key, without a project."""
    return [
        "  OpenStack, with curl:",
        f"    TOKEN=$(curl -si -H 'X-Auth-User: {user}' -H 'X-Auth-Key: {key}' {url}/ | tr -d '\\r' "
        "| sed -n 's/^X-Auth-Token: //p')",
        f'    curl -s -H "X-Auth-Token: $TOKEN" {url}/{project}/servers/detail',
    ]


if __name__ == "__main__":
    sys.exit(main())
