"""Geo commands: sorted sets whose scores are places. What a place is, `node/datatypes/geohash` says.

GEOADD is a ZADD of other arguments, and is left to replicas and the AOF as one. Positions are replied as
plain doubles, as Redis 8 does: Redis 7 and Valkey print the same numbers with 17 decimals. Searching is in
geo_search.py.
"""

from __future__ import annotations

from typing import Any

from node import errors
from node.datatypes.geohash import Place, distance, place_of, score_of, text_of
from node.errors import ReplyError
from node.handlers.arguments import parse_float
from node.handlers.registry import command
from node.handlers.sorted_sets import for_reading, zadd
from node.replies import NULL_ARRAY

UNITS = {b"M": 1.0, b"KM": 1000.0, b"FT": 0.3048, b"MI": 1609.34}
"""In metres."""

_BAD_UNIT = ReplyError("ERR unsupported unit provided. please use M, KM, FT, MI")

_ADD_OPTIONS = (b"NX", b"XX", b"CH")


def parse_unit(raw: bytes) -> float:
    unit = UNITS.get(raw.upper())
    if unit is None:
        raise _BAD_UNIT
    return unit


def parse_place(longitude: bytes, latitude: bytes) -> Place:
    place = Place(parse_float(longitude), parse_float(latitude))
    if not place.is_on_map:
        raise ReplyError(f"ERR invalid longitude,latitude pair {place.longitude:f},{place.latitude:f}")
    return place


def distance_text(metres: float, unit: float) -> bytes:
    """Four decimals, halves to even."""
    scaled = round(metres / unit * 10_000)
    return b"%d.%04d" % divmod(scaled, 10_000)


@command("geoadd")
def geoadd(ctx: Any, args: list[bytes]) -> int:
    """`key [NX | XX] [CH] longitude latitude member ...`"""
    start = 1
    while start < len(args) and args[start].upper() in _ADD_OPTIONS:
        start += 1
    options, triples = args[1:start], args[start:]
    names = {name.upper() for name in options}
    if len(triples) % 3 or {b"NX", b"XX"} <= names:
        raise errors.SYNTAX
    scored = [args[0], *options]
    for at in range(0, len(triples), 3):
        place = parse_place(triples[at], triples[at + 1])
        scored += (b"%d" % score_of(place), triples[at + 2])
    before = ctx.engine.dirty
    added: int = zadd(ctx, scored)
    if ctx.engine.dirty != before:
        ctx.propagate([b"ZADD", *scored])
    return added


@command("geopos")
def geopos(ctx: Any, args: list[bytes]) -> list[Any]:
    return [NULL_ARRAY if place is None else list(place) for place in _places(ctx, args)]


@command("geohash")
def geohash(ctx: Any, args: list[bytes]) -> list[bytes | None]:
    return [None if place is None else text_of(place).encode() for place in _places(ctx, args)]


def _places(ctx: Any, args: list[bytes]) -> list[Place | None]:
    value = for_reading(ctx, args[0])
    scores = [None if value is None else value.score(member) for member in args[1:]]
    return [None if score is None else place_of(score) for score in scores]


@command("geodist")
def geodist(ctx: Any, args: list[bytes]) -> bytes | None:
    """`key member member [unit]`"""
    if len(args) > 4:
        raise errors.SYNTAX
    unit = parse_unit(args[3]) if len(args) == 4 else 1.0
    one, other = _places(ctx, args[:3])
    return None if one is None or other is None else distance_text(distance(one, other), unit)
