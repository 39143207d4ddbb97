"""Keystone behind a simple server; run by the interpreter of its own environment (see keystone.py beside it).

Arguments: the file that takes the port, and for TLS the files of certificate and key.
"""

import os
import sys

from keystone.server.wsgi import initialize_public_application
from werkzeug.serving import WSGIRequestHandler, make_server


class Quiet(WSGIRequestHandler):
    """No line per request."""

    def log_request(self, *args: object) -> None:
        pass


port_file, *tls = sys.argv[1:]
del sys.argv[1:]  # Keystone would read them as its own
server = make_server(
    "127.0.0.1",
    0,
    initialize_public_application(),
    threaded=True,
    request_handler=Quiet,
    ssl_context=tuple(tls) or None,
)
with open(f"{port_file}.new", "w") as stream:
    stream.write(str(server.port))
os.replace(f"{port_file}.new", port_file)
server.serve_forever()
