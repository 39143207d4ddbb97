"""The extensions of 2012.1, one file each."""

import sys

from nova_api import runtime
from nova_api.openstack.extensions import ExtensionManager, load_package


def standard_extensions(ext_mgr: ExtensionManager) -> None:
    """Load all of them."""
    load_package(ext_mgr, sys.modules[__name__])


def select_extensions(ext_mgr: ExtensionManager) -> None:
    """Load those whose classes ``osapi_compute_ext_list`` names."""
    load_package(ext_mgr, sys.modules[__name__], runtime.current().config.osapi_compute_ext_list)
