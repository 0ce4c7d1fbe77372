"""Scripts beside redis-server: results, errors with their place, the sandbox, and what replicas hear."""

from __future__ import annotations

from hashlib import sha1
from pathlib import Path

import pytest

from tests.compat.differential import compare
from tests.compat.test_propagation import stream_of
from tests.harness.resp import Error
from tests.harness.servers import Oracle, Server, ShoalNode, server
from tests.harness.wait import eventually

SCRIPTS = Path(__file__).parent / "scripts"
"""lua_*.txt: scripts, separated by lines of dashes. Each is called with one key, `k`, and `a1 a2`."""
LUA = sorted(path.stem[4:] for path in SCRIPTS.glob("lua_*.txt"))


def evals(name: str) -> list[list[bytes]]:
    text = (SCRIPTS / f"lua_{name}.txt").read_bytes()
    return [[b"EVAL", script.strip(b"\n"), b"1", b"k", b"a1", b"a2"] for script in text.split(b"\n----\n")]


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", LUA)
def test_results_and_errors(shoal_node: ShoalNode, redis_oracle: Oracle, name: str, protocol: int) -> None:
    compare(shoal_node, redis_oracle, evals(name), protocol)


SHA = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"
COMMANDS = [
    ["EVAL", "return 1", "-1"],
    ["EVAL", "return 1", "x"],
    ["EVAL", "return 1", "5"],
    ["EVAL", "", "0"],
    ["EVALSHA", "zz", "0"],
    ["EVALSHA", SHA, "0"],
    ["EVALSHA_RO", "x", "0"],
    ["SCRIPT", "LOAD", "x x"],
    ["SCRIPT", "LOAD", "return 1"],
    ["SCRIPT", "EXISTS", SHA, SHA.upper(), "x"],
    ["EVALSHA", SHA.upper(), "0"],
    ["SCRIPT", "FLUSH", "x"],
    ["SCRIPT", "FLUSH", "SYNC", "x"],
    ["SCRIPT", "FLUSH", "ASYNC"],
    ["SCRIPT", "EXISTS", SHA],
    ["SCRIPT", "KILL"],
    ["SCRIPT", "NOSUCH"],
    ["EVAL_RO", "return redis.call('set','a','b')", "0"],
    ["EVAL_RO", "return redis.call('get','a')", "0"],
    ["EVAL_RO", "return redis.call('publish','a','b')", "0"],
    ["EVAL", "#!lua flags=no-writes", "0"],
    ["EVAL", "#!lua flags=no-writes\nreturn redis.call('set','a','b')", "0"],
    ["EVAL", "#!lua flags=no-writes,allow-oom\nreturn redis.call('get','a')", "0"],
    ["EVAL", "#!lua flags=\nreturn 1", "0"],
    ["EVAL", "#!lua flags=foo\nreturn 1", "0"],
    ["EVAL", "#!python\nreturn 1", "0"],
    ["EVAL", "#!lua foo\nreturn 1", "0"],
    ["EVAL", "#!lua\n\nxx xx", "0"],
    ["EVAL", "#!lua flags=no-cluster,allow-stale\n\nreturn nosuch", "0"],
    ["EVAL_RO", "#!lua\nreturn 1", "0"],
    ["EVAL_RO", "#!lua flags=no-writes\nreturn 1", "0"],
    # in a transaction, and what a script leaves behind
    ["MULTI"],
    ["EVAL", "return redis.call('incr','n')", "0"],
    ["EVAL", "return redis.call('nosuch')", "0"],
    ["EXEC"],
    ["EVAL", "return redis.call('select',1)", "0"],
    ["EVAL", "redis.setresp(3) return 1", "0"],
    ["GET", "n"],
    ["EVAL", "return redis.call('get','nokey')", "0"],
    ["WATCH", "n"],
    ["EVAL", "return redis.call('incr','n')", "0"],
    ["MULTI"],
    ["PING"],
    ["EXEC"],
]


@pytest.mark.parametrize("protocol", [2, 3])
def test_commands(shoal_node: ShoalNode, redis_oracle: Oracle, protocol: int) -> None:
    for each in (shoal_node, redis_oracle):
        each.run("SCRIPT", "FLUSH")
    compare(shoal_node, redis_oracle, [[w.encode() for w in words] for words in COMMANDS], protocol)


@pytest.mark.parametrize(
    "script",
    [
        "local t = {} t[1] = t return t",
        "local t = {} t.map = {x = t} return t",
        "local t = {} t[1] = {set = {[t] = true}} return t",
    ],
)
def test_a_table_that_contains_itself(shoal_node: ShoalNode, redis_oracle: Oracle, script: str) -> None:
    """Too deep for a client that reads recursively, so the bytes are compared as they come."""

    def answer(server: Server) -> bytes:
        with server.resp() as connection:
            connection.send_command("EVAL", script, 0)
            connection.send_command("QUIT")
            return connection.read_until_closed()

    ours = answer(shoal_node)
    assert ours == answer(redis_oracle)
    assert b"-ERR reached lua stack limit" in ours


def test_a_table_that_contains_itself_twice(shoal_node: ShoalNode) -> None:
    """redis-server never comes to an end with this."""
    reply = shoal_node.run("EVAL", "local t = {} t[1] = t t[2] = t return t", 0)
    assert isinstance(reply, Error)
    assert "reached lua stack limit" in reply.text


def test_of_many_scripts_those_run_last_are_kept(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    def outcome(server: Server) -> list[object]:
        with server.resp() as connection:
            connection.command("SCRIPT", "FLUSH")
            connection.command("CONFIG", "RESETSTAT")
            known = [connection.command("SCRIPT", "LOAD", f"return {each}") for each in ("'kept'", "'used'")]
            connection.command("SCRIPT", "FLUSH")
            connection.command("SCRIPT", "LOAD", "return 'kept'")
            for script in ("return 'used'", *(f"return {number}" for number in range(499))):
                connection.command("EVAL", script, 0)
            connection.command("EVALSHA", known[1], 0)
            connection.command("EVAL", "return 1", 0)
            for number in range(500, 503):
                connection.command("EVAL", f"return {number}", 0)
            known += [sha1(b"return %d" % number).hexdigest() for number in range(5)]
            there = connection.command("SCRIPT", "EXISTS", *known)
            return [there, server.info("stats")["evicted_scripts"], connection.command("SCRIPT", "FLUSH")]

    ours = outcome(shoal_node)
    assert ours == outcome(redis_oracle)
    assert ours[:2] == [[1, 1, 0, 1, 0, 0, 1], 3]


TRAIL = [
    "redis.call('set','a',1)",
    "redis.call('set','a',1) redis.call('incr','a') redis.call('get','a')",
    "redis.call('set','a',1,'ex',100) redis.call('incrbyfloat','a',1.5)",
    "redis.call('set','b',1) error('x')",
    "return redis.call('get','a')",
    "redis.set_repl(redis.REPL_NONE) redis.call('set','c',1)"
    " redis.set_repl(redis.REPL_ALL) redis.call('set','d',1)",
    "redis.call('select',1) redis.call('set','a',1)",
    "redis.call('sadd','s',1) redis.call('set','g',1,'px',50000) redis.call('getdel','g')",
    "redis.pcall('incr','s') redis.call('del','s')",
]


def test_replicas_hear_the_effects(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    script = [[b"EVAL", each.encode(), b"0"] for each in TRAIL]
    script += [[b"MULTI"], *script[:2], [b"SET", b"x", b"1"], [b"EXEC"]]
    ours, theirs = stream_of(shoal_node, script), stream_of(redis_oracle, script)
    assert ours == theirs
    assert [b"MULTI"] in ours


def test_writes_that_are_refused(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    """Too few replicas stop a script before its first write, and one that says it writes before it runs."""

    def outcome(server: Server) -> list[object]:
        with server.resp() as connection:
            connection.command("CONFIG", "SET", "min-replicas-to-write", 1)
            try:
                return [
                    connection.command("EVAL", "return redis.call('set','a','b')", 0),
                    connection.command("EVAL", "return redis.call('get','a')", 0),
                    connection.command("EVAL", "#!lua\nreturn 1", 0),
                    connection.command("EVAL", "#!lua flags=no-writes\nreturn 1", 0),
                ]
            finally:
                connection.command("CONFIG", "SET", "min-replicas-to-write", 0)

    assert outcome(shoal_node) == outcome(redis_oracle)


def test_script_show(shoal_node: ShoalNode, valkey_oracle: Oracle) -> None:
    commands = [["SCRIPT", "LOAD", "return 1"], ["SCRIPT", "SHOW", SHA], ["SCRIPT", "SHOW", "x" * 40]]
    compare(shoal_node, valkey_oracle, [[word.encode() for word in words] for words in commands])


def test_scripts_of_eval_are_forgotten_in_time(shoal_node: ShoalNode) -> None:
    kept = shoal_node.run("SCRIPT", "LOAD", "return 'loaded'")
    first = shoal_node.run("EVAL", "return redis.sha1hex('return redis.sha1hex(1)')", 0)
    with shoal_node.resp(timeout=20) as connection:
        connection.command("EVAL", "return redis.sha1hex(1)", 0)
        assert connection.command("SCRIPT", "EXISTS", kept, first) == [1, 1]
        connection.pipeline(*(("EVAL", f"return {i}", 0) for i in range(600)))
        assert connection.command("SCRIPT", "EXISTS", kept, first) == [1, 0]


CLUSTER = [
    ["EVAL", "return redis.call('get', 'b')", "1", "a"],
    ["EVAL", "#!lua\nredis.call('set', '{x}a', 1) return redis.call('get', 'b')", "1", "{x}a"],
    [
        "EVAL",
        "#!lua flags=allow-cross-slot-keys\nreturn {redis.call('get', 'a'), redis.call('get', 'b')}",
        "0",
    ],
    ["EVAL", "return redis.call('mget', 'a', 'b')", "0"],
    ["EVAL", "return 1", "2", "a", "b"],
    ["EVAL", "#!lua flags=no-cluster\nreturn 1", "0"],
    ["EVAL", "return redis.call('set', 'k', 'v')", "1", "k"],
    ["EVAL", "return {redis.call('get', 'k'), redis.pcall('get', 'a').err}", "0"],
    ["EVAL_RO", "return redis.call('get', KEYS[1])", "1", "k"],
    ["EVAL_RO", "return redis.call('set', KEYS[1], 'w')", "1", "k"],
    ["EVAL", "return redis.call('get', KEYS[1])", "1", "a"],
]
QUEUED = [
    "SET k v | GET k", "SET a v", "SET k v | GET a", "MGET {k}a k", "MGET k a", "SET k", "PING | DBSIZE",
    "SET a v | SET k v", "EVAL return(redis.call('get','k')) 0 | GET k", "DISCARD",
    "INCR k | LPUSH k v | GET k",
]  # fmt: skip
QUERIES = [words for words in CLUSTER for _ in range(2)] + [
    words.split() for line in QUEUED for words in ["MULTI", *line.split(" | "), "EXEC"]
]
"""Each script twice: one that is known is run in another way."""


def test_slots_in_a_cluster() -> None:
    """What a script and a transaction are told about keys of other slots and nodes."""
    found = []
    for kind in ("shoal", "redis"):
        with server(kind, cluster_enabled="yes") as node, node.resp() as connection:
            connection.command("CLUSTER", "ADDSLOTSRANGE", "0", "16383")
            eventually(lambda: b"cluster_state:ok" in node.run("CLUSTER", "INFO"), "serving", timeout=10)
            replies = [connection.command_raw(*words) for words in QUERIES]
            connection.command("CONFIG", "SET", "cluster-require-full-coverage", "no")
            connection.command("CLUSTER", "DELSLOTSRANGE", "8192", "16383")
            eventually(lambda: b"cluster_state:ok" in node.run("CLUSTER", "INFO"), "serving", timeout=10)
            found.append(replies + [connection.command_raw(*words) for words in QUERIES])
    for i, (ours, theirs) in enumerate(zip(*found, strict=True)):
        assert ours == theirs, (i // len(QUERIES), QUERIES[i % len(QUERIES)], ours, theirs)


DECLARING = [
    "return 1",
    "#!lua\nreturn 1",
    "#!lua flags=no-writes\nreturn 1",
    "#!lua flags=allow-oom\nreturn 1",
    "#!lua flags=no-writes,allow-stale\nreturn 1",
    "#!lua flags=nonsense\nreturn 1",
]
LIBRARY = """#!lua name=declaring
redis.register_function('writes', function() return 1 end)
redis.register_function{function_name='reads', callback=function() return 1 end, flags={'no-writes'}}
redis.register_function{function_name='takes', callback=function() return 1 end, flags={'allow-oom'}}
"""
HINDRANCES = {
    "nothing": ([], []),
    "memory": (["CONFIG SET maxmemory 1"], ["CONFIG SET maxmemory 0"]),
    "replicas": (["CONFIG SET min-replicas-to-write 1"], ["CONFIG SET min-replicas-to-write 0"]),
    "role": (["REPLICAOF 127.0.0.1 1"], ["REPLICAOF NO ONE"]),
    "stale": (
        ["REPLICAOF 127.0.0.1 1", "CONFIG SET replica-serve-stale-data no"],
        ["CONFIG SET replica-serve-stale-data yes", "REPLICAOF NO ONE"],
    ),
}


@pytest.mark.parametrize("hindrance", HINDRANCES)
def test_what_is_declared_counts_when_it_is_queued(
    shoal_node: ShoalNode, redis_oracle: Oracle, hindrance: str
) -> None:
    """A script with flags is refused like a command, alone and in MULTI; one without is not."""
    begin, end = ([line.split() for line in lines] for lines in HINDRANCES[hindrance])
    runs: list[tuple[str | int, ...]] = [
        *((name, script, 0) for name in ("EVAL", "EVAL_RO") for script in DECLARING),
        *(("EVALSHA", sha1(script.encode()).hexdigest(), 0) for script in DECLARING),
        *((name, each, 0) for name in ("FCALL", "FCALL_RO") for each in ("writes", "reads", "takes", "none")),
    ]

    def outcome(server: Server) -> list[object]:
        told: list[object] = []
        with server.resp() as connection:
            connection.command("FUNCTION", "FLUSH")  # what another test has left
            connection.command("FUNCTION", "LOAD", LIBRARY)
            for script in DECLARING:
                connection.command("SCRIPT", "LOAD", script)
            for command in begin:
                connection.command(*command)
            for run in runs:
                steps = [run, ("MULTI",), run, ("EXEC",)]
                told += [(step, connection.command(*step)) for step in steps]
            for command in end:
                connection.command(*command)
        return told

    assert outcome(shoal_node) == outcome(redis_oracle)
