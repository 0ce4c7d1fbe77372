"""Geo commands beside redis-server and valkey-server: the same members, order, digits and errors."""

from __future__ import annotations

import random

import pytest

from node.datatypes.geohash import Place
from node.datatypes.polygon import Polygon
from tests.compat.differential import Command, compare, parse_script
from tests.harness.servers import Oracle, ShoalNode

SICILY = """
geoadd Sicily 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
geoadd Sicily 13.583333 37.316667 Agrigento
geoadd Sicily 13.361389 38.115556 Palermo
"""

ADDING = """
geoadd g 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
geoadd g CH 13.361389 38.115556 Palermo 15 37 Catania
geoadd g nx ch 1 1 Palermo 2 2 new
geoadd g XX 3 3 Palermo 3 3 absent
geoadd g xx nx 1 1 a
geoadd g xx nx 1 x a
geoadd g nx nx ch 1 1 again
geoadd g nx nx nx nx
geoadd g nx
geoadd g gt 1 1 a
geoadd g 1 1
geoadd g 1 1 a 2
geoadd g 180 85.05112878 corner
geoadd g -180 -85.05112878 other
geoadd g 180.0001 1 a
geoadd g 1 85.0512 a
geoadd g inf 1 a
geoadd g -inf 1 a
geoadd g 1e300 0 a
geoadd g nan 1 a
geoadd g x 1 a
geoadd g 1 x a
geoadd g 1 1 a 1 x b
geoadd g 1e5000 1 a
geoadd new XX 1 1 a
exists new
zrange g 0 -1 withscores
geoadd twice 1 1 a 2 2 a
zrange twice 0 -1 withscores
geoadd
geoadd g
geoadd g 1 1 a b c d
set s x
geoadd s 1 1 a
geoadd s 1 x a
object encoding g
"""

SHOWING = (
    SICILY
    + """
zadd odd -5 neg inf inf 1e30 big -1e30 low 1.5 frac -inf ninf 9007199254740993 m 18446744073709549568 u
geohash Sicily Palermo Catania nobody Agrigento
geohash Sicily
geohash nokey a b
geohash nokey
geohash odd neg inf big low frac ninf m u
geodist Sicily Palermo Catania
geodist Sicily Palermo Catania m
geodist Sicily Palermo Catania KM
geodist Sicily Palermo Catania Mi
geodist Sicily Palermo Catania ft
geodist Sicily Palermo Catania yd
geodist Sicily Palermo Catania m m
geodist Sicily Palermo Palermo
geodist Sicily Palermo nobody
geodist nokey a b
geodist nokey a b yd
geodist Sicily Palermo
geodist odd neg inf
geodist odd big low mi
set s x
geodist s a b
geodist s a b yd
geopos s a
geohash s a
geopos nokey
geohash
geopos
"""
)

POSITIONS = (
    SICILY
    + """
geoadd g 180 85.05112878 corner -180 -85.05112878 other 0 0 zero
zadd odd -5 neg inf inf 1e30 big -1e30 low 1.5 frac -inf ninf 9007199254740993 m 18446744073709549568 u
geopos Sicily Palermo nobody Catania Agrigento
geopos g corner other zero
geopos nokey a b
geopos odd neg inf big low frac ninf m u
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km WITHCOORD
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km WITHCOORD WITHHASH WITHDIST DESC
georadius Sicily 15 37 300 km WITHCOORD ASC
georadiusbymember Sicily Palermo 300 km WITHCOORD COUNT 1
geosearch Sicily FROMMEMBER nobody BYRADIUS 1 m
geosearchstore d Sicily FROMMEMBER nobody BYRADIUS 1 m
georadiusbymember Sicily nobody 1 m
georadiusbymember Sicily nobody x y
geosearch Sicily FROMMEMBER Palermo ASC ASC ASC
geoSearch Sicily ASC ASC ASC ASC ASC
geosearchstore d Sicily ASC ASC ASC ASC ASC
GEOSEARCH Sicily FROMMEMBER Palermo ASC ASC ASC
GEOSEARCH nokey FROMLONLAT 1 1 ASC ASC
GEOSEARCHSTORE d nokey FROMLONLAT 1 1 ASC ASC
"""
)

SEARCHING = (
    SICILY
    + """
geoadd Sicily 12.758489 38.788135 edge1 17.241510 38.788135 edge2
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 200 km ASC
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 200 km DESC
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 200 km
geosearch Sicily FROMLONLAT 15 37 BYBOX 400 400 km ASC WITHDIST
geosearch Sicily FROMLONLAT 15 37 BYBOX 400 400 km
geosearch Sicily FROMLONLAT 15 37 BYBOX 200 600 mi WITHHASH
geosearch Sicily bybox 1 1 m frommember Palermo withdist
geosearch Sicily FROMMEMBER Palermo BYRADIUS 0 m
geosearch Sicily FROMMEMBER Palermo BYBOX 0 0 m WITHDIST
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 200 km COUNT 1
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km COUNT 2 DESC WITHDIST
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km COUNT 2 ANY
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km COUNT 3 ANY DESC
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km ANY COUNT 100 ASC
geosearch Sicily FROMLONLAT 15 37 BYRADIUS inf km ASC WITHDIST
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 1e300 mi ASC
geosearch Sicily FROMLONLAT 15 37 BYBOX inf 100 km ASC
geosearch Sicily FROMLONLAT 15 37 BYBOX 100 inf km ASC
geosearch Sicily FROMLONLAT -165 -37 BYRADIUS 30000 km DESC WITHDIST
geosearch Sicily FROMLONLAT 180 85.05112878 BYRADIUS 10000 km ASC WITHDIST
geosearch Sicily FROMLONLAT -180 -85.05112878 BYBOX 10000 30000 km ASC WITHDIST
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km ANY
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km COUNT 0
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km COUNT -1
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km COUNT x
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km COUNT
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km foo
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km STORE d
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km STOREDIST
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 300 km BYBOX 1 1 km
geosearch Sicily FROMLONLAT 15 37 BYBOX 1 1 km BYRADIUS 300 km
geosearch Sicily FROMLONLAT 15 37 FROMMEMBER Palermo BYRADIUS 300 km
geosearch Sicily FROMMEMBER Palermo FROMLONLAT 15 37 BYRADIUS 300 km
geosearch Sicily FROMMEMBER Palermo FROMMEMBER Catania BYRADIUS 1 km
geosearch Sicily FROMLONLAT 15 BYRADIUS 300 km
geosearch Sicily FROMLONLAT 200 37 BYRADIUS 300 km
geosearch Sicily FROMLONLAT x 37 BYRADIUS 300 km
geosearch Sicily FROMLONLAT 15 37 BYRADIUS x km
geosearch Sicily FROMLONLAT 15 37 BYRADIUS -1 km
geosearch Sicily FROMLONLAT 15 37 BYRADIUS -1 yd
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 1 yd
geosearch Sicily FROMLONLAT 15 37 BYRADIUS 1
geosearch Sicily FROMLONLAT 15 37 BYBOX x 1 km
geosearch Sicily FROMLONLAT 15 37 BYBOX 1 x km
geosearch Sicily FROMLONLAT 15 37 BYBOX 1 -1 km
geosearch Sicily FROMLONLAT 15 37 BYBOX 1 1 yd
geosearch Sicily FROMLONLAT 15 37 BYBOX 1 1
GEOSEARCH Sicily BYRADIUS 300 km ASC ASC
geosearch Sicily FROMLONLAT 15 37 BYRADIUS
geosearch nokey FROMMEMBER a BYRADIUS 300 km
geosearch nokey FROMMEMBER a BYRADIUS x km
geosearch nokey FROMMEMBER a BYRADIUS 1 km ANY
geosearch nokey FROMLONLAT 15 37 BYRADIUS 300 km COUNT 1
set s x
geosearch s FROMLONLAT 15 37 BYRADIUS 300 km
geosearch s foo bar baz qux quux
zadd odd -5 neg inf inf 1e30 big -1e30 low 1.5 frac -inf ninf
geosearch odd FROMLONLAT 0 0 BYRADIUS 30000 km WITHDIST WITHHASH ASC
geosearch odd FROMMEMBER inf BYRADIUS 30000 km WITHDIST WITHHASH ASC
geosearch odd FROMMEMBER neg BYBOX 100 100 km WITHDIST WITHHASH
"""
)

STORING = (
    SICILY
    + """
geosearchstore d Sicily FROMLONLAT 15 37 BYRADIUS 200 km
zrange d 0 -1 withscores
geosearchstore d Sicily FROMLONLAT 15 37 BYBOX 400 400 km COUNT 2 ASC STOREDIST
zrange d 0 -1 withscores
geosearchstore d Sicily FROMLONLAT 15 37 BYBOX 400 400 km WITHDIST
geosearchstore d Sicily FROMLONLAT 15 37 BYBOX 400 400 km WITHCOORD
geosearchstore d Sicily FROMLONLAT 15 37 BYBOX 400 400 km WITHHASH
geosearchstore d Sicily FROMLONLAT 15 37 BYBOX 400 400 km ANY
geosearchstore d Sicily FROMLONLAT 15 37 BYBOX 400 400 km STOREDIST STOREDIST STORE x
geosearchstore d Sicily FROMLONLAT 0 0 BYRADIUS 1 km
exists d
geosearchstore Sicily2 Sicily FROMLONLAT 15 37 BYRADIUS 300 km
geosearchstore Sicily2 Sicily2 FROMLONLAT 15 37 BYRADIUS 100 km
zrange Sicily2 0 -1
geosearchstore Sicily2 nokey FROMLONLAT 15 37 BYRADIUS 100 km
exists Sicily2
set s x
geosearchstore d s FROMLONLAT 15 37 BYRADIUS 100 km
geosearchstore s Sicily FROMLONLAT 15 37 BYRADIUS 100 km
type s
GEOSEARCHSTORE d Sicily BYRADIUS 300 km ASC ASC
georadius Sicily 15 37 200 km
georadius Sicily 15 37 200 km WITHDIST WITHHASH ASC
georadius Sicily 15 37 200 mi COUNT 1 DESC
georadius Sicily 15 37 200 km STORE d
zrange d 0 -1 withscores
georadius Sicily 15 37 200 km STOREDIST d
zrange d 0 -1 withscores
georadius Sicily 15 37 200 km STORE e STOREDIST d COUNT 1
zrange d 0 -1 withscores
exists e
georadius Sicily 15 37 200 km STORE d WITHDIST
georadius Sicily 15 37 200 km STORE
georadius Sicily 15 37 200 km FROMMEMBER Palermo
georadius Sicily 0 0 1 km STORE d
exists d
georadius_ro Sicily 15 37 200 km ASC
georadius_ro Sicily 15 37 200 km STORE d
georadius Sicily 15 37 200
georadius Sicily 15 37 200 yd
georadius Sicily 15 37 x km
georadius Sicily 15 370 200 km
georadius Sicily 15 37 -1 km
georadius Sicily 15 37 200 km ANY
georadius Sicily 15 37 200 km COUNT 0
georadius nokey 15 37 200 km
georadius nokey 15 37 x km
set d x
georadius nokey 15 37 200 km STORE d
exists d
georadiusbymember Sicily Palermo 200 km
georadiusbymember Sicily Palermo 200 km WITHDIST DESC
georadiusbymember Sicily Palermo 200 yd
georadiusbymember Sicily Palermo x km
georadiusbymember Sicily Palermo 200 km STOREDIST d
zrange d 0 -1 withscores
georadiusbymember_ro Sicily Palermo 200 km COUNT 1 ANY
georadiusbymember_ro Sicily Palermo 200 km STOREDIST d
georadiusbymember nokey Palermo x yd
georadiusbymember nokey Palermo x yd foo
georadiusbymember nokey Palermo x yd STORE d
exists d
@redis georadiusbymember s Palermo 1 m
georadius s 15 37 x km
set t x
georadius t 15 37 x km
"""
)

POLYGONS = """
geoadd g 0.5 0.5 a 1 1 b 0.2 1.2 c 5 5 d -179.9 0.5 e 179.9 0.5 f 0.5 85 g 13.3613 38.1155 Palermo
geosearch g bypolygon 3 0 0 0 2 2 2
geosearch g bypolygon 4 0 0 0 2 2 2 2 0 DESC WITHDIST
geosearch g bypolygon 4 0 0 0 2 2 2 2 0 ASC WITHDIST WITHHASH
geosearch g bypolygon 4 0 0 0 2 2 2 2 0 COUNT 1
geosearch g bypolygon 4 0 0 0 2 2 2 2 0 COUNT 1 ANY
geosearch g bypolygon 4 0 0 0 2 2 2 2 0 ANY
geosearch g bypolygon 4 0 0 2 2 0 2 2 0 ASC
geosearch g bypolygon 4 -180 -85 -180 85 180 85 180 -85 ASC WITHDIST
geosearch g bypolygon 4 80 0 -80 0 -80 1 80 1 ASC
geosearch g bypolygon 3 0 0 0 0 0 0
geosearch g bypolygon 3 0.5 0 0.5 1 0.5 2
geosearch g bypolygon 5 0 0 1 0.9 2 0 2 3 0 3 asc
geosearch g desc bypolygon 4 0 0 0 2 2 2 2 0
geosearch g bypolygon 3 0 0 0 2 2 2 bypolygon 3 0 0 2 0 2 2
geosearch g bypolygon
geosearch g bypolygon 2 0 0 1 1
geosearch g bypolygon 0 0 0 1 1 2
geosearch g bypolygon -1 0 0 1 1 2 2
geosearch g bypolygon x 0 0 1 1 2
geosearch g bypolygon 2147483648 0 0 1 1 2 2
geosearch g bypolygon 1000000000 0 0 1 1 2 2
geosearch g bypolygon 4 0 0 1 1 2 2
geosearch g bypolygon 4 0 0 1 1 2 2 asc
geosearch g bypolygon 4 0 0 1 1 2 2 asc count 1
geosearch g bypolygon 3 0 0 1 1 2 200
geosearch g bypolygon 3 0 x 1 1 2 2
geosearch g bypolygon 3 0 0 1 1 2 2 km
geosearch g bypolygon 3 0 0 1 1 2 2 byradius 1 km
geosearch g bypolygon 3 0 0 1 1 2 2 bybox 1 1 km
geosearch g bypolygon 3 0 0 1 1 2 2 frommember a
geosearch g bypolygon 3 0 0 1 1 2 2 fromlonlat 1 1
geosearch g frommember a bypolygon 3 0 0 1 1 2 2
geosearch g byradius 1 km bypolygon 3 0 0 1 1 2 2
geosearch nokey bypolygon 3 0 0 1 1 2 2
geosearch nokey bypolygon 3 0 0 1 1 2 99
geosearchstore d g bypolygon 4 0 0 0 2 2 2 2 0
zrange d 0 -1 withscores
geosearchstore d g bypolygon 4 0 0 0 2 2 2 2 0 STOREDIST
zrange d 0 -1
geosearchstore d g bypolygon 3 0 0 1 1 2 2 WITHDIST
geosearchstore d g bypolygon 3 60 60 61 61 62 60
exists d
georadius g bypolygon 3 0 0 0 2 2 2
"""

SCRIPTS = {"adding": ADDING, "showing": SHOWING, "searching": SEARCHING, "storing": STORING}
ONLY_REDIS = {"positions": POSITIONS}
"""Valkey prints positions with 17 decimals, and has other words for members that are not there."""


ONLY_VALKEY = {"polygons": POLYGONS}


@pytest.mark.parametrize("protocol", [2, 3])
@pytest.mark.parametrize("name", SCRIPTS | ONLY_REDIS)
def test_like_redis(name: str, protocol: int, shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    compare(shoal_node, redis_oracle, parse_script((SCRIPTS | ONLY_REDIS)[name], redis_oracle), protocol)


@pytest.mark.parametrize("name", SCRIPTS | ONLY_VALKEY)
def test_like_valkey(name: str, shoal_node: ShoalNode, valkey_oracle: Oracle) -> None:
    compare(shoal_node, valkey_oracle, parse_script((SCRIPTS | ONLY_VALKEY)[name], valkey_oracle))


def random_search(chance: random.Random) -> Command:
    longitude, latitude = random_place(chance)
    size = b"%.3f" % 10 ** chance.uniform(0, 7.5)
    other = b"%.3f" % 10 ** chance.uniform(0, 7.5)
    area = chance.choice([[b"BYRADIUS", size, b"m"], [b"BYBOX", size, other, b"ft"]])
    options: list[bytes] = chance.choice([[], [b"WITHDIST"], [b"WITHDIST", b"WITHHASH"]])
    order: list[bytes] = chance.choice(
        [[], [b"ASC"], [b"DESC"], [b"COUNT", b"5"], [b"COUNT", b"7", b"ANY"], [b"COUNT", b"3", b"DESC"]]
    )
    return [b"GEOSEARCH", b"g", b"FROMLONLAT", longitude, latitude, *area, *order, *options]


def random_place(chance: random.Random) -> tuple[bytes, bytes]:
    """Anywhere, or around a city, or at the edges; not symmetrical, lest two be equally far from a third."""
    kind = chance.randrange(3)
    if kind == 0:
        return b"%.6f" % chance.uniform(-180, 180), b"%.6f" % chance.uniform(-85, 85)
    if kind == 1:
        return b"%.9f" % chance.gauss(13.4, 0.5), b"%.9f" % chance.gauss(52.5, 0.5)
    return b"%.4f" % chance.choice([-179.98, 179.99, 0, 180]), b"%.4f" % chance.choice([85.05, -85.04, 0, 70])


@pytest.mark.parametrize("count", [100, 1500])
def test_random_searches(count: int, shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    """Of a compact and of a large set."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    script: list[Command] = [
        [b"GEOADD", b"g", *random_place(chance), b"member-%d" % number] for number in range(count)
    ]
    script += [[b"GEODIST", b"g", b"member-1", b"member-%d" % number] for number in range(60)]
    script += [random_search(chance) for _ in range(200)]
    compare(shoal_node, redis_oracle, without_ties(script), note=f"seed {seed}, ")


def random_polygon(chance: random.Random) -> Command:
    """Of any shape: sides may cross. Not so wide that Valkey misses places, nor around a pole, where it finds
    none."""
    while True:
        corners = [random_place(chance) for _ in range(chance.randrange(3, 8))]
        polygon = Polygon(tuple(Place(float(x), float(y)) for x, y in corners))
        if polygon.bounds.east - polygon.bounds.west < 180 and abs(polygon.center.latitude) < 85.05:
            break
    flat = [coordinate for corner in corners for coordinate in corner]
    return [b"GEOSEARCH", b"g", b"BYPOLYGON", b"%d" % len(corners), *flat, b"ASC", b"WITHDIST"]


def test_random_polygons(shoal_node: ShoalNode, valkey_oracle: Oracle) -> None:
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    script: list[Command] = [
        [b"GEOADD", b"g", *random_place(chance), b"member-%d" % number] for number in range(500)
    ]
    script += [random_polygon(chance) for _ in range(200)]
    compare(shoal_node, valkey_oracle, without_ties(script), note=f"seed {seed}, ")


def test_random_positions(shoal_node: ShoalNode, redis_oracle: Oracle, valkey_oracle: Oracle) -> None:
    """The same digits as Redis 8, and the same doubles as Valkey, which prints 17 decimals."""
    seed = random.randrange(1 << 32)
    chance = random.Random(seed)
    triples = [word for number in range(300) for word in (*random_place(chance), b"%d" % number)]
    found: list[list[bytes]] = []
    for server in (shoal_node, redis_oracle, valkey_oracle):
        with server.resp() as connection:
            connection.command("GEOADD", "g", *triples)
            places = connection.command("GEOPOS", "g", *range(300))
        found.append([coordinate for place in places for coordinate in place])
    assert found[0] == found[1], f"seed {seed}"
    ours, theirs = (list(map(float, coordinates)) for coordinates in (found[0], found[2]))
    assert ours == pytest.approx(theirs, rel=0, abs=1e-16), f"seed {seed}"


def without_ties(script: list[Command]) -> list[Command]:
    """Members at one place are equally far, and in which order they come is not promised."""
    seen: set[tuple[bytes, bytes]] = set()
    kept: list[Command] = []
    for command in script:
        if command[0] == b"GEOADD":
            if (command[2], command[3]) in seen:
                continue
            seen.add((command[2], command[3]))
        kept.append(command)
    return kept
