"""Places on Earth as numbers that a sorted set can order, and the cells in which to look for places nearby.

Longitude and latitude are each cut into 2**26 steps, and the two 26-bit numbers interleaved, longitude first:
52 bits, which a double holds exactly. That is Redis' score of a place, so sets can be exchanged with it. A
prefix of 2*n bits names a cell, one of 2**n columns and rows; the places in a cell lie side by side in the
order of scores. So a search computes the cell around its centre, of a size that lets it and its eight
neighbours cover the area, reads these ranges of scores, and measures each place found.

Latitudes end at those of Web Mercator, where the map becomes a square. Distances are great circles on a
sphere (haversine). Constants, and the order of all floating-point steps, are those of Redis, because results
are compared with its digits; the published Geohash text is of another grid, with latitudes to the poles.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple, Protocol

STEPS: Final = 26
"""Bits per coordinate of a score."""
LONGITUDE_MAX: Final = 180.0
LATITUDE_MAX: Final = 85.05112878

EARTH_RADIUS: Final = 6372797.560856
"""Metres."""
MERCATOR_MAX: Final = 20037726.37
"""Metres from the middle of the map to its edge."""
RADIANS: Final = math.pi / 180.0

ALPHABET: Final = "0123456789bcdefghjkmnpqrstuvwxyz"
"""Of Geohash texts: five bits a letter."""
TEXT_LENGTH: Final = 11

_INT64_MIN: Final = -(1 << 63)


class Place(NamedTuple):
    """In degrees, east and north positive."""

    longitude: float
    latitude: float

    @property
    def is_on_map(self) -> bool:
        return abs(self.longitude) <= LONGITUDE_MAX and abs(self.latitude) <= LATITUDE_MAX


class Cell(NamedTuple):
    """A column and a row of a grid of 2**steps by 2**steps."""

    column: int
    row: int
    steps: int

    def neighbour(self, east: int, north: int) -> Cell:
        """The cell so many columns and rows away, over the edge of the map if need be."""
        size = 1 << self.steps
        return Cell(
            (self.column + east) % size if east else self.column,
            (self.row + north) % size if north else self.row,
            self.steps,
        )

    def scores(self) -> tuple[int, int]:
        """The scores of its places: from the first, to before the second."""
        bits, shift = interleaved(self.column, self.row), 2 * (STEPS - self.steps)
        return bits << shift, (bits + 1) << shift

    def bounds(self) -> Bounds:
        size = 1 << self.steps
        return Bounds(
            -LONGITUDE_MAX + self.column / size * (2 * LONGITUDE_MAX),
            -LATITUDE_MAX + self.row / size * (2 * LATITUDE_MAX),
            -LONGITUDE_MAX + (self.column + 1) / size * (2 * LONGITUDE_MAX),
            -LATITUDE_MAX + (self.row + 1) / size * (2 * LATITUDE_MAX),
        )


class Bounds(NamedTuple):
    """A rectangle of the map, in degrees."""

    west: float
    south: float
    east: float
    north: float


# ------------------------------------------------------------------------------------------------ scores


def interleaved(column: int, row: int) -> int:
    """The bits of both, alternating, those of `row` in the even places: digits read in base 4 move apart."""
    return int(f"{column:b}", 4) << 1 | int(f"{row:b}", 4)


def cell_of(place: Place, steps: int, latitude_max: float = LATITUDE_MAX) -> Cell:
    """A place at the very end of the map is in a column or row of its own."""
    size = 1 << steps
    row = (place.latitude + latitude_max) / (2 * latitude_max) * size
    column = (place.longitude + LONGITUDE_MAX) / (2 * LONGITUDE_MAX) * size
    return Cell(int(column), int(row), steps)


def score_of(place: Place) -> int:
    column, row, _ = cell_of(place, STEPS)
    return interleaved(column, row)


def place_of(score: float) -> Place:
    """The middle of a score's cell. Any number is a score for those who wrote it with ZADD."""
    digits = f"{_as_unsigned(score):064b}"
    west, south, east, north = Cell(int(digits[0::2], 2), int(digits[1::2], 2), STEPS).bounds()
    return Place(
        max(-LONGITUDE_MAX, min((west + east) / 2, LONGITUDE_MAX)),
        max(-LATITUDE_MAX, min((south + north) / 2, LATITUDE_MAX)),
    )


def _as_unsigned(score: float) -> int:
    """A double as 64 unsigned bits, out of range as an x86-64 converts it."""
    if score >= 1 << 63:
        return int(score) if score < 1 << 64 else 0
    return as_signed(score) & (1 << 64) - 1


def as_signed(score: float) -> int:
    """A double as a 64-bit integer, out of range as an x86-64 converts it."""
    return int(score) if _INT64_MIN <= score < -_INT64_MIN else _INT64_MIN


def text_of(place: Place) -> str:
    """The Geohash as on geohash.org. Only 52 of its 55 bits are known; the last letter is always 0."""
    column, row, _ = cell_of(place, STEPS, latitude_max=90.0)
    bits = interleaved(column, row)
    letters = (ALPHABET[bits >> shift & 31] for shift in range(2 * STEPS - 5, 0, -5))
    return "".join(letters).ljust(TEXT_LENGTH, "0")


# --------------------------------------------------------------------------------------------- distances


def distance(one: Place, other: Place) -> float:
    """Metres, by the haversine formula."""
    v = math.sin((other.longitude * RADIANS - one.longitude * RADIANS) / 2)
    if v == 0.0:
        return _along_meridian(one.latitude, other.latitude)
    south, north = one.latitude * RADIANS, other.latitude * RADIANS
    u = math.sin((north - south) / 2)
    a = u * u + math.cos(south) * math.cos(north) * v * v
    return 2.0 * EARTH_RADIUS * math.asin(math.sqrt(min(a, 1.0)))


def _along_meridian(one: float, other: float) -> float:
    return EARTH_RADIUS * abs(other * RADIANS - one * RADIANS)


class Area(Protocol):
    """What can be searched."""

    is_wide: ClassVar[bool]
    """It may be much wider than it reaches: around a pole."""

    @property
    def center(self) -> Place: ...
    @property
    def bounds(self) -> Bounds:
        """A rectangle around it."""

    @property
    def reach(self) -> float:
        """Metres to the farthest point."""

    def measure(self, place: Place) -> float | None:
        """Metres from the centre; None if the place is outside."""


@dataclass(frozen=True, slots=True)
class Circle:
    center: Place
    radius: float
    """In units, as all sizes of an area."""
    unit: float
    """Metres."""
    is_wide: ClassVar[bool] = False

    @property
    def bounds(self) -> Bounds:
        return bounds_around(self.center, self.reach, self.reach)

    @property
    def reach(self) -> float:
        return self.radius * self.unit

    def measure(self, place: Place) -> float | None:
        found = distance(self.center, place)
        return None if found > self.radius * self.unit else found


@dataclass(frozen=True, slots=True)
class Box:
    center: Place
    width: float
    height: float
    unit: float
    is_wide: ClassVar[bool] = False

    @property
    def bounds(self) -> Bounds:
        return bounds_around(self.center, self.unit * (self.width / 2), self.unit * (self.height / 2))

    @property
    def reach(self) -> float:
        half_width, half_height = self.width / 2, self.height / 2
        return math.sqrt(half_width * half_width + half_height * half_height) * self.unit

    def measure(self, place: Place) -> float | None:
        """Height is measured along the meridian, width along the place's own latitude."""
        if _along_meridian(self.center.latitude, place.latitude) > self.height * self.unit / 2:
            return None
        beside = Place(self.center.longitude, place.latitude)
        if distance(place, beside) > self.width * self.unit / 2:
            return None
        return distance(self.center, place)


# ------------------------------------------------------------------------------------------------ searching


def cells_to_search(area: Area) -> Iterator[Cell]:
    """The cells that cover an area, each once, in the order of Redis: centre, N, S, E, W, NE, NW, SE, SW."""
    wanted = area.bounds
    steps = _steps_for(area)
    center = cell_of(area.center, steps)
    if steps > 1 and not _neighbours_cover(center, wanted):
        steps -= 1
        center = cell_of(area.center, steps)
    while area.is_wide and steps > 1 and _edges_are_left_out(center, wanted):
        steps -= 1
        center = cell_of(area.center, steps)
    yield center
    own = center.bounds()
    last = None
    for east, north in ((0, 1), (0, -1), (1, 0), (-1, 0), (1, 1), (-1, 1), (1, -1), (-1, -1)):
        if steps >= 2 and (
            (north < 0 and own.south < wanted.south)
            or (north > 0 and own.north > wanted.north)
            or (east < 0 and own.west < wanted.west)
            or (east > 0 and own.east > wanted.east)
        ):
            continue
        cell = center.neighbour(east, north)
        if cell != last:
            yield cell
        last = cell


def _steps_for(area: Area) -> int:
    """The finest grid on which a cell and its neighbours should cover the area."""
    reach = area.reach
    if reach == 0:
        return STEPS
    steps = 1
    while reach < MERCATOR_MAX:
        reach *= 2
        steps += 1
    steps -= 2
    latitude = abs(area.center.latitude)
    if latitude > 66:  # cells become narrow towards the poles
        steps -= 1
        if latitude > 80:
            steps -= 1
    return max(1, min(steps, STEPS))


def _neighbours_cover(center: Cell, wanted: Bounds) -> bool:
    return not (
        center.neighbour(0, 1).bounds().north < wanted.north
        or center.neighbour(0, -1).bounds().south > wanted.south
        or center.neighbour(1, 0).bounds().east < wanted.east
        or center.neighbour(-1, 0).bounds().west > wanted.west
    )


def _edges_are_left_out(center: Cell, wanted: Bounds) -> bool:
    """Whether some of what is wanted, all on the map, is in none of the nine cells around the centre."""
    last = (1 << center.steps) - 1
    first = Cell(max(center.column - 1, 0), max(center.row - 1, 0), center.steps).bounds()
    final = Cell(min(center.column + 1, last), min(center.row + 1, last), center.steps).bounds()
    return (
        first.west > wanted.west
        or first.south > wanted.south
        or final.east < wanted.east
        or final.north < wanted.north
    )


def bounds_around(center: Place, width: float, height: float) -> Bounds:
    """The rectangle that reaches so many metres to the east and to the north. It is as wide as on the side
    of the pole, where degrees are shortest."""
    longitude, latitude = center
    north = height / EARTH_RADIUS / RADIANS
    edge = latitude - north if latitude < 0 else latitude + north
    east = width / EARTH_RADIUS / _cosine(edge * RADIANS) / RADIANS
    return Bounds(longitude - east, latitude - north, longitude + east, latitude + north)


def _cosine(angle: float) -> float:
    """Of an area without end, nothing is known: comparisons with NaN are false."""
    return math.cos(angle) if math.isfinite(angle) else math.nan
