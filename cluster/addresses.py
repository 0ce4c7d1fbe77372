"""Addresses of servers, as operators write them.

An address is (host, port) everywhere. A host that begins with `/` is the path of a unix socket, and its port
is 0: so unix sockets go wherever addresses go. The other members of a cluster are still found by TCP, because
that is all that members know of each other.
"""

from __future__ import annotations

UNIX = "unix://"


def is_unix(host: str) -> bool:
    return host.startswith("/")


def address_text(host: str, port: int) -> str:
    """`127.0.0.1:7001`, `[::1]:7001`, `unix:///run/shoal.sock`."""
    if is_unix(host):
        return f"{UNIX}{host}"
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def parse_address(text: str) -> tuple[str, int]:
    """`host:port`, `[v6]:port`, `:port`, `port` or `unix:///path`. Raises ValueError."""
    if text.startswith(f"{UNIX}/"):
        return text.removeprefix(UNIX), 0
    host, _, port = text.rpartition(":")
    if not port.isdecimal() or not 0 < int(port) < 65536:
        raise ValueError(f"{text!r} is not an address like 127.0.0.1:7001 or unix:///run/shoal.sock")
    return host.strip("[]") or "127.0.0.1", int(port)


def is_loopback(word: str) -> bool:
    """Of those `bind` takes: an address that only its own host reaches."""
    address = word.removeprefix("-")
    return address in ("localhost", "::1") or address.startswith("127.")
