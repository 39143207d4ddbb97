"""The one module that imports eventlet; when that retires, this package is what changes."""

import os
import warnings

# The green resolver would import a DNS library at start and is of no use to a server that calls by address.
os.environ.setdefault("EVENTLET_NO_GREENDNS", "yes")
with warnings.catch_warnings():
    # eventlet announces its retirement at import.
    warnings.simplefilter("ignore")
    import eventlet
    import eventlet.greenio
    import eventlet.hubs
    import eventlet.patcher
    import eventlet.wsgi

from nova_api import limits

__all__ = ["eventlet", "patch"]

eventlet.wsgi.MAX_HEADER_LINE = limits.MAX_HEADER_BYTES
eventlet.wsgi.MAX_TOTAL_HEADER_SIZE = limits.MAX_HEADER_BYTES


def patch() -> None:
    """Make the standard library's sockets, threads and sleeps cooperative. Call it before other modules make any."""
    # psycopg waits for PostgreSQL in C, and with it every other request; unless told so before it is imported.
    os.environ.setdefault("PSYCOPG_WAIT_FUNC", "wait_select")
    eventlet.monkey_patch()
