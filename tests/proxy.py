"""Stands between us and a server, and can cut the wire."""

import selectors
import socket
import threading
from contextlib import suppress

from tests.servers import free_port


class Proxy:
    """Takes connections on a port of its own and passes on what it hears.

    :param target: address and port of the server
    :ivar port: where it listens
    """

    def __init__(self, target: tuple[str, int]) -> None:
        self.target = target
        self.port = free_port()
        self._server: socket.socket | None = None
        self._pairs: list[socket.socket] = []
        self._lock = threading.Lock()
        self._fatal: bytes | None = None
        self.cut_at = threading.Event()
        self.up()

    def up(self) -> None:
        """Listen."""
        self._server = socket.create_server(("127.0.0.1", self.port))
        threading.Thread(target=self._accept, args=(self._server,), daemon=True).start()

    def down(self) -> None:
        """Refuse connections, and end those that are there."""
        assert self._server is not None
        with suppress(OSError):
            self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self.cut()

    def cut(self) -> None:
        """End every connection."""
        with self._lock:
            pairs, self._pairs = self._pairs, []
        for end in pairs:
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut_before_the_answer(self, request: bytes) -> None:
        """Pass on the next message that contains ``request``, and end its connection instead of passing on the answer.

        ``cut_at`` is set then.
        """
        self._fatal = request

    def _accept(self, server: socket.socket) -> None:
        while True:
            try:
                near, _ = server.accept()
            except OSError:
                return
            try:
                far = socket.create_connection(self.target)
            except OSError:
                near.close()
                continue
            with self._lock:
                self._pairs += [near, far]
            threading.Thread(target=self._pump, args=(near, far), daemon=True).start()

    def _pump(self, near: socket.socket, far: socket.socket) -> None:
        last_words = False
        with near, far, selectors.DefaultSelector() as selector:
            selector.register(near, selectors.EVENT_READ, far)
            selector.register(far, selectors.EVENT_READ, near)
            with suppress(OSError):
                while True:
                    for key, _ in selector.select():
                        data = key.fileobj.recv(65536)  # type: ignore[union-attr]
                        if not data or (last_words and key.fileobj is far):
                            if last_words:
                                self.cut_at.set()
                            return
                        if key.fileobj is near and self._fatal is not None and self._fatal in data:
                            self._fatal, last_words = None, True
                        key.data.sendall(data)
