"""The OpenStack Nova API endpoint of 2012.1: EC2, OpenStack Compute and instance metadata over one cloud."""

__version__ = "0.1.0"
