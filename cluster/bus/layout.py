"""Where every field of the cluster bus stands: the offset table of protocol version 1.

All numbers on the bus are big-endian, nothing is padded by a compiler's will: each struct below is
written out field by field and its size is asserted at import, as the servers themselves assert it at
compile time. So a slip in this file is an ImportError, not a cluster that disagrees.

    message   := header (2256 bytes) body
    body      := gossip{count} extension{extensions}        PING, PONG, MEET
               | node id                                    FAIL
               | lengths, channel, message                  PUBLISH, PUBLISHSHARD
               | config epoch, node id, slots               UPDATE
               | module id, length, type, payload           MODULE
               | nothing                                    FAILOVER_AUTH_REQUEST, FAILOVER_AUTH_ACK, MFSTART
    extension := length (4, of all of it), type (2), 0 (2), data, zeros up to a multiple of 8

Valkey 8.0 and later knows a second, light form of message (16 bytes of header, type with bit 15 set)
that it sends only to members which announce that they read it, by a bit of their flags for each type. We do
so for what is published; any other light message is stepped over by its length.

Source: the struct declarations and static asserts in src/cluster_legacy.h of Redis 7.2 and Valkey 9.
"""

from __future__ import annotations

from struct import Struct

from cluster.slots import BITMAP_BYTES

SIGNATURE = b"RCmb"
VERSION = 1
LIGHT = 0x8000
"""Bit of `type`: the message has the light header."""

ID_BYTES = 40
IP_BYTES = 46
"""NET_IP_STR_LEN: the longest IPv6 address as text, with its terminating zero."""

HEADER_FIELDS: tuple[tuple[str, str, int], ...] = (
    # name, struct code, offset
    ("sig", "4s", 0),
    ("totlen", "I", 4),
    ("ver", "H", 8),
    ("port", "H", 10),
    ("type", "H", 12),
    ("count", "H", 14),
    ("currentEpoch", "Q", 16),
    ("configEpoch", "Q", 24),
    ("offset", "Q", 32),
    ("sender", f"{ID_BYTES}s", 40),
    ("myslots", f"{BITMAP_BYTES}s", 80),
    ("slaveof", f"{ID_BYTES}s", 2128),
    ("myip", f"{IP_BYTES}s", 2168),
    ("extensions", "H", 2214),
    ("notused1", "30s", 2216),
    ("pport", "H", 2246),
    ("cport", "H", 2248),
    ("flags", "H", 2250),
    ("state", "B", 2252),
    ("mflags", "3s", 2253),
)

HEADER = Struct(">" + "".join(code for _, code, _ in HEADER_FIELDS))
START = Struct(">4sI")
"""Signature and length: what is needed to find the end of a message."""
TYPE = Struct(">H2xH")
"""Version and type, at offset 8: the same place in both forms of header."""
TYPE_OFFSET = 8

GOSSIP = Struct(f">{ID_BYTES}sII{IP_BYTES}sHHHHH")
"""nodename, ping_sent, pong_received, ip, port, cport, flags, pport, notused1"""
FAIL = Struct(f">{ID_BYTES}s")
"""nodename"""
PUBLISH = Struct(">II")
"""channel_len, message_len; the bytes of both follow"""
UPDATE = Struct(f">Q{ID_BYTES}s{BITMAP_BYTES}s")
"""configEpoch, nodename, slots"""
MODULE = Struct(">QIB")
"""module_id, len, type; the payload follows"""
EXTENSION = Struct(">IHH")
"""length, type, unused"""
FORGOTTEN = Struct(f">{ID_BYTES}sQ")
"""name, ttl in seconds"""
VOUCHED = Struct(f">{ID_BYTES}sQ")
"""Ours: name, ms"""
OUTSIDE = Struct(">HH")
"""Ours: port, TLS port; the host follows, ended by a zero"""

LIGHT_HEADER = Struct(">4sIH2xH2x")
"""sig, totlen, ver, type"""
LIGHT_HEADER_BYTES = 16


def _check() -> None:
    """ImportError if a format above does not put its fields where the servers have them."""
    at = 0
    for name, code, offset in HEADER_FIELDS:
        if at != offset:
            raise ImportError(f"bus header: field {name} at {at}, must be at {offset}")
        at += Struct(">" + code).size
    sizes = {
        HEADER: 2256,
        START: 8,
        LIGHT_HEADER: LIGHT_HEADER_BYTES,
        TYPE: 6,
        GOSSIP: 104,
        FAIL: 40,
        PUBLISH: 8,
        UPDATE: 2096,
        MODULE: 13,
        EXTENSION: 8,
        FORGOTTEN: 48,
        VOUCHED: 48,
        OUTSIDE: 4,
    }
    for struct, size in sizes.items():
        if struct.size != size:
            raise ImportError(f"bus struct {struct.format}: {struct.size} bytes, must be {size}")


_check()
