"""``python -m tests.conformance.twice [ROUNDS]``: every scenario, two times in a row on the same state.

Between the rounds the server is started again, which also empties what it remembers of request rates. It takes a few
minutes longer than the tests: ``tools/test nightly``.
"""

import sys
import tempfile
from pathlib import Path

from tests.conformance.test_recorded import COMMON, FEATURES, SCENARIOS, feature_of, replayed
from tests.servers import running_cloud


def main(rounds: int = 2) -> int:
    """Replay everything.

    :param rounds: how often
    :returns: 0 when every scenario passed every time
    """
    failed = 0
    for feature in (None, *FEATURES):
        names = [name for name in SCENARIOS if feature_of(name) == feature]
        with tempfile.TemporaryDirectory() as folder:
            for number in range(1, rounds + 1):
                with running_cloud(Path(folder), *COMMON, *FEATURES.get(feature or "", ())) as cloud:
                    replay = replayed(cloud, *names, seconds=1800)
                    lines = replay.stdout.splitlines()
                    print(f"{feature or 'plain'}, round {number}: {lines[-1] if lines else replay.stderr}", flush=True)
                    print(*(line for line in lines[:-1] if not line.startswith("PASS")), sep="\n", end="")
                    failed += replay.returncode != 0
    return min(failed, 1)


if __name__ == "__main__":
    sys.exit(main(*(int(text) for text in sys.argv[1:2])))
