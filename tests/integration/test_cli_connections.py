"""How the command line gets in: passwords, ACL users, TLS, unix sockets; and what it says when not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.harness.servers import Server, server
from tests.harness.shoal_command import shoal, shoal_process
from tests.harness.tls import make_certificate, tls_before


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module", params=["valkey", "shoal"])
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A cluster of one, on a unix socket too, for the user `ada` and the default user with a password."""
    path = tmp_path_factory.mktemp("socket") / "s"
    users = ["ada", "on", ">lovelace", "~*", "&*", "+@all"]
    with server(
        request.param, cluster_enabled="yes", unixsocket=str(path), requirepass="secret", user=users
    ) as node:
        yield node


class TestLoggingIn:
    def test_a_password_and_a_user(self, node: Server) -> None:
        assert "give --user and --password" in shoal("nodes", node.address, code=1).error_line
        rows = shoal("nodes", node.address, "--password", "secret", "--json").json
        assert rows[0]["address"] == node.address
        shoal("check", node.address, "--user", "ada", "--password", "lovelace", "--json", code=1)
        wrong = shoal("nodes", node.address, "-a", "wrong", code=1).error_line
        assert node.address in wrong
        assert "WRONGPASS" in wrong or "invalid username-password pair" in wrong

    def test_variables_and_asking(self, node: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        asked = shoal_process("nodes", node.address, "--askpass", "--json", input="secret\n")
        assert asked.json[0]["address"] == node.address
        monkeypatch.setenv("SHOAL_PASSWORD", "lovelace")
        monkeypatch.setenv("SHOAL_USER", "ada")
        shoal("nodes", node.address)


def test_a_unix_socket(node: Server) -> None:
    where = f"unix://{node.config['unixsocket']}"
    assert shoal("nodes", where, "-a", "secret", "--json").json[0]["address"] == node.address
    shoal("backup", node.directory / "backup", where, "-a", "secret", code=1)  # no slots are served
    nobody = shoal("nodes", "unix:///tmp/nobody-listens-here", code=2).error_line
    assert "unix:///tmp/nobody-listens-here does not answer: no such file" in nobody


class TestTls:
    def test_a_server_is_trusted_by_its_certificate(
        self, node: Server, certificate: tuple[Path, Path]
    ) -> None:
        login = ["-a", "secret", "--json"]
        with tls_before(node.port, *certificate) as port:
            address = f"localhost:{port}"
            shoal("nodes", address, "--cacert", certificate[0], *login)
            shoal("nodes", f"127.0.0.1:{port}", "--cacert", certificate[0], "--sni", "localhost", *login)
            shoal("nodes", address, "--insecure", *login)
            distrust = shoal("nodes", address, "--tls", *login, code=2).error_line
            assert "its certificate is not trusted" in distrust
            assert "--cacert" in distrust
            plain = shoal("nodes", address, *login, code=2).error_line
            assert "does its port want --tls?" in plain.lower()

    def test_we_show_a_certificate(self, node: Server, certificate: tuple[Path, Path]) -> None:
        certificate_file, key = certificate
        with tls_before(node.port, *certificate, clients=certificate_file) as port:
            call = ["nodes", f"localhost:{port}", "-a", "secret", "--cacert", certificate_file]
            shoal(*call, "--cert", certificate_file, "--cert-key", key)
            shoal(*call, code=2)

    def test_files_that_are_none(self, node: Server) -> None:
        assert "no such file" in shoal("nodes", node.address, "--cacert", "/nowhere", code=2).error_line

    def test_plain_servers_have_no_tls(self, node: Server) -> None:
        if node.kind == "valkey":
            return  # waits for the rest of what it takes for a command, until we give up
        assert "TLS port?" in shoal("nodes", node.address, "--tls", code=2).error_line


@pytest.mark.parametrize("kind", ["valkey", "shoal"])
def test_a_backup_by_tls_and_by_unix_socket(
    kind: str, certificate: tuple[Path, Path], tmp_path: Path
) -> None:
    """What goes over sockets of its own goes over the same kinds of them."""
    with server(kind, unixsocket=str(tmp_path / "s")) as node:
        node.run("SET", "a", "b")
        with tls_before(node.port, *certificate) as port:
            ways = {
                "tls": [f"localhost:{port}", "--cacert", certificate[0]],
                "unix": [f"unix://{tmp_path}/s"],
            }
            for name, way in ways.items():
                assert shoal("backup", tmp_path / name, *way, "--json").json["keys"] == 1
                node.run("FLUSHALL")
                shoal("restore", tmp_path / name, *way)
                assert node.run("GET", "a") == b"b"
