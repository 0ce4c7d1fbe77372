"""CLIENT TRACKING through the proxy: clients hear what redis-server would tell them.

The conversations are those of test_tracking.py. What the proxy tells comes from three workers, and a moment
later than the reply to who caused it. So each step is followed by a fence: a key of each worker is written,
and another client waits until it hears of all of them. What the others are told before is then on its way. Of
what is told between two replies the order does not count, and keys told together or one by one are the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any

import pytest

from tests.compat.conversations import Conversation, parsed
from tests.compat.one_slot import tagged
from tests.compat.test_tracking import SCRIPTS
from tests.harness.busy import busy
from tests.harness.caching import CachingClient
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import NULL, Simple, encode
from tests.harness.servers import Oracle, Server
from tests.harness.wait import eventually

OK = Simple("OK")
EXCEPT = {
    "its own changes come behind the reply": "what a transaction reads and then changes is not remembered: "
    "the client is told behind EXEC's reply, and has nothing left to be told of",
    "scripts": "there are keys that are not declared, of another slot",
    "flushed by itself": "redis-server 8 tells it before it replies",
    "flushed": "FLUSHALL is refused in a transaction",
}
"""With NOLOOP a client is told of its own changes, too, so the conversations are held without."""
MORE_SCRIPTS = {
    "its own changes": """
        a> hello 3
        a> CLIENT TRACKING ON
        a> GET k
        a> SET k 1
        a> GET k
        a> DEL k
        a> MULTI
        a> GET k
        a> MGET k k
        a> EXEC
        a> SET k 3
        a> DEL k
    """,
    "scripts": """
        a> hello 3
        b> hello 3
        a> CLIENT TRACKING ON
        a> EVAL "return redis.call('get', KEYS[1])" 1 k
        b> SET k 1
        a> EVAL_RO "return redis.call('get', KEYS[2])" 2 k l
        b> SET l 1
    """,
    "flushed": """
        a> hello 3
        b> hello 2
        c> hello 3
        d> hello 2
        e> hello 2
        a> CLIENT TRACKING ON
        c> CLIENT TRACKING ON BCAST
        d> SUBSCRIBE __redis__:invalidate
        b> CLIENT TRACKING ON REDIRECT {d}
        e> FLUSHALL
        a> GET k
        b> GET l
        e> MSET k 1 l 1
        a> RESET
        e> SET k 1
    """,
}
ALL = {**{name: text for name, text in SCRIPTS.items() if name not in EXCEPT}, **MORE_SCRIPTS}

FENCES = ("fence:{a}", "fence:{b}", "fence:{c}")
"""Keys of three workers: slots 15495, 3300, 7365"""


class Fenced(Conversation):
    was_interrupted = False
    """The proxy lost sight of a worker, as one that gets no processor time, and told all to forget."""

    flushed = False

    def __init__(self, server: Server) -> None:
        super().__init__(server)
        self.writer = server.resp()
        self.listener = server.resp(protocol=3)
        assert self.listener.command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "fence:") == OK

    def say(self, name: str, words: Sequence[bytes]) -> None:
        super().say(name, words)
        self.flushed = self.flushed or words[0] == b"FLUSHALL"
        self.fence()

    def fence(self) -> None:
        """Until all that was written is told."""
        missing = {key.encode() for key in FENCES}
        for key in FENCES:
            self.writer.command("SET", key, 1)
        while missing:
            keys = self.listener.read().items[1]
            if keys != NULL:
                missing.difference_update(keys)
            elif not self.flushed:
                self.was_interrupted = True
                return

    def __exit__(self, *details: object) -> None:
        super().__exit__(*details)
        self.writer.close()
        self.listener.close()


def story(server: Server, steps: Sequence[tuple[str, list[bytes]]]) -> dict[str, list[Any]]:
    """Per connection: its replies, and between them the sets of what it was told. Told anew where a busy
    machine has interrupted it."""
    for _ in range(5):
        server.run("FLUSHALL")
        with Fenced(server) as conversation:
            for name, words in steps:
                if not conversation.was_interrupted:
                    conversation.say(name, words)
            conversation.finish()
        if not conversation.was_interrupted:
            return {name: told(frames) for name, frames in conversation.heard.items()}
    raise AssertionError("the proxy loses sight of workers again and again")


def told(frames: Sequence[bytes]) -> list[Any]:
    found: list[Any] = [set()]
    for frame in frames:
        if b"fence:" in frame:
            continue
        if frame.startswith((b">", b"*3\r\n$7\r\nmessage")):
            found[-1].update(words_of(frame))
        else:
            found += [frame, set()]
    return found


def words_of(frame: bytes) -> list[bytes]:
    """The bulk strings in it, and nulls."""
    return [line for line in frame.split(b"\r\n")[1:] if line[:1] not in (b"$", b"*", b"") or line == b"$-1"]


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, kind=["shoal", "valkey", "redis"]) as running:
        yield running


@pytest.fixture(scope="module")
def proxy(cluster: RunningCluster) -> Iterator[ShoalProxy]:
    with ShoalProxy(cluster.addresses[:1], "--tracking-table-max-keys", "1000") as running:
        yield running


@pytest.mark.parametrize("name", ALL)
def test_all_is_heard_as_from_the_oracle(name: str, proxy: ShoalProxy, redis_oracle: Oracle) -> None:
    lines = [parsed(line.strip().replace(" NOLOOP", "")) for line in ALL[name].splitlines() if line.strip()]
    steps = [step for step in lines if step[1][0] != b"MOVE"]
    argvs = tagged([argv for _, argv in steps])
    steps = [(name, argv) for (name, _), argv in zip(steps, argvs, strict=True)]
    ours, theirs = story(proxy, steps), story(redis_oracle, steps)
    for connection in theirs:
        assert ours[connection] == theirs[connection], connection


def test_it_is_bounded_and_counted(cluster: RunningCluster) -> None:
    with ShoalProxy(cluster.addresses[:1], "--tracking-table-max-keys", "10") as proxy:
        with CachingClient(proxy) as one, CachingClient(proxy) as two:
            for number in range(30):
                one.get(f"k{number}")
            two.get("k29")
            one.heed()
            assert len(one.cache) == 10 and "k29" in one.cache
            assert tracking_facts(proxy) == [2, 10, 11, 0]
            two.connection.command("CLIENT", "TRACKING", "OFF")
            two.connection.command("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", "a", "PREFIX", "b")
            assert tracking_facts(proxy) == [2, 10, 11, 2]
        eventually(lambda: tracking_facts(proxy) == [0, 0, 0, 0], "both are gone")
        eventually(lambda: not any(tracks(node) for node in cluster.nodes), "nobody is listened to")


def tracking_facts(proxy: ShoalProxy) -> list[int]:
    info = proxy.info("everything")
    names = ("tracking_clients", "tracking_total_keys", "tracking_total_items", "tracking_total_prefixes")
    return [info[name] for name in names]


def tracks(node: Server) -> bool:
    return bool(node.info("clients")["tracking_clients"])


def test_what_is_cached_does_not_stay_old(cluster: RunningCluster, proxy: ShoalProxy) -> None:
    """Clients of the cluster write, and the lines on which the proxy is told break; in the end what is still
    cached is what the workers have."""
    names = [f"c{number}" for number in range(9)]
    written = count(1)
    with cluster.client() as direct, CachingClient(proxy) as cache, proxy.resp(protocol=3) as plain:
        with busy(lambda: direct.set(f"c{next(written) % 9}", next(written))):
            for _ in range(3):
                for node in cluster.nodes:
                    cut_lines(node)
                eventually(lambda: [cache.get(name) for name in names] and all(map(tracks, cluster.nodes)))
        expected = {name: plain.command("GET", name) for name in names}
        eventually(lambda: {name: cache.get(name) for name in names} == expected, "it has what is there")
        assert cache.emptied


def cut_lines(node: Server) -> None:
    for line in node.run("CLIENT", "LIST").decode().splitlines():
        if re.search(r" flags=\w*B", line):
            node.run("CLIENT", "KILL", "ID", line.split()[0].removeprefix("id="))


def test_no_value_older_than_what_it_was_told_arrives_later(proxy: ShoalProxy) -> None:
    """Replies and what the client is told come over different connections from the worker, and yet in order:
    with many reads on their way, a client that is told of a change has been answered what it asked before."""
    with CachingClient(proxy) as cache, proxy.resp() as writer:
        for value in range(200):
            writer.send_command("SET", "k", value)
            cache.connection.send(encode("GET", "k") * 20)
            for _ in range(20):
                cache.cache["k"] = cache.read_reply()
            assert writer.read() == OK
            eventually(lambda value=value: cache.get("k") == b"%d" % value, "what it caches is true")


def test_silent_lines_are_given_up(cluster: RunningCluster, proxy: ShoalProxy) -> None:
    with CachingClient(proxy) as cache:
        cache.get("k")
        owner = cluster.owner_of("k")
        owner.pause()
        try:
            eventually(lambda: (cache.heed(), cache.emptied)[1], "it is told that something may be missed")
        finally:
            owner.resume()
