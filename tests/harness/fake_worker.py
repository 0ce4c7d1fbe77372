"""A worker as a proxy sees it: it owns all slots, and what it answers to commands on data is up to the test.

class Echo(FakeWorker):
    def take(self, connection, requests):
        for argv in requests:
            connection.sendall(self.formality(argv) or b"+%b\r\n" % argv[-1])
        return True
"""

from __future__ import annotations

import contextlib
import socket
import threading

from proxy.core.frames import RequestScanner


class FakeWorker:
    """Listens from its making on; each connection has a thread."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self.listener.close()

    def take(self, connection: socket.socket, requests: list[list[bytes]]) -> bool:
        """Answer what one read has brought. Returns False to hang up."""
        raise NotImplementedError

    def formality(self, argv: list[bytes]) -> bytes | None:
        """The reply to what a proxy says by itself; None: it is a command on data."""
        if argv[0] == b"CLUSTER":
            line = f"{'a' * 40} 127.0.0.1:{self.port}@1 myself,master - 0 0 1 connected 0-16383\n".encode()
            return b"$%d\r\n%b\r\n" % (len(line), line)
        return {b"PING": b"+PONG\r\n", b"CLIENT": b"+OK\r\n"}.get(argv[0])

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        scanner = RequestScanner()
        with connection, contextlib.suppress(ConnectionResetError):  # a proxy that ends may leave so
            while data := connection.recv(65536):
                if not self.take(connection, [argv for argv, _ in scanner.feed(data)]):
                    return
