"""The 1.0 API of the cloud that the tests of 1.1 use."""

import pytest

from tests.openstack.fakes import Door


@pytest.fixture
def old(door: Door) -> Door:
    """The door to the 1.0 API."""
    return Door(door.cloud, "v1.0")
