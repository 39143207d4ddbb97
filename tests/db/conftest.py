from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_api.db.engine import Database
from tests.databases import KINDS, database


@pytest.fixture(params=KINDS)
def any_db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of each kind."""
    with database(request.param, tmp_path) as db:
        yield db
