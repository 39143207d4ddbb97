from collections.abc import Iterator

import pytest

from nova_api.db.engine import Database
from tests.databases import wipe


@pytest.fixture
def any_db(module_db: Database) -> Iterator[Database]:
    """An empty database of each kind."""
    yield module_db
    wipe(module_db)
