"""os-scheduler-hints: what a new server asks of the scheduler; the hints are read with the rest of a create."""

from nova_api.openstack.extensions import ExtensionDescriptor


class Scheduler_hints(ExtensionDescriptor):
    """Pass arbitrary key/value pairs to the scheduler"""

    name = "SchedulerHints"
    alias = "os-scheduler-hints"
    namespace = "http://docs.openstack.org/compute/ext/scheduler-hints/api/v2"
    updated = "2011-07-19T00:00:00+00:00"
