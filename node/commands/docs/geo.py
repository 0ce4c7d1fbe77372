"""Geo: texts of COMMAND DOCS, in the form that the package describes."""

TEXT = """
geoadd: Places members on the map.
    time      O(log(N))
    syntax    key [condition=(NX | XX)]@6.2.0 [change=CH]@6.2.0 data=(longitude latitude member) ...
    6.2.0     CH, NX and XX.
geodist: Measures the way between two members.
    time      O(1)
    syntax    key member1 member2 [unit=(M | KM | FT | MI)]
geohash: Shows where members are, as Geohash strings.
    time      O(1)
    syntax    key [member ...]
geopos: Shows the longitude and latitude of members.
    time      O(1)
    syntax    key [member ...]
georadius: Finds the members within a circle, and may store them.
    time      O(N+log(M))
    syntax    key longitude latitude radius unit=(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH]
              [count-block=(COUNT count [ANY]@6.2.0)] [order=(ASC | DESC)] [store=(STORE storekey/key#1 |
              STOREDIST storedistkey/key#2)]
    6.2.0     ANY.
    7.0.0     Units in capitals.
    replaced  6.2.0 by GEOSEARCH and GEOSEARCHSTORE with BYRADIUS
georadius_ro: Finds the members within a circle.
    time      O(N+log(M))
    syntax    key longitude latitude radius unit=(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH]
              [count-block=(COUNT count [ANY]@6.2.0)] [order=(ASC | DESC)]
    6.2.0     ANY.
    7.0.0     Units in capitals.
    replaced  6.2.0 by GEOSEARCH with BYRADIUS
georadiusbymember: Finds the members within a circle around a member, and may store them.
    time      O(N+log(M))
    syntax    key member radius unit=(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] [count-block=(COUNT
              count [ANY])] [order=(ASC | DESC)] [store=(STORE storekey/key#1 | STOREDIST storedistkey/key#2)]
    6.2.0     ANY.
    7.0.0     Units in capitals.
    replaced  6.2.0 by GEOSEARCH and GEOSEARCHSTORE with BYRADIUS and FROMMEMBER
georadiusbymember_ro: Finds the members within a circle around a member.
    time      O(N+log(M))
    syntax    key member radius unit=(M | KM | FT | MI) [WITHCOORD] [WITHDIST] [WITHHASH] [count-block=(COUNT
              count [ANY])] [order=(ASC | DESC)]
    6.2.0     ANY.
    7.0.0     Units in capitals.
    replaced  6.2.0 by GEOSEARCH with BYRADIUS and FROMMEMBER
geosearch: Finds the members within a circle, a box or a polygon.
    time      O(N+log(M))
    syntax    key [from=(FROMMEMBER member | FROMLONLAT fromlonlat=(longitude latitude))] by=(circle=(BYRADIUS
              radius unit=(M | KM | FT | MI)) | box=(BYBOX width height unit=(M | KM | FT | MI)) |
              polygon=(BYPOLYGON num-vertices:integer vertices=(longitude latitude) ...)@9.0.0) [order=(ASC |
              DESC)] [count-block=(COUNT count [ANY])] [WITHCOORD] [WITHDIST] [WITHHASH]
    7.0.0     Units in capitals.
    9.0.0     BYPOLYGON.
geosearchstore: Stores the members within a circle, a box or a polygon.
    time      O(N+log(M))
    syntax    destination source#1 [from=(FROMMEMBER member | FROMLONLAT fromlonlat=(longitude latitude))]
              by=(circle=(BYRADIUS radius unit=(M | KM | FT | MI)) | box=(BYBOX width height unit=(M | KM | FT
              | MI)) | polygon=(BYPOLYGON num-vertices:integer vertices=(longitude latitude) ...)@9.0.0)
              [order=(ASC | DESC)] [count-block=(COUNT count [ANY])] [STOREDIST]
    7.0.0     Units in capitals.
    9.0.0     BYPOLYGON.
"""
