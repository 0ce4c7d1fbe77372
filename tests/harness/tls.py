"""TLS in front of a server that has none, as stunnel does it, and certificates for it.

The servers that pip installs are built without TLS; what we connect with is tested all the same.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path


def make_certificate(directory: Path, name: str = "localhost") -> tuple[Path, Path]:
    """A certificate that signs itself, for `name`, and its key: both PEM files."""
    certificate, key = directory / f"{name}.crt", directory / f"{name}.key"
    subject = ["-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
    subprocess.run(
        ["openssl", "req", "-x509", *curve, "-nodes", "-days", "2", *subject, *files],
        check=True,
        capture_output=True,
    )
    return certificate, key


@contextlib.contextmanager
def tls_before(port: int, certificate: Path, key: Path, clients: Path | None = None) -> Iterator[int]:
    """A port of 127.0.0.1 that hands on to `port` what comes by TLS. With `clients`, only from those whose
    certificates that file trusts."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients)
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=_serve, args=(context, connection, port), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        listener.close()
        thread.join()


def _serve(context: ssl.SSLContext, connection: socket.socket, port: int) -> None:
    with contextlib.suppress(OSError), connection:
        protected = context.wrap_socket(connection, server_side=True)
        with protected, socket.create_connection(("127.0.0.1", port)) as plain:
            back = threading.Thread(target=_hand_on, args=(plain, protected), daemon=True)
            back.start()
            _hand_on(protected, plain)
            back.join()


def _hand_on(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
