"""``nova-manage doctor``: looks at everything that a cloud stands on, and says what to do about what is not well.

Nothing is changed: no table is made, no folder, no key. Each check has a bounded time, so a database that does not
answer costs seconds and not the report.
"""

import argparse
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from nova_api.cmd import startup
from nova_api.config import Config
from nova_api.errors import ConfigError

OK, WARN, FAIL = "ok", "warn", "fail"
#: How long one check may take, seconds.
CHECK_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    :ivar check: its name
    :ivar status: ``ok``, ``warn`` (works, look at it) or ``fail`` (something does not work)
    :ivar says: the fact
    :ivar do: what to do about it
    """

    check: str
    status: str
    says: str
    do: str = ""


#: A check gets the configuration and tells what it found.
Check = Callable[[Config], Iterable[Finding]]


def add_command(groups: Any) -> None:
    """Add the command."""
    about = "check configuration, datastore, broker, memcached, Keystone, nodes, clock, disk, keys, messages"
    parser = groups.add_parser("doctor", help=about, description=f"{about}; exit status 1 when something fails")
    parser.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON")


def run(args: argparse.Namespace) -> int:
    """Run every check and print what they found.

    :returns: 0 without a ``fail``, else 1
    """
    logging.getLogger("nova_api").addHandler(logging.NullHandler())  # what is wrong is in the report
    findings = examine(args)
    if args.json:
        sys.stdout.write(json.dumps([asdict(found) for found in findings], indent=1) + "\n")
    else:
        sys.stdout.write(as_text(findings))
    return 1 if any(found.status == FAIL for found in findings) else 0


def examine(args: argparse.Namespace) -> list[Finding]:
    """What every check found, in the order of their dependence."""
    from nova_api.cmd.manage import checks

    try:
        config = startup.load_config(args)
    except ConfigError as error:
        return [Finding("configuration", FAIL, str(error), "correct the file or the command line")]
    return list(_run_all(checks.CHECKS, config)) + list(checks.with_datastore(config, _bounded))


def _run_all(checks: Sequence[tuple[str, Check]], config: Config) -> Iterable[Finding]:
    for name, check in checks:
        yield from _bounded(name, lambda check=check: check(config))  # type: ignore[misc]


def _bounded(name: str, work: Callable[[], Iterable[Finding]]) -> list[Finding]:
    """What a check found; that it hangs or broke is a finding too."""
    found: list[Finding] = []
    problem: list[str] = []

    def target() -> None:
        try:
            found.extend(work())
        except Exception as error:
            problem.append(f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}")

    thread = threading.Thread(target=target, name=f"doctor-{name}", daemon=True)
    thread.start()
    thread.join(CHECK_SECONDS)
    if thread.is_alive():
        return [Finding(name, FAIL, f"no answer within {CHECK_SECONDS:.0f} s", "see whether it hangs, and on what")]
    if problem:
        return [*found, Finding(name, FAIL, f"the check itself broke: {problem[0]}", "see the log of nova-api")]
    return found


def as_text(findings: Iterable[Finding]) -> str:
    """A line for each finding, and one below it that says what to do."""
    lines = []
    for found in findings:
        lines.append(f"{found.status:<4}  {found.check:<13}  {found.says}")
        if found.do:
            lines.append(f"{'':21}-> {found.do}")
    return "\n".join(lines) + "\n"
