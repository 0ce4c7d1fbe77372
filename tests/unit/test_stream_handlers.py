"""What stream commands leave behind: events, changes to the dataset, and what replicas get instead."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from node.core.database import Database
from node.datatypes.limits import limits
from node.handlers import registry, stream_claims, stream_groups, stream_info, stream_reads, streams
from node.handlers.stream_arguments import LIMIT_DEFAULT, TrimOptions
from node.keyspace import events
from node.replies import NO_REPLY, NULL_ARRAY

HANDLED_BY = (streams, stream_claims, stream_groups, stream_info, stream_reads)


class Waiting:
    """The worker's blocking, as far as reads see it."""

    def __init__(self) -> None:
        self.allowed = True
        self.waiting: list[Any] = []
        self.needed_key: bool | None = None

    def may_wait(self, session: Any) -> bool:
        return self.allowed

    def wait(self, session: Any, *how: Any, needs_key: bool = False) -> None:
        self.waiting.append(how)
        self.needed_key = needs_key


class Context:
    """A session as far as handlers see it."""

    resp = 2
    now = 5000
    obeyed = False

    def __init__(self) -> None:
        self.db = Database(0)
        self.engine = SimpleNamespace(dirty=0)
        self.worker = SimpleNamespace(blocking=Waiting())
        self.log: list[str] = []
        self.told: list[str] | None = None

    def changed(self, key: bytes, event: events.Event, dirty: int = 1) -> None:
        self.engine.dirty += dirty
        self.log.append(f"{key.decode()} {event.name.decode()}")

    def propagate(self, *argvs: list[bytes]) -> None:
        self.told = [b" ".join(argv).decode() for argv in argvs]

    def run(self, command: str) -> Any:
        """Carry out one command; what it left behind is then about it alone."""
        name, *args = command.encode().split()
        self.log, self.told, self.engine.dirty = [], None, 0
        if name in (b"xgroup", b"xinfo"):
            name += b"|" + args.pop(0)
        return registry.HANDLERS[name.decode()](self, args)


@pytest.fixture
def ctx() -> Context:
    return Context()


EVENTS = """
xadd s * a b                        -> s xadd; 1
xadd s maxlen 1 * a b               -> s xadd, s xtrim; 1
xadd no nomkstream * a b            -> ; 0
xdel s 1-1                          -> ; 0
xadd s 6000-0 a b                   -> s xadd; 1
xdel s 6000-0 5000-1                -> s xdel; 2
xsetid s 7000                       -> s xsetid; 1
xgroup create s g 0                 -> s xgroup-create; 1
xgroup createconsumer s g c         -> s xgroup-createconsumer; 1
xgroup createconsumer s g c         -> ; 0
xadd s 8000-0 a b                   -> s xadd; 1
xreadgroup group g c streams s >    -> ; 1
xreadgroup group g c streams s >    -> ; 0
xreadgroup group g d streams s >    -> s xgroup-createconsumer; 1
xreadgroup group g c streams s 0    -> ; 0
xclaim s g d 0 8000-0               -> ; 1
xautoclaim s g c 0 0                -> ; 1
xack s g 8000-0 1-1                 -> ; 1
xtrim s maxlen 0                    -> s xtrim; 1
xgroup setid s g 0                  -> s xgroup-setid; 1
xgroup delconsumer s g c            -> s xgroup-delconsumer; 1
xgroup delconsumer s g c            -> ; 0
xgroup destroy s g                  -> s xgroup-destroy; 1
"""


def test_events(ctx: Context) -> None:
    for line in EVENTS.strip().splitlines():
        command, expected = (part.strip() for part in line.split("->"))
        ctx.run(command)
        assert f"{', '.join(ctx.log)}; {ctx.engine.dirty}" == expected, command


def test_ids_made_here_are_told_as_they_came_out(ctx: Context) -> None:
    assert ctx.run("xadd s * a b") == b"5000-0" and ctx.told == ["XADD s 5000-0 a b"]
    assert ctx.run("xadd s 5000-* a b") == b"5000-1" and ctx.told == ["XADD s 5000-1 a b"]


def test_trimming_about_a_threshold_is_told_exactly(ctx: Context) -> None:
    limits.update(stream_node_max_entries=2)
    for number in range(1, 6):
        ctx.run(f"xadd s {number}-0 a b")
    ctx.run("xadd s maxlen ~ 3 * a b")
    limits.update(stream_node_max_entries=100)
    assert ctx.told == ["XADD s maxlen = 4 5000-0 a b"]
    assert ctx.run("xtrim s minid ~ 5-0") == 2
    assert ctx.told == ["XTRIM s minid = 5-0"]


def test_a_primary_has_counted_its_limit() -> None:
    options = TrimOptions()
    assert options.take([b"MAXLEN", b"~", b"5"], 0) == 3
    obeyed = options.finish(obeyed=True)
    assert obeyed is not None and obeyed.limit == 0
    limits.update(stream_node_max_entries=0)
    judged = options.finish(obeyed=False)
    limits.update(stream_node_max_entries=100)
    assert judged is not None and judged.limit == LIMIT_DEFAULT


def test_who_blocks_waits_for_what_comes_after_this_moment(ctx: Context) -> None:
    ctx.run("xadd s 7-7 a b")
    assert ctx.run("xread block 50 count 2 streams s t $ 0-3") is NO_REPLY
    ((name, args, keys, type_name, milliseconds),) = ctx.worker.blocking.waiting
    assert (name, keys, type_name, milliseconds) == ("xread", [b"s", b"t"], "stream", 50)
    assert ctx.worker.blocking.needed_key is False
    assert args == b"block 50 count 2 streams s t 7-7 0-3".split()


def test_who_may_not_wait_gets_nothing_at_once(ctx: Context) -> None:
    ctx.worker.blocking.allowed = False
    assert ctx.run("xread block 0 streams s $") is NULL_ARRAY
    assert not ctx.worker.blocking.waiting


def test_reading_a_group_waits_for_what_is_new_to_it(ctx: Context) -> None:
    ctx.run("xgroup create s g 0 mkstream")
    assert ctx.run("xreadgroup group g c block 0 streams s >") is NO_REPLY
    assert ctx.worker.blocking.waiting[0][1][-2:] == [b"s", b">"]
    assert ctx.worker.blocking.needed_key is True
    assert ctx.run("xreadgroup group g c block 0 streams s 0") == [[b"s", []]], "its history never blocks"
