"""One run: load, torment, audit."""

import random
from collections.abc import Sequence
from pathlib import Path

from tests.services.chaos import audit
from tests.services.chaos.clients import Ledger, Worker
from tests.services.chaos.members import Cloud, Tormentor, running

#: Who works where; two in one project compete for its quotas.
CLIENTS = (("alice", "acme"), ("alice", "acme"), ("bob", "globex"), ("perf", "perf"))


def run(folder: Path, kind: str, seed: int, steps: int, pause: tuple[float, float]) -> tuple[Cloud, Ledger, list[str]]:
    """Load, torment, audit.

    :param kind: ``postgresql`` or ``mysql``
    :param steps: things that each client does
    :param pause: seconds between two blows
    :returns: what was done, what was promised, what is wrong
    """
    with running(folder, kind) as cloud:
        ledger = Ledger()
        workers = [Worker(cloud, ledger, n, *who, steps, seed) for n, who in enumerate(CLIENTS)]
        tormentor = Tormentor(cloud, random.Random(seed), pause)
        for thread in (*workers, tormentor):
            thread.start()
        for worker in workers:
            worker.join()
        tormentor.end()
        return cloud, ledger, audit.differences(cloud, ledger)


def report(cloud: Cloud, ledger: Ledger, wrong: Sequence[str]) -> str:
    """What happened, for a person."""
    lines = [f"blows: {len(cloud.log)}", *(f"  {one}" for one in cloud.log)]
    lines += [f"{what:28} {count}" for what, count in sorted(ledger.counts.items())]
    return "\n".join([*lines, f"wrong: {len(wrong)}", *(f"  {one}" for one in wrong)])
