"""SORT and SORT_RO: the elements of a list, set or sorted set, in order of themselves or of other keys.

BY and GET name keys by a pattern: its first `*` stands for the element, and `->field` at its end reads a
field of a hash. A BY pattern without a star cannot tell elements apart and means "leave them as they are".
In a cluster such keys must be known to be in the slot of the sorted key.

Order: numbers by value, then by the bytes of the element; with ALPHA by bytes. (Redis sorts the replies of
ALPHA by the locale it was started in, and stored results by bytes; here both are by bytes.)

A sorted set that was small is large after it has been sorted: Redis makes it so, and OBJECT ENCODING tells.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from node import errors
from node.acl.demands import READ
from node.commands import TABLE
from node.core.key_slot import key_slot
from node.datatypes import Hash, List, Set, SortedSet
from node.errors import ReplyError
from node.handlers.arguments import Options, parse_lenient_float
from node.handlers.hash_lookup import look
from node.handlers.registry import command
from node.keyspace import events
from node.keyspace.glob import fixed_slot

_NOT_NUMBERS = ReplyError("ERR One or more scores can't be converted into double")

ITSELF = b"#"
"""The GET pattern that stands for the element."""


@dataclass(slots=True)
class SortRequest:
    descending: bool = False
    alpha: bool = False
    first: int = 0
    count: int = -1
    """Of LIMIT; negative for all."""
    by: bytes | None = None
    store: bytes | None = None
    gets: list[bytes] = field(default_factory=list)

    @property
    def keeps_order(self) -> bool:
        return self.by is not None and b"*" not in self.by

    def cut(self, length: int) -> slice:
        """What LIMIT leaves of `length` elements."""
        first = max(0, self.first)
        return slice(first, length if self.count < 0 else first + self.count)


@command("sort")
def sort(ctx: Any, args: list[bytes]) -> Any:
    request = parse_request(ctx, args, may_store=True)
    found = _sorted_reply(ctx, args[0], request)
    if request.store is None:
        return found
    if found:
        ctx.db.set(request.store, List([b"" if value is None else value for value in found]))
        ctx.changed(request.store, events.SORTSTORE, len(found))
    else:
        ctx.discard(request.store)
    return len(found)


@command("sort_ro")
def sort_ro(ctx: Any, args: list[bytes]) -> list[bytes | None]:
    return _sorted_reply(ctx, args[0], parse_request(ctx, args, may_store=False))


def parse_request(ctx: Any, args: list[bytes], may_store: bool) -> SortRequest:
    request = SortRequest()
    options = Options(args, start=1)
    for word in options:
        match word:
            case b"ASC":
                request.descending = False
            case b"DESC":
                request.descending = True
            case b"ALPHA":
                request.alpha = True
            case b"LIMIT" if options.left >= 2:
                request.first, request.count = options.integer(), options.integer()
            case b"STORE" if may_store:
                request.store = options.value()
            case b"BY":
                request.by = options.value()
                if b"*" in request.by:
                    _require_same_slot(ctx, args[0], request.by, "BY")
                    _require_right_to_read_all(ctx, args, may_store, "BY")
            case b"GET":
                pattern = options.value()
                if pattern != ITSELF:
                    _require_same_slot(ctx, args[0], pattern, "GET")
                _require_right_to_read_all(ctx, args, may_store, "GET")
                request.gets.append(pattern)
            case _:
                raise errors.SYNTAX
    return request


def _require_same_slot(ctx: Any, key: bytes, pattern: bytes, option: str) -> None:
    if ctx.config.cluster_enabled and fixed_slot(pattern) != key_slot(key):
        raise ReplyError(
            f"ERR {option} option of SORT denied in Cluster mode "
            "when keys formed by the pattern may be in different slots."
        )


def _require_right_to_read_all(ctx: Any, args: list[bytes], may_store: bool, option: str) -> None:
    """Which keys the pattern names is only known once data is read, so the user must be allowed any."""
    user = ctx.user
    if user is None or user.is_unrestricted:
        return
    row = TABLE["sort" if may_store else "sort_ro"]
    if not user.may_use_all_keys(row, [row.name.encode(), *args], READ):
        raise ReplyError(f"ERR {option} option of SORT denied due to insufficient ACL permissions.")


def _sorted_reply(ctx: Any, key: bytes, request: SortRequest) -> list[bytes | None]:
    elements = arrange(ctx, _elements(ctx, key, request), request)
    chosen = elements[request.cut(len(elements))]
    if not request.gets:
        return list(chosen)
    return [fetch(ctx.db, pattern, element) for element in chosen for pattern in request.gets]


def _elements(ctx: Any, key: bytes, request: SortRequest) -> list[bytes]:
    """In the order they have. A set, which has none, is put in order where the result is stored."""
    value = ctx.db.lookup(key)
    if value is None:
        return []
    if isinstance(value, Set):
        if request.keeps_order and request.store is not None:
            request.by, request.alpha = None, True
        return list(value)
    if isinstance(value, SortedSet):
        value.enlarge()
        elements = [member for member, _ in value.items()]
    elif isinstance(value, List):
        elements = list(value)
    else:
        raise errors.WRONGTYPE
    if request.keeps_order and request.descending:
        elements.reverse()
    return elements


def arrange(ctx: Any, elements: list[bytes], request: SortRequest) -> list[bytes]:
    if request.keeps_order:
        return elements
    by = ITSELF if request.by is None else request.by
    weights = [fetch(ctx.db, by, element) for element in elements]
    if not request.alpha:
        weighed = list(zip(map(_number, weights), elements, strict=True))
        weighed.sort(reverse=request.descending)
        return [element for _, element in weighed]
    if request.by is None:
        return sorted(elements, reverse=request.descending)
    # Absent keys come before all others.
    named = [
        ((weight is not None, weight or b""), element)
        for weight, element in zip(weights, elements, strict=True)
    ]
    named.sort(key=lambda pair: pair[0], reverse=request.descending)
    return [element for _, element in named]


def _number(weight: bytes | None) -> float:
    """An absent key, or an empty string, weighs nothing."""
    return parse_lenient_float(weight or b"", _NOT_NUMBERS)


def fetch(db: Any, pattern: bytes, element: bytes) -> bytes | None:
    """The string that `pattern` names for `element`; None where there is none, or something else."""
    if pattern == ITSELF:
        return element
    star = pattern.find(b"*")
    if star < 0:
        return None
    head, tail, hash_field = pattern[:star], pattern[star + 1 :], b""
    arrow = tail.find(b"->")
    if 0 <= arrow < len(tail) - 2:
        tail, hash_field = tail[:arrow], tail[arrow + 2 :]
    value = db.lookup(head + element + tail)
    if hash_field:
        if not isinstance(value, Hash):
            return None
        if value.timed:
            look(db, value)
        return value.get(hash_field)
    return value if isinstance(value, bytes) else None
