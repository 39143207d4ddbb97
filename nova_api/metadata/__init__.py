"""Door 3: what an instance may ask about itself, at http://169.254.169.254/ on a real host (spec ec2.md 5)."""

from nova_api.metadata.handler import MetadataRequestHandler
from nova_api.metadata.versions import VERSIONS, Versions

__all__ = ["VERSIONS", "MetadataRequestHandler", "Versions"]
