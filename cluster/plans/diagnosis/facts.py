"""What is known of one server, as far as it told: what it refused to tell is None or missing, and then
nothing is said about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from cluster.addresses import is_loopback
from cluster.plans.model import NodeInfo


@dataclass(frozen=True)
class Machine:
    """The host of a server, seen from there."""

    overcommit: int | None = None
    """vm.overcommit_memory"""
    huge_pages: str = ""
    """`always`, `madvise` or `never`"""
    most_waiting: int | None = None
    """net.core.somaxconn"""
    open_files: int | None = None
    """what the process may have open"""
    key_files: tuple[str, ...] = ()
    """private keys that users other than their owner may read"""


@dataclass(frozen=True)
class Facts:
    address: str
    host: str
    """Where it runs, in terms that are the same for servers of one host"""
    settings: Mapping[str, str] = field(default_factory=dict)
    """CONFIG GET *"""
    info: Mapping[str, str] = field(default_factory=dict)
    version: str = ""
    default_user: str = ""
    """Its line of ACL LIST"""
    other_users: int = 0
    """Those that are on"""
    clock_ahead: float | None = None
    """Seconds by which its clock is ahead of ours; half of the way is not known"""
    certificate_days: float | None = None
    """Until its certificate ends; below zero: since it did"""
    machine: Machine | None = None
    """None: it is another than ours"""
    member: NodeInfo | None = None
    """None: it is in no cluster"""
    proxies: frozenset[tuple[str, int]] = frozenset()
    """(host, port) of those that are connected to it"""

    def setting(self, name: str) -> str | None:
        """Lower-case names; where Valkey calls it otherwise, its own."""
        return self.settings.get(name)

    def number(self, name: str) -> int | None:
        """Of a setting; None where there is none."""
        value = self.settings.get(name, "")
        return int(value) if value.lstrip("-").isdecimal() else None

    def told(self, name: str) -> int:
        """A number of INFO; 0 where there is none."""
        value = self.info.get(name, "")
        return int(value) if value.lstrip("-").isdecimal() else 0

    @property
    def is_proxy(self) -> bool:
        """One of ours, before the servers of a cluster"""
        return self.info.get("server_name") == "shoal-proxy"

    @property
    def is_primary(self) -> bool:
        return self.info.get("role", "master") == "master"

    @property
    def keeps_data(self) -> bool:
        """On a disk, of its own accord."""
        on_disk = self.setting("storage-engine") == "disk"
        return on_disk or self.setting("appendonly") == "yes" or self.setting("save") not in ("", None)

    @property
    def is_for_the_world(self) -> bool:
        """Whether it listens on more than its own host, by any port."""
        ports = (self.number("port") or 0, self.number("tls-port") or 0)
        return any(ports) and not all(map(is_loopback, (self.setting("bind") or "*").split()))

    @property
    def asks_for_password(self) -> bool:
        """Of the default user, as whom everybody begins."""
        rules = self.default_user.split()
        return not rules or "off" in rules or "nopass" not in rules


@dataclass(frozen=True)
class Entrance:
    """A proxy, as it is to somebody who knows no password and has no certificate."""

    address: str
    from_elsewhere: bool
    """Whether it was reached by an address that other hosts reach as well"""
    lets_in: bool
    """He is answered what is asked of keys."""
    is_plain: bool
    """It speaks without TLS."""
    protected_mode: str = ""
    """As it tells it: `yes` or `no`; empty: not"""
