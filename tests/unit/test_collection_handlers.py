"""What collection commands leave behind: keyspace events, and the commands that replicas and the AOF get."""

from __future__ import annotations

from typing import Any

import pytest

from node.core.database import Database
from node.errors import ReplyError
from node.handlers import (
    hash_field_values,
    hashes,
    lists,
    registry,
    sets,
    sorted_set_algebra,
    sorted_set_ranges,
    sorted_sets,
)
from node.keyspace import events

HANDLED_BY = (hashes, hash_field_values, lists, sets, sorted_sets, sorted_set_ranges, sorted_set_algebra)


class Context:
    """A session as far as handlers see it."""

    resp = 2
    now = 0
    """Unix ms."""

    def __init__(self) -> None:
        self.db = Database(0)
        self.log: list[tuple[bytes, str, int]] = []
        self.propagated: tuple[list[bytes], ...] | None = None

    def changed(self, key: bytes, event: events.Event, dirty: int = 1) -> None:
        self.log.append((key, event.name.decode(), dirty))

    def propagate(self, *argvs: list[bytes]) -> None:
        self.propagated = argvs

    def clear_if_empty(self, key: bytes, value: Any) -> bool:
        if len(value):
            return False
        self.db.delete(key)
        self.changed(key, events.DEL, 0)
        return True

    def discard(self, key: bytes) -> None:
        if self.db.discard(key):
            self.changed(key, events.DEL)

    def run(self, command: str) -> Any:
        """Carry out one command; `log` and `propagated` are then about it alone."""
        name, *args = command.encode().split()
        self.log, self.propagated = [], None
        return registry.HANDLERS[name.decode()](self, args)


@pytest.fixture
def ctx() -> Context:
    return Context()


EVENTS = """
hset h a 1 b 2          -> h hset 2
hdel h a nosuch         -> h hdel 1
hdel h nosuch           ->
hdel h b                -> h hdel 1, h del 0
hincrby h n 1           -> h hincrby 1
hsetnx h n 1            ->
rpush l a b c           -> l rpush 3
lpushx no a             ->
lpop l                  -> l lpop 1
lmove l l left right    -> l rpush 1, l lpop 0
rpoplpush l m           -> m lpush 1, l rpop 0
rpoplpush l m           -> m lpush 1, l rpop 0, l del 0
lrem m 0 nosuch         ->
lrem m 0 b              -> m lrem 1
lset m 0 x              -> m lset 1
linsert m before x y    -> m linsert 1
ltrim m 5 9             -> m ltrim 2, m del 0
sadd s a b c            -> s sadd 3
sadd s a                ->
srem s a                -> s srem 1
smove s t b             -> s srem 1, t sadd 1
smove s t c             -> s srem 1, s del 0, t sadd 1
sunionstore d t no      -> d sunionstore 1
sinterstore d t no      -> d del 1
sinterstore d t no      ->
spop t 5                -> t spop 2, t del 0
zadd z 1 a 2 b          -> z zadd 2
zadd z 1 a              ->
zadd z incr 1 a         -> z zincr 1
zincrby z 0 a           ->
zrem z a                -> z zrem 1
zunionstore e 2 z no    -> e zunionstore 1
zrangestore e z 5 9     -> e del 1
zremrangebyrank z 5 9   ->
zpopmin z 9             -> z zpopmin 1, z del 0
"""


def test_events(ctx: Context) -> None:
    for line in EVENTS.strip().split("\n"):
        command, _, expected = line.partition("->")
        ctx.run(command)
        assert (
            ", ".join(f"{key.decode()} {name} {dirty}" for key, name, dirty in ctx.log) == expected.strip()
        ), command


def test_what_was_drawn_is_propagated_by_name(ctx: Context) -> None:
    ctx.run("sadd s a b c d")
    member = ctx.run("spop s")
    assert ctx.propagated == ([b"SREM", b"s", member],)
    drawn = ctx.run("spop s 2").items
    assert ctx.propagated == ([b"SREM", b"s", *drawn],)
    ctx.run("spop s 9")
    assert ctx.propagated == ([b"DEL", b"s"],)


def test_replicas_are_not_told_the_conditions_that_only_valkey_has(ctx: Context) -> None:
    ctx.now = 1000
    assert ctx.run("hsetex h nx ex 100 nx fields 1 f v") == 1
    assert ctx.propagated == ([b"HSETEX", b"h", b"PXAT", b"101000", b"fields", b"1", b"f", b"v"],)
    assert ctx.run("hsetex h xx fnx keepttl fields 1 g v") == 1
    assert ctx.propagated == ([b"HSETEX", b"h", b"fnx", b"keepttl", b"fields", b"1", b"g", b"v"],)


def test_floats_are_propagated_as_their_result(ctx: Context) -> None:
    ctx.run("hset h f 10.50")
    assert ctx.propagated is None
    assert ctx.run("hincrbyfloat h f 0.1") == b"10.6"
    assert ctx.propagated == ([b"HSET", b"h", b"f", b"10.6"],)


def test_pops_from_many_keys_are_propagated_as_pops_from_the_one(ctx: Context) -> None:
    ctx.run("rpush l a b")
    ctx.run("lmpop 2 no l right count 9")
    assert ctx.propagated == ([b"RPOP", b"l", b"2"],)
    ctx.run("zadd z 1 a 2 b")
    ctx.run("zmpop 2 no z max")
    assert ctx.propagated == ([b"ZPOPMAX", b"z", b"1"],)
    ctx.run("zmpop 1 no max")
    assert ctx.propagated is None


def test_a_failed_command_leaves_no_empty_key(ctx: Context) -> None:
    for command in (
        "zadd z xx 1 a",
        "hincrby h f x",
        "hincrbyfloat h f x",
        "zadd z x a",
        "spop s 1",
        "lpushx l a",
    ):
        try:
            ctx.run(command)
        except ReplyError:
            assert command.endswith(("x", "x a"))
        assert len(ctx.db) == 0, command


@pytest.mark.parametrize("command", ["srandmember s", "hrandfield h", "zrandmember z"])
def test_draws_are_bounded(ctx: Context, command: str) -> None:
    for fill in ("sadd s a", "hset h a 1", "zadd z 1 a"):
        ctx.run(fill)
    assert ctx.run(f"{command} -3") == [b"a"] * 3
    with pytest.raises(ReplyError, match="out of range"):
        ctx.run(f"{command} -9000000000000000000")
