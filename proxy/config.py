"""The settings of `shoal proxy`, from its command line, and from a file like redis.conf.

    shoal proxy [FILE] --name value ...

A line of the file is an option without its dashes; what the command line says, too, holds. Names that Redis
has too are spelled as there, so `--requirepass` and `--auth` are one.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from os import environ
from pathlib import Path

from cluster.addresses import is_loopback
from node.log_lines import FORMATS, TIMESTAMPS
from proxy import protection
from proxy.core.limits import Limits
from proxy.local import limit_options
from proxy.local.rules import Rules
from proxy.mirror import options as mirror_options
from proxy.mirror.options import MirrorOptions
from proxy.protection import TlsOptions
from proxy.workers.dialogue import Address

CLIENT_VARIABLE = "SHOAL_PROXY_AUTH"
UPSTREAM_VARIABLE = "SHOAL_UPSTREAM_AUTH"
"""Passwords may come this way, too: command lines can be read by all users of a machine."""

MOST_PROCESSES = 128


@dataclass(frozen=True)
class ProxyConfig:
    seeds: list[Address]
    """Members of the cluster to ask first; one that answers is enough."""
    port: int = 6379
    """0: no TCP"""
    bind: list[str] = field(default_factory=lambda: ["127.0.0.1"])
    protected_mode: bool = True
    """Without a password only clients of this host may come, whatever `bind` says."""
    unix_socket: str = ""
    unix_permissions: int | None = None
    """Of that socket; None: as the process' umask has it"""
    worker_sockets: bool = True
    """Reach workers on this machine by their unix sockets."""
    reuse_port: bool = False
    """Several proxies share the port, and the kernel spreads new connections over them."""
    user: bytes = b"default"
    password: bytes = b""
    """What clients have to log in with; empty: nothing"""
    auth_by_workers: bool = False
    """Clients log in as users that the workers know, and have their rights."""
    credentials: tuple[bytes, ...] = ()
    """Arguments of AUTH towards the workers: (), (password,) or (user, password)"""
    max_clients: int = 10000
    hot_reads: str = "no"
    """`share` those of hot keys between clients that ask at the same time, or `cache` the replies, too"""
    hot_rate: int = 1000
    """Reads a second that make a key hot"""
    cache_age: int = 1000
    """Milliseconds for which a reply may be kept"""
    cache_size: int = 16 << 20
    """Bytes of replies that are kept"""
    tracking_keys: int = 1_000_000
    """Keys remembered for clients that track what they read; 0: any number"""
    backlog: int = 511
    log_level: str = "notice"
    log_format: str = "legacy"
    log_timestamps: str = "legacy"
    failover_wait: float = 10.0
    """Seconds that requests wait for a worker that cannot serve, before they are refused"""
    failover_queue: int = 64 << 20
    """Bytes of requests that may wait for one worker"""
    resend_writes: bool = True
    """Send also writes again that were on their way when their worker was lost."""
    as_cluster: bool = False
    """Answer as a cluster whose nodes are proxies."""
    members: list[Address] = field(default_factory=list)
    """These, with this one among them; empty: this one alone"""
    announced: Address | None = None
    """Where clients reach this proxy; None: where each came to"""
    processes: int = 0
    """That share the port, behind one that watches and reloads them; 0: this one alone"""
    drain_timeout: float = 5.0
    """Seconds for what is in flight when a process is to end"""
    transactions: str = "one-slot"
    """Or `split`: those with keys of several slots are carried out slot by slot."""
    cross_slot: str = "no"
    """Commands with keys of several slots: `no`, `reads` or `all`"""
    cross_slot_memory: int = 64 << 20
    """Bytes of keys that may be on their way for them"""
    tls: TlsOptions = field(default_factory=TlsOptions)
    mirror: MirrorOptions = field(default_factory=MirrorOptions)
    limits: Limits = field(default_factory=Limits)
    """Of each client"""
    rules: Rules = field(default_factory=Rules)
    """What clients may do"""
    read_from: str = "primary"
    """Who answers reads: `primary`, `prefer-replica`, `nearest` or `same-zone`"""
    zone: str = ""
    """Where this proxy is, in the terms of the workers' availability-zone"""
    max_lag_bytes: int = 1 << 20
    max_lag_seconds: int = 15
    """How far a replica may be behind to be read. Primaries say something every 10 seconds at least."""
    traces_to: str = ""
    """A collector's URL; empty: none"""
    traces_slower_than: int = 10_000
    """Microseconds"""
    slow_after: int = 10_000
    """Microseconds from which on a request is in the slow log of the proxy; -1: never"""
    metrics_port: int = 0
    """Where Prometheus finds the proxy's figures; 0: nowhere. Those of another process are a port higher."""
    metrics_bind: Sequence[str] = ()
    """None: as `bind`"""
    own_poller: bool = True
    """False: the event loop watches every connection itself, as it does where there is no epoll."""

    def knows_who_comes(self, by_tls: bool) -> bool:
        """By a password or a certificate."""
        has_certificate = by_tls and self.tls.tls_auth_clients == "yes"
        return bool(self.password) or self.auth_by_workers or has_certificate

    @property
    def is_open_to_others(self) -> bool:
        """Whether it listens for other hosts at a port at which it asks for nothing. Who comes from there
        is let in, or, by protected mode, turned away."""
        ports = ((self.port, False), (self.tls.tls_port, True))
        asks_nothing = any(port and not self.knows_who_comes(by_tls) for port, by_tls in ports)
        return asks_nothing and not all(map(is_loopback, self.bind))


def parse(argv: Sequence[str]) -> ProxyConfig:
    """Raises SystemExit, with code 2 and a message on stderr, for what makes no sense."""
    parser = argparse.ArgumentParser(
        prog="shoal proxy",
        usage="shoal proxy [FILE] --seed HOST:PORT ...",
        description="Let plain clients use a Redis, Valkey or shoal cluster as if it were one server.",
    )
    parser.add_argument("--seed", action="append", required=True, type=_address, metavar="HOST:PORT",
                        help="a member of the cluster; may be given several times")  # fmt: skip
    parser.add_argument("--port", type=_port, default=6379, help="TCP port to listen on; 0 for none")
    parser.add_argument("--bind", action="append", nargs="+", metavar="ADDRESS", help="default: 127.0.0.1")
    parser.add_argument("--protected-mode", choices=("yes", "no"), default="yes",
                        help="without a password let in clients of this host only")  # fmt: skip
    parser.add_argument("--unixsocket", default="", metavar="PATH", help="also listen on this unix socket")
    parser.add_argument("--unixsocketperm", type=_permissions, metavar="MODE", help="of it, as in 770")
    parser.add_argument("--no-worker-sockets", action="store_true",
                        help="do not use the unix sockets of workers on this machine")  # fmt: skip
    parser.add_argument("--reuse-port", action="store_true", help="share the port with other proxies")
    parser.add_argument(
        "--auth", "--requirepass", default=environ.get(CLIENT_VARIABLE, ""), metavar="PASSWORD",
        help=f"required from clients; or in {CLIENT_VARIABLE}",
    )  # fmt: skip
    parser.add_argument("--password-file", metavar="PATH", help="the same, in a file")
    parser.add_argument("--user", default="default", help="as whom clients log in with that")
    parser.add_argument("--auth-by-workers", action="store_true",
                        help="clients log in as users of the workers, and have their rights")  # fmt: skip
    parser.add_argument(
        "--upstream-auth", default=environ.get(UPSTREAM_VARIABLE, ""), metavar="[USER:]PASSWORD",
        help=f"given to the workers; or in {UPSTREAM_VARIABLE}",
    )  # fmt: skip
    parser.add_argument("--worker-password-file", metavar="PATH", help="the same password, in a file")
    parser.add_argument("--worker-user", default="", metavar="USER", help="the user for it")
    parser.add_argument("--maxclients", type=int, default=10000)
    parser.add_argument("--hot-reads", choices=("no", "share", "cache"), default="no",
                        help="answer reads of hot keys together, or from a cache as well")  # fmt: skip
    parser.add_argument("--hot-reads-rate", type=int, default=1000, metavar="N",
                        help="reads a second that make a key hot")  # fmt: skip
    parser.add_argument("--hot-cache-age", type=int, default=1000, metavar="MS",
                        help="how old a cached reply may be at most")  # fmt: skip
    parser.add_argument("--hot-cache-size", type=int, default=16 << 20, metavar="BYTES")
    parser.add_argument("--tracking-table-max-keys", type=int, default=1_000_000, metavar="N",
                        help="keys remembered for CLIENT TRACKING; 0: any number")  # fmt: skip
    parser.add_argument("--tcp-backlog", type=int, default=511)
    parser.add_argument("--loglevel", choices=("debug", "verbose", "notice", "warning"), default="notice")
    parser.add_argument("--log-format", choices=FORMATS, default="legacy")
    parser.add_argument("--log-timestamp-format", choices=TIMESTAMPS, default="legacy")
    parser.add_argument(
        "--failover-wait", type=int, default=10000, metavar="MS",
        help="how long requests wait for a worker that failed; 0: they are refused at once",
    )  # fmt: skip
    parser.add_argument(
        "--failover-queue", type=int, default=64 << 20, metavar="BYTES",
        help="of requests that may wait for one worker",
    )  # fmt: skip
    parser.add_argument(
        "--resend", choices=("all", "reads"), default="all",
        help="what to send again that was on its way when its worker was lost, perhaps carried out already",
    )  # fmt: skip
    parser.add_argument(
        "--as-cluster", nargs="*", type=_address, metavar="HOST:PORT",
        help="pose as a cluster to clients that want one; its nodes are these proxies, or this one",
    )  # fmt: skip
    parser.add_argument(
        "--announce", type=_address, metavar="HOST:PORT",
        help="where clients of --as-cluster reach this proxy, if not where they came to",
    )  # fmt: skip
    parser.add_argument(
        "--processes", type=int, default=0, metavar="N",
        help="serve with N processes behind one that watches them, and on SIGHUP replaces them by new ones",
    )  # fmt: skip
    parser.add_argument(
        "--drain-timeout", type=int, default=5000, metavar="MS",
        help="how long a process that is to end answers what is in flight",
    )  # fmt: skip
    parser.add_argument(
        "--transactions", choices=("one-slot", "split"), default="one-slot",
        help="MULTI with keys of several slots: refuse it, or carry out each slot's part by itself",
    )  # fmt: skip
    parser.add_argument(
        "--cross-slot", choices=("no", "reads", "all"), default="no",
        help="carry out commands with keys of several slots: those that only read, or all; not as one",
    )  # fmt: skip
    parser.add_argument(
        "--cross-slot-memory", type=int, default=64 << 20, metavar="BYTES",
        help="of keys that may be brought together for such commands at once",
    )  # fmt: skip
    parser.add_argument(
        "--read-from", choices=("primary", "prefer-replica", "nearest", "same-zone"), default="primary",
        help="who answers reads; replicas may be a little behind",
    )  # fmt: skip
    parser.add_argument("--zone", default="", help="for same-zone: as the workers' availability-zone")
    parser.add_argument("--max-lag-bytes", type=int, default=1 << 20, metavar="BYTES",
                        help="a replica that is farther behind is not read")  # fmt: skip
    parser.add_argument("--max-lag-seconds", type=int, default=15, metavar="SECONDS",
                        help="nor one that has not heard from its primary for so long")  # fmt: skip
    parser.add_argument("--loop-poller", action="store_true",
                        help="let an event loop of the usual kind watch connections")  # fmt: skip
    parser.add_argument(
        "--metrics-port", type=_port, default=0, metavar="PORT",
        help="tell Prometheus of the proxy, at /metrics; 0: do not; of several processes each has its own"
             " port, from this one on",
    )  # fmt: skip
    parser.add_argument("--metrics-bind", action="append", nargs="+", metavar="ADDRESS",
                        help="default: as --bind")  # fmt: skip
    limit_options.add_options(parser)
    mirror_options.add_options(parser, _address)
    protection.add_options(parser)
    given = parser.parse_args(_with_file(argv, parser))
    if (given.read_from == "same-zone") != bool(given.zone):
        parser.error("--read-from same-zone and --zone need each other")
    if not given.port and not given.unixsocket and not given.tls_port:
        parser.error("nothing to listen on: --port is 0 and there is no --unixsocket")
    if given.as_cluster is not None and not given.port:
        parser.error("the nodes of --as-cluster are found at --port, which is 0")
    if given.announce and given.as_cluster is None:
        parser.error("--announce is for --as-cluster")
    try:
        limits, rules = limit_options.limits_of(given), limit_options.rules_of(given)
    except (ValueError, argparse.ArgumentTypeError) as error:
        parser.error(str(error))
    members = given.as_cluster or []
    password = _secret(parser, given.password_file) or given.auth
    if given.auth_by_workers and password:
        parser.error("--auth-by-workers leaves passwords of clients to the workers")
    at_workers = _credentials(
        parser, given.upstream_auth, given.worker_user, given.worker_password_file, "workers"
    )
    at_mirror = _credentials(
        parser, given.mirror_auth, given.mirror_user, given.mirror_password_file, "mirror"
    )
    return ProxyConfig(
        seeds=given.seed,
        port=given.port,
        bind=[address for group in given.bind or [["127.0.0.1"]] for address in group],
        protected_mode=given.protected_mode == "yes",
        unix_socket=given.unixsocket,
        unix_permissions=given.unixsocketperm,
        worker_sockets=not given.no_worker_sockets,
        reuse_port=given.reuse_port,
        user=given.user.encode(),
        password=password.encode(),
        auth_by_workers=given.auth_by_workers,
        credentials=at_workers,
        max_clients=given.maxclients,
        hot_reads=given.hot_reads,
        hot_rate=given.hot_reads_rate,
        cache_age=given.hot_cache_age,
        cache_size=given.hot_cache_size,
        tracking_keys=given.tracking_table_max_keys,
        backlog=given.tcp_backlog,
        log_level=given.loglevel,
        log_format=given.log_format,
        log_timestamps=given.log_timestamp_format,
        failover_wait=given.failover_wait / 1000,
        failover_queue=given.failover_queue,
        resend_writes=given.resend == "all",
        as_cluster=given.as_cluster is not None,
        members=members,
        announced=_among(parser, members, given.announce, given.port),
        processes=_within(given.processes, 0, MOST_PROCESSES, "--processes", parser),
        drain_timeout=given.drain_timeout / 1000,
        transactions=given.transactions,
        cross_slot=given.cross_slot,
        cross_slot_memory=given.cross_slot_memory,
        tls=protection.options_of(given),
        mirror=mirror_options.options_of(given, at_mirror),
        limits=limits,
        rules=rules,
        read_from=given.read_from,
        zone=given.zone,
        max_lag_bytes=given.max_lag_bytes,
        max_lag_seconds=given.max_lag_seconds,
        metrics_port=given.metrics_port,
        metrics_bind=[address for group in given.metrics_bind or [] for address in group],
        slow_after=given.slowlog_log_slower_than,
        traces_to=given.traces_to,
        traces_slower_than=given.traces_slower_than,
        own_poller=not given.loop_poller,
    )


def _among(
    parser: argparse.ArgumentParser, members: list[Address], announced: Address | None, port: int
) -> Address | None:
    """Which of the `members` of a cluster of proxies we are: the one we announce, or that with our port."""
    if not members:
        return announced
    fitting = [each for each in members if (each == announced if announced else each[1] == port)]
    if len(set(fitting)) != 1:
        parser.error("which of the addresses of --as-cluster is this proxy's? Say it with --announce")
    return fitting[0]


def _credentials(
    parser: argparse.ArgumentParser, both: str, user: str, path: str | None, where: str
) -> tuple[bytes, ...]:
    """What AUTH takes there. `both`: [USER:]PASSWORD; `user` and the file at `path` take precedence."""
    named, colon, password = both.partition(":")
    if not colon:
        named, password = "", named
    password = _secret(parser, path) or password
    user = user or named
    if user and not password:
        parser.error(f"there is no password for the user at the {where}")
    return tuple(word.encode() for word in (user, password) if word)


def _secret(parser: argparse.ArgumentParser, path: str | None) -> str:
    """The first line of a file; empty if there is none to read."""
    try:
        return Path(path).read_text().partition("\n")[0] if path else ""
    except OSError as error:
        parser.error(f"{path}: {error.strerror}")


def _with_file(argv: Sequence[str], parser: argparse.ArgumentParser) -> list[str]:
    """The options of the file, if the first argument is one, and then those of the command line. What takes
    no value on the command line is `yes` or `no` in the file."""
    if not argv or argv[0].startswith("-"):
        return list(argv)
    options: list[str] = []
    try:
        for line in Path(argv[0]).read_text().splitlines():
            name, *values = shlex.split(line, comments=True) or [""]
            action = parser._option_string_actions.get(f"--{name}")
            is_switch = action is not None and action.nargs in (0, "*")
            if name and not (is_switch and values == ["no"]):
                options += [f"--{name}", *([] if is_switch and values == ["yes"] else values)]
    except (OSError, ValueError) as error:
        parser.error(f"{argv[0]}: {error}")
    return [*options, *argv[1:]]


def _within(value: int, low: int, high: int, name: str, parser: argparse.ArgumentParser) -> int:
    if not low <= value <= high:
        parser.error(f"{name} must be between {low} and {high}")
    return value


def _permissions(text: str) -> int:
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise argparse.ArgumentTypeError(f"{text!r} is not an octal mode like 770")
    return mode


def _address(text: str) -> Address:
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), _port(port, lowest=1)


def _port(text: str, lowest: int = 0) -> int:
    if not text.isdigit() or not lowest <= int(text) <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not a port")
    return int(text)
