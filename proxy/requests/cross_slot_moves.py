"""What moves from one key to another of a different slot: RENAME, LMOVE, SMOVE and their kin.

Two workers cannot do that at one moment. So that nothing is ever lost, it arrives before it leaves, and for a
moment it is in both places:

1. the source is watched (over a dedicated connection), and what is to be moved is read;
2. it is written to the destination;
3. it is removed from the source, if nobody has changed the source meanwhile. If somebody has, what 2 did is
   undone where others have not built on it, and all begins again.

Should the proxy or a worker die between 2 and 3, it stays in both places; a client that is still there is
told so. Clients that see the destination between 2 and an undoing may take what the source gives to others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from node.core.key_slot import key_slot
from node.errors import SYNTAX, ReplyError, one_line
from node.replies import OK
from proxy.requests import codec

if TYPE_CHECKING:
    from proxy.requests.slot_calls import SlotCalls

TRIES = 10
"""Of a source that others change all the time"""
NO_SUCH_KEY = ReplyError("ERR no such key")
TAKEN_TWICE = ReplyError("ERR what was to be moved was taken from both keys by others at the same time")
RESTLESS = ReplyError("ERR the source is changed all the time; nothing was moved")

Words = Sequence[bytes]


class Done(Exception):
    """There is nothing to move: the reply."""

    def __init__(self, reply: Any) -> None:
        self.reply = reply


class Move:
    """One request. A subclass says what is read, written, removed and undone."""

    def __init__(self, argv: Words) -> None:
        self.argv = argv
        self.source, self.destination = argv[1:3]

    reads: Sequence[Words]
    """Commands about the source"""

    def delivery(self, read: list[Any]) -> Words:
        """What to do at the destination, given the replies to `reads`. Raises Done or ReplyError."""
        raise NotImplementedError

    def removal(self, delivered: Any) -> Words:
        """What to do at the source after this reply of the destination. Raises Done."""
        raise NotImplementedError

    def undoing(self, delivered: Any) -> Words | None:
        """What takes it away from the destination again, and answers 0 if it is gone already."""
        raise NotImplementedError

    def reply(self, delivered: Any) -> Any:
        raise NotImplementedError


class Rename(Move):
    """The whole key, with its expiry. Nothing to undo: the next try overwrites, and a source that somebody
    has deleted since the first one counts as renamed before."""

    refuses: ClassVar[bool] = False
    """RENAMENX"""

    def __init__(self, argv: Words) -> None:
        super().__init__(argv)
        self.reads = [[b"DUMP", self.source], [b"PEXPIRETIME", self.source]]
        self.arrived = False

    def delivery(self, read: list[Any]) -> Words:
        payload, expiry = read
        if payload is None:
            if self.arrived:
                raise Done(self.reply(OK))
            raise NO_SUCH_KEY
        words = [b"RESTORE", self.destination, b"%d" % max(expiry, 0), payload, b"ABSTTL"]
        return words if self.refuses and not self.arrived else [*words, b"REPLACE"]

    def removal(self, delivered: Any) -> Words:
        if isinstance(delivered, ReplyError):
            if delivered.text.startswith("BUSYKEY"):
                raise Done(0)
            raise delivered
        self.arrived = True
        return [b"DEL", self.source]

    def undoing(self, delivered: Any) -> Words | None:
        return None

    def reply(self, delivered: Any) -> Any:
        return 1 if self.refuses else OK


class RenameNx(Rename):
    refuses = True


class ListMove(Move):
    """One element of a list: LMOVE; RPOPLPUSH is LMOVE RIGHT LEFT."""

    def __init__(self, argv: Words) -> None:
        super().__init__(argv)
        ends = [word.upper() for word in argv[3:]] or [b"RIGHT", b"LEFT"]
        if not {b"LEFT", b"RIGHT"}.issuperset(ends):
            raise SYNTAX
        self.at_left, self.to_left = (end == b"LEFT" for end in ends)
        self.reads = [[b"LINDEX", self.source, b"0" if self.at_left else b"-1"]]
        self.element = b""

    def delivery(self, read: list[Any]) -> Words:
        if read[0] is None:
            raise Done(None)
        self.element = read[0]
        return [b"LPUSH" if self.to_left else b"RPUSH", self.destination, self.element]

    def removal(self, delivered: Any) -> Words:
        if isinstance(delivered, ReplyError):
            raise delivered
        return [b"LPOP" if self.at_left else b"RPOP", self.source]

    def undoing(self, delivered: Any) -> Words | None:
        return [b"LREM", self.destination, b"1" if self.to_left else b"-1", self.element]

    def reply(self, delivered: Any) -> Any:
        return self.element


class SetMove(Move):
    """SMOVE. The destination's type is an error even if there is no such member, but not if there is no
    source: adding nothing is how to ask for it."""

    def __init__(self, argv: Words) -> None:
        super().__init__(argv)
        self.member = argv[3]
        self.reads = [[b"EXISTS", self.source], [b"SISMEMBER", self.source, self.member]]
        self.is_member = False

    def delivery(self, read: list[Any]) -> Words:
        exists, self.is_member = read[0], bool(read[1])
        if not exists:
            raise Done(0)
        return [b"SADD" if self.is_member else b"SISMEMBER", self.destination, self.member]

    def removal(self, delivered: Any) -> Words:
        if isinstance(delivered, ReplyError):
            raise delivered
        if not self.is_member:
            raise Done(0)
        return [b"SREM", self.source, self.member]

    def undoing(self, delivered: Any) -> Words | None:
        return [b"SREM", self.destination, self.member] if delivered else None

    def reply(self, delivered: Any) -> Any:
        return 1


MOVES: dict[str, Callable[[Words], Move]] = {
    "rename": Rename,
    "renamenx": RenameNx,
    "lmove": ListMove,
    "rpoplpush": ListMove,
    "smove": SetMove,
}


async def carry_out(calls: SlotCalls, move: Move) -> Any:
    """The reply value. Raises ReplyError."""
    try:
        for _ in range(TRIES):
            async with calls.watched(move.source, move.reads) as watched:
                words = move.delivery(watched.values)
                delivered = await _at_destination(calls, move, words)
                removal = move.removal(delivered)
                try:
                    if await watched.commit(removal) is not None:
                        return move.reply(delivered)
                except ReplyError as error:
                    raise _in_both(move, error) from None
            undoing = move.undoing(delivered)
            if undoing is not None:
                undone = await _at_destination(calls, move, undoing)
                if isinstance(undone, ReplyError):
                    raise _in_both(move, undone)
                if not undone:
                    raise TAKEN_TWICE
    except Done as done:
        return done.reply
    if isinstance(move, Rename):
        raise _in_both(move, ReplyError("ERR the source is changed all the time"))
    raise RESTLESS


async def _at_destination(calls: SlotCalls, move: Move, words: Words) -> Any:
    return codec.decode_reply(await calls.call(key_slot(move.destination), 2, words))


def _in_both(move: Move, error: ReplyError) -> ReplyError:
    source, destination = (one_line(key.decode("latin-1")) for key in (move.source, move.destination))
    return ReplyError(f"ERR moved to '{destination}', but perhaps not removed from '{source}': {error.text}")
