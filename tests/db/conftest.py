from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_api.db.engine import Database
from tests.databases import KINDS, database, wipe


@pytest.fixture(scope="module", params=KINDS)
def module_db(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database of each kind."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    with database(request.param, folder) as db:
        yield db


@pytest.fixture
def any_db(module_db: Database) -> Iterator[Database]:
    """An empty database of each kind."""
    yield module_db
    wipe(module_db)
