"""Which commands of redis-server and valkey-server are missing here.

The oracles say themselves what they have. Whatever of it no handler carries out must stand in one of two
lists: `LEFT_OUT` for good, with the reason, and `STILL_TO_COME`, which only ever gets shorter: a command that
is there and still listed fails the test as much as one that is missing and not listed.

That the rows of COMMAND (arity, flags, key specs, categories, tips) are the oracles' is tested beside the
table, in tests/unit/test_commands.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from typing import Any

import pytest

from tests.harness.servers import Oracle, Server, ShoalNode

LEFT_OUT = {
    "v[acdegilrs]*": "vector sets: a module, though redis-server 8 links it in",
    "module|load": "modules are C libraries for another server's inside",
    "module|loadex": "as above",
    "module|unload": "as above",
}
"""Name or pattern → why it will not be here."""

OURS = {
    "cluster|migration": "of Redis 8.4, which is later than the oracle",
    **dict.fromkeys(
        ("hotkeys", *(f"hotkeys|{name}" for name in ("get", "help", "reset", "start", "stop"))),
        "of Redis 8.6, which is later than the oracle",
    ),
    "cluster|witness": "a supervisor tells what it knows of its workers; README says more",
}
"""What no oracle has → why we do."""

STILL_TO_COME: set[str] = set()
"""Names or patterns of what is being built."""

OPTIONS_TO_COME: dict[str, str] = {}
"""Words of commands that only Valkey knows, and that are refused here as Redis refuses them."""


def names(server: Server) -> set[str]:
    """All that COMMAND tells, subcommands as `container|name`."""
    found = set()
    for row in server.run("COMMAND"):
        found |= {each[0].decode().lower() for each in (row, *row[9])}
    return found


def documented(server: Server) -> set[str]:
    """All that COMMAND DOCS tells; in RESP2 each is a name followed by its fields."""
    docs = server.run("COMMAND", "DOCS")
    found = set()
    for name, fields in zip(docs[::2], docs[1::2], strict=True):
        found.add(name.decode().lower())
        texts = dict(zip(fields[::2], fields[1::2], strict=True))
        found |= {sub.decode().lower() for sub in texts.get(b"subcommands", ())[::2]}
    return found


@pytest.mark.parametrize("ask", [names, documented])
def test_nothing_is_missing_that_is_not_listed(
    shoal_node: ShoalNode,
    redis_oracle: Oracle,
    valkey_oracle: Oracle,
    ask: Callable[[Server], set[str]],
    report: Callable[[str], None],
) -> None:
    ours = ask(shoal_node)
    theirs = ask(redis_oracle) | ask(valkey_oracle)
    missing = sorted(theirs - ours)
    report(f"missing by {ask.__name__}: {', '.join(missing)}")
    listed = {*LEFT_OUT, *STILL_TO_COME}
    unlisted = [name for name in missing if not any(fnmatch(name, pattern) for pattern in listed)]
    assert not unlisted, "missing, and not listed"
    done = [pattern for pattern in listed if not any(fnmatch(name, pattern) for name in missing)]
    assert not done, "here by now, and still listed"
    assert ours - theirs == OURS.keys(), "made up"


def options(server: Server) -> dict[str, set[str]]:
    """Command → the words that its syntax has, by COMMAND DOCS."""
    found = {}
    docs = server.run("COMMAND", "DOCS")
    for name, fields in zip(docs[::2], docs[1::2], strict=True):
        texts = dict(zip(fields[::2], fields[1::2], strict=True))
        below = texts.get(b"subcommands", [])
        for each, told in [(name, fields), *zip(below[::2], below[1::2], strict=True)]:
            arguments = dict(zip(told[::2], told[1::2], strict=True)).get(b"arguments", [])
            found[each.decode().lower()] = set(tokens(arguments))
    return found


def tokens(arguments: list[list[Any]]) -> Iterator[str]:
    for argument in arguments:
        fields = dict(zip(argument[::2], argument[1::2], strict=True))
        if fields.get(b"token"):
            yield fields[b"token"].decode().upper()
        yield from tokens(fields.get(b"arguments", []))


def test_no_option_is_missing_that_is_not_listed(
    shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle, report: Callable[[str], None]
) -> None:
    ours, redis, valkey = (options(server) for server in (shoal_node, redis_oracle, valkey_oracle))
    ours = {name: words for name, words in ours.items() if name not in OURS}
    missing = {name: (redis.get(name, set()) | valkey.get(name, set())) - have for name, have in ours.items()}
    missing = {name: words for name, words in missing.items() if words}
    report(
        "options missing: "
        + "; ".join(f"{name} {' '.join(sorted(missing[name]))}" for name in sorted(missing))
    )
    assert missing == {name: set(words.split()) for name, words in OPTIONS_TO_COME.items()}
