"""``nova-node``: nodes without the API, as many processes on as many hosts as wanted."""

import argparse
import dataclasses
import logging
import os
import signal
import sys
from collections.abc import Sequence

from nova_api import runtime as runtimes
from nova_api import signals
from nova_api.cmd import startup
from nova_api.config import Config
from nova_api.errors import ApiError, ConfigError
from nova_api.nodes import service

log = logging.getLogger(__name__)

_ENDING = (signal.SIGTERM, signal.SIGINT)


def main(argv: Sequence[str] | None = None) -> int:
    """Run until SIGTERM or SIGINT; a second one ends it at once.

    :returns: 0 after a clean stop, 1 when something in hand was not finished in time (it is delivered
        again), 2 when the configuration, the datastore or a driver cannot be used
    """
    args = _parser().parse_args(argv)
    try:
        config = startup.load_config(args, host=args.host)
        return _run(config, [topic.strip() for topic in args.topics.split(",") if topic.strip()])
    except (ConfigError, ApiError) as error:
        print(f"nova-node: {error}", file=sys.stderr)
        return 2


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="nova-node", description="Scheduler, compute, network, volume, cert.")
    startup.add_options(parser)
    parser.add_argument(
        "--topics",
        metavar="LIST",
        default=",".join(service.MANAGERS),
        help="what this process is, separated by commas (default: %(default)s)",
    )
    parser.add_argument("--host", metavar="NAME", help="name of this node (default: option host)")
    return parser


def _run(config: Config, topics: list[str]) -> int:
    if config.rpc_transport.startswith("memory:"):
        raise ConfigError(
            "rpc_transport=memory:// ends at the process: a node of its own needs amqp://"
            " (nova-api runs nodes by itself)"
        )
    if not topics or not config.host:
        raise ConfigError("a node needs a name, and something to be (--host, --topics)")
    config.prepare_state()
    place = startup.start_log(config, f"nova-node-{config.host}.log")
    told = signals.listen(*_ENDING)
    runtime = runtimes.build(dataclasses.replace(config, embedded_nodes=False))
    startup.start_metrics(runtime)
    running = service.start_all(runtime, topics)
    runtime.outbox.start()
    print(f"nova-node: {config.host} is up as {', '.join(topics)}; log: {place}", flush=True)
    while not set(_ENDING).intersection(os.read(told, 64)):
        pass
    log.info("stopping")
    for number in _ENDING:  # a second one ends the process: what it holds is delivered again
        signal.signal(number, signal.SIG_DFL)
    finished = service.stop_all(running, config.graceful_shutdown_timeout)
    runtime.close()
    print("nova-node: stopped", flush=True)
    return 0 if finished else 1


if __name__ == "__main__":
    sys.exit(main())
