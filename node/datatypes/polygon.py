"""A polygon on the map as an area to search, given by its corners in degrees.

Its sides are straight on the map, not on the sphere: a place is inside if a ray from it to the east crosses
an odd number of them (the even-odd rule, with the edge cases of PNPOLY by W. R. Franklin, as in Valkey). So
no side crosses the 180th meridian: it goes round the Earth the other way. Distances are from the middle of
the corners, taken as points of the sphere. Where that is beyond the map, near a pole, Valkey finds nothing;
we take the place at the edge of the map instead, and all that is inside is found.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

from node.datatypes.geohash import RADIANS, Bounds, Place, distance

LEAST_CORNERS = 3
_NORTHMOST = 85.05
"""In degrees: the highest latitude of a middle."""


@dataclass(frozen=True, slots=True)
class Polygon:
    corners: tuple[Place, ...]
    """At least LEAST_CORNERS, in either direction; the last is joined to the first."""
    center: Place = field(init=False)
    is_wide: ClassVar[bool] = True

    def __post_init__(self) -> None:
        object.__setattr__(self, "center", _middle(self.corners))

    @property
    def bounds(self) -> Bounds:
        longitudes, latitudes = zip(*self.corners, strict=True)
        return Bounds(min(longitudes), min(latitudes), max(longitudes), max(latitudes))

    @property
    def reach(self) -> float:
        """Metres to the farthest corner of the bounds."""
        west, south, east, north = self.bounds
        return max(distance(self.center, Place(x, y)) for x in (west, east) for y in (south, north))

    def measure(self, place: Place) -> float | None:
        """Metres from the centre; None if the place is outside."""
        x, y = place
        inside = False
        for (other_x, other_y), (corner_x, corner_y) in pairwise((self.corners[-1], *self.corners)):
            if (corner_y > y) != (other_y > y):
                crossed_at = (other_x - corner_x) * (y - corner_y) / (other_y - corner_y) + corner_x
                inside ^= x < crossed_at
        return distance(self.center, place) if inside else None


def _middle(corners: tuple[Place, ...]) -> Place:
    """Where the sum of the vectors from the middle of the Earth to the corners points."""
    x = y = z = 0.0
    for corner in corners:
        longitude, latitude = corner.longitude * RADIANS, corner.latitude * RADIANS
        x += math.cos(latitude) * math.cos(longitude)
        y += math.cos(latitude) * math.sin(longitude)
        z += math.sin(latitude)
    latitude = math.atan2(z, math.sqrt(x * x + y * y)) / RADIANS
    return Place(math.atan2(y, x) / RADIANS, max(-_NORTHMOST, min(latitude, _NORTHMOST)))
