"""The AWS command line of today, as a person types it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.clients.conftest import Account


def aws(who: Account, folder: Path, *words: str, secret: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run ``aws ec2 …`` with the environment that the server's greeting suggests."""
    program = Path(sys.executable).parent / "aws"
    return subprocess.run(
        [sys.executable, str(program), "--endpoint-url", who.url, "--output", "json", "ec2", *words],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "AWS_ACCESS_KEY_ID": who.access,
            "AWS_SECRET_ACCESS_KEY": secret or who.secret,
            "AWS_DEFAULT_REGION": "nova",
            "AWS_MAX_ATTEMPTS": "1",
            "AWS_EC2_METADATA_DISABLED": "true",
        },
        capture_output=True,
        text=True,
        timeout=120,
    )


def ok(who: Account, folder: Path, *words: str) -> Any:
    done = aws(who, folder, *words)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout.strip() else None


def test_a_morning(perf: Account, workdir: Path) -> None:
    images = ok(perf, workdir, "describe-images", "--filters", "Name=name,Values=oracle-ami")["Images"]
    image = images[0]["ImageId"]
    key = workdir / "key.pem"
    key.write_text(ok(perf, workdir, "create-key-pair", "--key-name", "cli")["KeyMaterial"])
    assert "RSA PRIVATE KEY" in key.read_text()
    run = ok(perf, workdir, "run-instances", "--image-id", image, "--instance-type", "m1.tiny", "--key-name", "cli")
    instance = run["Instances"][0]["InstanceId"]
    ok(perf, workdir, "wait", "instance-running", "--instance-ids", instance)
    output = ok(perf, workdir, "get-console-output", "--instance-id", instance)
    assert output["Output"]
    ended = ok(perf, workdir, "terminate-instances", "--instance-ids", instance)["TerminatingInstances"]
    assert ended[0]["InstanceId"] == instance
    ok(perf, workdir, "delete-key-pair", "--key-name", "cli")


def test_what_a_person_reads_of_an_error(alice: Account, workdir: Path) -> None:
    done = aws(alice, workdir, "describe-instances", "--instance-ids", "i-0fffffff")
    assert done.returncode != 0
    assert "InvalidInstanceID.NotFound" in done.stderr


def test_a_wrong_secret(bob: Account, workdir: Path) -> None:
    done = aws(bob, workdir, "describe-regions", secret="wrong")
    assert done.returncode != 0
    assert "AuthFailure" in done.stderr
