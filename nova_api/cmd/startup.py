"""What the console scripts have in common: options of the command line, configuration, log."""

import argparse
import dataclasses
import logging
import sys
from pathlib import Path
from typing import Any

from nova_api import config as configuration
from nova_api.config import Config
from nova_api.errors import ConfigError

FORMAT = "%(asctime)s %(levelname)s %(name)s %(message)s"


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
            handler = logging.FileHandler(Path(place), encoding="utf-8", errors="backslashreplace")
        except OSError as error:
            raise ConfigError(f"log file {place} cannot be written: {error.strerror}") from error
    handler.setFormatter(logging.Formatter(FORMAT))
    root.handlers[:] = [handler]
    return place
