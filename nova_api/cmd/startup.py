"""What the console scripts have in common: options of the command line, configuration, log."""

import argparse
import dataclasses
import fcntl
import logging
import logging.handlers
import sys
from pathlib import Path
from typing import Any, BinaryIO

from nova_api import config as configuration
from nova_api import logs
from nova_api.config import Config
from nova_api.errors import ConfigError
from nova_api.runtime import Runtime


def add_options(parser: argparse.ArgumentParser) -> None:
    """The options that every script takes."""
    parser.add_argument("--config", metavar="FILE", help="configuration file")
    parser.add_argument("--state", metavar="DIR", help="state folder (default ./state)")
    parser.add_argument(
        "--set",
        metavar="NAME=VALUE",
        action="append",
        default=[],
        dest="settings",
        help="any option of nova-api.conf; may be repeated",
    )


def load_config(args: argparse.Namespace, **overrides: object) -> Config:
    """The configuration that file and command line make together.

    :param overrides: typed values of options given by their own switches; None means "not given"
    :raises ConfigError: it does not hold
    """
    settings: dict[str, str] = {}
    for text in args.settings:
        name, equals, value = text.partition("=")
        if not equals:
            raise ConfigError(f"--set {text}: expected NAME=VALUE")
        settings[name.strip()] = value.strip()
    config = configuration.load(args.config, settings)
    given: dict[str, Any] = {
        name: value for name, value in {"state_path": args.state, **overrides}.items() if value is not None
    }
    return dataclasses.replace(config, **given)


def start_log(config: Config, name: str) -> str:
    """Send the log where the configuration says.

    :param name: file name used when no log file is configured
    :returns: where that is, for a person
    :raises ConfigError: the file cannot be written
    """
    root = logging.getLogger()
    root.setLevel(config.log_level)
    if config.log_file == "-":
        handler: logging.Handler = logging.StreamHandler(sys.stderr)
        place = "standard error"
    else:
        place = config.log_file or config.in_state(name)
        try:
            # Opened anew when it was moved away, so that logs can be rotated without a signal.
            handler = logging.handlers.WatchedFileHandler(Path(place), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise ConfigError(f"log file {place} cannot be written: {error.strerror}") from error
    handler.setFormatter(logs.formatter(config.log_format))
    logs.hush()
    root.handlers[:] = [handler]
    return place


def hold_state(config: Config) -> BinaryIO:
    """Be the only process that works on the state folder, until this one ends, however it ends.

    Messages that stay in their process leave no room for another: each would take the other's for those of a dead one.

    :returns: the file that is locked; keep it
    :raises ConfigError: another process has it
    """
    place = Path(config.in_state("nova-api.lock"))
    try:
        file = place.open("ab")
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ConfigError(
            f"another nova-api works on the state folder {config.state_path}: end it, or name another folder"
            " (several share one with rpc_transport=amqp://)"
        ) from None
    except OSError as error:
        raise ConfigError(f"{place} cannot be locked: {error.strerror}") from error
    return file


def start_metrics(runtime: Runtime) -> int | None:
    """Open the port of the metrics if the configuration asks for it; see :func:`nova_api.cmd.metrics_port.start`."""
    if runtime.metrics is None:
        return None
    from nova_api.cmd import metrics_port  # a server that most processes do without

    return metrics_port.start(runtime, runtime.metrics)
