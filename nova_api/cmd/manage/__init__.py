"""``nova-manage``: the administrator's commands, on the datastore of a cloud that runs or does not."""

import argparse
import json
import logging
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nova_api.auth.identity import Identity
from nova_api.cloud.quota import Quotas
from nova_api.cmd import startup
from nova_api.config import Config
from nova_api.db import schema
from nova_api.db.engine import Database
from nova_api.errors import ApiError, ConfigError

#: What a command prints: rows for a table, or a text.
Output = Sequence[Mapping[str, Any]] | str | None


@dataclass(slots=True)
class Tools:
    """What commands work with."""

    config: Config
    db: Database
    identity: Identity
    quotas: Quotas


Command = Callable[[Tools, argparse.Namespace], Output]


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command.

    :returns: 0 when it worked, 1 when it was refused, 2 when it was called wrongly or the configuration does not hold
    """
    from nova_api.cmd.manage import cloud, doctor, people

    parser = argparse.ArgumentParser(prog="nova-manage", description="Administer a cloud.")
    startup.add_options(parser)
    parser.add_argument("--json", action="store_true", help="print JSON rather than a table")
    groups = parser.add_subparsers(dest="group", required=True, metavar="GROUP")
    people.add_commands(groups)
    cloud.add_commands(groups)
    doctor.add_command(groups)
    try:
        args = parser.parse_args(argv)
    except SystemExit as error:  # argparse has printed why
        return int(error.code or 0)
    if args.group == "doctor":  # which makes nothing, and for which a bad configuration is a finding
        return doctor.run(args)
    try:
        config = startup.load_config(args)
        return _run(config, args)
    except ConfigError as error:
        print(f"nova-manage: {error}", file=sys.stderr)
        return 2
    except ApiError as error:
        print(f"nova-manage: {error.message}", file=sys.stderr)
        return 1


def command(group: Any, name: str, run: Command, help: str, *, datastore: bool = True) -> argparse.ArgumentParser:
    """Add a command to a group.

    :param datastore: whether it needs an up-to-date datastore
    """
    parser: argparse.ArgumentParser = group.add_parser(name, help=help, description=help)
    parser.set_defaults(run=run, datastore=datastore)
    return parser


def group(groups: Any, name: str, help: str) -> Any:
    """Add a group of commands."""
    return groups.add_parser(name, help=help).add_subparsers(dest="command", required=True, metavar="COMMAND")


def _run(config: Config, args: argparse.Namespace) -> int:
    logging.getLogger().setLevel(logging.WARNING)
    config.prepare_state()
    db = Database(config.database_url, pool_size=1, sqlite_synchronous=config.sqlite_synchronous)
    try:
        if args.datastore:
            schema.ensure(db)
        output = args.run(Tools(config, db, Identity(db, config), Quotas(config, db)), args)
    finally:
        db.close()
    if output is not None:
        sys.stdout.write(_as_json(output) if args.json else _as_text(output))
    return 0


def _as_json(output: Sequence[Mapping[str, Any]] | str) -> str:
    return json.dumps(output if isinstance(output, str) else list(output), indent=1, default=str) + "\n"


def _as_text(output: Sequence[Mapping[str, Any]] | str) -> str:
    """Columns as wide as their widest cell."""
    if isinstance(output, str):
        return output if output.endswith("\n") else output + "\n"
    if not output:
        return ""
    names = list(output[0])
    cells = [names, *([_cell(row[name]) for name in names] for row in output)]
    widths = [max(len(line[at]) for line in cells) for at in range(len(names))]
    return "".join("  ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)).rstrip() + "\n" for line in cells)


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, (list, tuple)):
        return ",".join(str(item) for item in value)
    return str(value)
