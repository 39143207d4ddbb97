"""``python -m tests.services.chaos``: torment a cloud, and say whether it has kept its promises."""

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from tests.services.chaos.run import report, run


def main() -> int:
    """:returns: 0 when every promise was kept"""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--database", choices=("postgresql", "mysql"), default="postgresql")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000))
    parser.add_argument("--steps", type=int, default=200, help="things that each of four clients does")
    parser.add_argument("--pause", type=float, nargs=2, default=(1.0, 3.0), help="seconds between two blows")
    parser.add_argument("--folder", type=Path, help="where logs stay (default: a temporary one)")
    args = parser.parse_args()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"seed {args.seed}, {args.database}, logs in {folder}", flush=True)
    began = time.monotonic()
    cloud, ledger, wrong = run(folder, args.database, args.seed, args.steps, tuple(args.pause))
    print(report(cloud, ledger, wrong))
    print(f"{time.monotonic() - began:.0f} s")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
