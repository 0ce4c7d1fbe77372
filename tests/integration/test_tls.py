"""Clients by TLS: who gets in, who does not, and what else holds as it does without. What is refused is
compared with redis-server 7.0, which Debian builds with TLS.
"""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from tests.harness.certificates import Authority, Identity, protect
from tests.harness.commands import redis_cli
from tests.harness.resp import Error, Resp, Simple, encode
from tests.harness.servers import NotStarted, Server, ShoalNode, server
from tests.harness.wait import eventually


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def identity(authority: Authority) -> Identity:
    return authority.issue("us")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Identity:
    """Signed by an authority that nobody trusts."""
    return Authority(tmp_path_factory.mktemp("strange"), "stranger").issue("them")


@pytest.fixture(scope="module")
def node(authority: Authority, identity: Identity) -> Iterator[ShoalNode]:
    with protect(ShoalNode(loglevel="verbose"), authority, identity) as started:
        yield started


@pytest.fixture(scope="module", params=["shoal", "redis-7.0"])
def either(
    request: pytest.FixtureRequest, node: ShoalNode, authority: Authority, identity: Identity
) -> Iterator[Server]:
    if request.param == "shoal":
        yield node
        return
    with protect(server(request.param), authority, identity) as started:
        yield started


def test_clients_of_all_kinds(node: ShoalNode) -> None:
    own_way = redis.Redis(node.host, node.port, **node.tls_options)
    with own_way as client, node.resp(protocol=3) as connection:
        assert client.set("greeting", "hello")
        assert connection.command("GET", "greeting") == b"hello"
        assert client.info("server")["tcp_port"] == node.port
    assert redis_cli(*node.tls_arguments, "-p", node.port, "GET", "greeting").strip() == "hello"


def test_big_values_and_pipelines_cross_records(node: ShoalNode) -> None:
    value = bytes(range(256)) * 20_000
    with node.resp(timeout=20) as connection:
        assert connection.command("SET", "big", value) == Simple("OK")
        assert connection.command("GET", "big") == value
        numbers = range(20_000)
        replies = connection.pipeline(*(("ECHO", f"{number}-" + "x" * (number % 50)) for number in numbers))
        assert replies == [b"%d-%s" % (number, b"x" * (number % 50)) for number in numbers]
        for byte in encode("GET", "big"):
            connection.send(bytes([byte]))
        assert connection.read() == value


def test_who_is_not_let_in(either: Server, authority: Authority, stranger: Identity) -> None:
    expired = authority.issue("expired", days=-1)
    for certificate in (None, stranger, expired):
        with pytest.raises(OSError), either_resp(either, authority.client_context(certificate)) as connection:
            connection.command("PING")
    with socket.create_connection((either.host, either.port), timeout=5) as plain:
        plain.sendall(b"PING\r\n")
        assert b"PONG" not in received_to_the_end(plain)
    assert either.run("PING") == Simple("PONG")


def test_clients_find_out_whom_they_do_not_trust(node: ShoalNode, stranger: Identity) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        either_resp(node, ssl.create_default_context(cafile=str(stranger.certificate)))


def either_resp(to: Server, context: ssl.SSLContext) -> Resp:
    return Resp(to.port, to.host, tls=context)


def received_to_the_end(connection: socket.socket) -> bytes:
    received = b""
    try:
        while data := connection.recv(4096):
            received += data
    except ConnectionResetError:
        pass
    return received


def test_certificates_may_be_optional(authority: Authority, identity: Identity, stranger: Identity) -> None:
    optional = ShoalNode(tls_protocols="TLSv1.2", tls_session_caching="no")
    with protect(optional, authority, identity, tls_auth_clients="optional"):
        with either_resp(optional, authority.client_context()) as connection:
            assert connection.command("PING") == Simple("PONG")
            assert connection.socket.version() == "TLSv1.2"  # type: ignore[attr-defined]
        with pytest.raises(OSError), either_resp(optional, authority.client_context(stranger)) as connection:
            connection.command("PING")
        optional.run("CONFIG", "SET", "tls-auth-clients", "no")
        with either_resp(optional, authority.client_context(stranger)) as connection:
            assert connection.command("PING") == Simple("PONG")


def test_who_says_nothing_keeps_nobody_waiting_and_counts_as_a_client(node: ShoalNode) -> None:
    with node.resp() as connection, ExitStack() as silent:
        connection.command("CONFIG", "SET", "maxclients", 4)
        try:
            held = [silent.enter_context(socket.create_connection((node.host, node.port))) for _ in range(5)]
            held[0].sendall(b"\x16\x03\x01")  # the beginning of a handshake

            def turned_away() -> bool:
                return connection.command("INFO", "stats").count(b"rejected_connections:0") == 0

            eventually(turned_away, "the fifth is turned away")
            assert connection.command("PING") == Simple("PONG")
            silent.close()
            eventually(lambda: node.run("PING") == Simple("PONG"), "there is room again")
        finally:
            connection.command("CONFIG", "SET", "maxclients", 10000)


def test_output_that_nobody_takes_is_counted_and_limited(node: ShoalNode) -> None:
    with node.resp() as connection, node.resp() as deaf:
        connection.command("SET", "long", b"x" * 2_000_000)
        number = deaf.command("CLIENT", "ID")
        deaf.send(encode("GET", "long") * 30)

        def waiting() -> int:
            line = connection.command("CLIENT", "LIST", "ID", number).decode()
            return int(dict(word.split("=", 1) for word in line.split())["omem"])

        eventually(lambda: waiting() > 40_000_000, "what is not taken is counted")
        connection.command("CONFIG", "SET", "client-output-buffer-limit", "normal 1mb 0 0")
        deaf.send(encode("GET", "long"))
        eventually(lambda: connection.command("CLIENT", "LIST", "ID", number) == b"", "it is disconnected")
        connection.command("CONFIG", "SET", "client-output-buffer-limit", "normal 0 0 0")


def test_replies_wait_their_turn_and_all_come(node: ShoalNode) -> None:
    with node.resp(timeout=20) as connection:
        value = bytes(range(256)) * 8_000
        connection.command("SET", "long", value)
        connection.send(encode("GET", "long") * 20)
        for _ in range(20):
            assert connection.read() == value


def test_a_script_that_runs_too_long_is_killed_over_a_new_connection(node: ShoalNode) -> None:
    with node.resp() as busy, node.resp() as known:
        known.command("CONFIG", "SET", "busy-reply-threshold", 50)
        busy.send_command("EVAL", "while true do end", 0)

        def is_busy() -> bool:
            reply = known.command("PING")
            return isinstance(reply, Error) and reply.prefix == "BUSY"

        eventually(is_busy, "the script keeps the worker busy")
        assert node.run("SCRIPT", "KILL") == Simple("OK")
        assert isinstance(busy.read(), Error)
        assert known.command("CONFIG", "SET", "busy-reply-threshold", 5000) == Simple("OK")


@pytest.fixture
def own_files(tmp_path: Path, identity: Identity) -> Identity:
    """Copies that a test may replace."""
    own = Identity(tmp_path / "own.crt", tmp_path / "own.key")
    replace_files(own, identity)
    return own


def replace_files(files: Identity, by: Identity) -> None:
    shutil.copy(by.certificate, files.certificate)
    shutil.copy(by.key, files.key)


def shown_by(node: Server) -> str:
    with node.resp() as connection:
        subject = connection.socket.getpeercert()["subject"]  # type: ignore[attr-defined]
        return dict(pair for part in subject for pair in part)["commonName"]


def test_certificates_are_loaded_anew(authority: Authority, identity: Identity, own_files: Identity) -> None:
    """By CONFIG SET, as in Redis also to the same name, and when the files change."""
    node = protect(ShoalNode(tls_auto_reload_interval=0), authority, identity)
    node.config |= {"tls-cert-file": str(own_files.certificate), "tls-key-file": str(own_files.key)}
    with node, node.resp() as connection:
        assert shown_by(node) == "us"
        replace_files(own_files, authority.issue("second"))
        assert shown_by(node) == "us"
        assert connection.command("CONFIG", "SET", "tls-cert-file", str(own_files.certificate)) == Simple(
            "OK"
        )
        assert shown_by(node) == "second"

        own_files.certificate.write_text("damage")
        for name, value in (("tls-cert-file", str(own_files.certificate)), ("tls-key-file", "/nowhere")):
            refused = connection.command("CONFIG", "SET", name, value)
            assert refused == Error(
                f"ERR CONFIG SET failed (possibly related to argument '{name}') - "
                "Unable to update TLS configuration. Check server logs."
            )
        assert shown_by(node) == "second"

        connection.command("CONFIG", "SET", "tls-auto-reload-interval", 1)
        replace_files(own_files, authority.issue("third"))
        eventually(lambda: shown_by(node) == "third", "the new files are loaded")
        own_files.key.write_text("damage")
        eventually(lambda: "cannot be used" in node.log, "damage is noticed")
        assert shown_by(node) == "third"
        assert connection.command("PING") == Simple("PONG")


def test_keys_may_be_encrypted_and_their_password_is_told_to_nobody(authority: Authority) -> None:
    password = "correct-horse-battery"
    encrypted = authority.issue("encrypted", password=password)
    plain = authority.issue("us2")
    node = protect(ShoalNode(loglevel="debug"), authority, plain, tls_key_file_pass=password)
    node.config |= {"tls-cert-file": str(encrypted.certificate), "tls-key-file": str(encrypted.key)}
    with node, node.resp() as connection:
        connection.command("CONFIG", "SET", "slowlog-log-slower-than", 0)
        connection.command("CONFIG", "SET", "tls-key-file-pass", password)
        told = [connection.command("INFO", "everything"), str(connection.command("SLOWLOG", "GET")).encode()]
        assert shown_by(node) == "encrypted"
        assert not any(password in text for text in (*(each.decode() for each in told), node.log))


def test_a_worker_without_certificates_does_not_start() -> None:
    node = ShoalNode()
    node.config |= {"port": 0, "tls-port": node.port}
    with pytest.raises(NotStarted, match=r"ended with code 1(?s:.*)No tls-cert-file configured!"), node:
        pass


def test_openssl_sees_no_old_protocols(node: ShoalNode) -> None:
    address = f"{node.host}:{node.port}"
    old = subprocess.run(
        ["openssl", "s_client", "-tls1_1", "-connect", address], input=b"", capture_output=True, timeout=10
    )
    assert old.returncode != 0
