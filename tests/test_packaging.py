"""What pyproject.toml, constraints.txt and the commands in tools/ promise."""

import os
import shutil
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.servers import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PINS = {
    canonicalize_name(pin.name): pin
    for line in (ROOT / "constraints.txt").read_text().splitlines()
    if not line.startswith("#")
    for pin in [Requirement(line)]
}
# In a process of its own: nova_api.cmd.api makes sockets cooperative for the whole process.
LOAD = """
import sys
from importlib.metadata import EntryPoint
for target in sys.argv[1:]:
    EntryPoint("x", target, "x").load()
"""


def _declared() -> list[Requirement]:
    """Every dependency of the project and of its extras."""
    project = PROJECT["project"]
    texts = sum(project["optional-dependencies"].values(), project["dependencies"])
    return [need for text in texts for need in [Requirement(text)] if need.name != project["name"]]


def _pulled_in(need: Requirement) -> list[Requirement]:
    """What an installed dependency needs in turn, here."""
    try:
        texts = metadata.requires(need.name) or []
    except metadata.PackageNotFoundError:
        return []
    extras = need.extras | {""}
    children = [Requirement(text) for text in texts]
    return [c for c in children if not c.marker or any(c.marker.evaluate({"extra": e}) for e in extras)]


def test_every_dependency_is_pinned_to_one_version_within_its_bounds() -> None:
    for need in _declared():
        pin = PINS[canonicalize_name(need.name)]
        (exactly,) = pin.specifier
        assert exactly.operator == "=="
        assert need.specifier.contains(exactly.version), f"{pin} is outside of {need}"


def test_what_the_dependencies_pull_in_is_pinned_too() -> None:
    todo, seen = _declared(), set[str]()
    while todo:
        need = todo.pop()
        if str(need) not in seen:
            seen.add(str(need))
            todo += _pulled_in(need)
    assert {canonicalize_name(Requirement(text).name) for text in seen} - set(PINS) == set()


def test_every_dependency_has_bounds_on_both_sides() -> None:
    for need in _declared():
        operators = {part.operator for part in need.specifier}
        assert operators in ({">=", "<"}, {"=="}) or need.name == "legacy-cgi", str(need)


def test_every_entry_point_loads() -> None:
    groups = [PROJECT["project"]["scripts"], *PROJECT["project"]["entry-points"].values()]
    targets = sorted({target for group in groups for target in group.values()})
    command = [sys.executable, "-W", "ignore", "-c", LOAD, *targets]
    loaded = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert loaded.returncode == 0, loaded.stderr


def test_a_wheel_carries_the_files_of_etc() -> None:
    (patterns,) = PROJECT["tool"]["setuptools"]["data-files"].values()
    carried = {path.name for pattern in patterns for path in ROOT.glob(pattern)}
    assert carried == {path.name for path in (ROOT / "etc").iterdir()}
    assert {"api-paste.ini", "nova-api.conf", "policy.json"} <= carried


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A source tree, as far as tools/ needs one, in a folder with a blank in its name."""
    root = tmp_path / "source tree"
    shutil.copytree(ROOT / "tools", root / "tools")
    for name in ("pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, root / name)
    return root


def _run(tree: Path, tool: str, **variables: str) -> subprocess.CompletedProcess[str]:
    link = tree.parent / "link to the tool"
    link.symlink_to(tree / "tools" / tool)
    return subprocess.run([link], cwd="/", env={**os.environ, **variables}, capture_output=True, text=True, timeout=60)


def _write_script(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)


@pytest.mark.parametrize("tool", ["run", "test"])
def test_an_old_python_is_refused_in_one_line(tree: Path, tool: str) -> None:
    refused = _run(tree, tool, PYTHON="/bin/false")
    assert refused.returncode == 2
    assert refused.stderr == ("nova_api needs Python 3.11 or newer, and /bin/false is not: apt-get install python3\n")


def test_a_missing_venv_module_is_named(tree: Path, tmp_path: Path) -> None:
    # Debian's python3 without python3-venv, for a user who may not install packages.
    python = tmp_path / "bin" / "python3"
    _write_script(python, f'case "$*" in *ensurepip*) exit 1 ;; *) exec "{sys.executable}" "$@" ;; esac\n')
    _write_script(tmp_path / "bin" / "id", "echo 1000\n")
    refused = _run(tree, "run", PATH=f"{python.parent}:{os.environ['PATH']}", PYTHON="")
    assert refused.returncode == 2
    assert refused.stderr == "Python's venv module is missing: apt-get install python3-venv\n"
    assert not (tree / ".venv").exists()
