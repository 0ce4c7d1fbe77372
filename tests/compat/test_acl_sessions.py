"""What connected users may do, as their rights change under them: stories played to our worker and to Redis.

A story has one line a step, `who: command`; each name is a connection of its own, opened when it first
speaks. A step's answer is the reply, or that the connection is closed; `who?` waits until it is.
"""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from node.words import split_words
from tests.compat.scripts import CLOSED
from tests.compat.test_acl import Servers, emptied
from tests.compat.test_acl import servers as servers  # the fixture
from tests.harness.resp import Error, Map, Push, Resp, encode
from tests.harness.servers import Server
from tests.harness.wait import eventually


def play(server: Server, story: str, protocol: int = 2) -> list[tuple[str, Any]]:
    """Each step with its answer."""
    answers: list[tuple[str, Any]] = []
    connections: dict[str, Resp] = {}
    with contextlib.ExitStack() as stack:
        for line in filter(None, map(str.strip, story.splitlines())):
            if line.endswith("?"):
                who, answer = line[:-1], connections[line[:-1]].read_until_closed()
                answers.append((line, answer))
                continue
            who, _, command = line.partition(": ")
            if who not in connections:
                connections[who] = stack.enter_context(server.resp())
                if protocol != 2:
                    connections[who].command("HELLO", protocol)  # refused before a login, alike
            answers.append((line, answer_of(connections[who], command.replace("LUA", LUA))))
    return answers


def answer_of(connection: Resp, command: str) -> Any:
    try:
        return without_variables(connection.command(*split_words(command.encode())))
    except (ConnectionError, EOFError):
        return CLOSED


VARIABLE = (b"client-info", b"age-seconds", b"timestamp-created", b"timestamp-last-updated", b"entry-id")


def without_variables(reply: Any) -> Any:
    """Entries of ACL LOG without what differs from run to run; anything else as it is."""
    if not isinstance(reply, list):
        return reply
    return [without_moment(each) if is_entry(each) else each for each in reply]


def is_entry(item: Any) -> bool:
    return (isinstance(item, Map) and item.pairs[0][0] == b"count") or (
        isinstance(item, list) and len(item) == 20 and item[0] == b"count"
    )


def without_moment(entry: Any) -> dict[bytes, Any]:
    pairs = entry.pairs if isinstance(entry, Map) else list(zip(entry[::2], entry[1::2], strict=True))
    assert [name for name, _ in pairs][5:] == [b"age-seconds", b"client-info", *VARIABLE[4:], *VARIABLE[2:4]]
    return {name: value for name, value in pairs if name not in VARIABLE}


LUA = "function(keys, args) return redis.call(args[1], args[2]) end"
STORIES = {
    "a user logs in": """
        root: ACL SETUSER al on >p +get +acl|whoami ~k*
        al: ACL WHOAMI
        al: AUTH al wrong
        al: AUTH nobody p
        al: AUTH p
        al: AUTH al p
        al: ACL WHOAMI
        al: GET k1
        al: GET x
        al: SET k1 v
        al: set
        al: nosuch
        al: ACL LIST
        al: RESET
        al: ACL WHOAMI
        root: ACL SETUSER al off
        al: AUTH al p
        al: AUTH default anything
        al: ACL WHOAMI
        root: ACL LOG
    """,
    "hello": """
        root: ACL SETUSER al on >p +acl|whoami
        al: HELLO 3 AUTH al wrong
        al: ACL WHOAMI
        al: HELLO 2 SETNAME me AUTH al wrong
        al: CLIENT GETNAME
        al: HELLO 5 AUTH al p
        al: ACL WHOAMI
        al: HELLO 3 AUTH al p SETNAME "a b"
        al: ACL WHOAMI
        al: HELLO 2 AUTH al p nope
        al: ACL WHOAMI
        root: ACL LOG
    """,
    "the default user has a password": """
        early: PING
        root: CONFIG SET requirepass secret
        root: PING
        early: PING
        late: PING
        late: ACL WHOAMI
        late: HELLO 3
        late: AUTH wrong
        late: AUTH default wrong
        late: AUTH secret
        late: PING
        later: PING
        root: ACL SETUSER default nopass
        later: PING
        later: HELLO 3
        later: AUTH what
        root: CONFIG GET requirepass
        root: CONFIG SET requirepass ""
        later: AUTH what
        root: ACL GETUSER default
    """,
    "the default user is off": """
        root: ACL SETUSER al on >p +@all ~* &*
        root: AUTH al p
        early: PING
        root: ACL SETUSER default off
        early: PING
        late: PING
        late: AUTH anything
        late: AUTH al p
        late: PING
        late: RESET
        late: PING
        root: ACL SETUSER default on
        late: PING
    """,
    "the default user may do less": """
        root: AUTH admin x
        early: GET k
        root: ACL SETUSER default resetkeys ~k -@all +get +ping +select
        early: GET k
        early: SET k v
        late: PING
        late: GET x
        late: SELECT 1
        late: ECHO x
        late: MULTI
        root: ACL SETUSER default -ping +multi +exec ~x
        late: MULTI
        late: GET x
        late: PING
        late: EXEC
        root: ACL SETUSER default +@all
        late: GET x
        late: GET other
        root: ACL SETUSER default allkeys
        late: GET other
        late: ECHO x
    """,
    "rights change": """
        root: ACL SETUSER al on nopass +get +set ~k
        al: AUTH al x
        al: SET k v
        root: ACL SETUSER al -set
        al: SET k v
        al: GET k
        root: ACL SETUSER al resetkeys
        al: GET k
        root: ACL SETUSER al allkeys allcommands allchannels
        al: SET other v
        root: ACL SETUSER al off
        al: GET other
        root: ACL SETUSER al +nosuch -@all
        al: GET other
        root: ACL SETUSER al -@all
        al: GET other
        al: QUIT
    """,
    "a user is deleted": """
        root: ACL SETUSER al on nopass +@all ~*
        one: AUTH al x
        two: AUTH al x
        two: MULTI
        other: PING
        root: ACL DELUSER al nobody
        one: PING
        two: PING
        other: PING
        root: ACL DELUSER al
        root: ACL DELUSER default
        root: ACL SETUSER al on nopass +@all
        self: AUTH al x
        self: ACL DELUSER al
        self: PING
    """,
    "transactions": """
        root: ACL SETUSER al on nopass +@transaction +get +set +del ~k
        al: AUTH al x
        al: MULTI
        al: GET other
        al: EXEC
        al: MULTI
        al: LPUSH k v
        al: EXEC
        al: MULTI
        al: SET k v
        al: GET k
        al: DEL k
        root: ACL SETUSER al -del
        al: EXEC
        al: MULTI
        al: GET k
        root: ACL SETUSER al resetkeys
        al: EXEC
        root: ACL SETUSER al +publish &c
        al: MULTI
        al: PUBLISH c m
        root: ACL SETUSER al resetchannels
        al: EXEC
        al: MULTI
        al: AUTH default x
        al: GET k
        al: EXEC
        al: ACL WHOAMI
        root: ACL LOG
    """,
    "scripts": """
        root: ACL SETUSER al on nopass +eval +get ~k
        al: AUTH al x
        al: EVAL "return redis.call('get', 'k')" 0
        al: EVAL "return redis.call('get', 'x')" 0
        al: EVAL "return redis.pcall('get', 'x')" 0
        al: EVAL "return redis.pcall('set', 'k', 'v')" 0
        al: EVAL "return redis.call('get', KEYS[1])" 1 x
        al: EVAL "return redis.pcall('get')" 0
        al: EVAL "return redis.pcall('nope')" 0
        al: EVAL "return redis.pcall('config', 'get', 'x')" 0
        al: EVAL "return {redis.acl_check_cmd('get', 'k'), 1}" 0
        al: EVAL "return {redis.acl_check_cmd('set', 'k', 'v'), 1}" 0
        al: EVAL "return {redis.acl_check_cmd('get', 'x'), 1}" 0
        al: EVAL "return {redis.acl_check_cmd('get'), 1}" 0
        al: EVAL "return {redis.acl_check_cmd('acl'), 1}" 0
        al: EVAL "return redis.acl_check_cmd()" 0
        al: EVAL "return redis.acl_check_cmd('nope')" 0
        al: EVAL "return redis.acl_check_cmd('acl', 'nope')" 0
        al: EVAL "return redis.acl_check_cmd({})" 0
        root: EVAL "return redis.acl_check_cmd('flushall')" 0
        al: EVALSHA ffffffffffffffffffffffffffffffffffffffff 0
        root: ACL LOG
    """,
    "functions": r"""
        root: FUNCTION FLUSH
        root: FUNCTION LOAD "#!lua name=l\nredis.register_function('f', LUA)"
        root: ACL SETUSER al on nopass +fcall +get ~k
        al: AUTH al x
        al: FCALL f 0 get k
        al: FCALL f 1 k get k
        al: FCALL f 1 x get k
        al: FCALL f 0 get x
        al: FCALL f 0 del k
        al: FCALL_RO f 0 get k
        al: FUNCTION LIST
        root: ACL LOG
    """,
    "sort": """
        root: ACL SETUSER al on nopass +@all %R~l ~d
        al: AUTH al x
        al: SORT l
        al: SORT l BY nosort
        al: SORT l BY w_*
        al: SORT l GET #
        al: SORT l GET w_*
        al: SORT l STORE d
        al: SORT l STORE l
        root: ACL SETUSER al %R~*
        al: SORT l BY w_* GET w_* STORE d
        al: SORT_RO l BY w_*
        root: ACL SETUSER al resetkeys ~l (+get ~*)
        al: SORT l BY w_*
        root: ACL SETUSER al (+sort ~*)
        al: SORT l BY w_*
    """,
    "channels": """
        root: ACL SETUSER al on nopass +@pubsub &a* &b
        al: AUTH al x
        al: PUBLISH a1 m
        al: PUBLISH c m
        al: SPUBLISH c m
        al: SUBSCRIBE b c
        al: PSUBSCRIBE a
        al: PSUBSCRIBE a*
        al: SSUBSCRIBE c
        al: UNSUBSCRIBE c
        root: ACL LOG
    """,
    "listeners that may not listen any more": """
        root: ACL SETUSER al on nopass +@all &a* &b
        one: AUTH al x
        one: SUBSCRIBE b
        two: AUTH al x
        two: PSUBSCRIBE a*
        three: AUTH al x
        three: SSUBSCRIBE a1
        idle: AUTH al x
        other: SUBSCRIBE b
        root: ACL SETUSER al &c
        root: ACL SETUSER al resetchannels &a1 &a*
        one?
        root: PUBSUB NUMSUB b
        root: ACL SETUSER al resetchannels &a1
        two?
        root: PUBSUB NUMPAT
        root: ACL SETUSER al resetchannels
        three?
        idle: PING
    """,
    "kept by a second selector": """
        root: ACL SETUSER al on nopass +@all &* (&x)
        one: AUTH al x
        one: SUBSCRIBE x
        two: AUTH al x
        two: SUBSCRIBE y
        root: ACL SETUSER al resetchannels
        two?
        root: PUBSUB NUMSUB x y
    """,
    "log": """
        root: ACL SETUSER al on nopass +get ~k
        al: AUTH al x
        al: SET k v
        al: SET k v
        al: GET x
        al: AUTH al2 x
        al: AUTH al2 y
        root: ACL LOG
        root: ACL LOG 1
        root: ACL LOG 0
        root: ACL LOG -1
        root: ACL LOG x
        root: ACL LOG 1 2
        root: CONFIG SET acllog-max-len 2
        al: GET y
        root: ACL LOG
        root: CONFIG SET acllog-max-len 0
        al: GET z
        root: ACL LOG
        root: CONFIG SET acllog-max-len 128
        al: GET z
        root: ACL LOG
        root: ACL LOG RESET
        root: ACL LOG
        root: ACL LOG reset x
    """,
    "new users hear what the setting says": """
        root: CONFIG SET acl-pubsub-default allchannels
        root: ACL SETUSER al +get (+set)
        root: ACL LIST
        root: ACL SETUSER al resetchannels reset
        root: ACL LIST
        root: CONFIG SET acl-pubsub-default resetchannels
        root: ACL SETUSER al reset
        root: ACL LIST
        root: CONFIG SET acl-pubsub-default what
    """,
    "clients by user": """
        root: ACL SETUSER al on nopass +@all
        one: AUTH al x
        root: CLIENT KILL USER nobody
        root: CLIENT KILL USER al TYPE pubsub
        root: CLIENT KILL USER al
        one: PING
        two: AUTH al x
        two: CLIENT KILL USER al SKIPME no
        two: PING
    """,
    "odd requests": r"""
        root: ACL
        root: ACL nope
        root: ACL SETUSER
        root: ACL SETUSER "a b" on
        root: ACL SETUSER "a\x00b" on
        root: ACL SETUSER "" on
        root: ACL USERS
        root: ACL DELUSER ""
        root: ACL GETUSER nobody
        root: ACL CAT nope
        root: ACL CAT READ x
        root: ACL GENPASS 0
        root: ACL GENPASS 4097
        root: ACL GENPASS x
        root: ACL GENPASS 1 2
        root: ACL DRYRUN default
        root: ACL DRYRUN nobody get k
        root: ACL DRYRUN default nope
        root: ACL DRYRUN default acl nope
        root: ACL DRYRUN default "a\r\nb"
        root: ACL SETUSER al "+a\r\nb"
        root: ACL WHOAMI x
    """,
}  # fmt: skip


REDIS_ONLY = {
    "the default user has a password",
    "scripts",
    "functions",
    "new users hear what the setting says",
}
"""Stories in which Valkey shows users by other fields, or says the same in other words."""


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", STORIES)
def test_stories(servers: Servers, name: str, protocol: int) -> None:
    mine = play(emptied(servers["shoal"]), STORIES[name], protocol)
    theirs = play(emptied(servers["redis"]), STORIES[name], protocol)
    assert [(m, t) for m, t in zip(mine, theirs, strict=True) if m != t] == []


def test_blocked_clients_are_judged_when_they_are_woken(servers: Servers) -> None:
    for server in (servers["shoal"], servers["redis"]):
        emptied(server)
        with server.resp() as root, server.resp() as waiter:
            root.command("ACL", "SETUSER", "al", "on", "nopass", "+@all", "~*")
            waiter.command("AUTH", "al", "x")
            waiter.send_command("BLPOP", "k", "0")
            eventually(lambda: b"blocked_clients:1" in root.command("INFO", "clients"), "it is blocked")
            root.command("ACL", "SETUSER", "al", "-blpop")
            root.command("RPUSH", "k", "v")
            assert waiter.read() == Error("NOPERM User al has no permissions to run the 'blpop' command")
            assert root.command("LLEN", "k") == 1


def test_who_listened_before_logging_in_is_judged_when_the_user_changes(servers: Servers) -> None:
    for server in (servers["shoal"], servers["redis"]):
        emptied(server)
        with server.resp() as root, server.resp(protocol=3) as listener:
            root.command("ACL", "SETUSER", "al", "on", "nopass", "+@all", "~*", "&a")
            assert isinstance(listener.command("SUBSCRIBE", "other"), Push)
            listener.command("AUTH", "al", "x")
            root.command("PUBLISH", "other", "m")
            assert listener.read() == Push([b"message", b"other", b"m"])
            root.command("ACL", "SETUSER", "al", "&b")
            assert listener.read_until_closed() == b""


@pytest.mark.parametrize("name", [name for name in STORIES if name not in REDIS_ONLY])
def test_stories_of_valkey(servers: Servers, name: str) -> None:
    mine = play(emptied(servers["shoal"]), STORIES[name])
    theirs = play(emptied(servers["valkey"]), STORIES[name])
    assert [(m, t) for m, t in zip(mine, theirs, strict=True) if m != t] == []


PIPELINE = r"""
GET k
ACL SETUSER default -get
GET k
SET k v
ACL SETUSER default +get resetkeys ~k
GET k
GET x
MULTI
GET k
ACL SETUSER default -get
EXEC
ACL SETUSER default +get allkeys
GET x
"""


def test_rights_change_from_one_pipelined_request_to_the_next(servers: Servers) -> None:
    commands = [split_words(line.encode()) for line in PIPELINE.split("\n") if line]
    raw = []
    for server in (servers["shoal"], servers["redis"]):
        with emptied(server).resp() as connection:
            connection.send(b"".join(encode(*command) for command in commands))
            raw.append([connection.read_raw() for _ in commands])
    assert raw[0] == raw[1]


def test_inline_requests_are_judged(servers: Servers) -> None:
    raw = []
    for server in (servers["shoal"], servers["redis"]):
        emptied(server).run("ACL", "SETUSER", "al", "on", "nopass", "+get", "~k")
        with server.resp() as connection:
            connection.send(b"AUTH al x\r\nGET k\r\nGET x\r\nSET k v\r\n")
            raw.append([connection.read_raw() for _ in range(4)])
    assert raw[0] == raw[1]


def test_refusals_are_counted(servers: Servers) -> None:
    counted = []
    for server in (servers["shoal"], servers["redis"]):
        emptied(server).run("CONFIG", "RESETSTAT")
        before = denials(server)
        play(server, STORIES["log"])
        play(server, STORIES["channels"])
        counted.append({name: count - before[name] for name, count in denials(server).items()})
    assert counted[0] == counted[1]
    assert all(counted[0].values())


def denials(server: Server) -> dict[str, int]:
    return {
        name: count for name, count in server.info("stats").items() if name.startswith("acl_access_denied")
    }
