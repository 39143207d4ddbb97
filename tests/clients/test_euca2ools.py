"""euca2ools where a Debian package or another install provides it: its signing and its commands."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import Account

PROGRAM = shutil.which("euca-describe-images")
needed = pytest.mark.skipif(
    PROGRAM is None, reason="euca2ools 3 is for Python 2 and no longer packaged; boto 2.49 signs as it does"
)


@needed
def test_describe_images(alice: Account, workdir: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(workdir),
        "EC2_URL": alice.url,
        "EC2_ACCESS_KEY": alice.access,
        "EC2_SECRET_KEY": alice.secret,
    }
    done = subprocess.run([str(PROGRAM)], env=environment, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "oracle-ami" in done.stdout or "ami-00000003" in done.stdout
