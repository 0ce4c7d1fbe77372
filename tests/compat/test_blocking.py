"""Blocked clients beside redis-server: who is served what, in which order, and what replicas hear of it.

A scenario is told line by line. Clients have one-letter names and connect when they first appear:

    a> BLPOP k 0     a sends a command that must block
    x: RPUSH k 1     x sends a command and reads its reply
    x~ RPUSH k 1     x sends a command; whether and when it is answered is left open
    a<               a reads a reply
    a!               a hangs up, and is not counted as blocked any more
    ?                how many clients are blocked, on how many keys

`{a}` stands for a's client id. What is compared is every reply, and the replication stream.
"""

from __future__ import annotations

import random
import select
from collections.abc import Iterator
from io import BufferedReader

import pytest

from node.words import split_words
from tests.compat.differential import compare, parse_script, show
from tests.compat.test_propagation import ON_ITS_OWN, comparable, read_command, skip_snapshot
from tests.harness.resp import Resp, encode
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually

SCENARIOS = {
    "first come, first served": """
        a> BLPOP k 0
        b> BRPOP k 0
        c> BLPOP k 0
        x: RPUSH k 1 2
        a<
        b<
        ?
        x: RPUSH k 3
        c<
    """,
    "keys are looked at in the order given": """
        a> BLPOP one two 0
        x: MULTI
        x: RPUSH two b
        x: RPUSH one a
        x: EXEC
        a<
        x: LLEN two
    """,
    "who waits for several keys is served once": """
        a> BLPOP one two one 0
        ?
        x: RPUSH two a
        a<
        x: RPUSH one b
        ?
        x: LLEN one
    """,
    "a transaction is over before anybody is served": """
        a> BLPOP k 0
        x: MULTI
        x: RPUSH k 1
        x: DEL k
        x: EXEC
        ?
        x: MULTI
        x: RPUSH k 1
        x: LPUSH k 2
        x: LLEN k
        x: EXEC
        a<
        x: LLEN k
    """,
    "nothing blocks inside a transaction": """
        x: MULTI
        x: BLPOP k 0
        x: BLMOVE k d LEFT RIGHT 0
        x: RPUSH k 1
        x: BRPOP k 0
        x: BZPOPMIN k 0
        x: EXEC
    """,
    "keys that became ready are served in that order": """
        a> BLPOP one 0
        b> BLPOP two 0
        c> BLMOVE one d LEFT RIGHT 0
        d> BLMOVE two d LEFT RIGHT 0
        x: MULTI
        x: RPUSH two 3 4
        x: RPUSH one 1 2
        x: EXEC
        a<
        b<
        c<
        d<
        x: LRANGE d 0 -1
    """,
    "a chain of moves": """
        a> BLMOVE k middle LEFT RIGHT 0
        b> BRPOPLPUSH middle last 0
        c> BLPOP last 0
        x: RPUSH k 1
        a<
        b<
        c<
        ?
    """,
    "moves in a circle": """
        a> BLMOVE one two LEFT RIGHT 0
        b> BLMOVE two one LEFT RIGHT 0
        x: RPUSH one 1
        a<
        b<
        x: LRANGE one 0 -1
        x: LRANGE two 0 -1
    """,
    "a move onto itself": """
        a> BLMOVE k k LEFT RIGHT 0
        b> BLPOP k 0
        x: RPUSH k 1 2
        a<
        b<
        x: LRANGE k 0 -1
    """,
    "a destination of another type": """
        a> BLMOVE k s LEFT RIGHT 0
        b> BLPOP k 0
        x: SET s 1
        x: RPUSH k 1
        a<
        b<
        ?
    """,
    "a key of another type before the one that came": """
        a> BLPOP s k 0
        x: SET s 1
        ?
        x: RPUSH k 1
        a<
        x: LLEN k
    """,
    "a key that becomes something else": """
        a> BLPOP k 0
        b> BZPOPMIN k 0
        x: SET k 1
        ?
        x: DEL k
        x: ZADD k 1 m
        b<
        ?
        x: HSET k f v
        x: DEL k
        x: RPUSH k 1
        a<
    """,
    "sorted sets": """
        a> BZPOPMIN one z 0
        b> BZPOPMAX z 0
        c> BZMPOP 0 2 one z MAX COUNT 2
        d> BZPOPMIN z 0
        x: ZADD z 1.5 a 2 b 3 c 4 d 5 e
        a<
        b<
        c<
        d<
        ?
    """,
    "several elements for one": """
        a> BLMPOP 0 2 one k LEFT COUNT 2
        b> BLMPOP 0 1 k RIGHT COUNT 10
        c> BLMPOP 0 1 k RIGHT
        x: RPUSH k 1 2 3 4 5
        a<
        b<
        ?
        x: LPUSH k 6
        c<
    """,
    "the many ways in which a key comes": """
        x: RPUSH l 2 1
        a> BLPOP k 0
        x: RENAME l k
        a<
        b> BLPOP k2 0
        x: COPY k k2
        b<
        c> BLPOP k3 0
        x: SORT k STORE k3
        c<
        a> BLPOP k4 0
        x: LMOVE k k4 LEFT LEFT
        a<
        b> BLPOP k5 0
        x: RESTORE k5 0 "\\x01\\x01\\xc0\\x01\\x0b\\x00\\xc2T\\xcd\\xf7z\\x1f\\xc1\\x8e"
        x: RPUSH k5 y
        b<
        x: ZADD z 1 a 2 b
        c> BZPOPMIN z2 0
        x: ZUNIONSTORE z2 1 z
        c<
        a> BZPOPMAX z3 0
        x: ZRANGESTORE z3 z 0 -1
        a<
        b> BZPOPMAX z4 0
        x: ZINCRBY z4 3 m
        b<
    """,
    "other databases": """
        a: SELECT 1
        a> BLPOP k 0
        b> BLPOP k 0
        c> BLPOP j 0
        x: RPUSH k 1 2
        b<
        ?
        x: MOVE k 1
        a<
        x: SELECT 1
        x: RPUSH j 1
        ?
        x: COPY j j DB 0
        c<
    """,
    "requests behind a blocked one wait": """
        a> BLPOP k 0
        a~ SET n 1
        a~ BLPOP k 0
        a~ GET n
        x: GET n
        x: RPUSH k 1
        a<
        a<
        x: RPUSH k 2
        a<
        a<
    """,
    "watched keys": """
        y: WATCH k
        a> BLPOP k 0
        x: RPUSH k 1
        a<
        y: MULTI
        y: PING
        y: EXEC
    """,
    "time": """
        a> BLPOP k 0.1
        a<
        a> BLMOVE k d LEFT RIGHT 0.1
        a<
        a> BZMPOP 0.1 1 k MIN
        a<
        x: RPUSH k 1
        x: LLEN k
        a: BLPOP k 0.1
        ?
    """,
    "unblocked by another": """
        a> BLPOP k 0
        x: CLIENT UNBLOCK {a}
        a<
        x: CLIENT UNBLOCK {a}
        a> BZPOPMIN k 0
        x: CLIENT UNBLOCK {a} ERROR
        a<
        a> BLMOVE k d LEFT RIGHT 0
        x: CLIENT UNBLOCK {a} timeout
        a<
        a> WAIT 1000 0
        x: CLIENT UNBLOCK {a} TIMEOUT
        a~ PING
        x: CLIENT UNBLOCK {x}
        ?
    """,
    "who hung up gets nothing": """
        a> BLPOP k 0
        b> BLPOP k 0
        c> BLPOP k 0
        a!
        x: CLIENT KILL ID {b}
        ?
        x: RPUSH k 1
        c<
        ?
    """,
    "replies that were not wanted": """
        a~ CLIENT REPLY SKIP
        a> BLPOP k 0
        x: RPUSH k 1
        a: PING
        a~ CLIENT REPLY OFF
        a> BLPOP k 0
        x: RPUSH k 2
        a~ CLIENT REPLY ON
        a<
        ?
    """,
    "streams": """
        x: XADD s 1-1 f old
        a> XREAD BLOCK 0 STREAMS s t $ 0
        b> XREAD COUNT 1 BLOCK 0 STREAMS s 1-1
        c> XREAD BLOCK 100 STREAMS s 9
        ?
        x: MULTI
        x: XADD s 2-1 f new
        x: XADD s 2-2 f newer
        x: EXEC
        a<
        b<
        ?
        c<
        a> XREAD BLOCK 0 STREAMS t 0
        x: SET t 1
        x: DEL t
        x: XADD t 1-1 f v
        a<
    """,
    "consumer groups": """
        x: XGROUP CREATE s g $ MKSTREAM
        a> XREADGROUP GROUP g one COUNT 1 BLOCK 0 STREAMS s >
        b> XREADGROUP GROUP g two BLOCK 0 STREAMS s >
        c> XREADGROUP GROUP g three NOACK BLOCK 0 STREAMS s >
        x: XADD s 1-1 f v
        a<
        ?
        x: XADD s 2-1 f v
        b<
        x: XADD s 3-1 f v
        c<
        x: XPENDING s g
    """,
    "a stream that a group needs": """
        x: XGROUP CREATE s g $ MKSTREAM
        a> XREADGROUP GROUP g one BLOCK 0 STREAMS s >
        b> XREAD BLOCK 0 STREAMS s 0
        ?
        x: DEL s
        a<
        ?
        x: XGROUP CREATE s g $ MKSTREAM
        a> XREADGROUP GROUP g one BLOCK 0 STREAMS s >
        x: SET s 1
        a<
        x: DEL s
        x: XGROUP CREATE s g $ MKSTREAM
        a> XREADGROUP GROUP g one BLOCK 0 STREAMS s >
        x: XGROUP DESTROY s g
        a<
        x: XGROUP CREATE s g $ MKSTREAM
        a> XREADGROUP GROUP g one BLOCK 0 STREAMS s >
        x: FLUSHALL
        a<
        x: XGROUP CREATE s g $ MKSTREAM
        a> XREADGROUP GROUP g one BLOCK 0 STREAMS s >
        x: PEXPIRE s 50
        a<
        ?
        x: XADD s 1-1 f v
        b<
    """,
    "a pause": """
        a> BLPOP k 0
        x: CLIENT PAUSE 60000 WRITE
        y> RPUSH k 1
        b> BLPOP k 0
        x: LLEN k
        ?
        x: CLIENT UNPAUSE
        y<
        a<
        ?
        y: RPUSH k 2
        b<
    """,
}

SCRIPT = r"""
BLPOP k
BLPOP k inf
BLPOP k -inf
BLPOP k nan
BLPOP k ""
BLPOP k " 1"
BLPOP k -1
BLPOP k 1e400
BLPOP k 1e20
BLPOP k 9223372036854775
BLPOP k 0x1p-7
BLPOP k 1e-9
BLMPOP abc 0 k LEFT
BLMPOP 1 0 k LEFT
BLMPOP 1 2 k LEFT
BLMPOP 1 1 k FOO
BLMPOP 1 1 k LEFT COUNT 0
BLMPOP x 1 k LEFT COUNT 1 COUNT 1
BLMPOP x 1 k LEFT COUNT 1
BZMPOP x 1 k FOO
BZMPOP x 1 k MIN
BLMOVE k d FOO LEFT x
BLMOVE k d LEFT RIGHT x
BRPOPLPUSH k d x
SET s 1
BLPOP s 0
BLPOP none s 0
BZPOPMIN s 0
BLMOVE s k LEFT RIGHT 0
BLMOVE none s LEFT RIGHT 0.01
BLMPOP 0 2 none s LEFT
RPUSH l a b c d e f
BLMOVE l s LEFT RIGHT 0
BLPOP l s 0
BRPOP none l 0
BLMOVE l m RIGHT LEFT 0
BRPOPLPUSH l m 0
BLMPOP 0 2 none l RIGHT COUNT 5
LRANGE m 0 -1
ZADD z 1.5 a 2 b 3 c 4 d
BZPOPMIN z 0
BZPOPMAX none z 0
BZMPOP 0 2 none z MAX COUNT 5
EXISTS l z
CLIENT UNBLOCK 0
CLIENT UNBLOCK x
CLIENT UNBLOCK 99 foo
CLIENT UNBLOCK x foo
@redis CLIENT UNBLOCK 1 TIMEOUT x
"""

END = b"that was all"


class Stage:
    """A server on which scenarios are played, with an onlooker and a replica that stays."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.onlooker = server.resp()
        replica = server.resp(timeout=20)
        replica.send_command("SYNC")
        self.replica = replica
        self.stream: BufferedReader = replica.socket.makefile("rb")
        skip_snapshot(self.stream)
        self.clients: dict[str, Resp] = {}
        self.ids: dict[str, int] = {}

    def close(self) -> None:
        self.leave()
        self.stream.close()
        self.replica.close()
        self.onlooker.close()

    def leave(self) -> None:
        """All clients hang up, and the server has noticed."""
        for client in self.clients.values():
            client.close()
        self.clients.clear()
        self.ids.clear()
        eventually(lambda: not self.blocked(), "nobody is blocked any more")
        self.onlooker.command("FLUSHALL")

    def client(self, name: str) -> Resp:
        if name not in self.clients:
            self.clients[name] = self.server.resp()
            self.ids[name] = self.clients[name].command("CLIENT", "ID")
        return self.clients[name]

    def blocked(self) -> set[int]:
        """Ids of the clients that are blocked, those that a pause holds among them."""
        lines = self.onlooker.command("CLIENT", "LIST").decode().splitlines()
        fields = [dict(field.split("=", 1) for field in line.split()) for line in lines]
        return {int(each["id"]) for each in fields if "b" in each["flags"]}

    def counted(self) -> dict[str, str]:
        lines = self.onlooker.command("INFO", "clients").decode().splitlines()
        return dict(
            line.split(":") for line in lines if line.startswith(("blocked_", "total_blocking_keys:"))
        )

    def play(self, scenario: str) -> list[str]:
        told = []
        for line in filter(None, map(str.strip, scenario.splitlines())):
            told.append(f"{line} {self.step(line)}")
        return told

    def step(self, line: str) -> str:
        if line == "?":
            return str(self.counted())
        name, act, rest = line[0], line[1], line[2:].strip()
        client = self.client(name)
        if act == "<":
            return repr(client.read_raw())
        if act == "!":
            client.close()
            eventually(lambda: self.ids[name] not in self.blocked(), f"{name} is not blocked any more")
            return ""
        for other in set(self.clients) | {name}:
            rest = rest.replace(f"{{{other}}}", str(self.ids[other]))
        client.send(encode(*split_words(rest.encode())))
        if act == ":":
            return repr(client.read_raw())
        if act == ">":
            eventually(lambda: self.ids[name] in self.blocked(), f"{name} is blocked")
        return ""

    def heard(self) -> list[str]:
        """What the replica was sent since it was last asked."""
        self.onlooker.command("SET", END, "")
        received: list[str] = []
        while END not in (words := read_command(self.stream)):
            if words[0].upper() not in ON_ITS_OWN:
                received.append(show(comparable(words)))
        return received


@pytest.fixture(scope="module")
def stages(shoal_server: ShoalNode, redis_server: Oracle) -> Iterator[tuple[Stage, Stage]]:
    both = Stage(shoal_server), Stage(redis_server)
    yield both
    for stage in both:
        stage.close()


@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_scenario(stages: tuple[Stage, Stage], scenario: str) -> None:
    told, heard = [], []
    for stage in stages:
        stage.leave()
        stage.heard()
        told.append(stage.play(scenario))
        heard.append(stage.heard())
    assert told[0] == told[1]
    assert heard[0] == heard[1]


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("which", ["redis", "valkey"])
def test_script(
    shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle, which: str, protocol: int
) -> None:
    oracle = {"redis": redis_oracle, "valkey": valkey_oracle}[which]
    compare(shoal_node, oracle, parse_script(SCRIPT, oracle), protocol)


WAITING = [
    "BLPOP {k} {k} 0",
    "BRPOP {k} 0",
    "BLMPOP 0 2 {k} {k} LEFT COUNT 2",
    "BLMOVE {k} {k} LEFT RIGHT 0",
    "BRPOPLPUSH {k} {k} 0",
    "BZPOPMIN {k} {k} 0",
    "BZPOPMAX {k} 0",
    "BZMPOP 0 2 {k} {k} MAX COUNT 2",
]
CHANGING = [
    "RPUSH {k} 1 2 3",
    "LPUSH {k} 4",
    "LPUSHX {k} 5",
    "RPOP {k}",
    "LMOVE {k} {k} LEFT RIGHT",
    "ZADD {k} 1 a 2 b",
    "ZPOPMIN {k}",
    "ZUNIONSTORE {k} 2 {k} {k}",
    "SET {k} v",
    "DEL {k} {k}",
    "RENAME {k} {k}",
    "COPY {k} {k} REPLACE",
    "LRANGE {k} 0 -1",
    "MULTI",
    "EXEC",
    "DISCARD",
]


def conversation(stage: Stage, seed: int, steps: int) -> list[str]:
    """Six clients do what chance tells them; returns what each was answered, and when."""
    chance = random.Random(seed)
    told = []
    waiting: dict[int, str] = {}
    names = "abcdef"
    for name in names:
        stage.client(name)
    for _ in range(steps):
        name = chance.choice(names)
        form = chance.choice(WAITING if chance.random() < 0.4 else CHANGING)
        while "{k}" in form:
            form = form.replace("{k}", chance.choice(["k1", "k2", "k3"]), 1)
        id_ = stage.ids[name]
        if id_ in waiting:
            continue
        client = stage.clients[name]
        client.send_command(*form.split())
        blocked: set[int] = set()

        def is_done(client: Resp = client, id_: int = id_) -> bool:
            nonlocal blocked
            answered = bool(select.select([client.socket], [], [], 0)[0])
            blocked = stage.blocked()
            return answered or id_ in blocked

        eventually(is_done, f"{name}: {form} is answered or blocks")
        waiting[id_] = name
        served = [waiting.pop(each) for each in list(waiting) if each not in blocked]
        replies = {each: stage.clients[each].read_raw() for each in sorted(served)}
        told.append(f"{name}: {form} {replies} {sorted(waiting.values())}")
    return told


@pytest.mark.parametrize("seed", range(8))
def test_random_conversations(stages: tuple[Stage, Stage], seed: int) -> None:
    told, heard = [], []
    for stage in stages:
        stage.leave()
        stage.heard()
        told.append(conversation(stage, seed, 120))
        heard.append(stage.heard())
    assert told[0] == told[1]
    assert heard[0] == heard[1]
