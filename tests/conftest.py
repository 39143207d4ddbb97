"""What holds for every test."""

from pathlib import Path

import hypothesis
import pytest

#: The folders whose tests all need something that a unit test has not got.
GROUPS = ("wire", "services", "clients", "conformance")

# The machines that run this are slow and shared: a test is judged by what it finds, not by how fast.
hypothesis.settings.register_profile(
    "nova_api", deadline=None, print_blob=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("nova_api")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests of each such folder with its name, so that ``tools/test wire`` finds them."""
    here = Path(__file__).parent
    for item in items:
        group = item.path.relative_to(here).parts[0]
        if group in GROUPS:
            item.add_marker(group)
