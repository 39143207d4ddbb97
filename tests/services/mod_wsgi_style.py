"""Serves a WSGI script as mod_wsgi imports one: a file of any name that has an ``application``.

The server is the plainest there is: of its ``wsgi.input`` nobody may read more than ``Content-Length`` says.
Arguments: the script, the port.
"""

import importlib.util
import sys
from importlib.machinery import SourceFileLoader
from socketserver import ThreadingMixIn
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

script, port = sys.argv[1:]
spec = importlib.util.spec_from_loader("_mod_wsgi_script", SourceFileLoader("_mod_wsgi_script", script))
module = importlib.util.module_from_spec(spec)
spec.loader.exec_module(module)


class Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class Quiet(WSGIRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


make_server("127.0.0.1", int(port), module.application, Server, Quiet).serve_forever()
