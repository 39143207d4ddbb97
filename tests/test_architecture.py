"""Imports point down: doors and nodes -> cloud -> {auth, db, rpc} -> {errors, context, config, limits}."""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent / "nova_api"

#: Layer of each part of the tree; a module may import from lower layers and from its own part.
FLOOR, STORE, CLOUD, DOOR, TOP = range(5)
LAYERS = {
    "errors": FLOOR,
    "context": FLOOR,
    "config": FLOOR,
    "limits": FLOOR,
    "redact": FLOOR,
    "logs": FLOOR,
    "tally": FLOOR,
    "signals": FLOOR,
    "auth": STORE,
    "db": STORE,
    "rpc": STORE,
    "cloud": CLOUD,
    "readiness": CLOUD,
    "metrics": CLOUD,
    "ec2": DOOR,
    "openstack": DOOR,
    "metadata": DOOR,
    "nodes": DOOR,
    "wsgi": DOOR,
    "runtime": DOOR,
    "health": DOOR,
    "recorder": DOOR,
    "server": TOP,
    "cmd": TOP,
    "testing": TOP,
    "wsgi_app": TOP,
}
#: Parts of the same layer that may know each other: doors and nodes get their services from the runtime, identity and
#: the outbox keep rows.
NEIGHBOURS = {
    ("ec2", "wsgi"),
    ("ec2", "runtime"),
    ("openstack", "wsgi"),
    ("openstack", "runtime"),
    ("metadata", "wsgi"),
    ("metadata", "runtime"),
    ("wsgi", "runtime"),
    ("nodes", "runtime"),
    ("health", "wsgi"),
    ("health", "runtime"),
    ("recorder", "wsgi"),
    ("recorder", "runtime"),
    ("metrics", "readiness"),
    ("auth", "db"),
    ("rpc", "db"),
    ("cmd", "server"),
    ("testing", "server"),
    ("testing", "cmd"),
    ("wsgi_app", "cmd"),
}
FLOOR_ORDER = ("errors", "limits", "redact", "tally", "signals", "context", "config", "logs")


def modules() -> list[Path]:
    return sorted(p for p in ROOT.rglob("*.py") if p.name != "__init__.py" or p.parent != ROOT)


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[tuple[str, int]]:
    """Parts of nova_api that a module imports, with the line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names = [node.module or ""]
            if node.module == "nova_api":
                names = [f"nova_api.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            if name.startswith("nova_api."):
                yield name.split(".")[1], node.lineno


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_point_down(path: Path) -> None:
    part = part_of(path)
    for other, line in imported(path):
        if other == part or other == "__version__":
            continue
        mine, theirs = LAYERS[part], LAYERS[other]
        allowed = theirs < mine or (part, other) in NEIGHBOURS
        if mine == theirs == FLOOR:
            allowed = FLOOR_ORDER.index(other) < FLOOR_ORDER.index(part)
        assert allowed, f"{path.relative_to(ROOT)}:{line} ({part}) must not import {other}"


def test_only_the_server_knows_eventlet() -> None:
    for path in modules():
        tree = ast.parse(path.read_text(encoding="utf-8"))
        names = {
            alias.name.split(".")[0]
            for node in ast.walk(tree)
            if isinstance(node, (ast.Import, ast.ImportFrom))
            for alias in ([ast.alias(node.module or "")] if isinstance(node, ast.ImportFrom) else node.names)
        }
        assert "eventlet" not in names or path.name == "green.py", path


def test_no_test_loads_the_server_into_its_own_process() -> None:
    """It would load eventlet there: other tests then wait for a hub that nobody runs."""
    for path in (ROOT.parent / "tests").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            else:
                continue
            for name in names:
                assert not f"{name}.".startswith(("nova_api.server.", "nova_api.cmd.api.", "eventlet.")), path
    assert "eventlet" not in sys.modules  # nor by way of another module


def test_no_door_holds_sql() -> None:
    for path in modules():
        if part_of(path) in ("openstack", "metadata"):
            assert not any(
                isinstance(node, (ast.Import, ast.ImportFrom)) and "sqlalchemy" in ast.dump(node)
                for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            ), path
