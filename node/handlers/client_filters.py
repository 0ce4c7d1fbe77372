"""Which clients CLIENT LIST tells of and CLIENT KILL closes.

Filters come in any order and must all hold; of one that is given twice the last counts, but ids add up. Most
have a form with NOT-. Redis knows TYPE, ID, ADDR, LADDR, USER, MAXAGE and SKIPME, and for LIST only TYPE or
ID; all else is Valkey's. Where an id is no number, LIST and KILL each say so in Redis' words for it.

The proxy has clients of its own kind, and these filters: what they ask of a client is `Described`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from node import errors
from node.errors import ReplyError, one_line
from node.handlers.arguments import INT_MAX, INT_MIN, as_int, parse_int, parse_int_between


class Described(Protocol):
    """What can be said about a client."""

    @property
    def id(self) -> int: ...
    @property
    def kind(self) -> str:
        """normal, pubsub, replica or master"""

    @property
    def address(self) -> str: ...
    @property
    def local_address(self) -> str: ...
    @property
    def host(self) -> str:
        """Empty for a Unix socket"""

    @property
    def user_name(self) -> bytes | None: ...
    @property
    def flags(self) -> str: ...
    @property
    def redirects(self) -> bool:
        """CLIENT CAPA redirect"""

    @property
    def database(self) -> int: ...
    @property
    def created_at(self) -> int:
        """ms, of the clock of `Scope.now`"""

    @property
    def last_active(self) -> int:
        """ms, likewise"""

    @property
    def name(self) -> bytes: ...
    @property
    def lib_name(self) -> bytes: ...
    @property
    def lib_ver(self) -> bytes: ...


@dataclass(frozen=True)
class Scope:
    """What filters are seen against."""

    asking: int
    """Id of who asks"""
    now: int
    """ms"""
    databases: int
    knows_user: Callable[[bytes], bool]


Condition = Callable[[Described], bool]

CLIENT_TYPES = {
    b"normal": "normal",
    b"master": "master",
    b"primary": "master",
    b"replica": "replica",
    b"slave": "replica",
    b"pubsub": "pubsub",
}
FLAGS = frozenset("OSMPxbtRBdcuAUreTIN")
CAPABILITIES = frozenset("r")

_BAD_CLIENT_ID = ReplyError("ERR Invalid client ID")
_CLIENT_ID_TOO_LOW = ReplyError("ERR client-id should be greater than 0")


def parse_filters(scope: Scope, args: list[bytes], *, listing: bool) -> Condition:
    """The filters of CLIENT LIST (`listing`) or CLIENT KILL as one. Raises ReplyError."""
    conditions: dict[bytes, Condition] = {}
    ids: dict[bytes, set[int]] = {}
    skip_me = not listing
    at = 0
    while at < len(args):
        option = args[at].upper()
        if at + 1 == len(args):
            raise errors.SYNTAX
        value = args[at + 1]
        if option in (b"ID", b"NOT-ID"):
            end = _end_of_ids(args, at + 1)
            _check_ids(args, at, end, listing)
            ids.setdefault(option, set()).update(map(int, args[at + 1 : end]))
            at = end
            continue
        if option == b"SKIPME":
            skip_me = _yes_or_no(value)
        elif option in _FILTERS:
            conditions[option] = _FILTERS[option](scope, value, "")
        elif option.removeprefix(b"NOT-") in _WITH_OPPOSITE:
            conditions[option] = _opposite(
                _FILTERS[option.removeprefix(b"NOT-")](scope, value, option.decode())
            )
        else:
            raise errors.SYNTAX
        at += 2
    wanted, unwanted = ids.get(b"ID"), ids.get(b"NOT-ID", ())
    return lambda client: (
        not (skip_me and client.id == scope.asking)
        and (wanted is None or client.id in wanted)
        and client.id not in unwanted
        and all(holds(client) for holds in conditions.values())
    )


def _end_of_ids(args: list[bytes], start: int) -> int:
    end = start
    while end < len(args) and as_int(args[end]) is not None:
        end += 1
    return end


def _check_ids(args: list[bytes], at: int, end: int, listing: bool) -> None:
    """`args[at]` is ID or NOT-ID, the numbers after it end before `end`. Only LIST takes numbers below 1."""
    redis_knows_it = args[at].upper() == b"ID"
    if redis_knows_it and end < len(args) and not _is_option(args[end].upper()):
        if listing:
            raise _BAD_CLIENT_ID
        if end == at + 1:
            raise _CLIENT_ID_TOO_LOW
    if end == at + 1:
        raise errors.SYNTAX
    if not (redis_knows_it and listing) and min(map(int, args[at + 1 : end])) < 1:
        raise _CLIENT_ID_TOO_LOW


def _is_option(word: bytes) -> bool:
    plain = word.removeprefix(b"NOT-")
    return plain in _WITH_OPPOSITE or plain == b"ID" or word in _FILTERS or word == b"SKIPME"


def _yes_or_no(word: bytes) -> bool:
    match word.upper():
        case b"YES":
            return True
        case b"NO":
            return False
    raise errors.SYNTAX


def _opposite(condition: Condition) -> Condition:
    return lambda client: not condition(client)


# ------------------------------------------------------------------------------------------------- filters
# Each makes a condition of a value; `negated` is its name with NOT-, or empty. Raises ReplyError.


def _type(scope: Scope, value: bytes, negated: str) -> Condition:
    kind = CLIENT_TYPES.get(value.lower())
    if kind is None:
        raise ReplyError(f"ERR Unknown client type '{one_line(value)}'")
    return lambda client: client.kind == kind


def _address(scope: Scope, value: bytes, negated: str) -> Condition:
    text = value.decode("utf-8", "replace")
    return lambda client: client.address == text


def _local_address(scope: Scope, value: bytes, negated: str) -> Condition:
    text = value.decode("utf-8", "replace")
    return lambda client: client.local_address == text


def _host(scope: Scope, value: bytes, negated: str) -> Condition:
    text = value.decode("utf-8", "replace")
    return lambda client: client.host == text


def _user(scope: Scope, value: bytes, negated: str) -> Condition:
    if not scope.knows_user(value):
        raise ReplyError(f"ERR No such user '{one_line(value)}'")
    return lambda client: client.user_name == value


def _seconds(value: bytes, what: str) -> int:
    seconds = parse_int(value, ReplyError(f"ERR {what} is not an integer or out of range"))
    if seconds < 1:
        raise ReplyError(f"ERR {what} should be greater than 0")
    return seconds


def _age(scope: Scope, value: bytes, negated: str) -> Condition:
    latest = scope.now - _seconds(value, "maxage") * 1000
    return lambda client: client.created_at <= latest


def _idle(scope: Scope, value: bytes, negated: str) -> Condition:
    latest = scope.now - _seconds(value, "idle") * 1000
    return lambda client: client.last_active <= latest


def _flags(scope: Scope, value: bytes, negated: str) -> Condition:
    wanted = _letters(value, FLAGS, "flags", negated)
    return lambda client: wanted <= set(client.flags)


def _capabilities(scope: Scope, value: bytes, negated: str) -> Condition:
    wanted = _letters(value, CAPABILITIES, "capa", negated)
    return lambda client: client.redirects or not wanted


def _letters(value: bytes, known: frozenset[str], what: str, negated: str) -> set[str]:
    letters = set(value.decode("latin-1"))
    if not letters <= known:
        raise ReplyError(f"ERR Unknown {what} found in the {negated or 'provided'} filter: {one_line(value)}")
    return letters


def _database(scope: Scope, value: bytes, negated: str) -> Condition:
    name = negated or "DB"
    number = parse_int_between(
        value, INT_MIN, INT_MAX, ReplyError(f"ERR {name} is not an integer or out of range")
    )
    last = scope.databases - 1
    if not 0 <= number <= last:
        raise ReplyError(f"ERR {name} number should be between 0 and {last}")
    return lambda client: client.database == number


def _attribute(name: str) -> Callable[[Scope, bytes, str], Condition]:
    """Of an attribute that is empty for those who have not set it: they have none, not an empty one."""

    def make(scope: Scope, value: bytes, negated: str) -> Condition:
        return lambda client: bool(value) and getattr(client, name) == value

    return make


_WITH_OPPOSITE = {
    b"TYPE": _type,
    b"ADDR": _address,
    b"LADDR": _local_address,
    b"IP": _host,
    b"USER": _user,
    b"FLAGS": _flags,
    b"CAPA": _capabilities,
    b"DB": _database,
    b"NAME": _attribute("name"),
    b"LIB-NAME": _attribute("lib_name"),
    b"LIB-VER": _attribute("lib_ver"),
}
_FILTERS = {**_WITH_OPPOSITE, b"MAXAGE": _age, b"IDLE": _idle}
