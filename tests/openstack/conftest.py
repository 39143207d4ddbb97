"""A cloud in the test's process, with its OpenStack door."""

import copy
from collections.abc import Iterator

import pytest

from nova_api.testing import cloud as running
from tests.openstack.fakes import DOCUMENT, Door


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    """One for a module: its tests leave behind nothing that another one counts."""
    state = tmp_path_factory.mktemp("openstack") / "state"
    options = {"quota_instances": -1, "quota_cores": -1, "quota_ram": -1, "allow_resize_to_same_host": True}
    with running(state, copy.deepcopy(DOCUMENT), **options) as made:
        yield Door(made)


@pytest.fixture
def fresh(tmp_path: object) -> Iterator[Door]:
    """One for a test, with the quotas of 2012.1."""
    with running(f"{tmp_path}/state", copy.deepcopy(DOCUMENT), allow_resize_to_same_host=True) as made:
        yield Door(made)
