"""The notation for a command's arguments, close to how manuals write them, and its parser.

name            an argument; its type follows from the name (`TYPES`), or is given: `value:integer`
name/shown      shown to people under another name
name#1          found by the second key spec (counted from 0, which is a key's default)
TOKEN           a fixed word; `name=TOKEN` where its name is not the word in lower case
TOKEN name      a fixed word with an argument; `TOKEN,` does not belong to what follows
name=(a b)      arguments that go together       name=(a | b)   one of several
[a]             optional       a ...   repeatable       a ,...   repeatable with its TOKEN
a@6.2.0         since that version       a~6.2.0   deprecated since then
"""

from __future__ import annotations

import re
from typing import Any

Argument = dict[str, Any]
"""name, type, and where they apply display_text, key_spec_index, token, since, deprecated_since, flags (list
of str), arguments (list of Argument): the fields of COMMAND DOCS, in its order."""

TYPES = {
    "integer": (
        "bit bits client-id cluster-bus-port config-epoch count cursor db decrement destination-db end "
        "end-slot entries-added entriesread frequency increment index index1 index2 len limit maxage "
        "milliseconds min-match-len ms num-matches numfields numids numkeys numlocal numreplicas offset "
        "port protover rank seconds slot start start-slot stop ttl version weight"
    ),
    "double": "height latitude longitude radius score timeout width",
    "key": "destination destkey dst key key1 key2 keys newkey source sourcekey src storedistkey storekey",
    "pattern": "by-pattern get-pattern match-pattern pattern",
    "unix-time": "unix-time-milliseconds unix-time-seconds",
}
_TYPE_OF = {name: kind for kind, names in TYPES.items() for name in names.split()}

_PIECE = re.compile(r"[@~]\d[\d.]*|,?\.\.\.|[()\[\]|]|(?:[^\s()\[\]|@~]|~(?!\d))+")
_LEAF = re.compile(r"([\w-]+?)(?:/(.+?))?(?::(string|integer|double|key|pattern|unix-time))?(?:#(\d))?$")
_ORDER = ( "name", "type", "display_text", "key_spec_index", "token", "since", "deprecated_since", "flags",
"arguments",
)  # fmt: skip


def parse(text: str) -> list[Argument]:
    """The arguments that `text` writes down. ValueError if it is not in the notation."""
    pieces = [match.group() for match in _PIECE.finditer(text)]
    pieces.reverse()
    arguments = _sequence(pieces)
    if pieces:
        raise ValueError(f"unexpected {pieces[-1]!r} in {text!r}")
    return arguments


def _sequence(pieces: list[str]) -> list[Argument]:
    found = []
    while pieces and pieces[-1] not in (")", "]", "|"):
        found.append(_item(pieces))
    return found


def _item(pieces: list[str]) -> Argument:
    """One argument with all that is attached to it. `pieces` is a stack, its next piece last."""
    if pieces[-1] == "[":
        pieces.pop()
        made = _item(pieces)
        _expect(pieces, "]")
        made["flags"] = ["optional", *made.get("flags", ())]
    else:
        made = _term(pieces)
    while pieces:
        if pieces[-1] == "...":
            made["flags"] = [*made.get("flags", ()), "multiple"]
        elif pieces[-1] == ",...":
            made["flags"] = [*made.get("flags", ()), "multiple", "multiple_token"]
        elif pieces[-1][0] in "@~" and len(pieces[-1]) > 1:
            made["since" if pieces[-1][0] == "@" else "deprecated_since"] = pieces[-1][1:]
        else:
            break
        pieces.pop()
    return {field: made[field] for field in _ORDER if field in made}


def _term(pieces: list[str]) -> Argument:
    word = pieces.pop()
    if word.isupper() and "=" not in word:
        follower = pieces[-1] if pieces else "|"
        if word.endswith(","):
            word = word[:-1]
        elif follower not in "()[]|,..." and not follower.isupper() and follower[0] not in "@~":
            return _term(pieces) | {"token": word}
        return _token(word.lower(), word)
    if word.endswith("=") and pieces and pieces[-1] == "(":
        return _group(word[:-1], pieces)
    name, equals, token = word.rstrip(",").partition("=")
    if equals and name:
        return _token(name, token)
    leaf = _LEAF.match(word)
    if leaf is None:
        raise ValueError(f"not an argument: {word!r}")
    name, shown, kind, index = leaf.groups()
    kind = kind or _TYPE_OF.get(name, "string")
    made: Argument = {"name": name, "type": kind, "display_text": shown or name}
    if kind == "key" or index:
        made["key_spec_index"] = int(index or 0)
    return made


def _token(name: str, token: str) -> Argument:
    return {"name": name, "type": "pure-token", "display_text": name, "token": token}


def _group(name: str, pieces: list[str]) -> Argument:
    _expect(pieces, "(")
    members = _sequence(pieces)
    kind = "block"
    while pieces and pieces[-1] == "|":
        kind = "oneof"
        pieces.pop()
        members.append(_item(pieces))
    _expect(pieces, ")")
    return {"name": name, "type": kind, "arguments": members}


def _expect(pieces: list[str], piece: str) -> None:
    if not pieces or pieces.pop() != piece:
        raise ValueError(f"expected {piece!r}")
