"""Settings: every directive beside the oracle's, files and flags, changes at run time, the rewritten file."""

from __future__ import annotations

import io
import itertools
import re
import sys
from pathlib import Path

import pytest

from node.config import Config, ConfigError
from node.config.directives import BY_NAME, TABLE
from node.config.rewrite import MARKER
from node.config.structured import OutputLimit
from node.datatypes.limits import NAMES, limits
from node.errors import ReplyError
from node.keyspace import encodings
from node.version import REDIS_VERSION
from tests.harness.servers import Oracle

# What the harness itself sets when it starts an oracle.
SET_BY_HARNESS = {"port", "bind", "dir", "save", "enable-debug-command", "repl-diskless-sync-delay"}


def written(directory: Path, *lines: str) -> str:
    path = directory / "redis.conf"
    path.write_text("".join(f"{line}\n" for line in lines))
    return str(path)


def refused(*argv: str) -> str:
    with pytest.raises(ConfigError) as caught:
        Config.from_args(argv)
    return str(caught.value)


# every directive, against the oracle


def test_names_and_defaults_are_the_oracles() -> None:
    with Oracle("redis") as oracle, oracle.client() as client:
        theirs = {name: value for name, value in client.config_get("*").items() if name not in SET_BY_HARNESS}
    ours = {name: value for name, value in Config().get("*").items() if name not in SET_BY_HARNESS}
    assert ours == theirs


def test_every_directive_of_valkey_can_be_read() -> None:
    """With the value it has there, so that valkey.conf files load."""
    with Oracle("valkey") as oracle, oracle.client() as client:
        theirs = client.config_get("*")
    refused_names = {}
    for name, value in theirs.items():
        kind = BY_NAME[name].kind if name in BY_NAME else TABLE["port"].kind
        words = value.split(" ") if kind.words and value else [value]
        try:
            Config.from_args([f"--{name}", *words])
        except ConfigError as error:
            refused_names[name] = str(error)
    # Its directory is gone by now, and an address that is not set cannot be written.
    assert refused_names.keys() == {"dir", "replicaof", "slaveof"}, refused_names


# Values each directive is given on both sides. The kinds' limits and words are all among them.
PROBES = (
    "",
    "yes",
    "NO",
    "0",
    "1",
    "-1",
    "7",
    "65536",
    "99999999999",
    "5%",
    "101%",
    "1gb",
    "2K",
    "x",
    "a b",
    "a/b",
)

# Settings whose change acts on the oracle process itself, so that a refusal is not about the value.
ACTING = {
    "port": "opens a port",
    "tls-port": "opens a port",
    "bind": "opens sockets",
    "requirepass": "would lock the test out",
    "maxclients": "limited by open files",
    "maxmemory": "would refuse later commands",
    "maxmemory-clients": "would evict the test's own connection",
    "appendonly": "starts a rewrite",
    "locale-collate": "depends on the installed locales",
    "activedefrag": "depends on the allocator",
    "oom-score-adj": "writes to /proc",
    "oom-score-adj-values": "writes to /proc",
    "timeout": "would close the connection",
    "tls-cluster": "needs certificates",
    "tls-replication": "needs certificates",
    "watchdog-period": "arms a signal",
    "jemalloc-bg-thread": "starts a thread",
}
# (directive, value) where the answers differ on purpose.
DIFFERENT = {
    ("cluster-announce-human-nodename", "a b"): "a space would break the line of nodes.conf",
    ("cluster-announce-ip", "a b"): "refused as Valkey does",
    ("cluster-announce-ip", "a/b"): "refused as Valkey does",
}


def test_config_set_accepts_and_refuses_what_the_oracle_does() -> None:
    differences = []
    with Oracle("redis", enable_protected_configs="yes") as oracle, oracle.resp() as connection:
        shown = connection.command("CONFIG", "GET", "*")[::2]
        names = {name.decode() for name in shown} & set(TABLE) - set(ACTING)
        for name, probe in itertools.product(sorted(names), PROBES):
            reply = connection.command("CONFIG", "SET", name, probe)
            theirs = reply.text
            ours = outcome(name, probe)
            if name.startswith("shutdown-on"):
                ours = ours.replace(", safe, failover", "")  # Valkey's
            if ours != theirs and (name, probe) not in DIFFERENT:
                differences.append((name, probe, theirs, ours))
    assert differences == []


def outcome(name: str, value: str) -> str:
    config = Config.from_args(["--enable-protected-configs", "yes"])
    try:
        config.set({name: value})
    except ReplyError as error:
        return error.text
    return "OK"


def test_what_is_shown_after_a_change_is_what_the_oracle_shows() -> None:
    changes = {
        "notify-keyspace-events": "KEAn",
        "client-output-buffer-limit": "replica 1mb 2kb 3 pubsub 1 2 3",
        "save": "10 20 30 40",
        "maxmemory-policy": "ALLKEYS-LRU",
        "latency-tracking-info-percentiles": "50.5 99.99 100",
        "hash-max-ziplist-value": "1kb",
        "shutdown-on-sigterm": "force save",
        "repl-backlog-size": "1m",
        "hz": "100000",
        "slowlog-log-slower-than": "-1",
    }
    config = Config()
    with Oracle("redis") as oracle, oracle.client() as client:
        for name, value in changes.items():
            client.config_set(name, value)
            config.set({name: value})
            assert config.get(name) == client.config_get(name)


# files and flags


def test_file_then_flags_and_the_last_wins(tmp_path: Path) -> None:
    path = written(tmp_path, "# a comment", "", "port 1000", "PORT 1001", "maxmemory 2kb", "loglevel VERBOSE")
    config = Config.from_args([path, "--port", "1002", "--maxmemory 3kb"])
    assert (config.port, config.maxmemory, config.loglevel, config.file) == (1002, 3072, "verbose", path)


def test_flags_with_several_values() -> None:
    config = Config.from_args(
        [
            "--save",
            "3600",
            "1",
            "300",
            "100",
            "--bind",
            "127.0.0.1",
            "-::1",
            "--requirepass",
            "--secret",
            "--port",
            "0",
        ]
    )
    assert config.save == [(3600, 1), (300, 100)]
    assert config.bind == ["127.0.0.1", "-::1"]
    assert (config.requirepass, config.port) == ("--secret", 0)


@pytest.mark.parametrize("flags", [["--save", ""], ["--save"], ["--save", "--port", "7"], ['--save ""']])
def test_save_switched_off(flags: list[str]) -> None:
    assert Config.from_args(flags).save == []


def test_save_lines_of_a_file_add_up(tmp_path: Path) -> None:
    config = Config.from_args([written(tmp_path, "save 900 1", "save 300 10")])
    assert config.save == [(900, 1), (300, 10)]


def test_standard_input(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"port 1\ntimeout 5\n")))
    config = Config.from_args(["-", "--port", "2"])
    assert (config.port, config.timeout, config.file) == (2, 5, None)


def test_include_and_patterns(tmp_path: Path) -> None:
    (tmp_path / "more.conf").write_text("timeout 9\n")
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "a.conf").write_text("port 5\nhz 20\n")
    main = written(
        tmp_path,
        f"dir {tmp_path}",
        "include more.conf",
        "include conf.d/*.conf",
        "include none/*.conf",
        "hz 30",
    )
    config = Config.from_args([main])
    assert (config.timeout, config.port, config.hz) == (9, 5, 30)


def test_a_file_that_includes_itself_is_refused(tmp_path: Path) -> None:
    path = str(tmp_path / "redis.conf")
    written(tmp_path, f"include {path}")
    assert "included too deeply" in refused(path)


def test_dir_moves_relative_paths_but_not_the_process(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    before = Path.cwd()
    config = Config.from_args(["--dir", str(tmp_path), "--dir", "a"])
    assert config.path("x.rdb") == str(tmp_path / "a" / "x.rdb")
    assert config.get("dir") == {"dir": str(tmp_path / "a")}
    assert Path.cwd() == before


def test_aliases_valkey_names_and_old_lines(tmp_path: Path) -> None:
    config = Config.from_args(
        [
            written(
                tmp_path, "slave-priority 7", "primaryauth p", "list-max-ziplist-entries 512", "slaveof h 1"
            )
        ]
    )
    assert (config.replica_priority, config.masterauth, config.replicaof) == (7, "p", ("h", 1))
    assert config.get("slave-p*", "primary*") == {"slave-priority": "7"}
    assert config.get("primaryauth", "PORT") == {"primaryauth": "p", "PORT": "6379"}


def test_renamed_commands(tmp_path: Path) -> None:
    config = Config.from_args(
        [written(tmp_path, "rename-command CONFIG hidden", 'rename-command FLUSHALL ""')]
    )
    assert config.renamed_commands == {"config": "hidden", "flushall": ""}


# refusals at start-up

BAD_LINES = [
    ("x y", "Bad directive or wrong number of arguments"),
    ("port", "wrong number of arguments"),
    ("port 1 2", "wrong number of arguments"),
    ("port abc", "argument couldn't be parsed into an integer"),
    ("port +1", "argument couldn't be parsed into an integer"),
    ("port 65536", "argument must be between 0 and 65535 inclusive"),
    ('save "a', "Unbalanced quotes in configuration line"),
    ("save 1", "Invalid save parameters"),
    ("maxmemory -1", "argument must be a memory value"),
    ("unixsocketperm 999", "argument couldn't be parsed as an octal number"),
    ("unixsocketperm 1777", "argument must be between 0 and 777 inclusive"),
    ("appendonly maybe", "argument must be 'yes' or 'no'"),
    ("appenddirname a/b", "appenddirname can't be a path, just a dirname"),
    ("supervised foo", "argument(s) must be one of the following: upstart, systemd, auto, no"),
    ("dir /nowhere", "No such file or directory"),
    ("slaveof a x", "Invalid master port"),
    ("sentinel x", "sentinel directive while not in sentinel mode"),
]


@pytest.mark.parametrize(("line", "reason"), BAD_LINES)
def test_bad_line(tmp_path: Path, line: str, reason: str) -> None:
    text = refused(written(tmp_path, "# first", line))
    assert text == (
        f"\n*** FATAL CONFIG FILE ERROR (Redis {REDIS_VERSION}) ***\n"
        f"Reading the configuration file, at line 2\n>>> '{line}'\n{reason}"
    )


def test_bad_flag_is_shown_quoted() -> None:
    assert ">>> 'port \"abc\"'" in refused("--hz", "10", "--port", "abc")
    assert "at line 3" in refused("--hz", "10", "--port", "abc")


def test_settings_that_do_not_fit_together(tmp_path: Path) -> None:
    assert refused("--cluster-enabled", "yes", "--replicaof", "h", "1").endswith(
        "replicaof directive not allowed in cluster mode"
    )
    assert refused("--logfile", "/nowhere/log").endswith("Can't open the log file: No such file or directory")


def test_missing_file() -> None:
    assert (
        refused("/nowhere.conf")
        == "Fatal error, can't open config file '/nowhere.conf': No such file or directory"
    )


@pytest.mark.parametrize("line", ["loadmodule x.so"])
def test_what_would_be_unsafe_to_ignore_is_refused(tmp_path: Path, line: str) -> None:
    assert "not available in this server" in refused(written(tmp_path, line))


# changes at run time


def test_set_is_all_or_nothing() -> None:
    config = Config()
    with pytest.raises(ReplyError) as caught:
        config.set({"timeout": "5", "maxmemory": "much"})
    assert caught.value.text == (
        "ERR CONFIG SET failed (possibly related to argument 'maxmemory') - argument must be a memory value"
    )
    assert config.timeout == 0


@pytest.mark.parametrize(
    ("pairs", "text"),
    [
        ([("nope", "1")], "ERR Unknown option or number of arguments for CONFIG SET - 'nope'"),
        (
            [("Databases", "1")],
            "ERR CONFIG SET failed (possibly related to argument 'Databases') - can't set immutable config",
        ),
        (
            [("dir", "/")],
            "ERR CONFIG SET failed (possibly related to argument 'dir') - can't set protected config",
        ),
        (
            [("slave-priority", "1"), ("replica-priority", "2")],
            "ERR CONFIG SET failed (possibly related to argument 'replica-priority') - duplicate parameter",
        ),
    ],
)
def test_set_refuses(pairs: list[tuple[str, str]], text: str) -> None:
    with pytest.raises(ReplyError) as caught:
        Config().set(pairs)
    assert caught.value.text == text


def test_protected_settings_for_local_clients(tmp_path: Path) -> None:
    config = Config.from_args(["--enable-protected-configs", "local"])
    with pytest.raises(ReplyError):
        config.set({"dir": str(tmp_path)})
    config.set({"dir": str(tmp_path)}, local=True)
    assert config.dir == str(tmp_path)


def test_output_limits_change_only_the_named_class() -> None:
    config = Config()
    config.set({"client-output-buffer-limit": "pubsub 1mb 2 3"})
    assert config.client_output_buffer_limit["pubsub"] == OutputLimit(2**20, 2, 3)
    assert config.client_output_buffer_limit["slave"] == OutputLimit(2**28, 2**26, 60)


def test_callbacks_see_changes_and_only_changes() -> None:
    config = Config()
    seen: list[int] = []
    config.on_change("timeout", seen.append)
    config.set({"timeout": "5"})
    config.set({"timeout": "5"})
    config.set({"hz": "50"})
    assert seen == [5]


def test_a_refusing_callback_takes_everything_back() -> None:
    def refuse(value: object) -> None:
        if value:
            raise ValueError("not now")

    config = Config()
    seen: list[int] = []
    config.on_change("timeout", seen.append)
    config.on_change("maxmemory", refuse)
    with pytest.raises(ReplyError) as caught:
        config.set({"timeout": "5", "maxmemory": "1gb"})
    assert caught.value.text == "ERR CONFIG SET failed (possibly related to argument 'maxmemory') - not now"
    assert (config.timeout, config.maxmemory, seen) == (0, 0, [5, 0])


def test_inert_settings_are_named() -> None:
    assert Config.from_args(["--io-threads", "4", "--timeout", "3"]).inert_settings() == ["io-threads"]


ROOT = Path(__file__).resolve().parents[2]


def test_a_directive_is_inert_exactly_when_nothing_reads_it() -> None:
    """So that a setting is never silently without effect: those that are, are named in the log."""
    sources = "".join(
        path.read_text()
        for package in ("node", "cluster")
        for path in (ROOT / package).rglob("*")
        if path.suffix in (".py", ".pyx") and path.name not in NAME_BUT_DO_NOT_ACT
    )
    read = set(re.findall(r"(?:(?<=\bconfig\.)|(?<=\bself\.))\w+", sources))
    read |= set(NAMES)
    named = set(re.findall(r"[\"']([\w-]+)(?=[\"'])", sources))
    wrong = []
    for directive in TABLE.values():
        is_read = directive.attribute in read or directive.name in named
        if is_read == directive.inert:
            wrong.append((directive.name, "read" if is_read else "not read", f"inert={directive.inert}"))
    assert wrong == []


# Files that name directives, to declare or show them.
NAME_BUT_DO_NOT_ACT = ("directives.py", "checks.py", "errors.py")


def test_encoding_thresholds_follow_the_settings() -> None:
    before = {name: getattr(limits, name) for name in NAMES}
    try:
        config = Config.from_args(["--hash-max-ziplist-entries", "7"])
        encodings.follow(config)
        assert limits.hash_max_listpack_entries == 7
        config.set({"list-max-listpack-size": "-5", "set-max-intset-entries": "9"})
        assert (limits.list_max_listpack_size, limits.set_max_intset_entries) == (-5, 9)
    finally:
        limits.update(**before)


def test_unknown_attribute_is_an_error() -> None:
    with pytest.raises(AttributeError, match="no directive 'portt'"):
        _ = Config().portt


# CONFIG REWRITE


def test_rewrite_needs_a_file() -> None:
    with pytest.raises(ReplyError, match="without a config file"):
        Config().rewrite()


def test_rewrite_keeps_the_authors_work(tmp_path: Path) -> None:
    (tmp_path / "more.conf").touch()
    path = written(
        tmp_path,
        "port 17998",
        "# hello",
        "",
        "",
        f"include {tmp_path}/more.conf",
        "maxmemory 100mb",
        "save 900 1",
        "save 300 10",
        "slave-priority 5",
        "# end",
        "port 17997",
        'rename-command CONFIG "c"',
        'appendfilename "a b"',
    )
    Path(path).chmod(0o600)
    config = Config.from_args([path, "--dir", str(tmp_path)])
    config.set(
        {
            "timeout": "7",
            "save": "5 6",
            "client-output-buffer-limit": "pubsub 1mb 2 3",
            "notify-keyspace-events": "KEA",
            "requirepass": 'a"b',
        }
    )
    config.rewrite()
    lines = Path(path).read_text().splitlines()
    kept, appended = lines[: lines.index(MARKER)], lines[lines.index(MARKER) + 1 :]
    assert kept == [
        "port 17997",
        "# hello",
        "",
        f"include {tmp_path}/more.conf",
        "maxmemory 100mb",
        "save 5 6",
        "replica-priority 5",
        "# end",
        'rename-command CONFIG "c"',
        'appendfilename "a b"',
    ]
    assert sorted(appended) == [
        "client-output-buffer-limit pubsub 1mb 2 3",
        f'dir "{tmp_path}"',
        'notify-keyspace-events "AKE"',
        'requirepass "a\\"b"',
        "timeout 7",
    ]
    assert Path(path).stat().st_mode & 0o777 == 0o600


def test_rewritten_file_gives_the_same_settings_and_is_stable(tmp_path: Path) -> None:
    path = written(tmp_path, "hz 10")
    config = Config.from_args([path])
    everything = {
        "save": "",
        "maxmemory-clients": "5%",
        "latency-tracking-info-percentiles": "",
        "shutdown-on-sigint": "nosave now",
        "notify-keyspace-events": "KEAn",
        "masterauth": "\u00e9 \x01",
        "loglevel": "debug",
        "cluster-announce-hostname": "a.b",
    }
    config.set(everything)
    config.rewrite()
    first = Path(path).read_text()
    again = Config.from_args([path])
    assert again.get("*") == config.get("*")
    again.rewrite()
    assert Path(path).read_text() == first


def test_the_oracle_reads_what_we_rewrote(tmp_path: Path) -> None:
    # `dir` is rewritten too, and the oracle saves there when it ends.
    path = written(tmp_path, "hz 10", f"dir {tmp_path}")
    config = Config.from_args([path])
    config.set(
        {"save": "5 6 7 8", "maxmemory-clients": "5%", "slowlog-max-len": "9", "masterauth": "\u00e9 'x"}
    )
    config.rewrite()
    with Oracle("redis", include=path, save=["5", "6", "7", "8"]) as oracle, oracle.client() as client:
        for name in ("maxmemory-clients", "slowlog-max-len", "masterauth"):
            assert client.config_get(name) == config.get(name)


def test_lines_nobody_understands_become_comments(tmp_path: Path) -> None:
    path = written(tmp_path, "hz 10")
    config = Config.from_args([path])
    Path(path).write_text("hz 10\nfrobnicate 3\n")
    config.rewrite()
    assert Path(path).read_text().startswith("hz 10\n# ??? frobnicate 3\n")
