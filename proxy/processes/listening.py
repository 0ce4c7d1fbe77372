"""The sockets on which clients come.

A proxy alone opens its own. Where several processes serve one port, the process that watches them opens one
socket for each (SO_REUSEPORT: the kernel spreads new connections over them) and hands them down. It keeps
them open, too: a connection that comes while a process is replaced waits in the socket's queue for the next.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from proxy.config import ProxyConfig


def open_listeners(config: ProxyConfig) -> list[socket.socket]:
    """All that `config` names. Raises OSError, with words for the operator, if one cannot be had."""
    with contextlib.ExitStack() as opened:
        found = []
        for port in filter(None, (config.port, config.tls.tls_port)):
            for address in config.bind:
                found.append(listen_tcp(address, port, config.backlog, config.reuse_port))
                opened.callback(found[-1].close)
        if config.unix_socket:
            found.append(listen_unix(config.unix_socket, config.backlog, config.unix_permissions))
        opened.pop_all()
        return found


def listen_tcp(address: str, port: int, backlog: int, shared: bool) -> socket.socket:
    """`shared`: others of the same user may listen on this port as well."""
    host = {"*": "0.0.0.0", "-::*": "::"}.get(address, address)
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if shared:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        return _listen(listener, (host, port), backlog)
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {address}:{port}: {error.strerror}") from None


def listen_unix(path: str, backlog: int, permissions: int | None = None) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        if os.path.exists(path):
            os.unlink(path)  # left behind by a proxy that was killed
        _listen(listener, path, backlog)
        if permissions is not None:
            os.chmod(path, permissions)
        return listener
    except OSError as error:
        listener.close()
        raise OSError(error.errno, f"cannot listen on {path}: {error.strerror}") from None


def _listen(listener: socket.socket, where: Any, backlog: int) -> socket.socket:
    listener.setblocking(False)
    listener.bind(where)
    listener.listen(backlog)
    return listener
