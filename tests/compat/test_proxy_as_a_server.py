"""The rest of the project's comparisons once more, with the proxy on our side: connections, CLIENT, servers,
functions, messages, what blocks, notifications.

`test_through_proxy.py` has the scripts about data. Here, too, a plain client gets what the real server gives
it, and what it does not get is in `EXCEPT`, each line with its reason; one that is not needed any more fails
the test. What a whole file of comparisons is about and a proxy is not, is in `NOT_HERE`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from node.commands import find
from node.words import split_words
from tests.compat import (
    test_blocking,
    test_client,
    test_client_declarations,
    test_client_filters,
    test_command_replies,
    test_commandlog,
    test_connection,
    test_debug,
    test_digest,
    test_functions,
    test_introspection,
    test_lolwut,
    test_notifications,
    test_pubsub,
    test_server,
    test_through_proxy,
    test_transactions,
    test_valkey_commands,
)
from tests.compat.differential import parse_script, replies, show
from tests.compat.one_slot import tagged
from tests.compat.scripts import Command, answers, words
from tests.compat.test_client_filters import found
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Simple
from tests.harness.servers import Oracle, Server
from tests.harness.wait import eventually

ONE_DATABASE = "a cluster has one database, and so has the proxy"
WHICH_WORKER = "it is about one server, which has to be named: DEBUG NODE host:port …"
NO_END = "a worker is not ended through the proxy"
NO_IMPORT = "import mode is a worker's, and so is the connection that it is for"
USERS = "without --auth-by-workers the proxy has one user of its own"
STATE_OF_A_LIBRARY = "a function without keys runs at any worker, and each has its own variables"

EXCEPT = {
    "select 1": ONE_DATABASE,
    "client list db *": ONE_DATABASE,
    "client list not-db *": ONE_DATABASE,
    "client kill db *": ONE_DATABASE,
    "client kill name nobody db 3": ONE_DATABASE,
    "client import-source *": NO_IMPORT,
    "shutdown *": NO_END,
    "debug nonsense": WHICH_WORKER,
    "debug populate *": WHICH_WORKER,
    "debug htstats *": WHICH_WORKER,
    "debug replicate*": WHICH_WORKER,
    "fcall count 0": STATE_OF_A_LIBRARY,
}
"""Commands that are answered differently, as patterns of a whole line in lower case, with the reason."""

FOLLOWS = {"get key:2", "get p:1", "dbsize", "debug digest"}
"""What shows keys that `EXCEPT` keeps from being made."""

NOT_HERE = {
    "test_acl": "the rules are the workers' (test_proxy_users.py: their users at the proxy)",
    "test_acl_files": "the files are the workers'",
    "test_acl_sessions": "as test_acl",
    "test_coverage": "about the table of commands, which the proxy routes by (test_proxy_routing.py)",
    "test_databases": ONE_DATABASE,
    "test_double_digits": "about numbers, which the proxy does not read",
    "test_hash_expiry": "its script is a file, which test_through_proxy.py reads",
    "test_info": "INFO is of all workers, whose counts are added up (test_proxy_counts.py)",
    "test_lists": "about how a worker keeps lists",
    "test_monitor": "MONITOR shows what workers carry out (test_proxy_sessions.py)",
    "test_nodes_conf": "a file of the workers'",
    "test_overdue_keys": "about when a worker drops a key",
    "test_propagation": "about what replicas are told",
    "test_slot_migrations": "slots are moved at the workers",
    "test_streams": "as test_hash_expiry",
    "test_tracking": "test_proxy_tracking.py",
}
"""Files of comparisons that have no part here or in test_through_proxy.py, with the reason."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, enable_debug_command="yes") as running:
        yield running


@pytest.fixture(scope="module")
def running_proxy(cluster: RunningCluster) -> Iterator[ShoalProxy]:
    with ShoalProxy(cluster.addresses) as running:
        yield running


@pytest.fixture
def proxy(running_proxy: ShoalProxy) -> ShoalProxy:
    running_proxy.run("FLUSHALL")
    return running_proxy


# ------------------------------------------------------------------------------------------------- replies

SCRIPTS: dict[str, tuple[str, Sequence[Command]]] = {
    "connection": ("redis", test_connection.SCRIPT),
    "client": ("redis", test_client.SCRIPT),
    "server": ("redis", test_server.SCRIPT),
    "introspection": ("redis", test_introspection.SCRIPT),
    "debug": ("redis", test_debug.SCRIPT),
    "commandlog": ("valkey", test_commandlog.SCRIPT),
    "declarations": ("valkey", test_client_declarations.WORDS),
    "filters": (
        "valkey",
        [
            ["CLIENT", *test_client_filters.words(each)]
            for line in test_client_filters.REFUSED.strip().splitlines()
            for each in line.split(" | ")
        ],
    ),
    "functions": ("redis", [["FUNCTION", "LOAD", test_functions.LIBRARY], *test_functions.CALLS]),
    "lolwut": ("redis", ["LOLWUT VERSION x", "LOLWUT VERSION 5 x", "LOLWUT VERSION 6 10 x", "PFSELFTEST"]),
}
"""Name → whom it is compared with, and the commands"""


def pattern_of(command: Command) -> str | None:
    line = " ".join(
        word.decode("latin-1") if isinstance(word, bytes) else word for word in words(command)
    ).lower()
    return next((pattern for pattern in EXCEPT if fnmatchcase(line, pattern)), None)


def follows(command: Command) -> bool:
    return isinstance(command, str) and command.lower() in FOLLOWS


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", SCRIPTS)
def test_replies(
    name: str, protocol: int, proxy: ShoalProxy, redis_oracle: Oracle, valkey_oracle: Oracle
) -> None:
    which, script = SCRIPTS[name]
    oracle = {"redis": redis_oracle, "valkey": valkey_oracle}[which]
    script = [command for command in script if pattern_of(command) is None and not follows(command)]
    for server in (proxy, oracle):
        server.run("FUNCTION", "FLUSH")
        if name == "debug":
            for command in ("SET s hello", "RPUSH l a b 3", "SADD t 1 2 3", "SET e 1 PXAT 9999999999999"):
                server.run(*command.split())
    pairs = zip(script, answers(proxy, script, protocol), answers(oracle, script, protocol), strict=True)
    different = [f"{command}: proxy {mine!r}, {which} {theirs!r}" for command, mine, theirs in pairs
                 if mine != theirs]  # fmt: skip
    assert not different, "\n".join(different)


def test_every_exception_is_needed() -> None:
    used = {pattern_of(command) for _, script in SCRIPTS.values() for command in script}
    assert used - {None} == set(EXCEPT)
    assert {each.lower() for _, script in SCRIPTS.values() for each in script if follows(each)} == FOLLOWS  # type: ignore[union-attr]


def test_every_file_of_comparisons_has_its_place() -> None:
    used = [each for here in (sys.modules[__name__], test_through_proxy) for each in vars(here).values()]
    modules = {each.__name__.rpartition(".")[2] for each in used if isinstance(each, ModuleType)}
    files = {path.stem for path in Path(__file__).parent.glob("test_*.py") if "proxy" not in path.stem}
    assert files - modules == set(NOT_HERE)


@pytest.mark.parametrize("protocol", [2, 3])
def test_what_only_valkey_has(protocol: int, proxy: ShoalProxy, valkey_oracle: Oracle) -> None:
    commands = tagged(parse_script(test_valkey_commands.REPLIES, valkey_oracle))
    pairs = zip(replies(proxy, commands, protocol), replies(valkey_oracle, commands, protocol), strict=True)
    for command, (ours, theirs) in zip(commands, pairs, strict=True):
        assert ours == theirs, show(command)


@pytest.mark.parametrize("more", ["EXEC more", "EXEC"])
def test_the_end_of_a_transaction_is_refused(more: str, proxy: ShoalProxy, redis_oracle: Oracle) -> None:
    script = ["MULTI", "PING", more, "EXEC", "DISCARD", "WATCH k", "MULTI", "NOSUCH", more, "EXEC", "GET k"]
    assert answers(proxy, script) == answers(redis_oracle, script)


# ------------------------------------------------------------------------------- whole tests, as they stand

BESIDE_REDIS = [
    test_connection.test_lines_are_requests,
    test_client.test_reply_off_and_skip,
    test_pubsub.test_pushes_come_even_to_those_who_want_no_replies,
]
ALONE = [
    test_connection.test_hello_without_arguments_keeps_the_protocol,
    test_connection.test_a_refused_hello_changes_nothing,
    test_client.test_info_line_tells_the_truth,
    test_client.test_list_and_its_filters,
    test_client.test_kill,
    test_client.test_pause_lets_writes_wait_and_reads_pass,
    test_client.test_pause_all_ends_by_itself,
    test_client.test_help_is_a_list_of_lines,
    test_client.test_names_with_control_characters_never_reach_the_list,
    test_client_filters.test_ids_add_up,
    test_command_replies.test_getkeys_over_the_wire,
    test_command_replies.test_redis_py_and_redis_cli_understand,
    test_functions.test_info_counts_them,
    test_pubsub.test_a_change_of_protocol_changes_what_is_allowed,
    test_pubsub.test_who_goes_listens_no_more,
    test_pubsub.test_one_message_to_many,
    test_server.test_time,
    test_server.test_info_is_verbatim_in_resp3,
    test_server.test_flush_breaks_transactions_that_watched,
]


@pytest.mark.parametrize("test", BESIDE_REDIS, ids=lambda test: test.__name__)
def test_beside_redis(test: Callable[..., None], proxy: ShoalProxy, redis_oracle: Oracle) -> None:
    test(redis_oracle, proxy)


@pytest.mark.parametrize("test", ALONE, ids=lambda test: test.__name__)
def test_alone(test: Callable[..., None], proxy: ShoalProxy) -> None:
    test(proxy)


@pytest.mark.parametrize("protocol", [2, 3])
def test_command(protocol: int, proxy: ShoalProxy, redis_oracle: Oracle) -> None:
    test_command_replies.test_info_has_the_shape_of_redis(protocol, proxy, redis_oracle)  # type: ignore[arg-type]
    test_command_replies.test_docs_have_the_shape_of_redis(protocol, proxy, redis_oracle)  # type: ignore[arg-type]


@pytest.mark.parametrize("args", [(), ("2",), ("3",), ("3", "SETNAME", "me", "AUTH", "default", "x")])
def test_hello(proxy: ShoalProxy, redis_oracle: Oracle, args: tuple[str, ...]) -> None:
    assert test_connection.hello(proxy, *args) == test_connection.hello(redis_oracle, *args)


def test_functions_do_not_load(proxy: ShoalProxy, redis_oracle: Oracle) -> None:
    test_functions.test_libraries_that_do_not_load(proxy, redis_oracle)  # type: ignore[arg-type]


def test_pictures(proxy: ShoalProxy) -> None:
    test_lolwut.test_the_last_line_is_the_version(proxy, "VERSION 5")  # type: ignore[arg-type]


def test_digests(proxy: ShoalProxy, redis_oracle: Oracle, valkey_oracle: Oracle) -> None:
    test_digest.test_same_data_same_digest(0, proxy, redis_oracle, valkey_oracle)  # type: ignore[arg-type]


def test_line_about_a_client(proxy: ShoalProxy, redis_oracle: Oracle) -> None:
    told = []
    for server in (proxy, redis_oracle):
        with server.resp(protocol=3) as connection:
            for command in (
                "CLIENT SETNAME me", "CLIENT SETINFO lib-name lib", "CLIENT NO-EVICT on",
                "CLIENT NO-TOUCH on", "WATCH {a}a {a}b", "SET x 1", "GET x", "SUBSCRIBE c",
            ):  # fmt: skip
                connection.command(*command.split())
            told.append(test_client.fields(connection))
    ours, theirs = told
    assert list(ours) == list(theirs)
    unlike = {name: (ours[name], theirs[name]) for name in ours if ours[name] != theirs[name]}
    assert unlike.keys() <= test_client.OF_THE_CONNECTION, unlike


def test_the_last_command_of_a_client_is_known(proxy: ShoalProxy) -> None:
    """Also of one that only sends what is forwarded raw."""
    with proxy.resp() as one, proxy.client() as other:
        number = one.command("CLIENT", "ID")
        one.command("GET", "k")
        (row,) = other.client_list(client_id=[str(number)])
        assert (row["cmd"], row["tot-cmds"], row["idle"], row["multi"]) == ("get", "2", "0", "-1")


# ------------------------------------------------------------------------- filters of CLIENT LIST and KILL


@pytest.mark.parametrize("terms", [["NAME", "plain"], ["FLAGS", "P"], ["LIB-NAME", "lib"], ["FLAGS", "O"]])
def test_a_filter_kills_the_same_clients(proxy: ShoalProxy, valkey_oracle: Oracle, terms: list[str]) -> None:
    test_client_filters.test_a_filter_kills_the_same_clients(proxy, valkey_oracle, terms)  # type: ignore[arg-type]


def test_a_filter_lists_the_same_clients(proxy: ShoalProxy, valkey_oracle: Oracle) -> None:
    with test_client_filters.crowd(proxy) as ours, test_client_filters.crowd(valkey_oracle) as theirs:
        for terms in test_client_filters.filters():
            if not {"DB", "NOT-DB", "not-db", "USER", "NOT-USER"}.intersection(terms):
                assert found(ours, terms) == found(theirs, terms), terms
        assert found(ours, ["USER", "default"]) == {"asking", *test_client_filters.CLIENTS}, USERS


# ------------------------------------------------------------------------------------------------ messages

STORY_END = test_pubsub.STORY.index("ECHO free") + 1
"""What follows subscribes inside a transaction, which the proxy refuses."""


@pytest.mark.parametrize("protocol", [2, 3])
def test_the_story_of_messages(protocol: int, proxy: ShoalProxy, redis_oracle: Oracle) -> None:
    """Replies in order, and messages in order; one may come later among the others than on one server."""
    for what in ("CHANNELS", "SHARDCHANNELS"):
        eventually(lambda what=what: proxy.run("PUBSUB", what) == [], "nobody listens from before")
    eventually(lambda: proxy.run("PUBSUB", "NUMPAT") == 0, "nor to patterns")

    def heard(server: Server) -> tuple[list[bytes], list[bytes]]:
        frames = test_pubsub.told(server, test_pubsub.STORY[:STORY_END], protocol)
        messages = [each for each in frames if b"message\r\n" in each[:20]]
        return sorted(messages), [each for each in frames if each not in messages]

    expected = heard(redis_oracle)
    found: list[object] = []

    def is_the_same() -> bool:
        """The last message may come after the last reply, which ends the story: then it is told again."""
        found[:] = heard(proxy)
        return found == [*expected]

    eventually(is_the_same, lambda: f"{found} == {expected}", timeout=15)


# ---------------------------------------------------------------------------------------------- what blocks

OTHERWISE = {"other databases": ONE_DATABASE}


class Stage(test_blocking.Stage):
    """Without a replica."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.onlooker = server.resp()
        self.clients = {}
        self.ids = {}

    def close(self) -> None:
        self.leave()
        self.onlooker.close()

    def counted(self) -> dict[str, str]:
        return {"blocked_clients": super().counted()["blocked_clients"]}


def in_one_slot(line: str) -> str:
    """A step of a scenario with its keys in one slot."""
    if line == "?" or line[1] in "<!":
        return line
    argv = split_words(line[2:].strip().encode())
    row = find(argv)
    places = row.key_positions(argv) if row is not None and row.accepts(len(argv)) else []
    for place in places:
        argv[place] = b"{t}" + argv[place]
    return f"{line[:2]} " + " ".join(map(quoted, argv))


def quoted(word: bytes) -> str:
    return '"' + "".join(chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in word) + '"'


@pytest.mark.parametrize("name", [name for name in test_blocking.SCENARIOS if name not in OTHERWISE])
def test_scenario(name: str, proxy: ShoalProxy, redis_oracle: Oracle) -> None:
    lines = [in_one_slot(line) for line in map(str.strip, test_blocking.SCENARIOS[name].splitlines()) if line]
    stages = Stage(proxy), Stage(redis_oracle)
    for line in lines:
        if line == "?":
            wanted = stages[1].counted()
            eventually(lambda wanted=wanted: stages[0].counted() == wanted, f"{name}: {wanted}")
        else:
            ours, theirs = (stage.step(line) for stage in stages)
            assert ours == theirs, line
    for stage in stages:
        stage.close()


# -------------------------------------------------------------------------------------------- notifications

TWO_DATABASES = {b"MOVE", b"SELECT", b"DB"}
LAST = ("last:{a}", "last:{b}", "last:{c}")
"""Keys of three workers"""


def events_by_key(server: Server, commands: list[list[bytes]], classes: str) -> dict[bytes, list[Any]]:
    """What listeners hear of each key, in order; each key's events come from one worker."""
    found: dict[bytes, list[Any]] = {}
    with server.resp() as connection, server.resp() as listener:
        connection.command("FLUSHALL")
        assert connection.command("CONFIG", "SET", "notify-keyspace-events", classes) == Simple("OK")
        listener.command("PSUBSCRIBE", "__key*__:*")
        for command in [*commands, *([b"SET", key.encode(), b"1"] for key in LAST)]:
            connection.send_command(*command)
            connection.read()
        missing = {key.encode() for key in LAST}
        while missing:
            _, _, channel, message = listener.read()
            keyspace, _, name = channel.partition(b":")
            key, event = (message, name) if keyspace.startswith(b"__keyevent") else (name, message)
            if key in missing and keyspace.startswith(b"__keyevent") and event == b"set":
                missing.discard(key)
            found.setdefault(key, []).append((keyspace, event))
        connection.command("CONFIG", "SET", "notify-keyspace-events", "")
    return found


@pytest.mark.parametrize(
    "name", ["STRINGS", "GENERIC", "HASHES", "LISTS", "SETS", "SORTED_SETS", "STREAMS", "GEO"]
)
def test_events(name: str, proxy: ShoalProxy, redis_oracle: Oracle) -> None:
    script = parse_script(getattr(test_notifications, name), redis_oracle)
    commands = tagged([argv for argv in script if not TWO_DATABASES.intersection(argv)])
    assert events_by_key(proxy, commands, "KEA") == events_by_key(redis_oracle, commands, "KEA")


def test_watching_against_rivals(proxy: ShoalProxy, redis_oracle: Oracle) -> None:
    """As in test_transactions.py, with keys of one slot."""
    outcomes = []
    for server in (proxy, redis_oracle):
        found = []
        for rival in test_transactions.RIVALS:
            if any("SELECT" in line for line in rival):
                continue
            server.run("FLUSHALL")
            with server.resp() as ours, server.resp() as theirs:
                ours.command("SET", "{k}", "1")
                ours.command("WATCH", "{k}", "{k}other")
                for line in rival:
                    words_ = [{"k": "{k}", "other": "{k}other"}.get(word, word) for word in line.split()]
                    theirs.command(*words_)
                ours.command("MULTI")
                ours.command("INCR", "{k}n")
                found.append((rival, ours.command("EXEC"), ours.command("GET", "{k}n")))
        outcomes.append(found)
    assert outcomes[0] == outcomes[1]
