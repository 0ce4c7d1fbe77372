"""The sockets a worker accepts clients on: `bind` addresses with `port`, and `unixsocket`.

Sockets are bound before the data is loaded, so that a port in use is known at once, with Redis' words.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from typing import Any


class ListenError(Exception):
    """No socket could be opened; the text is what belongs into the log, line by line."""


def open_tcp(addresses: list[str], port: int, backlog: int, on_missing: Any) -> list[socket.socket]:
    """Listening sockets for `bind`'s addresses (`*` all IPv4, `::*` all IPv6; a leading `-` makes one
    optional). `on_missing(text)` is told of optional ones that are not available."""
    opened: list[socket.socket] = []
    try:
        for address in addresses:
            optional = address.startswith("-")
            host = address.removeprefix("-")
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            host = {"*": "0.0.0.0", "::*": "::"}.get(host, host)
            sock = None
            try:
                sock = socket.socket(family, socket.SOCK_STREAM)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((host, port))
                sock.listen(backlog)
            except OSError as error:
                if sock is not None:
                    sock.close()
                reason = os.strerror(error.errno) if error.errno else str(error)
                text = f"Could not create server TCP listening socket {host}:{port}: bind: {reason}"
                missing = error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EPROTONOSUPPORT)
                if optional and missing:
                    on_missing(text)
                    continue
                raise ListenError(f"{text}\nFailed listening on port {port} (tcp), aborting.") from None
            sock.setblocking(False)
            opened.append(sock)
    except BaseException:
        for sock in opened:
            sock.close()
        raise
    return opened


def open_unix(path: str, permissions: int, backlog: int) -> socket.socket:
    """A listening socket at `path`, replacing a stale one. `permissions` 0 leaves the umask's."""
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(path)
        if permissions:
            os.chmod(path, permissions)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise ListenError(f"Failed opening Unix socket: bind: {reason}") from None
    sock.setblocking(False)
    return sock


def keep_alive(sock: socket.socket, seconds: int) -> None:
    """Let the kernel ask after a peer that is silent for so long, and give it up after three questions."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, seconds)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, max(1, seconds // 3))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
