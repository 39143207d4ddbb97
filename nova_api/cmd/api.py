"""``nova-api``: every door and, unless told otherwise, every node, in one process or several.

With one worker everything is in this process. With more, this process binds the sockets and forks: workers share the
sockets, and one more child has the nodes. SIGHUP reads configuration, Paste file and policy anew: several workers are
exchanged one for one, a single process finishes what it has and starts anew in its place, with its sockets open.
"""

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
from functools import partial  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

from nova_api.cmd import serving, startup  # noqa: E402
from nova_api.cmd.prefork import Role, Supervisor  # noqa: E402
from nova_api.cmd.serving import DOORS  # noqa: E402
from nova_api.config import Config  # noqa: E402
from nova_api.errors import ApiError, ConfigError  # noqa: E402
from nova_api.nodes import service as nodes  # noqa: E402

log = logging.getLogger(__name__)

#: Environment variable that hands the listening sockets on when nova-api starts anew in its own process.
_SOCKETS = "NOVA_API_SOCKETS"


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; a second one ends everything at once.

    :returns: 0 after a clean stop, 2 when the configuration, the state folder or a port cannot be used
    """
    args = _parser().parse_args(argv)
    try:
        config = _config(args)
        return _run(args, config)
    except (ConfigError, ApiError) as error:
        print(f"nova-api: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nova-api", description="A cloud that speaks EC2 and OpenStack.")
    startup.add_options(parser)
    parser.add_argument("--bootstrap", metavar="FILE", help="users, projects, images, ... to load (JSON)")
    parser.add_argument("--workers", metavar="N", type=_count, help="processes that answer requests (default 1)")
    parser.add_argument("--host", metavar="ADDRESS", help="address that every door listens on (default 127.0.0.1)")
    for switch in ("ec2", "openstack", "metadata", "volume"):
        parser.add_argument(f"--{switch}-port", metavar="PORT", type=_port, help="0 takes a free one")
    return parser


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise argparse.ArgumentTypeError(f"a port is a number up to 65535, not {text!r}")
    return int(text)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"a number from 1 on, not {text!r}")
    return int(text)


def _config(args: argparse.Namespace) -> Config:
    host = args.host
    listen = dict.fromkeys(("ec2_listen", "osapi_compute_listen", "metadata_listen", "osapi_volume_listen"), host)
    advertised = host if host and not _is_wildcard(host) else None
    config = startup.load_config(
        args,
        **listen,
        workers=args.workers,
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
    if not config.enabled_apis:
        raise ConfigError(f"enabled_apis names no door (there are: {', '.join(DOORS)})")
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


def _run(args: argparse.Namespace, config: Config) -> int:
    document = _read_bootstrap(args.bootstrap)
    if config.workers > 1:
        _check_workers(config)
    config.prepare_state()
    place = startup.start_log(config, serving.LOG)
    listeners = server.Server(config.max_connections, _inherited())
    if config.workers == 1:
        return _alone(args, config, listeners, document, place)
    _warn_workers(config)
    config = serving.bind(config, listeners)

    def again() -> tuple[list[Role], float]:
        now = serving.with_doors(_config(args), listeners)
        _check_workers(now)
        _warn_workers(now)
        # New workers show whether they work before the old ones end; the nodes do not. The parent loads no drivers.
        if now.embedded_nodes and parent.once(partial(nodes.check, now)):
            raise ConfigError("the nodes could not be started")
        return _roles(now, listeners), now.graceful_shutdown_timeout

    parent = Supervisor(_roles(config, listeners), config.graceful_shutdown_timeout, again)
    prepare = partial(serving.prepare, document=document)
    status = parent.once(partial(serving.once, config, prepare))
    if status == 0:
        announce = partial(serving.announce, log_place=place)
        status = parent.run(lambda: parent.once(partial(serving.once, config, announce)))
    print("nova-api: stopped", flush=True)
    return status


def _check_workers(config: Config) -> None:
    """Refuse what several processes cannot share.

    :raises ConfigError: messages that stay in their process
    """
    if config.rpc_transport.startswith("memory:"):
        raise ConfigError(
            f"workers={config.workers}: the messages of rpc_transport=memory:// do not leave their process;"
            " several workers need amqp://"
        )


def _warn_workers(config: Config) -> None:
    """Tell what several processes do not share."""
    if config.workers > 1 and not config.lockout_memcached_servers:
        log.warning(
            "each of %d workers counts failed logins for itself: a key has up to %d tries before every worker has"
            " locked it; lockout_memcached_servers makes it one count",
            config.workers,
            config.workers * config.lockout_attempts,
        )
    if config.workers > 1 and config.api_rate_limit:
        log.warning("each of %d workers limits the rate of requests for itself", config.workers)


def _roles(config: Config, listeners: server.Server) -> list[Role]:
    """The workers, and a process for the nodes if they are to be here: there is one of each on a host."""
    worker = dataclasses.replace(config, embedded_nodes=False)
    roles = [Role(f"worker {n}", partial(serving.work, worker, listeners)) for n in range(1, config.workers + 1)]
    if config.embedded_nodes:
        roles.append(Role("nodes", partial(serving.work, config, None), alone=True))
    return roles


def _alone(
    args: argparse.Namespace,
    config: Config,
    listeners: server.Server,
    document: dict[str, Any] | None,
    place: str,
) -> int:
    """Everything in this process."""
    held = startup.hold_state(config) if config.rpc_transport.startswith("memory:") else None
    terminal, signals = server.Terminal(), server.Signals(signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    config = serving.bind(config, listeners)
    process = serving.Process(config)
    serving.prepare(process.runtime, document)
    process.open_doors(listeners)
    if config.embedded_nodes:
        process.start_nodes()
    process.go()
    serving.announce(process.runtime, place)
    number = signals.wait()
    while number == signal.SIGHUP and not terminal.is_gone() and not _may_start_anew(args):
        number = signals.wait()
    anew = number == signal.SIGHUP and not terminal.is_gone()
    log.info("stopping on %s", serving.said(number))
    if anew:
        kept, ending = listeners.descriptors(), _heed(signals)
        process.stop()
        if not ending.is_set() and signals.keep() in (None, signal.SIGHUP):
            _start_anew(kept)
    else:
        signals.release()
        process.stop()
    print("nova-api: stopped", flush=True)
    if held is not None:
        held.close()
    server.exit_now(0)


def _heed(signals: server.Signals) -> threading.Event:
    """Let nothing but a signal to end disturb the stop before a new start: what it stops for is read after it.

    :returns: set once it is to end; the next signal ends it at once
    """
    ending = threading.Event()

    def heed() -> None:
        while signals.wait() == signal.SIGHUP:
            log.info("it starts anew already")
        signals.release()
        ending.set()

    threading.Thread(target=heed, name="signals", daemon=True).start()
    return ending


def _may_start_anew(args: argparse.Namespace) -> bool:
    """Whether the configuration, read anew, holds as far as can be told without starting."""
    try:
        config = _config(args)
        if config.workers > 1:
            _check_workers(config)
        serving.check(config)
    except ConfigError as error:
        log.error("nothing is reloaded: %s", error)
        return False
    return True


def _start_anew(kept: dict[str, int]) -> None:
    """The same program again in this process; connections wait at the sockets meanwhile.

    :param kept: descriptors of the sockets by door
    """
    os.environ[_SOCKETS] = json.dumps(kept)
    logging.shutdown()
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 -- ourselves


def _inherited() -> dict[str, int]:
    return {str(name): int(fd) for name, fd in json.loads(os.environ.pop(_SOCKETS, "{}")).items()}


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


if __name__ == "__main__":
    sys.exit(main())
