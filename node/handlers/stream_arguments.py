"""Arguments that stream commands share: ids in their forms, and how to trim; and entries as replies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from node.datatypes import Stream, stream_id
from node.datatypes.consumer_group import Group
from node.datatypes.limits import limits
from node.datatypes.stream import References
from node.errors import ReplyError, one_line
from node.handlers.arguments import parse_int

INVALID_ID: Final = ReplyError("ERR Invalid stream ID specified as stream command argument")
_INVALID_START: Final = ReplyError("ERR invalid start ID for the interval")
_INVALID_END: Final = ReplyError("ERR invalid end ID for the interval")
_BOTH_STRATEGIES: Final = ReplyError(
    "ERR syntax error, MAXLEN and MINID options at the same time are not compatible"
)
_NEGATIVE_MAXLEN: Final = ReplyError("ERR The MAXLEN argument must be >= 0.")
_NEGATIVE_LIMIT: Final = ReplyError("ERR The LIMIT argument must be >= 0.")
_LIMIT_WITHOUT_STRATEGY: Final = ReplyError(
    "ERR syntax error, LIMIT cannot be used without specifying a trimming strategy"
)
_LIMIT_WITHOUT_TILDE: Final = ReplyError(
    "ERR syntax error, LIMIT cannot be used without the special ~ option"
)

LIMIT_NODES: Final = 100
"""Without LIMIT, trimming about a length goes no further than the entries of so many full nodes …"""
LIMIT_DEFAULT: Final = 10_000
"""… or this many, where a node's entries are not limited."""
LIMIT_MOST: Final = 1_000_000

REFERENCES: Final = {each.value: each for each in References}
"""The words that say what becomes of groups' references to entries that go."""


# ------------------------------------------------------------------------------------------- ids


def parse_id(raw: bytes, missing: int = 0) -> int:
    """A complete id, or milliseconds alone, to which the sequence `missing` is added."""
    found = stream_id.parse(raw, missing)
    if found is None:
        raise INVALID_ID
    return found


def parse_any_id(raw: bytes, missing: int = 0) -> int:
    """As `parse_id`, or `-` and `+` for the lowest and the highest."""
    if raw == b"-":
        return stream_id.MIN
    if raw == b"+":
        return stream_id.MAX
    return parse_id(raw, missing)


def parse_start(raw: bytes) -> int:
    """The beginning of an interval: `(` before an id leaves it out."""
    if raw[:1] != b"(" or len(raw) == 1:
        return parse_any_id(raw)
    start = parse_id(raw[1:])
    if start == stream_id.MAX:
        raise _INVALID_START
    return start + 1


def parse_end(raw: bytes) -> int:
    """The end of an interval: `(` before an id leaves it out."""
    if raw[:1] != b"(" or len(raw) == 1:
        return parse_any_id(raw, stream_id.HALF_MAX)
    end = parse_id(raw[1:], stream_id.HALF_MAX)
    if end == stream_id.MIN:
        raise _INVALID_END
    return end - 1


# ------------------------------------------------------------------------------------------- trimming


@dataclass(slots=True)
class Trimming:
    """`MAXLEN|MINID [=|~] threshold [LIMIT count] [KEEPREF|DELREF|ACKED]`."""

    by_id: bool
    threshold: int
    exact: bool
    at: int
    """Where the threshold stands among the arguments."""
    limit: int = 0
    references: References = References.KEEP

    def apply(self, stream: Stream) -> int:
        if self.references is not References.KEEP:
            if not self.exact:
                return 0  # whole nodes only, and nobody knows of one who refers to its entries
            if self.by_id and self.threshold == stream_id.MIN:
                return 0
            if self.by_id:
                most, highest = 0, self.threshold - 1
            else:
                most, highest = self.threshold, stream_id.MAX
            return stream.trim_by_entry(most, highest, self.references)
        trim = stream.trim_below if self.by_id else stream.trim_to_length
        return trim(self.threshold, self.exact, self.limit)

    def make_exact(self, args: list[bytes], stream: Stream) -> None:
        """Rewrite arguments so that trimming elsewhere ends where it ended here."""
        if self.exact:
            return
        args[self.at - 1] = b"="
        reached = next((node.master for node in stream.nodes), stream_id.MAX)
        args[self.at] = stream_id.text(reached) if self.by_id else b"%d" % len(stream)


class TrimOptions:
    """Collects the words of a trimming from the options of XADD and XTRIM."""

    def __init__(self) -> None:
        self.trimming: Trimming | None = None
        self.limit: int | None = None
        self.references: References | None = None

    def take(self, args: list[bytes], at: int) -> int | None:
        """Read the option at `at`; returns where the next one stands, None if this is none of ours."""
        word = args[at].upper()
        left = len(args) - at - 1
        if self.references is None and word in REFERENCES:
            self.references = REFERENCES[word]
            return at + 1
        if not left:
            return None
        if word == b"LIMIT":
            self.limit = parse_int(args[at + 1])
            if self.limit < 0:
                raise _NEGATIVE_LIMIT
            return at + 2
        if word not in (b"MAXLEN", b"MINID"):
            return None
        if self.trimming is not None:
            raise _BOTH_STRATEGIES
        at += 1
        exact = args[at] != b"~"
        if left >= 2 and args[at] in (b"~", b"="):
            at += 1
        else:
            exact = True
        if word == b"MINID":
            threshold = parse_id(args[at])
        else:
            threshold = parse_int(args[at])
            if threshold < 0:
                raise _NEGATIVE_MAXLEN
        self.trimming = Trimming(word == b"MINID", threshold, exact, at)
        return at + 1

    def finish(self, obeyed: bool) -> Trimming | None:
        """`obeyed`: a command of our primary, which has counted its limit already."""
        trimming = self.trimming
        if trimming is None:
            if self.limit:
                raise _LIMIT_WITHOUT_STRATEGY
            return None
        trimming.references = self.references or References.KEEP
        if obeyed:
            return trimming
        if self.limit is not None and trimming.exact:
            raise _LIMIT_WITHOUT_TILDE
        if self.limit is not None:
            trimming.limit = self.limit
        elif not trimming.exact:
            trimming.limit = min(LIMIT_NODES * limits.stream_node_max_entries or LIMIT_DEFAULT, LIMIT_MOST)
        return trimming


# ------------------------------------------------------------------------------------------- looking up


def find_group(ctx: Any, key: bytes, name: bytes, *, counted: bool = True) -> tuple[Stream, Group]:
    """The stream and its group, NOGROUP if one is missing. `counted`: as a hit or a miss."""
    stream = (ctx.db.lookup_as if counted else ctx.db.lookup_write_as)(key, Stream)
    group = None if stream is None else stream.groups.get(name)
    if group is None:
        raise ReplyError(f"NOGROUP No such key '{one_line(key)}' or consumer group '{one_line(name)}'")
    return stream, group


def no_such_group(key: bytes, name: bytes) -> ReplyError:
    return ReplyError(f"NOGROUP No such consumer group '{one_line(name)}' for key name '{one_line(key)}'")


def bad_subcommand(container: str, subcommand: str) -> ReplyError:
    return ReplyError(
        f"ERR unknown subcommand or wrong number of arguments for '{subcommand}'. Try {container} HELP."
    )
