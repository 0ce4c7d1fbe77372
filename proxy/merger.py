"""Many raw replies into one: the response policies of the command tips.

https://redis.io/docs/latest/develop/reference/command-tips/ names them. Replies stay raw bytes; only what has
to be added up is read. Each function takes the replies in the order of their requests and returns one reply.
An error among them becomes the reply, unless the policy says otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from proxy.codec import integer_of, is_error, join_elements
from proxy.frames import reply_elements

Merge = Callable[[Sequence[bytes]], bytes]


def first_error(replies: Sequence[bytes]) -> bytes | None:
    return next(filter(is_error, replies), None)


def all_succeeded(replies: Sequence[bytes]) -> bytes:
    """Any of the equal replies."""
    return first_error(replies) or replies[0]


def one_succeeded(replies: Sequence[bytes]) -> bytes:
    """A success is enough: SCRIPT KILL fails wherever no script runs."""
    return next((reply for reply in replies if not is_error(reply)), replies[0])


def agg_sum(replies: Sequence[bytes]) -> bytes:
    return first_error(replies) or b":%d\r\n" % sum(map(integer_of, replies))


def agg_logical_and(replies: Sequence[bytes]) -> bytes:
    """Element by element: SCRIPT EXISTS is true of a script that every worker has."""
    if error := first_error(replies):
        return error
    columns = zip(*(map(integer_of, reply_elements(reply)) for reply in replies), strict=True)
    return join_elements(b"*", [b":%d\r\n" % all(column) for column in columns])


def concatenated(replies: Sequence[bytes]) -> bytes:
    """The default where a command has no keys: all elements, in one aggregate of the same type."""
    if error := first_error(replies):
        return error
    return join_elements(replies[0][:1], [element for reply in replies for element in reply_elements(reply)])


POLICIES: dict[str, Merge] = {
    "all_succeeded": all_succeeded,
    "one_succeeded": one_succeeded,
    "agg_sum": agg_sum,
    "agg_logical_and": agg_logical_and,
    "": concatenated,
}
"""Response policies the proxy can carry out, by their names in the tips."""


def in_order(positions: Sequence[Sequence[int]], replies: Sequence[bytes]) -> bytes:
    """MGET: the elements of each reply belong to those positions of the request."""
    if error := first_error(replies):
        return error
    elements = [b""] * sum(map(len, positions))
    for places, reply in zip(positions, replies, strict=True):
        for place, element in zip(places, reply_elements(reply), strict=True):
            elements[place] = element
    return join_elements(b"*", elements)
