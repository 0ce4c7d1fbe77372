"""FUNCTION and FCALL beside both oracles: replies and errors word for word, dumps in both directions."""

from __future__ import annotations

import pytest

from tests.compat.differential import compare
from tests.harness.resp import Resp
from tests.harness.servers import Oracle, Server, ShoalNode, server
from tests.harness.wait import eventually

LIBRARY = """#!lua name=lib
local count = 0
local function echo(keys, args) return {keys[1], args[1], #keys, #args} end
redis.register_function('echo', echo)
redis.register_function('count', function() count = count + 1 return count end)
redis.register_function{
    function_name='reads', description='it reads', flags={'no-writes', 'allow-stale'},
    callback=function(keys) return redis.call('get', keys[1]) end}
redis.register_function('writes', function(keys, args) return redis.call('set', keys[1], args[1]) end)
"""

HEADERS = [
    "",
    "return 1",
    "#!lua",
    "#!lua\nreturn 1",
    "#!lua name=\nreturn 1",
    "#!lua name=a name=b\nreturn 1",
    "#!lua name=a foo=b\nreturn 1",
    "#!lua name=a-b\nreturn 1",
    "#!lua NAME=a\nreturn 1",
    '#!lua "name=a"\nreturn 1',
    '#!lua "name=a\nreturn 1',
    "#!luau name=a\nreturn 1",
    "#!LUA name=upper\nredis.register_function('upper', function() return 1 end)",
    "#!lua name=a\nreturn 1 1",
    "#!lua name=a\nreturn 1",
]
BODIES = [
    "redis.register_function()",
    "redis.register_function(1, 2, 3)",
    "redis.register_function('a')",
    "redis.register_function('a', 'b')",
    "redis.register_function({}, function() end)",
    "redis.register_function('a b', function() end)",
    "redis.register_function('a', function() end) redis.register_function('a', function() end)",
    "redis.register_function('A', function() end) redis.register_function('B', function() end)",
    "redis.register_function{}",
    "redis.register_function{function_name='a'}",
    "redis.register_function{callback=function() end}",
    "redis.register_function{function_name=redis.log, callback=function() end}",
    "redis.register_function{function_name='a', callback=1}",
    "redis.register_function{function_name='a', callback=function() end, flags=1}",
    "redis.register_function{function_name='a', callback=function() end, flags={'x'}}",
    "redis.register_function{function_name='a', callback=function() end, flags={1}}",
    "redis.register_function{function_name='a', callback=function() end, description={}}",
    "redis.register_function{function_name='a', callback=function() end, nosuch=1}",
    "redis.register_function{[redis.log]='a'}",
    "redis.call('ping')",
    "redis.setresp(3)",
    "local s = string.rep('a', 3)",
    "x = 1",
    "redis.x = 1",
    "return nosuch",
    "redis.log(redis.LOG_DEBUG, redis.REDIS_VERSION_NUM > 0)",
    "local x = redis.LOG_NOTICE .. nil",
]
CALLS = [
    ["FCALL", "echo", "1", "k", "a", "b"],
    ["FCALL", "ECHO", "0"],
    ["FCALL", "count", "0"],
    ["FCALL", "count", "0"],
    ["FCALL_RO", "count", "0"],
    ["FCALL_RO", "reads", "1", "k"],
    ["FCALL", "writes", "1", "k", "v"],
    ["FCALL", "reads", "1", "k"],
    ["FCALL_RO", "writes", "1", "k", "v"],
    ["FCALL", "nosuch", "0"],
    ["FCALL", "echo", "x"],
    ["FCALL", "echo", "-1"],
    ["FCALL", "echo", "1"],
    ["FCALL", "echo"],
    ["MULTI"],
    ["FCALL", "count", "0"],
    ["FCALL", "nosuch", "0"],
    ["EXEC"],
    ["FUNCTION", "STATS"],
    ["FUNCTION", "KILL"],
    ["FUNCTION", "LIST", "LIBRARYNAME"],
    ["FUNCTION", "LIST", "NOSUCH"],
    ["FUNCTION", "LIST", "WITHCODE", "WITHCODE"],
    ["FUNCTION", "LIST", "LIBRARYNAME", "x*", "WITHCODE"],
    ["FUNCTION", "DELETE", "nosuch"],
    ["FUNCTION", "RESTORE", "x"],
    ["FUNCTION", "RESTORE", ""],
    ["FUNCTION", "RESTORE", "x", "nosuch"],
    ["FUNCTION", "RESTORE", "x", "flush", "x"],
    ["FUNCTION", "FLUSH", "nosuch"],
    ["FUNCTION", "FLUSH", "SYNC", "x"],
    ["FUNCTION", "LOAD", LIBRARY],
    ["FUNCTION", "LOAD", "NOSUCH", LIBRARY],
    ["FUNCTION", "LOAD", "REPLACE", LIBRARY],
    ["FCALL", "count", "0"],
    ["FUNCTION", "LOAD", "#!lua name=other\nredis.register_function('Echo', function() return 1 end)"],
    ["FUNCTION", "DELETE", "lib"],
    ["FCALL", "echo", "0"],
    ["FUNCTION", "NOSUCH"],
    ["FUNCTION", "FLUSH", "ASYNC"],
    ["FUNCTION", "STATS"],
    ["FUNCTION", "DUMP", "x"],
]
RUNTIME = [
    "return redis.register_function('a', function() end)",
    "x = 1",
    "redis.x = 1",
    "return nosuch",
    "return KEYS",
    "return redis.call('nosuch')",
    "return redis.pcall('nosuch')",
    "return redis.call('incr', 'k', 'x')",
    "error('plain')",
    "error({err='CODE words'})",
    "return {double=1.5}",
    "redis.setresp(3) return redis.call('hgetall', 'nosuch')",
    "return redis.breakpoint",
    "return redis.sha1hex('')",
    "return redis.status_reply('x')",
    "return redis.error_reply('x')",
    "return type(redis.acl_check_cmd)",
    "local f = loadstring('return 5') return f()",
]


@pytest.fixture
def oracle(request: pytest.FixtureRequest) -> Oracle:
    return request.getfixturevalue(request.param)  # type: ignore[no-any-return]


def without_functions(*servers: Server) -> None:
    for each in servers:
        each.run("FUNCTION", "FLUSH")


def loads(bodies: list[str]) -> list[list[bytes]]:
    return [[b"FUNCTION", b"LOAD", b"REPLACE", body.encode()] for body in bodies]


@pytest.mark.parametrize("protocol", [2, 3])
def test_commands(shoal_node: ShoalNode, redis_oracle: Oracle, protocol: int) -> None:
    without_functions(shoal_node, redis_oracle)
    commands = [["FUNCTION", "LOAD", LIBRARY], *CALLS]
    compare(shoal_node, redis_oracle, [[word.encode() for word in each] for each in commands], protocol)


def test_libraries_that_do_not_load(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    without_functions(shoal_node, redis_oracle)
    bodies = [f"#!lua name=a\n{body}" for body in BODIES]
    compare(shoal_node, redis_oracle, loads(HEADERS + bodies))


@pytest.mark.parametrize("protocol", [2, 3])
def test_what_a_function_may(shoal_node: ShoalNode, redis_oracle: Oracle, protocol: int) -> None:
    without_functions(shoal_node, redis_oracle)
    lines = [f"redis.register_function('f{i}', function() {body} end)" for i, body in enumerate(RUNTIME)]
    commands = loads(["\n".join(["#!lua name=lib", *lines])])
    commands += [[b"FCALL", b"f%d" % i, b"0"] for i in range(len(RUNTIME))]
    compare(shoal_node, redis_oracle, commands, protocol)


def listed(target: Server) -> list[object]:
    """FUNCTION LIST WITHCODE without an order."""
    libraries = target.client().function_list(withcode=True)
    return sorted(repr([sorted(map(repr, part)) if isinstance(part, list) else part for part in each])
                  for each in libraries)  # fmt: skip


@pytest.mark.parametrize("oracle", ["redis_oracle", "valkey_oracle"], indirect=True)
def test_dumps_in_both_directions(shoal_node: ShoalNode, oracle: Oracle) -> None:
    other = "#!lua name=other\nredis.register_function('x', function() return 'x' end) -- " + "y" * 200
    for source, target in ((shoal_node, oracle), (oracle, shoal_node)):
        without_functions(source, target)
        for library in (LIBRARY, other):
            source.run("FUNCTION", "LOAD", library)
        if source is oracle and oracle.kind == "valkey":
            continue  # a version of the format that only Valkey reads
        dump = source.run("FUNCTION", "DUMP")
        assert target.run("FUNCTION", "RESTORE", dump).text == "OK"
        assert listed(source) == listed(target)
        assert "already exists" in target.run("FUNCTION", "RESTORE", dump, "APPEND").text
        for policy in ("REPLACE", "FLUSH"):
            assert target.run("FUNCTION", "RESTORE", dump, policy).text == "OK"
        assert target.run("FCALL", "x", 0) == b"x"


@pytest.mark.parametrize("kind", ["redis", "shoal"])
def test_a_replica_gets_them_with_its_snapshot_and_by_the_stream(kind: str) -> None:
    with server("shoal") as primary, server(kind) as replica:
        primary.run("FUNCTION", "LOAD", LIBRARY)
        replica.run("FUNCTION", "LOAD", "#!lua name=old\nredis.register_function('old', function() end)")
        replica.follow(primary)
        eventually(lambda: listed(replica) == listed(primary), timeout=20)
        primary.run("FUNCTION", "LOAD", "#!lua name=new\nredis.register_function('new', function() end)")
        primary.run("FUNCTION", "DELETE", "lib")
        eventually(lambda: listed(replica) == listed(primary), timeout=20)
        assert "new" in listed(replica)[0]


def test_they_are_in_snapshots() -> None:
    with server("shoal", save="3600 1") as node:
        node.run("FUNCTION", "LOAD", LIBRARY)
        node.run("SAVE")
        before = listed(node)
        node.restart()
        assert listed(node) == before
        assert node.run("FCALL", "count", 0) == 1


def test_info_counts_them(shoal_node: ShoalNode) -> None:
    without_functions(shoal_node)
    shoal_node.run("FUNCTION", "LOAD", LIBRARY)
    info = shoal_node.info("memory")
    assert (info["number_of_libraries"], info["number_of_functions"]) == (1, 4)
    assert info["used_memory_functions"] > len(LIBRARY)
    assert info["used_memory_vm_functions"] > 10_000


def test_errors_of_scripts_are_counted_once(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    def counts(target: Server) -> dict[str, object]:
        with Resp(target.port, target.host) as connection:
            connection.command("CONFIG", "RESETSTAT")
            connection.command("SET", "s", "x")
            for script in (
                "return redis.call('nosuch')",
                "return redis.pcall('incr', 'a', 'b')",
                "return redis.call('incr', 's')",
                "local r = redis.pcall('incr', 's') return 1",
                "return redis.pcall('incr', 's')",
                "return {err='XX a'}",
                "error('a')",
                "error({err='YY b'})",
            ):
                connection.command("EVAL", script, 0)
        return target.info("errorstats")

    assert counts(shoal_node) == counts(redis_oracle)
