"""What a string setting may be: the checks `directives` attaches to names of files and hosts."""

from __future__ import annotations

import os
import re
import string
from collections.abc import Callable

MAX_HOSTNAME = 255
HIGHEST_PORT = 65535
_HOSTNAME = set(string.ascii_letters + string.digits + "-.")
_OUTSIDE = re.compile(r"(?:\[([0-9A-Fa-f:.%]+)\]|([0-9A-Za-z._-]+)):(\d{1,5})(?::(\d{1,5}))?", re.ASCII)
MAX_ADDRESS = 45
"""Of the 46 bytes that messages of the cluster bus have for an address, one ends it."""
_ADDRESS = _HOSTNAME | set("_:%")
# The second part is ours: it would break the fields of a line of nodes.conf.
_NODE_NAME_EXCLUDED = set("!#$%&()*+:;<>?@[]^{|}~,= ")
_TITLE_VARIABLES = ("title", "listen-addr", "server-mode", "port", "tls-port", "unixsocket", "config-file")


def base_name(directive: str, what: str = "filename", *, may_be_empty: bool = False) -> Callable[[str], None]:
    """A check that refuses paths, so that files stay inside `dir`."""

    def check(value: str) -> None:
        if not value and not may_be_empty:
            raise ValueError(f"{directive} can't be empty")
        if "/" in value or "\\" in value or value in (os.curdir, os.pardir):
            raise ValueError(f"{directive} can't be a path, just a {what}")

    return check


def hostname(value: str) -> None:
    if len(value) > MAX_HOSTNAME:
        raise ValueError(f"Hostnames must be less than {MAX_HOSTNAME + 1} characters")
    if set(value) - _HOSTNAME:
        raise ValueError("Hostnames may only contain alphanumeric characters, hyphens or dots")


def announced_address(value: str) -> None:
    """What others would refuse in a message, and what would break a line of nodes.conf, is refused as Valkey
    does."""
    if len(value) > MAX_ADDRESS:
        raise ValueError("cluster-announce-ip is too long")
    if set(value) - _ADDRESS:
        raise ValueError("cluster-announce-ip contains invalid character")


def addresses(value: str) -> None:
    """`host:port` of several, with blanks between."""
    for word in value.split():
        host, _, port = word.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65536:
            raise ValueError(f"'{word}' is not an address like host:port")


def outside_address(value: str) -> None:
    """`host:port` or `host:port:tls-port`, where the host is in brackets if it has colons itself."""
    if value:
        split_outside(value)


def split_outside(value: str) -> tuple[str, int, int]:
    """The host and both ports of `cluster-announce-outside`; 0 for a port that is not there."""
    match = _OUTSIDE.fullmatch(value)
    port, tls_port = (int(match[3]), int(match[4] or 0)) if match else (0, 0)
    if match is None or not 0 < max(port, tls_port) <= HIGHEST_PORT or len(value) > MAX_HOSTNAME:
        raise ValueError("cluster-announce-outside must be like host:port or host:port:tls-port")
    return match[1] or match[2], port, tls_port


def node_name(value: str) -> None:
    if len(value) > MAX_HOSTNAME:
        raise ValueError(f"Announced human node name must be less than {MAX_HOSTNAME + 1} characters")
    if not value.isascii() or not value.isprintable() or set(value) & _NODE_NAME_EXCLUDED:
        raise ValueError("Announced human node name contained invalid character")


def title_template(value: str) -> None:
    """`proc-title-template`: only known {variables}."""
    try:
        names = [name for _, name, _, _ in string.Formatter().parse(value) if name is not None]
    except ValueError:
        names = [""]
    if not value or not set(names) <= set(_TITLE_VARIABLES):
        raise ValueError("template format is invalid or contains unknown variables")
