"""Sockets to servers: TCP, TLS, or a unix socket of this machine (cluster/addresses.py tells which)."""

from __future__ import annotations

import functools
import os
import socket
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from cluster.addresses import is_unix
from node.tls.problems import reason_of

if TYPE_CHECKING:
    from node.config import Config

CONNECT_SECONDS = 3.0


@dataclass(frozen=True)
class Tls:
    """How connections are protected. Files are PEM; empty means the system's, or none."""

    ca_file: str = ""
    ca_directory: str = ""
    certificate: str = ""
    """Ours, for servers that want to know who we are; with `key`."""
    key: str = ""
    server_name: str = ""
    """Whom the server's certificate must name, where that is not the address."""
    ciphers: str = ""
    verify: bool = True
    check_name: bool = True
    """Must the server's certificate name it? Members among themselves only ask who has signed it."""
    key_password: str = field(default="", repr=False)


def dial(host: str, port: int, tls: Tls | None, timeout: float) -> socket.socket:
    """A connected socket with this timeout, which the first connection has at most CONNECT_SECONDS of. Raises
    OSError, of which TLS' errors are a kind."""
    patience = min(timeout, CONNECT_SECONDS)
    if is_unix(host):
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.settimeout(patience)
            connection.connect(host)
        except OSError:
            connection.close()
            raise
    else:
        connection = socket.create_connection((host, port), patience)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if tls is not None:
            connection = _protect(connection, host, tls)
    connection.settimeout(timeout)
    return connection


@functools.cache
def context_of(tls: Tls) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=tls.ca_file or None, capath=tls.ca_directory or None)
    if tls.certificate:
        # Without a password OpenSSL would ask for one at the terminal, in the middle of everything.
        context.load_cert_chain(tls.certificate, tls.key or None, lambda: tls.key_password)
    if tls.ciphers:
        context.set_ciphers(tls.ciphers)
    if not tls.check_name:
        context.check_hostname = False
    if not tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context


def as_members_do(config: Config) -> Tls:
    """The way members of a cluster connect to each other, from the settings of one."""
    ours = config.tls_client_cert_file, config.tls_client_key_file, config.tls_client_key_file_pass
    certificate, key, password = ours if ours[0] else (
        config.tls_cert_file, config.tls_key_file, config.tls_key_file_pass,
    )  # fmt: skip
    paths = config.tls_ca_cert_file, config.tls_ca_cert_dir, certificate, key
    ca_file, ca_directory, certificate, key = (config.path(name) if name else "" for name in paths)
    return Tls(ca_file, ca_directory, certificate, key, check_name=False, key_password=password)


def require_usable(tls: Tls) -> None:
    """Raises ValueError with what is wrong with the files."""
    for name in (tls.ca_file, tls.ca_directory, tls.certificate, tls.key):
        if name and not os.path.exists(name):
            raise ValueError(f"these TLS options cannot be used: {name}: no such file or directory")
    try:
        context_of(tls)
    except (OSError, ValueError) as error:  # of which ssl.SSLError is one
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise ValueError(f"these TLS options cannot be used: {reason}") from error


def _protect(connection: socket.socket, host: str, tls: Tls) -> socket.socket:
    try:
        return context_of(tls).wrap_socket(connection, server_hostname=tls.server_name or host)
    except TimeoutError as error:
        connection.close()
        raise ssl.SSLError(0, "no handshake in time") from error
    except OSError:
        connection.close()
        raise
