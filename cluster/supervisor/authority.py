"""The certificates of `shoal up --tls`: an authority of the directory's own, and what it signs.

    tls/ca.crt, ca.key            the authority, which nobody else trusts; 10 years
    tls/node.crt, node.key        for workers and proxies, as servers and among each other
    tls/client.crt, client.key    for clients and `shoal`, who have to show one

They are made with the program openssl when the cluster is, and those that it has signed are replaced at a
start when they are about to end. Keys are readable by their owner only.
"""

from __future__ import annotations

import ssl
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.operations.certificate import days_left
from cluster.operations.dialling import Tls
from cluster.supervisor.settings import SetupError

AUTHORITY_DAYS = 3650
DAYS = 397
RENEWED_BEFORE = 60
"""Days before its end"""
CURVE = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")


@dataclass(frozen=True)
class Authority:
    directory: Path

    def file(self, name: str) -> str:
        return str(self.directory / name)

    @property
    def for_us(self) -> Tls:
        """How the supervisor connects, and whoever administers the cluster."""
        return Tls(self.file("ca.crt"), certificate=self.file("client.crt"), key=self.file("client.key"))

    @property
    def options(self) -> list[str]:
        """Of workers and proxies alike, who call them the same."""
        files = (("cert-file", "node.crt"), ("key-file", "node.key"), ("ca-cert-file", "ca.crt"))
        return [word for option, name in files for word in (f"--tls-{option}", self.file(name))]

    def prepare(self, names: Sequence[str]) -> None:
        """Make what is missing or about to end. `names`: hosts and addresses of the servers. Raises
        SetupError."""
        try:
            self.directory.mkdir(mode=0o700, exist_ok=True)
            if not (self.directory / "ca.key").exists():
                self._make_authority()
            for who in ("node", "client"):
                if self._days_left(who) < RENEWED_BEFORE:
                    self._sign(who, names if who == "node" else ())
        except FileNotFoundError:
            raise SetupError("--tls makes certificates with the program openssl, which is not here") from None
        except subprocess.CalledProcessError as error:
            reason = error.stderr.decode(errors="replace").strip().splitlines()
            raise SetupError(f"openssl cannot make certificates: {reason[-1] if reason else ''}") from error
        except OSError as error:
            raise SetupError(f"{self.directory}: {(error.strerror or str(error)).lower()}") from error

    def _days_left(self, who: str) -> float:
        path = self.directory / f"{who}.crt"
        if not path.exists() or not (self.directory / f"{who}.key").exists():
            return -1
        try:
            return days_left(ssl.PEM_cert_to_DER_cert(path.read_text()), time.time())
        except ValueError:
            return -1  # damaged

    def _make_authority(self) -> None:
        self._openssl(
            "req", "-x509", *CURVE, "-days", str(AUTHORITY_DAYS), "-subj", "/CN=shoal up",
            "-keyout", "ca.key", "-out", "ca.crt",
        )  # fmt: skip

    def _sign(self, who: str, names: Sequence[str]) -> None:
        """A new key and its certificate, each put in place as a whole."""
        self._openssl(
            "req", *CURVE, "-subj", f"/CN=shoal {who}", "-keyout", f"{who}.key.new", "-out", f"{who}.csr"
        )
        extensions = ["basicConstraints=CA:FALSE"]
        if names:
            extensions.append(f"subjectAltName={','.join(map(_alternative_name, names))}")
        (self.directory / "extensions").write_text("\n".join(extensions))
        self._openssl(
            "x509", "-req", "-in", f"{who}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", str(DAYS), "-extfile", "extensions", "-out", f"{who}.crt.new",
        )  # fmt: skip
        for ending in ("key", "crt"):
            (self.directory / f"{who}.{ending}.new").rename(self.directory / f"{who}.{ending}")
        for left in (f"{who}.csr", "extensions"):
            (self.directory / left).unlink()

    def _openssl(self, *args: str) -> None:
        """With a mask under which only we may read what it writes."""
        subprocess.run(["openssl", *args], check=True, capture_output=True, cwd=self.directory, umask=0o077)


def _alternative_name(name: str) -> str:
    is_address = ":" in name or name.replace(".", "").isdecimal()
    return f"IP:{name}" if is_address else f"DNS:{name}"
