"""An authority for one test run, and certificates that it signs, by the command openssl.

authority = Authority(directory)
node = protect(server("shoal"), authority)      # any server that has TLS: its `port` is then its tls-port
with node, node.resp() as connection: ...       # clients of the harness follow
"""

from __future__ import annotations

import ssl
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from tests.harness.servers import Server

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]
AnyServer = TypeVar("AnyServer", bound=Server)


@dataclass(frozen=True)
class Identity:
    """PEM files."""

    certificate: Path
    key: Path


class Authority:
    def __init__(self, directory: Path, name: str = "authority") -> None:
        self.directory = directory
        self.name = name
        self.own = Identity(directory / f"{name}.crt", directory / f"{name}.key")
        self._openssl(
            "req", "-x509", *CURVE, "-nodes", "-days", "2", "-subj", f"/CN={name}",
            "-keyout", self.own.key, "-out", self.own.certificate,
        )  # fmt: skip

    def issue(self, name: str, *, days: int = 2, password: str = "") -> Identity:
        """A certificate for `name`, 127.0.0.1 and localhost; with negative `days` one that has expired. With
        `password` the key is encrypted by it."""
        path = self.directory / f"{self.name}-{name}"
        made = Identity(path.with_suffix(".crt"), path.with_suffix(".key"))
        request, extensions = path.with_suffix(".csr"), path.with_suffix(".ext")
        extensions.write_text(f"subjectAltName=DNS:{name},DNS:localhost,IP:127.0.0.1\n")
        secrecy = ["-passout", f"pass:{password}"] if password else ["-nodes"]
        self._openssl(
            "req", *CURVE, *secrecy, "-subj", f"/CN={name}", "-keyout", made.key, "-out", request
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-in", request, "-CA", self.own.certificate, "-CAkey", self.own.key,
            "-CAcreateserial", "-days", str(days), "-extfile", extensions, "-out", made.certificate,
        )  # fmt: skip
        return made

    def client_context(self, identity: Identity | None = None) -> ssl.SSLContext:
        """For clients that trust this authority."""
        context = ssl.create_default_context(cafile=str(self.own.certificate))
        if identity is not None:
            context.load_cert_chain(identity.certificate, identity.key)
        return context

    @staticmethod
    def _openssl(*args: str | Path) -> None:
        subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


def protect(node: AnyServer, authority: Authority, identity: Identity, **more: str | int) -> AnyServer:
    """Let a server that was not started yet listen by TLS only, follow and gossip by it, and the harness talk
    to it so, all with the same certificate."""
    node.config |= {
        "port": 0,
        "tls-port": node.port,
        "tls-cert-file": str(identity.certificate),
        "tls-key-file": str(identity.key),
        "tls-ca-cert-file": str(authority.own.certificate),
        "tls-replication": "yes",
        "tls-cluster": "yes",
    }
    node.config.update({name.replace("_", "-"): value for name, value in more.items()})
    node.tls = authority.client_context(identity)
    node.tls_options = {
        "ssl": True,
        "ssl_ca_certs": str(authority.own.certificate),
        "ssl_certfile": str(identity.certificate),
        "ssl_keyfile": str(identity.key),
    }
    node.tls_arguments = [
        *("--tls", "--cacert", str(authority.own.certificate)),
        *("--cert", str(identity.certificate), "--key", str(identity.key)),
    ]
    return node
