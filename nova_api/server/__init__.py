"""The socket server, and the only part that knows eventlet.

The doors are plain WSGI applications and run as well behind any other server.
"""

from nova_api.server.green import patch
from nova_api.server.listening import Server, WsgiApplication
from nova_api.server.processes import Signals, Terminal, exit_now, fork, read_now, when_closed

__all__ = ["Server", "Signals", "Terminal", "WsgiApplication", "exit_now", "fork", "patch", "read_now", "when_closed"]
