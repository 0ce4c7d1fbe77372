"""Places and scores there and back; searched cells against looking everywhere."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from node.datatypes.geohash import (
    EARTH_RADIUS,
    LATITUDE_MAX,
    STEPS,
    Area,
    Box,
    Cell,
    Circle,
    Place,
    as_signed,
    cell_of,
    cells_to_search,
    distance,
    interleaved,
    place_of,
    score_of,
    text_of,
)
from node.datatypes.polygon import LEAST_CORNERS, Polygon

places = st.builds(Place, st.floats(-180, 180), st.floats(-LATITUDE_MAX, LATITUDE_MAX))
calm_places = st.builds(Place, st.floats(-100, 100), st.floats(-60, 60))
"""Away from the edges of the map and the poles, where a search is known to miss places, in Redis as here."""


def test_a_known_place() -> None:
    """Palermo, as Redis' documentation of GEOADD, GEOPOS and GEOHASH has it."""
    palermo = Place(13.361389, 38.115556)
    assert score_of(palermo) == 3479099956230698
    assert place_of(3479099956230698) == Place(13.361389338970184, 38.1155563954963)
    assert text_of(place_of(3479099956230698)) == "sqc8b49rny0"
    catania = place_of(score_of(Place(15.087269, 37.502669)))
    assert round(distance(place_of(3479099956230698), catania), 4) == 166274.1516


@given(places)
def test_a_score_is_its_place_within_a_cell(place: Place) -> None:
    back = place_of(score_of(place))
    assert abs(back.longitude - place.longitude) <= 360 / (1 << STEPS)
    assert abs(back.latitude - place.latitude) <= 2 * LATITUDE_MAX / (1 << STEPS)
    assert back.is_on_map


@given(st.integers(0, (1 << 26) - 1), st.integers(0, (1 << 26) - 1))
def test_bits_alternate(column: int, row: int) -> None:
    digits = f"{interleaved(column, row):052b}"
    assert (int(digits[0::2], 2), int(digits[1::2], 2)) == (column, row)


@given(st.floats(allow_nan=False))
def test_any_score_is_a_place(score: float) -> None:
    assert place_of(score).is_on_map
    assert -(1 << 63) <= as_signed(score) < 1 << 63


@given(places, places)
def test_distances(one: Place, other: Place) -> None:
    assert distance(one, one) == 0
    assert distance(one, other) == pytest.approx(distance(other, one))
    assert 0 <= distance(one, other) <= math.pi * EARTH_RADIUS


def test_neighbours_go_around_the_world() -> None:
    corner = Cell(0, 7, 3)
    assert corner.neighbour(-1, 1) == Cell(7, 0, 3)
    assert corner.neighbour(1, -1) == Cell(1, 6, 3)
    assert corner.neighbour(0, 0) == corner


@given(places, st.integers(1, STEPS))
def test_a_place_is_in_its_cell(place: Place, steps: int) -> None:
    cell = cell_of(place, steps)
    first, end = cell.scores()
    assert first <= score_of(place) < end


@st.composite
def searches(draw: st.DrawFn) -> tuple[Area, list[Place]]:
    """An area of up to 2000 km, and places around."""
    center = draw(calm_places)
    size = draw(st.floats(1, 1_000_000))
    area: Area = Circle(center, size, 1.0)
    if draw(st.booleans()):
        area = Box(center, 2 * size, draw(st.floats(1, 2_000_000)), 1.0)
    offsets = draw(st.lists(st.tuples(st.floats(-1.2, 1.2), st.floats(-1.2, 1.2)), min_size=5, max_size=20))
    degrees = math.degrees(area.reach / EARTH_RADIUS)
    found = [Place(center.longitude + degrees * x, center.latitude + degrees * y) for x, y in offsets]
    return area, [place for place in found if place.is_on_map]


@given(searches())
def test_the_cells_cover_the_area(search: tuple[Area, list[Place]]) -> None:
    area, around = search
    ranges = [cell.scores() for cell in cells_to_search(area)]
    assert len(set(ranges)) == len(ranges)
    for place in around:
        score = score_of(place)
        if area.measure(place_of(score)) is not None:
            assert any(first <= score < end for first, end in ranges)


@st.composite
def polygons(draw: st.DrawFn) -> tuple[Polygon, list[Place]]:
    """Anywhere, also around the poles, and places within their bounds."""
    polygon = Polygon(tuple(draw(st.lists(places, min_size=LEAST_CORNERS, max_size=7))))
    west, south, east, north = polygon.bounds
    inside = st.builds(Place, st.floats(west, east), st.floats(south, north))
    return polygon, draw(st.lists(inside, min_size=5, max_size=20))


@given(polygons())
def test_the_cells_cover_any_polygon(search: tuple[Polygon, list[Place]]) -> None:
    polygon, within = search
    ranges = [cell.scores() for cell in cells_to_search(polygon)]
    assert len(set(ranges)) == len(ranges)
    for place in within:
        score = score_of(place)
        if polygon.measure(place_of(score)) is not None:
            assert any(first <= score < end for first, end in ranges)


def test_a_polygon_around_a_pole_has_its_middle_on_the_map() -> None:
    polygon = Polygon((Place(-90, 80), Place(0, 80), Place(90, 80), Place(180, 80)))
    assert polygon.center.is_on_map
    assert polygon.measure(Place(1, 79)) is None
    lens = Polygon((Place(-170, 70), Place(0, 85), Place(170, 70), Place(0, 60)))
    assert lens.measure(Place(0, 75)) == distance(lens.center, Place(0, 75))


@pytest.mark.parametrize("radius", [0.0, 1e9, math.inf])
def test_areas_without_size_or_end(radius: float) -> None:
    center = place_of(score_of(Place(10, 10)))
    assert Circle(center, radius, 1.0).measure(center) == 0
    cells = list(cells_to_search(Circle(center, radius, 1.0)))
    assert cells[0] == cell_of(center, STEPS if radius == 0 else 1)
