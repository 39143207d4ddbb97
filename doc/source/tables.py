"""Tables of the guide that are read off the code, so that they cannot say anything else."""

import dataclasses
import inspect
import re
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nova_api import config, errors, metrics, testing
from nova_api import runtime as runtimes
from nova_api.ec2 import dialect
from nova_api.ec2.cloud import ACTIONS
from nova_api.openstack.compute import APIRouter
from nova_api.openstack.extensions import ExtensionManager
from nova_api.openstack.v1_0 import APIRouter as OldRouter

FOLDER = Path(__file__).parent / "generated"


def write() -> None:
    """Write every table as an includable file."""
    FOLDER.mkdir(exist_ok=True)
    for name, lines in {
        "errors": _errors(),
        "dialects": _dialects(),
        "actions": _actions(),
        "options": _options(),
        "metrics": _metrics(),
        **_openstack(),
    }.items():
        (FOLDER / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


def _openstack() -> dict[str, list[str]]:
    """Routes and extensions, asked of a router."""
    with tempfile.TemporaryDirectory() as folder:
        runtime = testing.make_runtime(folder)
        runtimes.install(runtime)
        try:
            manager = ExtensionManager()
            router, old = APIRouter(manager), OldRouter()
        finally:
            runtimes.uninstall()
            runtime.close()
    # Every route of the 1.0 API is there a second time, below a project.
    without_project = [one for one in old.map.matchlist if "{project_id}" not in one.routepath]
    extensions = sorted(manager.extensions.values(), key=lambda one: str(one.alias).lower())
    about = [(f"``{e.alias}``", e.name, " ".join((e.__doc__ or "").split())) for e in extensions]
    return {
        "routes": _routes(router.map.matchlist),
        "routes_v1_0": _routes(without_project),
        "extensions": _table(("alias", "name", "what it is"), about, "25 25 50"),
        "extension_rules": _table(("extension", "adds", "rule"), [_adds(one) for one in extensions], "22 48 30"),
    }


def _routes(routes: Iterable[Any]) -> list[str]:
    found: dict[str, list[str]] = {}
    for route in routes:
        methods = ", ".join(sorted((route.conditions or {}).get("method") or ["any"]))
        action = route.defaults.get("action", "")
        if action not in ("new", "edit"):
            found.setdefault(_path(route), []).append(f"{methods} ({action})")
    listed = [(f"``{path}``", "; ".join(actions)) for path, actions in found.items()]
    return _table(("path", "methods"), listed, "55 45")


def _adds(extension: Any) -> tuple[str, str, str]:
    """An extension, what it adds to the API, and its rule after ``compute_extension:``."""
    resources, changes = list(extension.get_resources()), list(extension.get_controller_extensions())
    attributes = dict.fromkeys(one.collection for one in extension.get_attributes())
    added = [_code(f"/{_parent(one)}{one.collection}") for one in resources]
    for one in changes:
        added.append(f"{one.collection}: {', '.join(_code(name) for name in one.controller.wsgi_actions)}")
    added += [f"attributes of {name}" for name in attributes]
    rules = dict.fromkeys(getattr(one.controller, "rule", "") for one in (*resources, *changes))
    if attributes:
        rules[type(extension).__module__.rpartition(".")[2]] = ""
    return _code(extension.alias), "; ".join(added), ", ".join(_code(rule) for rule in rules if rule)


def _parent(resource: Any) -> str:
    above = resource.parent
    return f"{above['collection_name']}/{{{above['member_name']}_id}}/" if above else ""


def _path(route: object) -> str:
    text = str(route.routepath).replace(":(", "{").replace(")", "}")
    return re.sub(r":(\w+)", r"{\1}", text) or "(nothing)"


def _table(head: Iterable[str], rows: Iterable[Iterable[str]], widths: str) -> list[str]:
    lines = [".. list-table::", "   :header-rows: 1", f"   :widths: {widths}", ""]
    for row in (head, *rows):
        lines += [f"   {'* -' if at == 0 else '  -'} {cell}" for at, cell in enumerate(row)]
    return lines


def _code(text: object) -> str:
    return f"``{text}``" if str(text) else ""


def _errors() -> list[str]:
    rows = []
    for name, kind in sorted(vars(errors).items()):
        if not (inspect.isclass(kind) and issubclass(kind, errors.ApiError)) or kind is errors.ApiError:
            continue
        essex = kind.code or name
        modern = dialect.MODERN.error_codes.get(name, essex)
        about = inspect.getdoc(kind) or ""
        summary = "" if about.startswith(":param") else about.split("\n\n")[0].replace("\n", " ")
        rows.append((_code(name), _code(essex), _code(modern), str(kind.status), summary))
    return _table(("class", "2012.1's code", "today's code", "OpenStack status", "when"), rows, "24 22 22 8 40")


def _dialects() -> list[str]:
    rows = []
    for field in dataclasses.fields(dialect.Dialect):
        if field.name == "name":
            continue
        values = [getattr(d, field.name) for d in (dialect.ESSEX, dialect.MODERN)]
        shown = ["see the table of errors" if field.name == "error_codes" and v else _shown(v) for v in values]
        rows.append((_code(field.name), *shown))
    return _table(("difference", "essex", "modern"), rows, "34 33 33")


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if hasattr(value, "items"):
        return ", ".join(f"{_code(k)} as {_code(v)}" for k, v in value.items()) or "as they are"
    return _code(value)


def _actions() -> list[str]:
    rows = []
    for name, action in sorted(ACTIONS.items()):
        parameters = ", ".join(_code(p) for p in action.params)
        rows.append(
            (
                _code(name),
                _code(action.method),
                ", ".join(sorted(action.roles)) or "administrators",
                parameters,
            )
        )
    return _table(("action", "method", "roles", "parameters"), rows, "24 22 18 36")


def _options() -> list[str]:
    rows = []
    for field in dataclasses.fields(config.Config):
        default = ",".join(field.default) if isinstance(field.default, tuple) else field.default
        about = config.help_text(field)
        if field.metadata["choices"]:
            about += f"; one of {', '.join(field.metadata['choices'])}"
        rows.append((_code(field.name), _code(default), about))
    return _table(("option", "default", "meaning"), rows, "28 22 50")


def _metrics() -> list[str]:
    rows = []
    for metric in metrics.TABLE:
        name = f"{metric.name}_total" if metric.kind == "counter" else metric.name
        whose = "the cloud's" if metric.shared else "of the process"
        rows.append((_code(name), metric.kind, ", ".join(map(_code, metric.labels)), whose, metric.help))
    return _table(("name", "kind", "labels", "whose", "what"), rows, "30 10 18 12 30")
