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
from typing import TYPE_CHECKING, Any

from node.tls.problems import reason_of

if TYPE_CHECKING:
    from node.config import Config

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


def build(config: Config) -> Contexts:
    """Raises TlsError."""
    if not config.tls_cert_file:
        raise TlsError("No tls-cert-file configured!")
    if not config.tls_key_file:
        raise TlsError("No tls-key-file configured!")
    knows_authorities = config.tls_ca_cert_file or config.tls_ca_cert_dir
    if not knows_authorities and (
        config.tls_auth_clients != "no" or config.tls_cluster or config.tls_replication
    ):
        raise TlsError(
            "Either tls-ca-cert-file or tls-ca-cert-dir must be specified when tls-cluster, tls-replication "
            "or tls-auth-clients are enabled!"
        )
    demand = _DEMANDS[config.tls_auth_clients]
    return Contexts(_serving(config, demand), _serving(config, ssl.CERT_REQUIRED), _outgoing(config))


def stamp(config: Config) -> tuple[Any, ...]:
    """Differs when a file that was read has changed since, or another is named."""
    paths = [config.path(name) for name in map(_value(config), FILES) if name]
    if config.tls_ca_cert_dir:
        directory = config.path(config.tls_ca_cert_dir)
        paths += sorted(os.path.join(directory, name) for name in _names(directory))
    return tuple((path, _state(path)) for path in paths)


def _value(config: Config) -> Any:
    return lambda directive: getattr(config, directive.replace("-", "_"))


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


def _serving(config: Config, demand: ssl.VerifyMode) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    _set_up(context, config)
    _load_identity(context, config, config.tls_cert_file, config.tls_key_file, config.tls_key_file_pass)
    context.verify_mode = demand
    if config.tls_prefer_server_ciphers:
        context.options |= ssl.OP_CIPHER_SERVER_PREFERENCE
    else:
        context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    if not config.tls_session_caching:
        context.options |= ssl.OP_NO_TICKET
        context.num_tickets = 0
    if config.tls_dh_params_file:
        try:
            context.load_dh_params(config.path(config.tls_dh_params_file))
        except OSError as error:
            raise TlsError(f"Failed to read DH params: {reason_of(error)}") from None
    return context


def _outgoing(config: Config) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    _set_up(context, config)
    if config.tls_client_cert_file:
        certificate, key = config.tls_client_cert_file, config.tls_client_key_file
        password = config.tls_client_key_file_pass
    else:
        certificate, key, password = config.tls_cert_file, config.tls_key_file, config.tls_key_file_pass
    _load_identity(context, config, certificate, key, password)
    return context


def _set_up(context: ssl.SSLContext, config: Config) -> None:
    """What holds in both directions."""
    context.options |= ssl.OP_NO_RENEGOTIATION
    _limit_versions(context, config.tls_protocols)
    if config.tls_ciphers:
        try:
            context.set_ciphers(config.tls_ciphers)
        except OSError:
            raise TlsError(f"Failed to configure ciphers: {config.tls_ciphers}") from None
    if config.tls_ciphersuites:
        _set_suites(context, config.tls_ciphersuites)
    file, directory = config.tls_ca_cert_file, config.tls_ca_cert_dir
    if file or directory:
        try:
            context.load_verify_locations(
                config.path(file) if file else None, config.path(directory) if directory else None
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
    context: ssl.SSLContext, config: Config, certificate: str, key: str, password: str
) -> None:
    """The password is given in any case: without one OpenSSL would ask for it at the terminal."""
    try:
        context.load_cert_chain(
            config.path(certificate), config.path(key) if key else None, password=lambda: password
        )
    except (OSError, ValueError) as error:
        reason = reason_of(error) if isinstance(error, OSError) else str(error)
        raise TlsError(
            f"Failed to load certificate {certificate} with key {key or certificate}: {reason}"
        ) from None
