"""Settings of the guide: python -m sphinx -b html doc/source doc/build/html."""

import ast
from pathlib import Path

_ROOT = Path(__file__).parent.parent.parent


def _version() -> str:
    """The package's version, read and not imported: the guide is built without its libraries."""
    for statement in ast.parse((_ROOT / "nova_api" / "__init__.py").read_text(encoding="utf-8")).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id="__version__")], value=ast.Constant(value=str(text))):
                return text
    raise LookupError("nova_api/__init__.py has no __version__")


project = "nova_api"
author = "the nova_api authors"
copyright = author
version = release = _version()
nitpicky = True
html_theme = "alabaster"
html_theme_options = {"description": "The Nova API endpoint of 2012.1", "fixed_sidebar": True}


def setup(app: object) -> None:
    """Write the tables that are read off the code before the pages include them."""
    import sys

    sys.path[:0] = [str(_ROOT), str(Path(__file__).parent)]
    import tables

    tables.write()
