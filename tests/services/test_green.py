"""A request that waits for a database server lets the others of its process go on."""

import subprocess
import sys

import pytest

from tests.servers import ROOT, service

PROGRAM = """
import sys
from nova_api import server
server.patch()
import eventlet
import sqlalchemy as sa
from nova_api.db.engine import Database
url, sleep = sys.argv[1:]
db = Database(url)
order = []
def ask(seconds):
    with db.read() as conn:
        conn.execute(sa.text(sleep.format(seconds)))
    order.append(seconds)
threads = [eventlet.spawn(ask, seconds) for seconds in (2, 1, 0)]
eventlet.spawn(lambda: order.append("other"))
for thread in threads:
    thread.wait()
print(order)
"""


@pytest.mark.parametrize(("kind", "sleep"), [("postgresql", "SELECT pg_sleep({})"), ("mysql", "SELECT SLEEP({})")])
def test_waiting_is_green(kind: str, sleep: str) -> None:
    """Who asks for longest, and first, is answered last."""
    command = [sys.executable, "-c", PROGRAM, service(kind), sleep]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "['other', 0, 1, 2]"
