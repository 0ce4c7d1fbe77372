"""CLIENT TRACKING beside the oracles: several connections, and everything each of them is told."""

from __future__ import annotations

import pytest

from tests.compat.conversations import assert_same_heard, heard
from tests.harness.resp import Push
from tests.harness.servers import Oracle, Server, ShoalNode
from tests.harness.wait import eventually

SCRIPTS = {
    "what is read is told once": """
        a> hello 3
        b> hello 3
        a> CLIENT TRACKING ON
        a> GET k
        a> MGET k l m
        a> HGETALL h
        b> SET k 1
        b> SET k 2
        b> MSET l 1 m 2
        b> HSET h f v
        a> GET k
        b> SET k 1
        b> SET unread 1
        a> CLIENT TRACKING OFF
        a> CLIENT TRACKINGINFO
    """,
    "what writes is not remembered": """
        a> hello 3
        b> hello 3
        a> CLIENT TRACKING ON
        a> SET k 1
        a> INCR n
        a> GETSET g 1
        a> LPUSH l 1
        b> DEL k n g l
        a> EXISTS k
        a> TYPE k
        a> TTL k
        a> OBJECT ENCODING k
        a> SORT k
        a> DUMP d
        a> XREAD STREAMS s 0
        a> PFCOUNT p
        a> GETEX x
        b> MSET k 1 d 1 p 1 x 1
        b> XADD s 1-1 a b
        b> SET p 1
    """,
    "its own changes come behind the reply": """
        a> hello 3
        a> CLIENT TRACKING ON
        a> GET k
        a> SET k 1
        a> GET k
        a> MULTI
        a> GET k
        a> SET k 2
        a> GET k
        a> EXEC
        a> SET k 3
        a> DEL k
    """,
    "noloop": """
        a> hello 3
        b> hello 3
        a> CLIENT TRACKING ON NOLOOP
        a> CLIENT TRACKINGINFO
        a> GET k
        a> SET k 1
        b> SET k 2
        a> GET k
        b> SET k 2
        a> GET k
        a> EVAL "return redis.call('set', KEYS[1], 1)" 1 k
    """,
    "scripts": """
        a> hello 3
        b> hello 3
        a> CLIENT TRACKING ON
        a> EVAL "redis.call('get', KEYS[1]) return redis.call('mget', KEYS[1], 'other')" 1 k
        b> MSET k 1 other 1
        a> EVAL_RO "return redis.call('get', KEYS[2])" 2 k l
        b> MSET k 1 l 1
        a> GET k
        a> EVAL "redis.call('set', KEYS[1], 2) redis.call('get', KEYS[1]) return 1" 1 k
        b> SET k 2
    """,
    "expiry and other ways to go": """
        a> hello 3
        b> hello 3
        b> MSET k 1 l 1 m 1
        a> CLIENT TRACKING ON
        a> MGET k l m n
        b> PEXPIREAT k 1
        b> RENAME l n
        b> EXPIRE m 100
        a> MGET m n
        b> PERSIST m
        b> MOVE m 3
        b> COPY n m
    """,
    "flushed": """
        a> hello 3
        b> hello 2
        c> hello 3
        d> hello 2
        a> CLIENT TRACKING ON
        c> CLIENT TRACKING ON BCAST
        d> SUBSCRIBE __redis__:invalidate
        b> CLIENT TRACKING ON REDIRECT {d}
        a> GET k
        b> FLUSHDB
        a> SET k 1
        a> MULTI
        a> FLUSHALL
        a> PING
        a> EXEC
    """,
    "flushed by itself": """
        a> hello 3
        a> CLIENT TRACKING ON
        a> FLUSHDB
        a> FLUSHALL
    """,
    "optin": """
        a> hello 3
        b> hello 3
        a> CLIENT CACHING YES
        a> CLIENT TRACKING ON OPTIN
        a> GET k
        a> CLIENT CACHING NO
        a> CLIENT CACHING maybe
        a> CLIENT CACHING YES
        a> CLIENT TRACKINGINFO
        a> GET l
        a> GET m
        a> CLIENT TRACKINGINFO
        b> MSET k 1 l 1 m 1
        a> CLIENT CACHING YES
        a> MULTI
        a> GET k
        a> GET l
        a> EXEC
        a> GET m
        b> MSET k 1 l 1 m 1
        a> CLIENT TRACKING ON OPTOUT
        a> CLIENT TRACKING ON OPTIN OPTOUT
        a> CLIENT TRACKING ON BCAST
    """,
    "optout": """
        a> hello 3
        b> hello 3
        a> CLIENT TRACKING ON OPTOUT
        a> CLIENT CACHING YES
        a> GET k
        a> CLIENT CACHING NO
        a> CLIENT TRACKINGINFO
        a> GET l
        a> GET m
        b> MSET k 1 l 1 m 1
        a> CLIENT TRACKING ON OPTIN
        a> CLIENT TRACKING OFF
        a> CLIENT TRACKING ON OPTIN
        a> GET m
        b> SET m 1
    """,
    "broadcasting": """
        a> hello 3
        b> hello 3
        c> hello 3
        a> CLIENT TRACKING ON BCAST
        c> CLIENT TRACKING ON BCAST NOLOOP PREFIX user: PREFIX item:
        c> CLIENT TRACKINGINFO
        b> SET k 1
        b> MSET user:2 1 user:1 1 other 1 item:1 2
        c> SET user:5 1
        a> SET user:6 1
        b> PING
        c> CLIENT TRACKING ON BCAST PREFIX user:6
        c> CLIENT TRACKING ON BCAST PREFIX new: PREFIX neue: PREFIX new:1
        c> CLIENT TRACKING ON BCAST PREFIX new:
        c> CLIENT TRACKINGINFO
        c> CLIENT TRACKING ON
        c> CLIENT TRACKING ON BCAST OPTIN
        b> SET new:1 1
        b> PING
        c> CLIENT TRACKING OFF
        b> SET new:2 1
        b> PING
    """,
    "redirected": """
        a> hello 2
        b> hello 2
        c> hello 3
        d> hello 2
        b> SUBSCRIBE __redis__:invalidate
        a> CLIENT TRACKING ON REDIRECT {b}
        a> CLIENT GETREDIR
        a> CLIENT TRACKINGINFO
        a> MGET k l
        d> SET k 1
        a> SET l 1
        a> CLIENT TRACKING ON REDIRECT {c}
        a> MGET k l
        d> SET k 1
        c> SET l 1
        c> PING
        b> UNSUBSCRIBE
        a> CLIENT TRACKING ON REDIRECT {b}
        a> GET k
        d> SET k 1
    """,
    "the receiver is gone": """
        a> hello 3
        b> hello 3
        c> hello 3
        a> CLIENT TRACKING ON REDIRECT {b}
        a> MGET k l
        b> close
        c> SET k 1
        a> CLIENT TRACKINGINFO
        c> SET l 1
        a> CLIENT TRACKING ON REDIRECT {b}
        a> CLIENT TRACKING ON REDIRECT {c} REDIRECT {c}
    """,
    "resp2 alone hears nothing": """
        a> hello 2
        b> hello 2
        a> CLIENT TRACKING ON
        a> GET k
        b> SET k 1
        a> CLIENT GETREDIR
        a> RESET
        a> CLIENT GETREDIR
        a> CLIENT TRACKINGINFO
    """,
    "words": """
        a> hello 3
        a> CLIENT GETREDIR
        a> CLIENT TRACKING
        a> CLIENT TRACKING maybe
        a> CLIENT TRACKING ON REDIRECT
        a> CLIENT TRACKING ON REDIRECT x
        a> CLIENT TRACKING ON REDIRECT 0
        a> CLIENT TRACKING ON REDIRECT 99999999
        a> CLIENT TRACKING ON PREFIX a
        a> CLIENT TRACKING ON PREFIX
        a> CLIENT TRACKING ON nonsense
        a> CLIENT TRACKING OFF BCAST PREFIX a
        a> CLIENT TRACKING ON BCAST PREFIX a PREFIX ab
        a> CLIENT CACHING
        a> CLIENT TRACKINGINFO x
        a> CLIENT TRACKINGINFO
    """,
    "replies that are switched off": """
        a> hello 3
        b> hello 3
        a> CLIENT TRACKING ON
        a> GET k
        b> SET k 1
        a> CLIENT NO-TOUCH ON
        a> GET k
        b> SET k 1
    """,
    "blocked clients": """
        a> hello 3
        b> hello 3
        a> CLIENT TRACKING ON
        a> LRANGE l 0 -1
        b> LPUSH l x
        a> BLPOP l 0
        a> LRANGE l 0 -1
        a> LPUSH l y
    """,
}


REDIS_DIFFERS = {"flushed by itself"}
"""redis-server 8 blocks who flushes, and tells it before it replies; Valkey tells it behind the reply."""

COMPARED = [(name, "valkey") for name in SCRIPTS] + [
    (name, "redis") for name in SCRIPTS if name not in REDIS_DIFFERS
]


@pytest.mark.parametrize(("name", "oracle_kind"), COMPARED)
def test_all_is_heard_as_from_the_oracle(
    name: str, oracle_kind: str, shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle
) -> None:
    oracle = redis_oracle if oracle_kind == "redis" else valkey_oracle
    assert_same_heard(shoal_node, oracle, SCRIPTS[name])


def stats(server: Server) -> dict[str, int]:
    told = server.info("everything")
    names = ("tracking_clients", "tracking_total_keys", "tracking_total_items", "tracking_total_prefixes")
    return {name: told[name] for name in names}


def test_it_is_counted(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    seen = []
    for server in (shoal_node, redis_oracle):
        with server.resp(protocol=3) as one, server.resp(protocol=3) as two:
            one.command("CLIENT", "TRACKING", "ON")
            two.command("CLIENT", "TRACKING", "ON")
            one.command("MGET", "a", "b")
            two.command("MGET", "b", "c", "c")
            one.command("GET", "b")
            flags = [
                line.split(b" flags=")[1].split()[0]
                for line in one.command("CLIENT", "INFO").text.splitlines()
            ]
            seen.append((stats(server), flags))
            two.command("CLIENT", "TRACKING", "OFF")
            two.command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a", "PREFIX", "b")
            seen[-1] += (
                stats(server)["tracking_total_prefixes"],
                b"flags=tB" in two.command("CLIENT", "INFO").text,
            )
        eventually(lambda: stats(server)["tracking_clients"] == 0, "both are gone")  # noqa: B023
    assert seen[0] == seen[1]
    assert seen[0][2:] == (2, True)


def test_the_table_keeps_its_limit(shoal_node: ShoalNode) -> None:
    shoal_node.run("CONFIG", "SET", "tracking-table-max-keys", "10")
    try:
        with shoal_node.resp(protocol=3) as reader:
            reader.command("CLIENT", "TRACKING", "ON")
            dropped = []
            for number in range(100):
                reader.send_command("GET", f"k{number}")
                frames = [reader.read()]
                if number >= 10:
                    frames.append(reader.read())
                dropped += [frame.items[1][0] for frame in frames if isinstance(frame, Push)]
            assert stats(shoal_node)["tracking_total_keys"] == 10
            assert len(set(dropped)) == 90
            assert b"k99" not in dropped
    finally:
        shoal_node.run("CONFIG", "SET", "tracking-table-max-keys", "1000000")


def test_expiry_that_nobody_asks_for_is_told(shoal_node: ShoalNode) -> None:
    with shoal_node.resp(protocol=3) as reader, shoal_node.resp(protocol=3) as listener:
        listener.command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "soon")
        reader.command("CLIENT", "TRACKING", "ON")
        reader.command("SET", "soon", "1", "PX", "30")
        assert listener.read() == Push([b"invalidate", [b"soon"]])
        reader.command("GET", "soon")
        assert reader.read() == Push([b"invalidate", [b"soon"]])
        assert listener.read() == Push([b"invalidate", [b"soon"]])


def test_a_resp2_listener_gets_a_null_it_can_read(shoal_node: ShoalNode) -> None:
    """Both oracles send it the null of RESP3, if the one who tracks speaks that."""
    story = heard(
        shoal_node,
        """
        a> hello 3
        b> hello 2
        b> SUBSCRIBE __redis__:invalidate
        a> CLIENT TRACKING ON REDIRECT {b}
        a> FLUSHALL
        """,
    )
    assert story["b"][1] == b"*3\r\n$7\r\nmessage\r\n$20\r\n__redis__:invalidate\r\n$-1\r\n"


def test_changes_of_one_turn_are_told_together(shoal_node: ShoalNode) -> None:
    story = heard(
        shoal_node,
        """
        a> hello 3
        b> hello 3
        a> CLIENT TRACKING ON BCAST
        b> EVAL "for i = 1, 3 do redis.call('set', 'k' .. i, i) end" 0
        b> PING
        """,
    )
    assert story["a"][1] == b">2\r\n$10\r\ninvalidate\r\n*3\r\n$2\r\nk1\r\n$2\r\nk2\r\n$2\r\nk3\r\n"
