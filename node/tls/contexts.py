"""What TLS is to be, out of the settings: directives and rules are Redis', the work is OpenSSL's.

clients     those who connect to `tls-port`; `tls-auth-clients` says whether they must show a certificate
members     those who connect to the cluster bus: they must, always
outgoing    when we connect: to a primary, a member, a target of MIGRATE. We show `tls-client-cert-file`, or
            the server's; the other side must have a certificate that our authorities signed. As in Redis
            its name is not looked at, since members know each other by addresses that no certificate names
"""

from __future__ import annotations

import os
import ssl
from dataclasses import dataclass
from typing import Any

from node.tls.problems import reason_of

Settings = Any
"""A worker's Config, or whatever else has its `tls_` attributes and its `path`."""

FILES = (
    "tls-cert-file",
    "tls-key-file",
    "tls-client-cert-file",
    "tls-client-key-file",
    "tls-dh-params-file",
    "tls-ca-cert-file",
    "tls-ca-cert-dir",
)
"""Directives that name files: to set one again, to the same name, is to have it read again."""
OTHERS = (
    "tls-cluster",
    "tls-replication",
    "tls-auth-clients",
    "tls-key-file-pass",
    "tls-client-key-file-pass",
    "tls-protocols",
    "tls-ciphers",
    "tls-ciphersuites",
    "tls-prefer-server-ciphers",
    "tls-session-caching",
)
VERSIONS = {
    "tlsv1": ssl.TLSVersion.TLSv1,
    "tlsv1.1": ssl.TLSVersion.TLSv1_1,
    "tlsv1.2": ssl.TLSVersion.TLSv1_2,
    "tlsv1.3": ssl.TLSVersion.TLSv1_3,
}
_DEMANDS = {"no": ssl.CERT_NONE, "optional": ssl.CERT_OPTIONAL, "yes": ssl.CERT_REQUIRED}


class TlsError(Exception):
    """The settings, or the files they name, make no TLS. The text is for the log."""


@dataclass(frozen=True)
class Contexts:
    clients: ssl.SSLContext
    members: ssl.SSLContext
    outgoing: ssl.SSLContext


def build(settings: Settings) -> Contexts:
    """For a worker. Raises TlsError."""
    if settings.tls_cluster or settings.tls_replication:
        _require_authorities(settings)
    clients = serving(settings)
    return Contexts(clients, _serving(settings, ssl.CERT_REQUIRED), _outgoing(settings))


def serving(settings: Settings) -> ssl.SSLContext:
    """For those who connect to `tls-port`. Raises TlsError."""
    if not settings.tls_cert_file:
        raise TlsError("No tls-cert-file configured!")
    if not settings.tls_key_file:
        raise TlsError("No tls-key-file configured!")
    if settings.tls_auth_clients != "no":
        _require_authorities(settings)
    return _serving(settings, _DEMANDS[settings.tls_auth_clients])


def outgoing(settings: Settings) -> ssl.SSLContext:
    """For one who connects, with or without a certificate to show. Raises TlsError."""
    _require_authorities(settings)
    return _outgoing(settings)


def _require_authorities(settings: Settings) -> None:
    if not settings.tls_ca_cert_file and not settings.tls_ca_cert_dir:
        raise TlsError(
            "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication "
            "or tls-auth-clients are enabled!"
        )


def stamp(settings: Settings) -> tuple[Any, ...]:
    """Differs when a file that was read has changed since, or another is named."""
    paths = [settings.path(name) for name in map(_value(settings), FILES) if name]
    if settings.tls_ca_cert_dir:
        directory = settings.path(settings.tls_ca_cert_dir)
        paths += sorted(os.path.join(directory, name) for name in _names(directory))
    return tuple((path, _state(path)) for path in paths)


def _value(settings: Settings) -> Any:
    return lambda directive: getattr(settings, directive.replace("-", "_"))


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except OSError:
        return []


def _state(path: str) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _serving(settings: Settings, demand: ssl.VerifyMode) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _set_up(context, settings)
    _load_identity(
        context, settings, settings.tls_cert_file, settings.tls_key_file, settings.tls_key_file_pass
    )
    context.verify_mode = demand
    if settings.tls_prefer_server_ciphers:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if not settings.tls_session_caching:
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    if settings.tls_dh_params_file:
        try:
            context.load_dh_params(settings.path(settings.tls_dh_params_file))
        except OSError as error:
            raise TlsError(f"Failed to read DH params: {reason_of(error)}") from None
    return context


def _outgoing(settings: Settings) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    _set_up(context, settings)
    if settings.tls_client_cert_file:
        certificate, key = settings.tls_client_cert_file, settings.tls_client_key_file
        password = settings.tls_client_key_file_pass
    else:
        certificate, key, password = settings.tls_cert_file, settings.tls_key_file, settings.tls_key_file_pass
    if certificate:
        _load_identity(context, settings, certificate, key, password)
    return context


def _set_up(context: ssl.SSLContext, settings: Settings) -> None:
    """What holds in both directions."""
    context.options |= ssl.OP_NO_RENEGOTIATION
    _limit_versions(context, settings.tls_protocols)
    if settings.tls_ciphers:
        try:
            context.set_ciphers(settings.tls_ciphers)
        except OSError:
            raise TlsError(f"Failed to configure ciphers: {settings.tls_ciphers}") from None
    if settings.tls_ciphersuites:
        _set_suites(context, settings.tls_ciphersuites)
    file, directory = settings.tls_ca_cert_file, settings.tls_ca_cert_dir
    if file or directory:
        try:
            context.load_verify_locations(
                settings.path(file) if file else None, settings.path(directory) if directory else None
            )
        except OSError as error:
            raise TlsError(
                f"Failed to configure CA certificate(s) file/directory: {reason_of(error)}"
            ) from None


def _limit_versions(context: ssl.SSLContext, protocols: str) -> None:
    if not protocols:
        return
    try:
        allowed = sorted({VERSIONS[word.lower()] for word in protocols.split()})
    except KeyError:
        allowed = []
    known = sorted(VERSIONS.values())
    if not allowed or allowed != known[known.index(allowed[0]) : known.index(allowed[-1]) + 1]:
        raise TlsError(
            "Invalid tls-protocols specified. Use a combination of 'TLSv1', 'TLSv1.1', 'TLSv1.2' and "
            "'TLSv1.3' without a gap."
        )
    context.minimum_version, context.maximum_version = allowed[0], allowed[-1]


def _set_suites(context: ssl.SSLContext, suites: str) -> None:
    """Those of TLS 1.3, which Python can choose from 3.15 on: to leave it would not be what was asked for."""
    choose = getattr(context, "set_ciphersuites", None)
    if choose is None:
        raise TlsError("tls-ciphersuites needs Python 3.15; without it OpenSSL's own choice holds")
    try:
        choose(suites)
    except OSError:
        raise TlsError(f"Failed to configure ciphersuites: {suites}") from None


def _load_identity(
    context: ssl.SSLContext, settings: Settings, certificate: str, key: str, password: str
) -> None:
    """The password is given in any case: without one OpenSSL would ask for it at the terminal."""
    try:
        context.load_cert_chain(
            settings.path(certificate), settings.path(key) if key else None, password=lambda: password
        )
    except (OSError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise TlsError(
            f"Failed to load certificate {certificate} with key {key or certificate}: {reason}"
        ) from None
