"""What holds for every test."""

from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest

from nova_api.db.engine import Database
from tests.databases import KINDS, database

#: The folders whose tests all need something that a unit test has not got.
GROUPS = ("wire", "services", "clients", "conformance")

# The machines that run this are slow and shared: a test is judged by what it finds, not by how fast.
hypothesis.settings.register_profile(
    "nova_api", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("nova_api")


#: The folders whose modules have a database of each kind.
DATABASES = ("cloud", "db")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of each such folder with its name, so that ``tools/test wire`` finds them.

    Tests of a module that share a database go to the same worker, which makes it once.
    """
    here = Path(__file__).parent
    for item in items:
        place = item.path.relative_to(here)
        if place.parts[0] in GROUPS:
            item.add_marker(place.parts[0])
        shared = _database_of(place, item)
        if shared and item.get_closest_marker("xdist_group") is None:
            item.add_marker(pytest.mark.xdist_group(shared))


def _database_of(place: Path, item: pytest.Item) -> str:
    """A name for the database that a test shares with others of its module; nothing if it does not."""
    given = getattr(item, "callspec", None)
    kinds = [one for one in given.params.values() if one in KINDS] if given and place.parts[0] in DATABASES else []
    return "-".join([*place.with_suffix("").parts, *kinds]) if kinds else ""


@pytest.fixture(scope="module", params=KINDS)
def module_db(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    """A database of each kind; one for a module."""
    with database(request.param, tmp_path_factory.mktemp(request.param)) as db:
        yield db
