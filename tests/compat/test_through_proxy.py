"""The project's scripts of commands once more, with three workers behind the proxy on our side.

A plain client must get what redis-server gives it. What it does not get is listed in `EXCEPT`, each with its
reason; an entry that no script needs any more fails the test.

Behind a proxy with `--cross-slot all` most keys need not be of one slot; there each script is run as it is,
but for the keys that meet in what is still refused (transactions, blocking commands).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

from node.commands import find
from proxy.requests.cross_slot import is_possible
from tests.compat import (
    test_bitmaps,
    test_blocking,
    test_collections,
    test_generic,
    test_geo,
    test_hyperloglog,
    test_scripting,
    test_strings,
    test_transactions,
)
from tests.compat.differential import parse_script, replies, show
from tests.compat.one_slot import is_split, tagged
from tests.harness.clusters import RunningCluster, cluster_of
from tests.harness.proxies import ShoalProxy
from tests.harness.servers import Oracle

PARTED_BY_BARS = [
    "hashes", "lists", "sets", "set_forms", "sorted_set_forms", "sorted_sets", "sorted_set_algebra",
    "streams", "stream_groups",
]  # fmt: skip

UNORDERED = {
    b"KEYS", b"SCAN", b"SMEMBERS", b"SPOP", b"SINTER", b"SUNION", b"SDIFF", b"HKEYS", b"HVALS", b"HGETALL",
}  # fmt: skip
"""Commands whose reply is compared by the lines it is made of, in any order."""

ONE_DATABASE = "a cluster has one database, and so has the proxy"
PATTERNS = "workers refuse patterns whose keys may be in other slots"
EXCEPT: dict[str, str] = {
    "copy * db *": ONE_DATABASE,
    "move *": ONE_DATABASE,
    "select 1": ONE_DATABASE,
    "select 0": ONE_DATABASE,
    "sort* by *": PATTERNS,
    "sort* get *": PATTERNS,
}
"""Commands that are answered differently, as patterns of a whole line in lower case, with the reason."""

OTHER_SLOTS = "a script may use keys of the slot of those that it names only"
REFUSED_BY_MEMBERS: dict[bytes, str] = {
    b"Script attempted to access a non local key in a cluster node": OTHER_SLOTS,
    b"attempted to access keys that don't hash to the same slot": OTHER_SLOTS,
    b"SELECT is not allowed in cluster mode": ONE_DATABASE,
    b"'no-cluster' flag is set": "a cluster is behind the proxy",
    b"NOSCRIPT": "a script that names no keys goes to any worker, which may not have it yet",
}
"""Words of the replies to scripts that are answered differently, with the reason."""

SCRIPTS = {
    **{f"bitmaps.{name}": text for name, text in test_bitmaps.SCRIPTS.items()},
    **{f"generic.{name}": text for name, text in test_generic.SCRIPTS.items()},
    **{f"geo.{name}": text for name, text in test_geo.SCRIPTS.items()},
    **{f"hyperloglog.{name}": text for name, text in test_hyperloglog.SCRIPTS.items()},
    **{f"strings.{name}": text for name, text in test_strings.SCRIPTS.items()},
    "blocking": test_blocking.SCRIPT,
    "transactions": test_transactions.SCRIPT,
    "hash_expiry": (Path(__file__).parent / "scripts" / "hash_expiry.txt").read_text(),
}


ACROSS_SLOTS = [
    name for name in [*SCRIPTS, *PARTED_BY_BARS] if name != "blocking" and not name.endswith("_forms")
]
"""Not those about encodings: copies get theirs anew, as what RESTORE makes does."""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RunningCluster]:
    with cluster_of(3, enable_debug_command="yes") as running:
        yield running


@pytest.fixture(scope="module")
def proxy(cluster: RunningCluster) -> Iterator[ShoalProxy]:
    with ShoalProxy(cluster.addresses) as running:
        yield running


@pytest.fixture(scope="module")
def gatherer(cluster: RunningCluster) -> Iterator[ShoalProxy]:
    with ShoalProxy(cluster.addresses, "--cross-slot", "all") as running:
        yield running


def commands_of(name: str, oracle: Oracle) -> list[list[bytes]]:
    if name in SCRIPTS:
        return parse_script(SCRIPTS[name], oracle)
    text = (Path(__file__).parent / "scripts" / f"{name}.txt").read_text()
    return [[word.encode() for word in command] for command in test_collections.parse(text)]


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", [*SCRIPTS, *PARTED_BY_BARS])
def test_script(name: str, protocol: int, proxy: ShoalProxy, redis_oracle: Oracle) -> None:
    commands = tagged([argv for argv in commands_of(name, redis_oracle) if excepted(argv) is None])
    compare_with_redis(proxy, redis_oracle, commands, protocol)


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", ACROSS_SLOTS)
def test_across_slots(name: str, protocol: int, gatherer: ShoalProxy, redis_oracle: Oracle) -> None:
    commands = [argv for argv in commands_of(name, redis_oracle) if reason(argv) in (None, PATTERNS)]
    compare_with_redis(gatherer, redis_oracle, tagged(commands, may_be_apart), protocol)


@pytest.mark.parametrize("protocol", [2, 3])
def test_lua(protocol: int, proxy: ShoalProxy, redis_oracle: Oracle) -> None:
    """Scripts are carried out as on one worker, but for what no member of a cluster does."""
    commands = [argv for name in test_scripting.LUA for argv in test_scripting.evals(name)]
    alone = test_scripting.COMMANDS[: test_scripting.COMMANDS.index(["MULTI"])]
    commands += [[b"FLUSHALL"], *([word.encode() for word in argv] for argv in alone)]
    needed = set()

    def is_refused(reply: bytes) -> bool:
        words = {words for words in REFUSED_BY_MEMBERS if words in reply}
        needed.update(words)
        return bool(words)

    compare_with_redis(proxy, redis_oracle, commands, protocol, is_refused)
    assert needed | {b"NOSCRIPT"} == set(REFUSED_BY_MEMBERS)


def may_be_apart(argv: Sequence[bytes]) -> bool:
    row = find(argv)
    return is_split(argv) or (row is not None and row.accepts(len(argv)) and is_possible(row, argv))


def compare_with_redis(
    proxy: ShoalProxy,
    redis_oracle: Oracle,
    commands: list[list[bytes]],
    protocol: int,
    is_refused: Callable[[bytes], bool] = lambda reply: False,
) -> None:
    answers = zip(replies(proxy, commands, protocol), replies(redis_oracle, commands, protocol), strict=True)
    differences = [
        f"{show(argv)}\n  proxy: {ours[:200]!r}\n  redis: {theirs[:200]!r}"
        for argv, (ours, theirs) in zip(commands, answers, strict=True)
        if comparable(argv, ours) != comparable(argv, theirs) and not is_refused(ours)
    ]
    assert not differences, "\n".join(differences)


IDLE_AND_COUNT = re.compile(rb":\d+\r\n:(\d+)")
"""The end of an entry of XPENDING: milliseconds since the delivery, and how many there were."""


def comparable(argv: list[bytes], reply: bytes) -> object:
    if argv[0].upper() == b"XPENDING":
        return IDLE_AND_COUNT.sub(rb":idle\r\n:\1", reply)
    return sorted(reply.split(b"\r\n")) if argv[0].upper() in UNORDERED else reply


def excepted(argv: list[bytes]) -> str | None:
    line = b" ".join(argv).decode("latin-1").lower()
    return next((pattern for pattern in EXCEPT if fnmatchcase(line, pattern)), None)


def reason(argv: list[bytes]) -> str | None:
    pattern = excepted(argv)
    return EXCEPT[pattern] if pattern else None


def test_every_exception_is_needed(redis_oracle: Oracle) -> None:
    used = {
        excepted(argv) for name in [*SCRIPTS, *PARTED_BY_BARS] for argv in commands_of(name, redis_oracle)
    }
    assert used - {None} == set(EXCEPT)
