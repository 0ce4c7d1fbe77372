"""Out of which settings TLS can be made, and that files which change are noticed."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from node.config import Config
from node.tls.contexts import TlsError, build, stamp
from proxy.protection import Protection, TlsOptions
from tests.harness.certificates import Authority, Identity


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def identity(authority: Authority) -> Identity:
    return authority.issue("us")


def settings(authority: Authority, identity: Identity, **more: str) -> Config:
    """As they would be right, but for `more`."""
    given = {
        "tls_cert_file": str(identity.certificate),
        "tls_key_file": str(identity.key),
        "tls_ca_cert_file": str(authority.own.certificate),
        **more,
    }
    flags = [word for name, value in given.items() for word in (f"--{name.replace('_', '-')}", value)]
    return Config.from_args(flags)


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"tls_cert_file": ""}, "No tls-cert-file configured!"),
        ({"tls_key_file": ""}, "No tls-key-file configured!"),
        ({"tls_ca_cert_file": ""}, "Either tls-ca-cert-file or tls-ca-cert-dir must be specified"),
        ({"tls_ca_cert_file": "", "tls_auth_clients": "no", "tls_cluster": "yes"}, "Either tls-ca-cert-file"),
        ({"tls_cert_file": "/nowhere"}, "Failed to load certificate /nowhere with key"),
        ({"tls_key_file": "/nowhere"}, "Failed to load certificate"),
        (
            {"tls_ca_cert_file": "/nowhere"},
            "Failed to configure CA certificate(s) file/directory: no such file",
        ),
        ({"tls_client_cert_file": "/nowhere"}, "Failed to load certificate /nowhere"),
        ({"tls_dh_params_file": "/nowhere"}, "Failed to read DH params: no such file"),
        ({"tls_protocols": "TLSv9"}, "Invalid tls-protocols specified"),
        ({"tls_protocols": "TLSv1.1 TLSv1.3"}, "without a gap"),
        ({"tls_ciphers": "none-such"}, "Failed to configure ciphers: none-such"),
    ],
)
def test_what_cannot_be_tls(
    wrong: dict[str, str], words: str, authority: Authority, identity: Identity
) -> None:
    with pytest.raises(TlsError) as refusal:
        build(settings(authority, identity, **wrong))
    assert words in str(refusal.value)


@pytest.mark.skipif(hasattr(ssl.SSLContext, "set_ciphersuites"), reason="this Python can choose them")
def test_a_choice_that_cannot_be_obeyed_is_refused(authority: Authority, identity: Identity) -> None:
    with pytest.raises(TlsError, match=r"needs Python 3\.15"):
        build(settings(authority, identity, tls_ciphersuites="TLS_AES_128_GCM_SHA256"))


def test_without_its_password_a_key_is_refused_and_nobody_is_asked(authority: Authority) -> None:
    encrypted = authority.issue("encrypted", password="open sesame")
    with pytest.raises(TlsError, match="Failed to load certificate"):
        build(settings(authority, encrypted))
    build(settings(authority, encrypted, tls_key_file_pass="open sesame"))


@pytest.mark.parametrize(
    ("demand", "mode"),
    [("yes", ssl.CERT_REQUIRED), ("optional", ssl.CERT_OPTIONAL), ("no", ssl.CERT_NONE)],
)
def test_what_is_asked_of_whom(
    demand: str, mode: ssl.VerifyMode, authority: Authority, identity: Identity
) -> None:
    contexts = build(
        settings(
            authority,
            identity,
            tls_auth_clients=demand,
            tls_protocols="tlsv1.3 TLSv1.2",
            tls_ciphers="ECDHE-ECDSA-AES128-GCM-SHA256",
            tls_session_caching="no",
        )
    )
    assert contexts.clients.verify_mode == mode
    assert contexts.members.verify_mode == contexts.outgoing.verify_mode == ssl.CERT_REQUIRED
    assert contexts.clients.minimum_version == ssl.TLSVersion.TLSv1_2
    assert contexts.clients.num_tickets == 0
    names = [cipher["name"] for cipher in contexts.clients.get_ciphers() if cipher["protocol"] == "TLSv1.2"]
    assert names == ["ECDHE-ECDSA-AES128-GCM-SHA256"]


def test_a_proxy_needs_files_for_what_it_is_to_do(authority: Authority, identity: Identity) -> None:
    Protection(TlsOptions())
    for options, words in (
        (TlsOptions(tls_port=1), "No tls-cert-file configured!"),
        (TlsOptions(to_workers=True), "Either tls-ca-cert-file or tls-ca-cert-dir must be specified"),
    ):
        with pytest.raises(OSError, match=words):
            Protection(options)
    trusted = str(authority.own.certificate)
    anonymous = Protection(TlsOptions(to_workers=True, tls_ca_cert_file=trusted))
    assert anonymous.to_workers().verify_mode == ssl.CERT_REQUIRED


def test_changed_files_are_noticed(tmp_path: Path, authority: Authority, identity: Identity) -> None:
    certificate = tmp_path / "own.crt"
    certificate.write_bytes(identity.certificate.read_bytes())
    trusted = tmp_path / "trusted"
    trusted.mkdir()
    config = settings(authority, identity, tls_cert_file=str(certificate), tls_ca_cert_dir=str(trusted))
    before = stamp(config)
    assert stamp(config) == before
    certificate.write_bytes(b"something else")
    changed = stamp(config)
    assert changed != before
    (trusted / "another.pem").touch()
    assert stamp(config) != changed
    certificate.unlink()
    assert stamp(config) != changed
