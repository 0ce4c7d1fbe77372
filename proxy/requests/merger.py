"""Many raw replies into one: the response policies of the command tips.

https://redis.io/docs/latest/develop/reference/command-tips/ names them. Replies stay raw bytes; only what has
to be added up is read. Each function takes the replies in the order of their requests and returns one reply.
An error among them becomes the reply, unless the policy says otherwise. What the tips call `special` is
settled command by command, in reports.py.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxy.core.frames import reply_elements
from proxy.requests.codec import integer_of, is_error, join_elements

Merge = Callable[[Sequence[bytes]], bytes]
"""Raises ValueError where replies do not fit together."""


def first_error(replies: Sequence[bytes]) -> bytes | None:
    return next(filter(is_error, replies), None)


def all_succeeded(replies: Sequence[bytes]) -> bytes:
    """Any of the equal replies."""
    return first_error(replies) or replies[0]


def one_succeeded(replies: Sequence[bytes]) -> bytes:
    """A success is enough: SCRIPT KILL fails wherever no script runs. Among errors, one that says more than
    that there was nothing to do."""
    success = next((reply for reply in replies if not is_error(reply)), None)
    telling = (reply for reply in replies if not reply.startswith(b"-NOTBUSY "))
    return success or next(telling, replies[0])


def _combining(combine: Callable[[Sequence[int]], int]) -> Merge:
    """Integers into one; arrays of integers element by element."""

    def merge(replies: Sequence[bytes]) -> bytes:
        if error := first_error(replies):
            return error
        if replies[0][:1] != b"*":
            return b":%d\r\n" % combine([integer_of(reply) for reply in replies])
        columns = zip(*(map(integer_of, reply_elements(reply)) for reply in replies), strict=True)
        return join_elements(b"*", [b":%d\r\n" % combine(column) for column in columns])

    return merge


agg_sum = _combining(sum)
agg_min = _combining(min)
agg_max = _combining(max)
agg_logical_and = _combining(all)
agg_logical_or = _combining(any)


def concatenated(replies: Sequence[bytes]) -> bytes:
    """The default where a command has no keys: all elements, in one aggregate of the same type."""
    if error := first_error(replies):
        return error
    return join_elements(replies[0][:1], [element for reply in replies for element in reply_elements(reply)])


def union(replies: Sequence[bytes]) -> bytes:
    """All elements, equal ones once."""
    if error := first_error(replies):
        return error
    return join_elements(
        replies[0][:1], list(dict.fromkeys(element for reply in replies for element in reply_elements(reply)))
    )


def map_union(replies: Sequence[bytes]) -> bytes:
    """All pairs of maps (in RESP2 flat arrays); of a key that several have, the first one's."""
    if error := first_error(replies):
        return error
    pairs: dict[bytes, bytes] = {}
    for reply in replies:
        elements = reply_elements(reply)
        for name, value in zip(elements[::2], elements[1::2], strict=True):
            pairs.setdefault(name, value)
    flat = [element for pair in pairs.items() for element in pair]
    if replies[0][:1] == b"%":
        return b"%%%d\r\n%b" % (len(pairs), b"".join(flat))
    return join_elements(b"*", flat)


POLICIES: dict[str, Merge] = {
    "all_succeeded": all_succeeded,
    "one_succeeded": one_succeeded,
    "agg_sum": agg_sum,
    "agg_min": agg_min,
    "agg_max": agg_max,
    "agg_logical_and": agg_logical_and,
    "agg_logical_or": agg_logical_or,
    "": concatenated,
    "union": union,
}
"""Response policies by their names in the tips, and `union`, which is ours."""


def in_order(positions: Sequence[Sequence[int]], replies: Sequence[bytes]) -> bytes:
    """MGET: the elements of each reply belong to those positions of the request."""
    if error := first_error(replies):
        return error
    elements = [b""] * sum(map(len, positions))
    for places, reply in zip(positions, replies, strict=True):
        for place, element in zip(places, reply_elements(reply), strict=True):
            elements[place] = element
    return join_elements(b"*", elements)


def fitting(merge: Merge, replies: Sequence[bytes]) -> bytes:
    """Workers of different kinds may disagree on a reply's type: then the client gets an error, no hang."""
    try:
        return merge(replies)
    except ValueError as error:
        return b"-ERR replies of the workers do not fit together: %b\r\n" % str(error).encode(
            "ascii", "replace"
        )
