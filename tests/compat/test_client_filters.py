"""The filters of CLIENT LIST and CLIENT KILL beside valkey-server: whom they find, and what they refuse.

The same clients are connected to both servers, each with a name of its own, and a filter must find the same
names. What Redis has of it is compared with redis-server in test_client.py.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.compat.scripts import assert_same
from tests.harness.resp import Resp
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually

CLIENTS = {
    "plain": [],
    "named-lib": ["CLIENT SETINFO lib-name lib", "CLIENT SETINFO lib-ver 1.0"],
    "other-lib": ["CLIENT SETINFO lib-name other"],
    "in-multi": ["MULTI", "SET a b"],
    "subscriber": ["SUBSCRIBE c"],
    "tracking": ["CLIENT TRACKING on bcast"],
    "steadfast": ["CLIENT NO-EVICT on", "CLIENT NO-TOUCH on"],
    "elsewhere": ["SELECT 3"],
    "redirectable": ["CLIENT CAPA redirect"],
    "user": ["AUTH filtered secret"],
    "watcher": ["MONITOR"],
}
"""Name → what it does after it has taken that name."""

FILTERS = """
TYPE normal | TYPE pubsub | TYPE replica | TYPE primary | NOT-TYPE normal | NOT-TYPE pubsub
TYPE normal TYPE pubsub | FLAGS N | FLAGS x | FLAGS P | FLAGS tB | FLAGS Bt | FLAGS e | FLAGS eT | FLAGS TT
FLAGS Nx | FLAGS xb | FLAGS A | NOT-FLAGS N | NOT-FLAGS x | NOT-FLAGS tB | NOT-FLAGS te | NOT-FLAGS Nx
FLAGS x NOT-FLAGS x | FLAGS x FLAGS P | NAME plain | NAME nobody | NOT-NAME plain | NAME PLAIN
LIB-NAME lib | LIB-NAME none | NOT-LIB-NAME lib | LIB-VER 1.0 | NOT-LIB-VER 1.0 | DB 3 | DB 0 | NOT-DB 3
NOT-DB 0 | DB 15 | CAPA r | NOT-CAPA r | CAPA rr | CAPA "" | NOT-CAPA "" | FLAGS "" | NOT-FLAGS "" | NAME ""
NOT-NAME "" | LIB-NAME "" | NOT-LIB-NAME "" | IP 127.0.0.1 | NOT-IP 127.0.0.1 | IP 127.0.0 | IP ""
IP 127.0.0.1:1 | USER default | USER filtered | NOT-USER default | NOT-USER filtered | MAXAGE 1000
IDLE 1000 | ADDR 1.2.3.4:5 | NOT-ADDR 1.2.3.4:5 | NOT-LADDR 1.2.3.4:5 | LADDR 1.2.3.4:5 | ID 1000000
NOT-ID 1000000 | NOT-ID 1000000 1000001 | SKIPME yes TYPE normal | skipme no name plain
name plain not-db 3 user default flags N | ID 1000000 NOT-ID 1000000
"""


def words(text: str) -> list[str]:
    return [word.strip('"') for word in text.split()]


def filters() -> list[list[str]]:
    return [words(each) for line in FILTERS.strip().splitlines() for each in line.split(" | ")]


@contextmanager
def crowd(server: Server) -> Iterator[Resp]:
    """All CLIENTS connected; yields another connection, named `asking`."""
    with ExitStack() as stack:
        asking = stack.enter_context(server.resp())
        asking.command("CLIENT", "SETNAME", "asking")
        asking.command("ACL", "SETUSER", "filtered", "on", ">secret", "+@all", "~*", "&*")
        for name, commands in CLIENTS.items():
            client = stack.enter_context(server.resp())
            client.command("CLIENT", "SETNAME", name)
            for command in commands:
                client.command(*command.split())
        yield asking
        asking.command("ACL", "DELUSER", "filtered")


def found(asking: Resp, terms: list[str]) -> set[str]:
    text = asking.command("CLIENT", "LIST", *terms)
    assert isinstance(text, bytes), text
    return set(re.findall(r" name=(\S+)", text.decode()))


def test_a_filter_lists_the_same_clients(shoal_node: ShoalNode, valkey_oracle: Oracle) -> None:
    with crowd(shoal_node) as ours, crowd(valkey_oracle) as theirs:
        for terms in filters():
            assert found(ours, terms) == found(theirs, terms), terms
        everybody = found(ours, ["SKIPME", "no"])
        assert everybody == {"asking", *CLIENTS}
        assert found(ours, ["SKIPME", "yes"]) == set(CLIENTS)


def test_ids_add_up(shoal_node: ShoalNode) -> None:
    with crowd(shoal_node) as asking:
        text = asking.command("CLIENT", "LIST").decode()
        ids = dict(re.findall(r"id=(\d+) .*? name=(\S+)", text))
        plain, multi = (next(i for i, name in ids.items() if name == each) for each in ("plain", "in-multi"))
        assert found(asking, ["ID", plain, multi]) == {"plain", "in-multi"}
        assert found(asking, ["ID", plain, "DB", "0", "ID", multi]) == {"plain", "in-multi"}
        assert found(asking, ["ID", plain, multi, "NOT-ID", plain]) == {"in-multi"}
        assert asking.command("CLIENT", "KILL", "ID", plain, multi, "FLAGS", "x") == 1
        eventually(lambda: "in-multi" not in found(asking, []), "it is gone")
        assert "plain" in found(asking, [])


@pytest.mark.parametrize("terms", [["NAME", "plain"], ["NOT-DB", "0"], ["FLAGS", "P"], ["LIB-NAME", "lib"]])
def test_a_filter_kills_the_same_clients(
    shoal_node: ShoalNode, valkey_oracle: Oracle, terms: list[str]
) -> None:
    left = []
    for server in (shoal_node, valkey_oracle):
        with crowd(server) as asking:
            doomed = found(asking, terms)
            assert asking.command("CLIENT", "KILL", *terms) == len(doomed) == 1
            eventually(lambda asking=asking, doomed=doomed: not doomed & found(asking, []), "they are gone")
            left.append(found(asking, []))
    assert left[0] == left[1]


REFUSED = """
LIST FOO | LIST FOO bar | LIST NOT-MAXAGE 5 | LIST NOT-IDLE 5 | LIST NOT-SKIPME yes | LIST NAME
LIST SKIPME maybe | LIST ID | LIST NOT-ID | LIST NOT-ID 0 | LIST NOT-ID x | LIST NOT-ID 1 x
LIST NOT-ID 1 NAME | LIST TYPE foo | LIST NOT-TYPE foo | LIST USER nobody | LIST NOT-USER nobody
LIST MAXAGE 0 | LIST MAXAGE x | LIST IDLE 0 | LIST IDLE x | LIST IDLE | LIST FLAGS Z | LIST NOT-FLAGS Z
LIST FLAGS xZ | LIST CAPA z | LIST NOT-CAPA rz | LIST DB -1 | LIST DB 16 | LIST DB x | LIST DB 99999999999
LIST NOT-DB 99 | LIST NOT-DB x | LIST USER "" | KILL ID 1000000 1000001 | KILL ID | KILL ID 0 1
KILL NOT-ID 0 | KILL NOT-MAXAGE 5 | KILL IDLE 0 | KILL FLAGS Z | KILL DB 16 | KILL NAME nobody DB 3
KILL NAME nobody NOT-DB | KILL ID 1000000 NAME x NOT-IP 127.0.0.1
"""


@pytest.mark.parametrize("protocol", [2, 3])
def test_what_is_refused(shoal_node: ShoalNode, valkey_oracle: Oracle, protocol: int) -> None:
    script = [["CLIENT", *words(each)] for line in REFUSED.strip().splitlines() for each in line.split(" | ")]
    assert_same(shoal_node, valkey_oracle, script, protocol)
