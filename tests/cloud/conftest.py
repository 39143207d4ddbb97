"""Clouds on every kind of database."""

import copy
from collections.abc import Iterator
from pathlib import Path

import pytest

from nova_api.db import floating
from nova_api.db.engine import Database
from nova_api.testing import cloud as running
from tests.databases import KINDS, database, wipe
from tests.openstack.fakes import DOCUMENT, Door


@pytest.fixture(scope="module", params=KINDS)
def any_cloud(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """A cloud with its OpenStack door; one for a module."""
    folder: Path = tmp_path_factory.mktemp(request.param)
    quotas = {f"quota_{name}": -1 for name in ("instances", "cores", "ram", "floating_ips", "shared_ip_groups")}
    with database(request.param, folder, empty=True) as db:
        url = db.url.render_as_string(hide_password=False)
        with running(folder / "state", copy.deepcopy(DOCUMENT), sql_connection=url, **quotas) as made:
            made.runtime.db.write(lambda tx: floating.create(tx, "198.51.100.0/24", "nova"))
            yield Door(made)


@pytest.fixture
def any_url(module_db: Database) -> Iterator[str]:
    """The URL of an empty database of each kind."""
    yield module_db.url.render_as_string(hide_password=False)
    wipe(module_db)
