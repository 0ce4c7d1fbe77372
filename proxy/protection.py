"""TLS of a proxy: to its clients (`--tls-port`), and to the workers (`--tls`). The options are named as the
workers' directives, and the contexts made as theirs (node/tls/contexts.py).

Files are looked at every few seconds, and loaded anew when they have changed; connections that are there keep
what they began with.
"""

from __future__ import annotations

import argparse
import asyncio
import errno
import logging
import os
import ssl
from dataclasses import dataclass, field
from typing import Any, Final

from node.tls.contexts import TlsError, outgoing, serving, stamp

log = logging.getLogger("shoal.proxy")

LOOK_SECONDS: Final = 2.0
PASSWORD_VARIABLE: Final = "SHOAL_TLS_KEY_PASS"
"""For the keys' password, too: command lines can be read by all users of a machine."""


@dataclass(frozen=True)
class TlsOptions:
    """Names and meaning are those of a worker's settings."""

    tls_port: int = 0
    to_workers: bool = False
    to_mirror: bool = False
    tls_cert_file: str = ""
    tls_key_file: str = ""
    tls_key_file_pass: str = field(default="", repr=False)
    tls_client_cert_file: str = ""
    tls_client_key_file: str = ""
    tls_client_key_file_pass: str = field(default="", repr=False)
    tls_ca_cert_file: str = ""
    tls_ca_cert_dir: str = ""
    tls_auth_clients: str = "yes"
    tls_protocols: str = ""
    tls_ciphers: str = ""
    tls_ciphersuites: str = ""
    tls_dh_params_file: str = ""
    tls_prefer_server_ciphers: bool = False
    tls_session_caching: bool = True

    def path(self, name: str) -> str:
        return os.path.abspath(name)


class Protection:
    def __init__(self, options: TlsOptions) -> None:
        """Raises OSError, with words for the operator."""
        self._options = options
        self._clients: ssl.SSLContext | None = None
        self._workers: ssl.SSLContext | None = None
        self._stamp: tuple[Any, ...] = ()
        try:
            self._load()
        except TlsError as error:
            raise OSError(errno.EINVAL, str(error)) from None

    @property
    def for_clients(self) -> ssl.SSLContext:
        assert self._clients is not None
        return self._clients

    def to_workers(self) -> ssl.SSLContext:
        """And to the mirror."""
        assert self._workers is not None
        return self._workers

    async def watch(self) -> None:
        """Load what changes, for ever. What cannot be used leaves everything as it was."""
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            self.look()

    def look(self) -> None:
        seen = stamp(self._options)
        if seen == self._stamp:
            return
        try:
            self._load()
        except TlsError as error:
            self._stamp = seen  # not again before they change again
            log.warning("TLS files have changed, and cannot be used: %s", error)
        else:
            log.info("TLS files have changed, and were loaded")

    def _load(self) -> None:
        options, seen = self._options, stamp(self._options)
        clients = serving(options) if options.tls_port else None
        workers = outgoing(options) if options.to_workers or options.to_mirror else None
        self._clients, self._workers, self._stamp = clients, workers, seen


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("TLS", "Files are PEM, and may be replaced at any time.")
    group.add_argument("--tls-port", type=int, default=0, metavar="PORT", help="for clients that come by TLS")
    group.add_argument("--tls", action="store_true", help="connect to workers by TLS")
    for name, what in (
        ("tls-cert-file", "our certificate"),
        ("tls-key-file", "its key"),
        ("tls-client-cert-file", "another certificate for workers to see"),
        ("tls-client-key-file", "its key"),
        ("tls-ca-cert-file", "who may sign certificates of clients and workers"),
        ("tls-ca-cert-dir", "the same, as a directory"),
        ("tls-protocols", "e.g. 'TLSv1.2 TLSv1.3'"),
        ("tls-ciphers", "up to TLS 1.2"),
    ):
        group.add_argument(f"--{name}", default="", help=what)
    group.add_argument(
        "--tls-key-file-pass", default=os.environ.get(PASSWORD_VARIABLE, ""), metavar="PASSWORD",
        help=f"of the keys, if they are encrypted; or in {PASSWORD_VARIABLE}",
    )  # fmt: skip
    group.add_argument(
        "--tls-auth-clients", choices=("no", "yes", "optional"), default="yes",
        help="must clients show a certificate?",
    )  # fmt: skip


def options_of(given: argparse.Namespace) -> TlsOptions:
    return TlsOptions(
        tls_port=given.tls_port,
        to_workers=given.tls,
        to_mirror=given.mirror_tls,
        tls_cert_file=given.tls_cert_file,
        tls_key_file=given.tls_key_file,
        tls_key_file_pass=given.tls_key_file_pass,
        tls_client_cert_file=given.tls_client_cert_file,
        tls_client_key_file=given.tls_client_key_file,
        tls_client_key_file_pass=given.tls_key_file_pass,
        tls_ca_cert_file=given.tls_ca_cert_file,
        tls_ca_cert_dir=given.tls_ca_cert_dir,
        tls_auth_clients=given.tls_auth_clients,
        tls_protocols=given.tls_protocols,
        tls_ciphers=given.tls_ciphers,
    )
