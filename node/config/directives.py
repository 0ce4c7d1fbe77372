"""Every directive, as data: name, kind, default, and how it may be changed.

Names, limits and defaults are those `CONFIG GET *` of Redis 8.2 shows, so that existing redis.conf files
load and tools see what they expect. Rules:

- `aliases` are other names for the same value (`slave-priority`, the `ziplist` names); both appear in
  CONFIG GET. `valkey_name` is Valkey's own name for it, found by its exact name only.
- immutable: only from the file or command line. protected: by CONFIG SET only with
  `enable-protected-configs`.
- volatile: names a file. Set again, even to the same name, it is read again.
- hidden: found by its exact name, never by a pattern. Settings for debugging, and those only Valkey has.
- secret: its value is in no log, and in nothing else that shows commands.
- inert: accepted, kept and shown, but nothing acts on it, because it tunes a part that this server does not
  have: jemalloc, I/O threads, or what is still to come. A worker names in its log those that were set.
  A test holds this flag to the sources, both ways.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from node.config import checks
from node.config.kinds import (
    INT_MAX,
    LONG_MAX,
    UINT_MAX,
    ULONG_MAX,
    Bool,
    Choice,
    Choices,
    Integer,
    Kind,
    Memory,
    Octal,
    Text,
)
from node.config.structured import (
    MAX_PORT,
    Addresses,
    Directory,
    EventClasses,
    OomScores,
    OutputLimit,
    OutputLimits,
    Percentiles,
    PrimaryAddress,
    Save,
)

KB, MB, GB = 2**10, 2**20, 2**30


@dataclass(frozen=True, slots=True, eq=False)
class Directive:
    name: str
    kind: Kind
    default: Any
    aliases: tuple[str, ...] = ()
    valkey_name: str = ""
    immutable: bool = False
    protected: bool = False
    volatile: bool = False
    hidden: bool = False
    secret: bool = False
    inert: bool = False
    section: str = ""
    """The heading under which the reference page has it."""

    @property
    def attribute(self) -> str:
        """The name in Python: `config.cluster_node_timeout`."""
        return self.name.replace("-", "_")


TABLE: dict[str, Directive] = {}
"""All directives by their own name, in the order of this file."""

BY_NAME: dict[str, Directive] = {}
"""All directives by every name they answer to."""


_section = ""


def _under(section: str) -> None:
    """Begin a section."""
    global _section
    _section = section


def _add(name: str, kind: Kind, default: Any, *flags: str, also: str = "", valkey: str = "") -> None:
    aliases, marks = tuple(also.split()), dict.fromkeys(flags, True)
    directive = Directive(name, kind, default, aliases, valkey, section=_section, **marks)
    TABLE[name] = directive
    for known_as in filter(None, (name, *aliases, valkey)):
        if known_as in BY_NAME:
            raise ValueError(f"directive {known_as!r} is declared twice")
        BY_NAME[known_as] = directive


BOOL = Bool()
COUNT = Integer(0, INT_MAX)
POSITIVE = Integer(1, INT_MAX)
PORT = Integer(0, MAX_PORT)
LONG = Integer(0, LONG_MAX)
SIZE = Integer(0, LONG_MAX, unsigned=True)
MEMORY = Memory()
TEXT = Text()
ALLOWED_TO = Choice("no", "yes", "local")
SHUTDOWN = Choices(
    "default", "save", "nosave", "now", "force", "safe", "failover", exclusive=("save", "nosave")
)

_under("Network and process")
# Unlike Redis, a worker keeps the addresses it started with.
_add("bind", Addresses(), ["*", "-::*"], "immutable")
_add("bind-source-addr", TEXT, "")
_add("port", PORT, 6379, "immutable")
_add("tcp-backlog", COUNT, 511, "immutable")
_add("tcp-keepalive", COUNT, 300)
_add("socket-mark-id", Integer(0, UINT_MAX, unsigned=True), 0, "immutable", "inert")
_add("unixsocket", TEXT, "", "immutable")
_add("unixsocketperm", Octal(0, 0o777), 0, "immutable")
_add("timeout", COUNT, 0)
_add("protected-mode", BOOL, True)
_add("maxclients", Integer(1, UINT_MAX, unsigned=True), 10000)
_add("max-new-connections-per-cycle", Integer(1, 1000, unsigned=True), 10, "inert")
_add("max-new-tls-connections-per-cycle", Integer(1, 1000, unsigned=True), 1, "inert")
_add("databases", POSITIVE, 16, "immutable")
_add("dir", Directory(), "", "protected")
_add("daemonize", BOOL, False, "immutable", "inert")
_add("pidfile", TEXT, "", "immutable")
_add("supervised", Choice("upstart", "systemd", "auto", "no"), "no", "immutable", "inert")
_add("set-proc-title", BOOL, True, "immutable", "inert")
_add("proc-title-template", Text(checks.title_template), "{title} {listen-addr} {server-mode}", "inert")
_add("always-show-logo", BOOL, False, "immutable", "inert")
_add("shutdown-timeout", COUNT, 10)
_add("shutdown-on-sigterm", SHUTDOWN, "default")
_add("shutdown-on-sigint", SHUTDOWN, "default")
_add("hz", Integer(0, INT_MAX, clip=(1, 500)), 10)
_add("dynamic-hz", BOOL, True, "inert")
_add("locale-collate", TEXT, "", "inert")

_under("Log")
_add("loglevel", Choice("debug", "verbose", "notice", "warning", "nothing"), "notice")
_add("logfile", TEXT, "", "immutable")
_add("syslog-enabled", BOOL, False, "immutable", "inert")
_add("syslog-ident", TEXT, "redis", "immutable", "inert")
_add(
    "syslog-facility",
    Choice("user", *(f"local{number}" for number in range(8))),
    "local0",
    "immutable",
    "inert",
)
_add("crash-log-enabled", BOOL, True, "inert")
_add("crash-memcheck-enabled", BOOL, True, "inert")
_add("hide-user-data-from-log", BOOL, False)
_add("ignore-warnings", TEXT, "", "inert")

_under("Security")
_add("requirepass", TEXT, "", "secret")
_add("aclfile", TEXT, "", "immutable")
_add("acl-pubsub-default", Choice("allchannels", "resetchannels"), "resetchannels")
_add("acllog-max-len", LONG, 128)
_add("enable-protected-configs", ALLOWED_TO, "no", "immutable")
_add("enable-debug-command", ALLOWED_TO, "no", "immutable")
_add("enable-module-command", ALLOWED_TO, "no", "immutable", "inert")

_under("Clients and protocol")
_add("client-query-buffer-limit", Memory(MB), GB)
_add(
    "client-output-buffer-limit",
    OutputLimits(),
    {
        "normal": OutputLimit(0, 0, 0),
        "slave": OutputLimit(256 * MB, 64 * MB, 60),
        "pubsub": OutputLimit(32 * MB, 8 * MB, 60),
    },
)
_add("maxmemory-clients", Memory(percent=True), 0)
_add("proto-max-bulk-len", Memory(MB), 512 * MB)
_add("tracking-table-max-keys", SIZE, 1_000_000)
_add("notify-keyspace-events", EventClasses(), "")
_add("busy-reply-threshold", LONG, 5000, also="lua-time-limit")

_under("Memory, expiry, eviction")
_add("maxmemory", Memory(0, ULONG_MAX), 0)
_add(
    "maxmemory-policy",
    Choice(
        "volatile-lru",
        "volatile-lfu",
        "volatile-random",
        "volatile-ttl",
        "allkeys-lru",
        "allkeys-lfu",
        "allkeys-random",
        "noeviction",
    ),
    "noeviction",
)
_add("maxmemory-samples", Integer(1, 64), 5)
_add("maxmemory-eviction-tenacity", Integer(0, 100), 10)
_add("active-expire-effort", Integer(1, 10), 1)
_add("lfu-log-factor", COUNT, 10)
_add("lfu-decay-time", COUNT, 1)
_add("lazyfree-lazy-eviction", BOOL, False)
_add("lazyfree-lazy-expire", BOOL, False)
_add("lazyfree-lazy-server-del", BOOL, False)
_add("lazyfree-lazy-user-del", BOOL, False)
_add("lazyfree-lazy-user-flush", BOOL, False)
_add("activerehashing", BOOL, True, "inert")
_add("jemalloc-bg-thread", BOOL, True, "inert")
_add("disable-thp", BOOL, True, "immutable", "inert")
_add(
    "oom-score-adj",
    Choice("no", "yes", "relative", "absolute", synonyms={"relative": "yes"}),
    "no",
    "inert",
)
_add("oom-score-adj-values", OomScores(), (0, 200, 800), "inert")
_add("activedefrag", BOOL, False, "inert")
_add("active-defrag-ignore-bytes", Memory(1), 100 * MB, "inert")
_add("active-defrag-threshold-lower", Integer(0, 1000), 10, "inert")
_add("active-defrag-threshold-upper", Integer(0, 1000), 100, "inert")
_add("active-defrag-cycle-min", Integer(1, 99), 1, "inert")
_add("active-defrag-cycle-max", Integer(1, 99), 25, "inert")
_add("active-defrag-max-scan-fields", Integer(1, LONG_MAX), 1000, "inert")

# A worker is one thread, more cores are more workers.
_under("Threads and processors")
_add("io-threads", Integer(1, 128), 1, "immutable", "inert")
_add("io-threads-do-reads", BOOL, False, "immutable", "inert", "hidden")
_add("server-cpulist", TEXT, "", "immutable", "inert", also="server_cpulist")
_add("bio-cpulist", TEXT, "", "immutable", "inert", also="bio_cpulist")
_add("aof-rewrite-cpulist", TEXT, "", "immutable", "inert", also="aof_rewrite_cpulist")
_add("bgsave-cpulist", TEXT, "", "immutable", "inert", also="bgsave_cpulist")
_add("vset-force-single-threaded-execution", BOOL, False, "inert")

_under("Encodings")
_add("hash-max-listpack-entries", SIZE, 512, also="hash-max-ziplist-entries")
_add("hash-max-listpack-value", MEMORY, 64, also="hash-max-ziplist-value")
_add("list-max-listpack-size", Integer(-INT_MAX - 1, INT_MAX), -2, also="list-max-ziplist-size")
_add("list-compress-depth", COUNT, 0, "inert")
_add("set-max-intset-entries", SIZE, 512)
_add("set-max-listpack-entries", SIZE, 128)
_add("set-max-listpack-value", SIZE, 64)
_add("zset-max-listpack-entries", SIZE, 128, also="zset-max-ziplist-entries")
_add("zset-max-listpack-value", MEMORY, 64, also="zset-max-ziplist-value")
_add("hll-sparse-max-bytes", MEMORY, 3000)
_add("stream-node-max-bytes", MEMORY, 4096)
_add("stream-node-max-entries", LONG, 100)

_under("Persistence")
_add("save", Save(), [(3600, 1), (300, 100), (60, 10000)])
_add("dbfilename", Text(checks.base_name("dbfilename", may_be_empty=True)), "dump.rdb", "protected")
_add("rdbcompression", BOOL, True)
_add("rdbchecksum", BOOL, True, "immutable")
_add("rdb-del-sync-files", BOOL, False)
_add("rdb-save-incremental-fsync", BOOL, True, "inert")
_add("rdb-key-save-delay", Integer(-INT_MAX - 1, INT_MAX), 0, "hidden", "inert")
_add("key-load-delay", Integer(-INT_MAX - 1, INT_MAX), 0, "hidden", "inert")
_add("loading-process-events-interval-bytes", Integer(1024, INT_MAX), 512 * KB, "hidden", "inert")
_add("stop-writes-on-bgsave-error", BOOL, True)
_add("sanitize-dump-payload", Choice("no", "yes", "clients"), "no", "inert")
_add("appendonly", BOOL, False)
_add("appendfilename", Text(checks.base_name("appendfilename")), "appendonly.aof", "immutable")
_add("appenddirname", Text(checks.base_name("appenddirname", "dirname")), "appendonlydir", "immutable")
_add("appendfsync", Choice("everysec", "always", "no"), "everysec")
_add("no-appendfsync-on-rewrite", BOOL, False)
_add("auto-aof-rewrite-percentage", COUNT, 100)
_add("auto-aof-rewrite-min-size", MEMORY, 64 * MB)
_add("aof-load-truncated", BOOL, True)
_add("aof-use-rdb-preamble", BOOL, True)
_add("aof-timestamp-enabled", BOOL, False)
_add("aof-rewrite-incremental-fsync", BOOL, True, "inert")
_add("aof-disable-auto-gc", BOOL, False, "hidden")
_add("storage-engine", Choice("memory", "disk"), "memory", "immutable", "hidden")
_add("storage-dir", Text(checks.base_name("storage-dir", "dirname")), "store", "immutable", "hidden")

_under("Replication")
_add("replicaof", PrimaryAddress(), None, "immutable", also="slaveof")
_add("masteruser", TEXT, "", "secret", valkey="primaryuser")
_add("masterauth", TEXT, "", "secret", valkey="primaryauth")
_add("replica-serve-stale-data", BOOL, True, also="slave-serve-stale-data")
_add("replica-read-only", BOOL, True, also="slave-read-only")
_add("replica-ignore-maxmemory", BOOL, True, also="slave-ignore-maxmemory")
_add("replica-ignore-disk-write-errors", BOOL, False, "inert")
_add("replica-lazy-flush", BOOL, False, also="slave-lazy-flush")
_add("replica-priority", COUNT, 100, also="slave-priority")
_add("replica-announce-ip", TEXT, "", also="slave-announce-ip")
_add("replica-announce-port", PORT, 0, also="slave-announce-port")
_add("replica-announced", BOOL, True)
_add("replica-full-sync-buffer-limit", MEMORY, 0, "inert")
_add("min-replicas-to-write", COUNT, 0, also="min-slaves-to-write")
_add("min-replicas-max-lag", COUNT, 10, also="min-slaves-max-lag")
_add("synchronous-replicas", COUNT, 0, "hidden")
_add("synchronous-replicas-wait", COUNT, 5000, "hidden")
_add("repl-diskless-sync", BOOL, True)
_add("repl-diskless-sync-delay", COUNT, 5)
_add("repl-diskless-sync-max-replicas", COUNT, 0)
_add("repl-diskless-load", Choice("disabled", "on-empty-db", "swapdb"), "disabled")
_add("repl-disable-tcp-nodelay", BOOL, False, "inert")
_add("repl-ping-replica-period", POSITIVE, 10, also="repl-ping-slave-period")
_add("repl-timeout", POSITIVE, 60)
_add("repl-backlog-size", Memory(1), MB)
_add("repl-backlog-ttl", LONG, 3600)
_add("propagation-error-behavior", Choice("ignore", "panic", "panic-on-replicas"), "ignore", "inert")

_under("Cluster")
_add("cluster-enabled", BOOL, False, "immutable")
_add("cluster-config-file", TEXT, "nodes.conf", "immutable")
_add("cluster-port", PORT, 0, "immutable")
_add("cluster-node-timeout", LONG, 15000)
_add("cluster-replica-validity-factor", COUNT, 10, also="cluster-slave-validity-factor")
_add("cluster-replica-no-failover", BOOL, False, also="cluster-slave-no-failover")
_add("cluster-migration-barrier", COUNT, 1)
_add("cluster-allow-replica-migration", BOOL, True)
_add("cluster-require-full-coverage", BOOL, True)
_add("cluster-allow-reads-when-down", BOOL, False)
_add("cluster-allow-pubsubshard-when-down", BOOL, True)
_add("cluster-link-sendbuf-limit", Memory(0, ULONG_MAX), 0)
_add("cluster-announce-ip", Text(checks.announced_address), "")
_add("cluster-announce-port", PORT, 0)
_add("cluster-announce-tls-port", PORT, 0)
_add("cluster-announce-bus-port", PORT, 0)
_add("cluster-announce-hostname", Text(checks.hostname), "")
_add("cluster-announce-human-nodename", Text(checks.node_name), "")
_add("cluster-preferred-endpoint-type", Choice("ip", "hostname", "unknown-endpoint"), "ip")
_add("cluster-compatibility-sample-ratio", Integer(0, 100), 0, "inert")
_add("cluster-slot-stats-enabled", BOOL, False)
_add("slot-migration-max-bandwidth", MEMORY, 0, "hidden")
_add("slot-migration-max-staging-bytes", MEMORY, 0, "hidden")
_add("cluster-witness-limit", LONG, 60_000, "hidden")
_add("cluster-outside-port", PORT, 0, "immutable", "hidden")
_add("cluster-outside-tls-port", PORT, 0, "immutable", "hidden")
_add("cluster-announce-outside", Text(checks.outside_address), "", "hidden")
_add("cluster-secret", TEXT, "", "hidden", "secret")
_add("cluster-secret-file", TEXT, "", "hidden", "volatile")
_add("cluster-secret-required", BOOL, False, "hidden")
_add("cluster-seeds", Text(checks.addresses), "", "immutable", "hidden")
_add("cluster-expected-size", COUNT, 0, "immutable", "hidden")
_add("cluster-expected-replicas", COUNT, 0, "immutable", "hidden")

_under("Metrics")
_add("metrics-port", PORT, 0, "immutable", "hidden")
_add("metrics-bind", Addresses(), ["127.0.0.1"], "immutable", "hidden")
_add("metrics-slots", Integer(0, 1024), 0, "hidden")

_under("Slow log and latency")
_add(
    "slowlog-log-slower-than",
    Integer(-1, LONG_MAX),
    10000,
    valkey="commandlog-execution-slower-than",
)
_add("slowlog-max-len", LONG, 128, valkey="commandlog-slow-execution-max-len")
_add("latency-monitor-threshold", LONG, 0)
_add("latency-tracking", BOOL, True)
_add("latency-tracking-info-percentiles", Percentiles(), [50.0, 99.0, 99.9])
_add("watchdog-period", COUNT, 0, "hidden", "inert")
_add("use-exit-on-panic", BOOL, False, "hidden", "inert")

_under("TLS")
_add("tls-port", PORT, 0, "immutable")
_add("tls-cluster", BOOL, False)
_add("tls-replication", BOOL, False)
_add("tls-auth-clients", Choice("no", "yes", "optional"), "yes")
_add("tls-prefer-server-ciphers", BOOL, False)
_add("tls-session-caching", BOOL, True)
_add("tls-session-cache-size", COUNT, 20480, "inert")
_add("tls-session-cache-timeout", COUNT, 300, "inert")
_add("tls-cert-file", TEXT, "", "volatile")
_add("tls-key-file", TEXT, "", "volatile")
_add("tls-key-file-pass", TEXT, "", "secret")
_add("tls-client-cert-file", TEXT, "", "volatile")
_add("tls-client-key-file", TEXT, "", "volatile")
_add("tls-client-key-file-pass", TEXT, "", "secret")
_add("tls-dh-params-file", TEXT, "", "volatile")
_add("tls-ca-cert-file", TEXT, "", "volatile")
_add("tls-ca-cert-dir", TEXT, "", "volatile")
_add("tls-protocols", TEXT, "")
_add("tls-ciphers", TEXT, "")
_add("tls-ciphersuites", TEXT, "")

_under("Of valkey.conf alone")
_add("unixsocketgroup", TEXT, "", "immutable", "hidden", "inert")
_add("cluster-blacklist-ttl", COUNT, 60, "hidden")
_add("cluster-manual-failover-timeout", Integer(1, INT_MAX), 5000, "hidden")
_add("cluster-announce-client-ipv4", TEXT, "", "hidden", "inert")
_add("cluster-announce-client-ipv6", TEXT, "", "hidden", "inert")
_add("cluster-announce-client-port", PORT, 0, "hidden", "inert")
_add("cluster-announce-client-tls-port", PORT, 0, "hidden", "inert")
_add("availability-zone", TEXT, "", "hidden")
_add("extended-redis-compatibility", BOOL, False, "hidden", "inert")
_add("dual-channel-replication-enabled", BOOL, False, "hidden", "inert")
_add("prefetch-batch-max-size", Integer(0, 128), 16, "hidden", "inert")
_add("events-per-io-thread", COUNT, 2, "hidden", "inert")
_add("commandlog-request-larger-than", Integer(-1, LONG_MAX), MB, "hidden")
_add("commandlog-large-request-max-len", LONG, 128, "hidden")
_add("commandlog-reply-larger-than", Integer(-1, LONG_MAX), MB, "hidden")
_add("commandlog-large-reply-max-len", LONG, 128, "hidden")
_add("cluster-config-save-behavior", Choice("sync", "best-effort"), "sync", "hidden", "inert")
_add("cluster-databases", POSITIVE, 1, "immutable", "hidden")
_add("cluster-slot-migration-log-max-len", LONG, 1000, "hidden")
_add("slot-migration-max-failover-repl-bytes", Integer(-1, LONG_MAX), 0, "hidden")
_add("active-defrag-cycle-us", Integer(0, 100_000), 500, "hidden", "inert")
_add("hash-seed", TEXT, "", "immutable", "hidden", "inert")
_add("import-mode", BOOL, False, "hidden")
_add("log-format", Choice("legacy", "logfmt", "json"), "legacy", "hidden")  # json: only ours
_add("log-timestamp-format", Choice("legacy", "iso8601", "milliseconds"), "legacy", "hidden")
_add("rdb-version-check", Choice("strict", "relaxed"), "strict", "hidden", "inert")
_add("mptcp", BOOL, False, "immutable", "hidden", "inert")
_add("repl-mptcp", BOOL, False, "hidden", "inert")
_add("rdma-bind", TEXT, "", "hidden", "inert")
_add("rdma-port", PORT, 0, "hidden", "inert")
_add("rdma-rx-size", Memory(), MB, "immutable", "hidden", "inert")
_add("rdma-completion-vector", Integer(-1, INT_MAX), -1, "immutable", "hidden", "inert")
_add("tls-auth-clients-user", TEXT, "off", "hidden", "inert")
_add("tls-auto-reload-interval", COUNT, 10, "hidden")

DEPRECATED = frozenset({"list-max-ziplist-entries", "list-max-ziplist-value", "lua-replicate-commands"})
"""One-word directives of old files that Redis reads and ignores; so do we."""
