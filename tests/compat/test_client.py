"""CLIENT beside redis-server, and the truth of what CLIENT LIST says."""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.compat.scripts import assert_same
from tests.harness.resp import NULL_BULK, Error, Resp, Simple, Verbatim
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually

SCRIPT = [
    "CLIENT SETNAME a",
    "CLIENT GETNAME",
    ["CLIENT", "SETNAME", "a b"],
    ["CLIENT", "SETNAME", "a\x7f"],
    ["CLIENT", "SETNAME", ""],
    "CLIENT GETNAME",
    "CLIENT SETINFO lib-name x",
    "CLIENT SETINFO LIB-VER 1",
    ["CLIENT", "SETINFO", "lib-name", "a b"],
    ["CLIENT", "SETINFO", "lib-ver", "a\nb"],
    "CLIENT SETINFO foo x",
    "CLIENT SETINFO lib-name",
    "CLIENT ID a",
    "CLIENT NO-EVICT on",
    "CLIENT NO-EVICT x",
    "CLIENT NO-EVICT off",
    "CLIENT NO-TOUCH on",
    "CLIENT NO-TOUCH x",
    "CLIENT NO-TOUCH OFF",
    "CLIENT LIST TYPE x",
    "CLIENT LIST TYPE pubsub",
    "CLIENT LIST TYPE replica",
    "CLIENT LIST TYPE master",
    "CLIENT LIST TYPE",
    "CLIENT LIST ID",
    "CLIENT LIST ID x",
    "CLIENT LIST ID 0 -1 99999",
    "CLIENT LIST foo",
    "CLIENT REPLY x",
    "CLIENT REPLY on",
    "CLIENT",
    "CLIENT FOO",
    "CLIENT KILL",
    "CLIENT KILL 1.2.3.4:5",
    "CLIENT KILL ID",
    "CLIENT KILL ID x",
    "CLIENT KILL ID 0",
    "CLIENT KILL ID 99999",
    "CLIENT KILL TYPE foo",
    "CLIENT KILL TYPE pubsub",
    "CLIENT KILL ADDR 1.2.3.4:5",
    "CLIENT KILL LADDR 1.2.3.4:5",
    "CLIENT KILL USER x",
    "CLIENT KILL USER default ID 99999",
    "CLIENT KILL SKIPME foo",
    "CLIENT KILL FOO bar",
    "CLIENT KILL ID 1 FOO",
    "CLIENT KILL MAXAGE x",
    "CLIENT KILL MAXAGE 0",
    "CLIENT KILL MAXAGE 100000",
    "CLIENT UNBLOCK",
    "CLIENT UNBLOCK x",
    "CLIENT UNBLOCK 99999",
    "CLIENT UNBLOCK 99999 foo",
    "CLIENT UNBLOCK 99999 ERROR",
    "CLIENT PAUSE",
    "CLIENT PAUSE x",
    "CLIENT PAUSE -1",
    "CLIENT PAUSE 1 foo",
    "CLIENT PAUSE 99999999999999999999",
    "CLIENT PAUSE 0",
    "CLIENT PAUSE 1 WRITE",
    "CLIENT UNPAUSE",
]


@pytest.mark.parametrize("protocol", [2, 3])
def test_replies_are_the_oracles(redis_oracle: Oracle, shoal_node: ShoalNode, protocol: int) -> None:
    assert_same(shoal_node, redis_oracle, SCRIPT, protocol)


# Fields whose values describe the server's own buffers, or differ from one connection to another.
OF_THE_CONNECTION = {
    "id", "addr", "laddr", "fd", "age", "idle", "qbuf", "qbuf-free", "argv-mem", "rbs", "rbp", "tot-mem",
    "tot-net-in", "tot-net-out",
}  # fmt: skip


def fields(connection: Resp) -> dict[str, str]:
    line = connection.command("CLIENT", "INFO")
    text = line.text if isinstance(line, Verbatim) else line
    assert text.endswith(b"\n") and text.count(b"\n") == 1
    return dict(pair.split("=", 1) for pair in text.decode().split())


def prepared(server: Server) -> dict[str, str]:
    with server.resp(protocol=3) as connection:
        for command in (
            ("CLIENT", "SETNAME", "me"),
            ("CLIENT", "SETINFO", "lib-name", "lib"),
            ("CLIENT", "NO-EVICT", "on"),
            ("CLIENT", "NO-TOUCH", "on"),
            ("SELECT", "2"),
            ("WATCH", "a", "b"),
        ):
            assert connection.command(*command) == Simple("OK")
        return fields(connection)


def test_info_line(redis_oracle: Oracle, shoal_node: ShoalNode) -> None:
    ours, theirs = prepared(shoal_node), prepared(redis_oracle)
    assert list(ours) == list(theirs)
    for name in set(ours) - OF_THE_CONNECTION:
        assert ours[name] == theirs[name], name


def test_info_line_tells_the_truth(shoal_node: ShoalNode) -> None:
    with shoal_node.resp() as connection:
        host, port = connection.socket.getsockname()
        first = fields(connection)
        assert first["addr"] == f"{host}:{port}"
        assert first["laddr"] == f"{host}:{shoal_node.port}"
        assert int(first["id"]) == connection.command("CLIENT", "ID")
        second = fields(connection)
        assert int(second["tot-net-in"]) > int(first["tot-net-in"]) > 0
        assert int(second["tot-net-out"]) > int(first["tot-net-out"])


def ids(listing: bytes) -> list[int]:
    return [int(found) for found in re.findall(rb"^id=(\d+) ", listing, re.MULTILINE)]


def test_list_and_its_filters(shoal_node: ShoalNode) -> None:
    with shoal_node.resp() as one, shoal_node.resp() as two:
        first, second = one.command("CLIENT", "ID"), two.command("CLIENT", "ID")
        assert {first, second} <= set(ids(one.command("CLIENT", "LIST")))
        assert {first, second} <= set(ids(one.command("CLIENT", "LIST", "TYPE", "normal")))
        assert ids(one.command("CLIENT", "LIST", "ID", second, first, second)) == [first, second]


def test_unix_socket_clients(tmp_path: Any) -> None:
    path = str(tmp_path / "s")
    with ShoalNode(unixsocket=path), Resp(0, path=path) as connection:
        told = fields(connection)
        assert (told["addr"], told["laddr"], told["flags"]) == (f"{path}:0", f"{path}:0", "U")


def test_reply_off_and_skip(redis_oracle: Oracle, shoal_node: ShoalNode) -> None:
    for server in (shoal_node, redis_oracle):
        with server.resp() as connection:
            connection.send_command("CLIENT", "REPLY", "OFF")
            connection.send_command("ECHO", "unheard")
            connection.send_command("GET")
            connection.send_command("CLIENT", "REPLY", "SKIP")
            assert connection.command("CLIENT", "REPLY", "ON") == Simple("OK")
            assert connection.command("ECHO", "heard") == b"heard"
            connection.send_command("CLIENT", "REPLY", "SKIP")
            connection.send_command("ECHO", "skipped")
            assert connection.command("ECHO", "next") == b"next"


def test_kill(shoal_node: ShoalNode) -> None:
    with shoal_node.resp() as killer, shoal_node.resp() as by_address, shoal_node.resp() as by_id:
        host, port = by_address.socket.getsockname()
        victim = by_id.command("CLIENT", "ID")
        assert killer.command("CLIENT", "KILL", f"{host}:{port}") == Simple("OK")
        assert killer.command("CLIENT", "KILL", "ID", victim) == 1
        for connection in (by_address, by_id):
            assert connection.read_until_closed() == b""
        assert victim not in ids(killer.command("CLIENT", "LIST"))
        assert killer.command("CLIENT", "KILL", "ID", victim) == 0


def test_kill_filters_hold_together() -> None:
    with ShoalNode() as node, node.resp() as killer, node.resp() as other:
        me, them = killer.command("CLIENT", "ID"), other.command("CLIENT", "ID")
        assert killer.command("CLIENT", "KILL", "ID", them, "TYPE", "pubsub") == 0
        assert killer.command("CLIENT", "KILL", "ID", me) == 0, "SKIPME is yes by default"
        assert killer.command("CLIENT", "KILL", "LADDR", f"127.0.0.1:{node.port}", "USER", "default") == 1
        assert other.read_until_closed() == b""
        assert killer.command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "no") == 1
        assert killer.read_until_closed() == b""


def test_pause_lets_writes_wait_and_reads_pass(shoal_node: ShoalNode) -> None:
    with shoal_node.resp() as pauser, shoal_node.resp() as writer:
        assert pauser.command("CLIENT", "PAUSE", "60000", "WRITE") == Simple("OK")
        assert writer.command("GET", "k") == NULL_BULK
        writer.send_command("SET", "k", "v")
        writer.send_command("GET", "k")
        eventually(lambda: b"flags=b" in pauser.command("CLIENT", "LIST"), "the writer waits")
        assert writer.silent()
        assert pauser.command("GET", "k") == NULL_BULK
        assert pauser.command("CLIENT", "UNPAUSE") == Simple("OK")
        assert (writer.read(), writer.read()) == (Simple("OK"), b"v")


def test_pause_all_ends_by_itself(shoal_node: ShoalNode) -> None:
    with shoal_node.resp() as pauser, shoal_node.resp() as reader:
        assert pauser.command("CLIENT", "PAUSE", "100") == Simple("OK")
        assert reader.command("PING") == Simple("PONG")


def test_help_is_a_list_of_lines(shoal_node: ShoalNode) -> None:
    for container in ("CLIENT", "CONFIG"):
        lines = shoal_node.run(container, "HELP")
        assert lines[0].text == f"{container} <subcommand> [<arg> [value] [opt] ...]. Subcommands are:"
        assert lines[-2:] == [Simple("HELP"), Simple("    Print this help.")]


def test_names_with_control_characters_never_reach_the_list(shoal_node: ShoalNode) -> None:
    with shoal_node.resp() as connection:
        assert isinstance(connection.command("CLIENT", "SETNAME", "a\nid=1"), Error)
