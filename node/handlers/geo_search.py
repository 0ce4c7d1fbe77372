"""Searching places: GEOSEARCH, GEOSEARCHSTORE and the GEORADIUS family.

They differ in syntax alone: each makes an `AreaRequest` of its arguments, `_search` finds the places, and
they are replied or stored. An area is a circle or a box around a place, or a polygon (Valkey's BYPOLYGON).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from node import errors
from node.core.double_digits import format_double
from node.datatypes import SortedSet
from node.datatypes.bounds import ScoreBound
from node.datatypes.geohash import Area, Box, Circle, Place, as_signed, cells_to_search, place_of
from node.datatypes.polygon import LEAST_CORNERS, Polygon
from node.errors import ReplyError
from node.handlers.arguments import INT_MAX, INT_MIN, Options, parse_float, parse_int_between
from node.handlers.geo import distance_text, parse_place, parse_unit
from node.handlers.registry import command
from node.handlers.sorted_sets import for_reading
from node.keyspace import events

_BAD_RADIUS = ReplyError("ERR need numeric radius")
_BAD_WIDTH = ReplyError("ERR need numeric width")
_BAD_HEIGHT = ReplyError("ERR need numeric height")
_NEGATIVE_RADIUS = ReplyError("ERR radius cannot be negative")
_NEGATIVE_BOX = ReplyError("ERR height or width cannot be negative")
_BAD_CORNERS = ReplyError("ERR invalid number of vertices")
_TOO_FEW_CORNERS = ReplyError("ERR GEOSEARCH BYPOLYGON must have at least 3 vertices")
_NO_MEMBER = ReplyError("ERR could not decode requested zset member")
_BAD_COUNT = ReplyError("ERR COUNT must be > 0")
_ANY_NEEDS_COUNT = ReplyError("ERR the ANY argument requires COUNT argument")


# --------------------------------------------------------------------------------------------- arguments


def _radius(raw: bytes, unit: bytes) -> tuple[float, float]:
    radius = parse_float(raw, _BAD_RADIUS)
    if radius < 0:
        raise _NEGATIVE_RADIUS
    return radius, parse_unit(unit)


def _sizes(width: bytes, height: bytes, unit: bytes) -> tuple[float, float, float]:
    sizes = parse_float(width, _BAD_WIDTH), parse_float(height, _BAD_HEIGHT)
    if min(sizes) < 0:
        raise _NEGATIVE_BOX
    return *sizes, parse_unit(unit)


def _polygon(options: Options) -> Polygon:
    """A count, and so many places. It is too small a count also where places are missing, and no option after
    them makes up for their number."""
    count = parse_int_between(options.value(), INT_MIN, INT_MAX, _BAD_CORNERS)
    if count < LEAST_CORNERS or 2 * count > options.left:
        raise _TOO_FEW_CORNERS
    return Polygon(tuple(parse_place(options.value(), options.value()) for _ in range(count)))


def _place_of_member(value: SortedSet, member: bytes) -> Place:
    score = value.score(member)
    if score is None:
        raise _NO_MEMBER
    return place_of(score)


# ------------------------------------------------------------------------------------------------ requests


class Found(NamedTuple):
    metres: float
    member: bytes
    score: float
    place: Place


@dataclass(slots=True)
class AreaRequest:
    """What to look for, and what to do with it. The area is `polygon`, or `center` with `radius` or `box`."""

    center: Place | None = None
    radius: tuple[float, float] | None = None
    """Radius and unit."""
    box: tuple[float, float, float] | None = None
    """Width, height and unit."""
    polygon: Polygon | None = None
    from_member: bool = False
    from_place: bool = False
    with_distance: bool = False
    with_hash: bool = False
    with_place: bool = False
    descending: bool | None = None
    """None: in the order in which cells are searched."""
    count: int = 0
    """0: all."""
    any: bool = False
    """The first `count` places found will do, whether or not they are the nearest."""
    store: bytes | None = None
    store_distance: bool = False

    @property
    def has_part(self) -> bool:
        """Of an area that is no polygon."""
        return self.from_member or self.from_place or self.radius is not None or self.box is not None

    @property
    def shows_more(self) -> bool:
        """More than members."""
        return self.with_distance or self.with_hash or self.with_place

    def area(self) -> Area:
        if self.polygon is not None:
            return self.polygon
        assert self.center is not None  # the key is there, so whoever parsed has seen to it
        if self.box is not None:
            return Box(self.center, *self.box)
        assert self.radius is not None
        return Circle(self.center, *self.radius)


def _common_option(request: AreaRequest, word: bytes, options: Options) -> bool:
    """An option of all searches. False if it is none."""
    match word:
        case b"WITHDIST":
            request.with_distance = True
        case b"WITHHASH":
            request.with_hash = True
        case b"WITHCOORD":
            request.with_place = True
        case b"ANY":
            request.any = True
        case b"ASC":
            request.descending = False
        case b"DESC":
            request.descending = True
        case b"COUNT" if options.left:
            request.count = options.integer()
            if request.count <= 0:
                raise _BAD_COUNT
        case _:
            return False
    return True


def _finish(request: AreaRequest, name: str) -> AreaRequest:
    """The checks between options that all searches share. `name`: of whom storing is said."""
    if request.store is not None and request.shows_more:
        raise ReplyError(f"ERR {name} is not compatible with WITHDIST, WITHHASH and WITHCOORD options")
    return request


def _check_count(request: AreaRequest) -> None:
    if request.any and not request.count:
        raise _ANY_NEEDS_COUNT
    if request.count and request.descending is None and not request.any:
        request.descending = False


def _execute(ctx: Any, value: SortedSet | None, request: AreaRequest) -> Any:
    _check_count(request)
    found = [] if value is None else _search(value, request)
    unit = (request.box or request.radius or (1.0,))[-1]
    if request.store is not None:
        return _store(ctx, request, found, unit)
    if not request.shows_more:
        return [each.member for each in found]
    return [_shown(each, request, unit) for each in found]


def _search(value: SortedSet, request: AreaRequest) -> list[Found]:
    area = request.area()
    limit = request.count if request.any else 0
    found: list[Found] = []
    for cell in cells_to_search(area):
        low, high = cell.scores()
        ranks = value.ranks_by_score(ScoreBound(low), ScoreBound(high, exclusive=True))
        for member, score in value.range(*ranks):
            place = place_of(score)
            metres = area.measure(place)
            if metres is not None:
                found.append(Found(metres, member, score, place))
                if len(found) == limit:
                    break
        if limit and len(found) == limit:
            break
    if request.descending is not None:
        found.sort(key=lambda each: each.metres, reverse=request.descending)
    return found[: request.count] if request.count else found


def _shown(found: Found, request: AreaRequest, unit: float) -> list[Any]:
    shown: list[Any] = [found.member]
    if request.with_distance:
        shown.append(distance_text(found.metres, unit))
    if request.with_hash:
        shown.append(as_signed(found.score))
    if request.with_place:
        shown.append(list(found.place))
    return shown


def _store(ctx: Any, request: AreaRequest, found: list[Found], unit: float) -> int:
    key = request.store
    if request.polygon is not None:
        ctx.propagate([b"DEL", key])  # a replica of Redis knows no polygons: it is told what was found
    if found:
        pairs = [
            (each.member, each.metres / unit if request.store_distance else each.score) for each in found
        ]
        ctx.db.set(key, SortedSet(pairs))
        if request.polygon is not None:
            scored = (word for member, score in pairs for word in (format_double(score), member))
            ctx.propagate([b"DEL", key], [b"ZADD", key, *scored])
        searched = request.from_member or request.from_place or request.polygon is not None
        event = events.GEOSEARCHSTORE if searched else events.GEORADIUSSTORE
        ctx.changed(key, event, len(found))
    else:
        ctx.discard(key)
    return len(found)


# ------------------------------------------------------------------------------- GEOSEARCH, GEOSEARCHSTORE


@command("geosearch")
def geosearch(ctx: Any, args: list[bytes]) -> Any:
    value = for_reading(ctx, args[0])
    return _execute(ctx, value, _parse_search(ctx, value, args[1:], None))


@command("geosearchstore")
def geosearchstore(ctx: Any, args: list[bytes]) -> Any:
    """`destination source ...`"""
    value = for_reading(ctx, args[1])
    return _execute(ctx, value, _parse_search(ctx, value, args[2:], args[0]))


def _parse_search(ctx: Any, value: SortedSet | None, args: list[bytes], store: bytes | None) -> AreaRequest:
    request = AreaRequest(store=store)
    options = Options(args)
    for word in options:
        if _common_option(request, word, options):
            continue
        match word:
            case b"STOREDIST" if store is not None:
                request.store_distance = True
            case b"BYPOLYGON" if options.left and not request.has_part:
                request.polygon = _polygon(options)
            case _ if request.polygon is not None:
                raise errors.SYNTAX
            case b"FROMMEMBER" if options.left and not request.from_place:
                member = options.value()
                request.from_member = True
                if value is not None:
                    request.center = _place_of_member(value, member)
            case b"FROMLONLAT" if options.left >= 2 and not request.from_member:
                request.center = parse_place(options.value(), options.value())
                request.from_place = True
            case b"BYRADIUS" if options.left >= 2 and request.box is None:
                request.radius = _radius(options.value(), options.value())
            case b"BYBOX" if options.left >= 3 and request.radius is None:
                request.box = _sizes(options.value(), options.value(), options.value())
            case _:
                raise errors.SYNTAX
    _finish(request, "GEOSEARCHSTORE")
    if request.polygon is not None:
        return request
    if not (request.from_member or request.from_place):
        raise _not_exactly_one(ctx, "FROMMEMBER or FROMLONLAT")
    if request.radius is None and request.box is None:
        raise _not_exactly_one(ctx, "BYRADIUS and BYBOX")
    return request


def _not_exactly_one(ctx: Any, options: str) -> ReplyError:
    name = ctx.spelled().decode("latin-1")
    return ReplyError(f"ERR exactly one of {options} can be specified for {name}")


# ------------------------------------------------------------------------------------- the GEORADIUS family


@command("georadius")
def georadius(ctx: Any, args: list[bytes]) -> Any:
    return _around_place(ctx, args, may_store=True)


@command("georadius_ro")
def georadius_ro(ctx: Any, args: list[bytes]) -> Any:
    return _around_place(ctx, args, may_store=False)


@command("georadiusbymember")
def georadiusbymember(ctx: Any, args: list[bytes]) -> Any:
    return _around_member(ctx, args, may_store=True)


@command("georadiusbymember_ro")
def georadiusbymember_ro(ctx: Any, args: list[bytes]) -> Any:
    return _around_member(ctx, args, may_store=False)


def _around_place(ctx: Any, args: list[bytes], *, may_store: bool) -> Any:
    """`key longitude latitude radius unit ...`"""
    value = for_reading(ctx, args[0])
    request = AreaRequest(center=parse_place(args[1], args[2]), radius=_radius(args[3], args[4]))
    return _execute(ctx, value, _parse_radius_options(request, args[5:], may_store))


def _around_member(ctx: Any, args: list[bytes], *, may_store: bool) -> Any:
    """`key member radius unit ...`. Without the key, nobody looks at radius and unit."""
    value = for_reading(ctx, args[0])
    request = AreaRequest()
    if value is not None:
        request.center = _place_of_member(value, args[1])
        request.radius = _radius(args[2], args[3])
    return _execute(ctx, value, _parse_radius_options(request, args[4:], may_store))


def _parse_radius_options(request: AreaRequest, args: list[bytes], may_store: bool) -> AreaRequest:
    options = Options(args)
    for word in options:
        if _common_option(request, word, options):
            continue
        if word not in (b"STORE", b"STOREDIST") or not may_store or not options.left:
            raise errors.SYNTAX
        request.store = options.value()
        request.store_distance = word == b"STOREDIST"
    return _finish(request, "STORE option in GEORADIUS")
