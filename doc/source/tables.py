"""Tables of the guide that are read off the code, so that they cannot say anything else."""

import dataclasses
import inspect
from collections.abc import Iterable
from pathlib import Path

from nova_api import config, errors
from nova_api.ec2 import dialect
from nova_api.ec2.cloud import ACTIONS

FOLDER = Path(__file__).parent / "generated"


def write() -> None:
    """Write every table as an includable file."""
    FOLDER.mkdir(exist_ok=True)
    for name, lines in {
        "errors": _errors(),
        "dialects": _dialects(),
        "actions": _actions(),
        "options": _options(),
    }.items():
        (FOLDER / f"{name}.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")


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
