"""A number that stands for one key with all that belongs to it: whether two servers hold the same data, to
the last moment of expiry.

DEBUG DIGEST (digest.py) is what servers compare themselves by. It does not tell when a key or field expires,
nor what groups a stream has; it takes a server that allows DEBUG; and it costs a dozen hashes a key. This one
tells all that a backup must keep, is made of any decoded entry, and of strings costs one hash. It does not
tell encodings apart, because servers choose those.

    fingerprint = the first 16 bytes of SHA-256(head content)
    head        = "<database> <expiry in Unix ms, 0 for none> <type> <length of key>:" key
    content     = of a string its bytes; of what has an order its parts, each "<length>:" before it;
                  of what has none its count and the xor of the fingerprints of its elements

Fingerprints of keys are joined by xor, because keys stand in no order. Manifests of backups hold them, so the
scheme may change only together with the number of their format (cluster/backup/manifest.py).
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterable
from typing import Any, Final

from node.datatypes import Hash, List, Set, SortedSet, Stream, stream_id

BYTES: Final = 16
_LONG: Final = 4096
"""Strings above are not copied to be hashed; of short ones a copy is cheaper than a second call."""

_SCORE = struct.Struct("<d")


def fingerprint(database: int, key: bytes, value: Any, expire_at: int, as_of: int = 0) -> int | None:
    """Of one entry. `value`: bytes or a datatype object; `expire_at`: Unix ms, 0 for none.

    `as_of`: fields of hashes that expire until then are taken to be gone; None if nothing is left.
    """
    if isinstance(value, bytes) and len(value) > _LONG:
        whole = hashlib.sha256(b"%d %d string %d:%b" % (database, expire_at, len(key), key))
        whole.update(value)
        return int.from_bytes(whole.digest()[:BYTES], "big")
    if isinstance(value, bytes):
        return _number(b"%d %d string %d:%b%b" % (database, expire_at, len(key), key, value))
    content = _content(value, as_of)
    if content is None:
        return None
    kind = value.type_name.encode()
    return _number(b"%d %d %b %d:%b%b" % (database, expire_at, kind, len(key), key, content))


def _number(data: bytes) -> int:
    return int.from_bytes(hashlib.sha256(data).digest()[:BYTES], "big")


def _parts(*parts: bytes) -> bytes:
    return b"".join(b"%d:%b" % (len(part), part) for part in parts)


def _content(value: Any, as_of: int) -> bytes | None:
    if isinstance(value, List):
        return _in_order(value)
    if isinstance(value, Set):
        return _in_none(value)
    if isinstance(value, SortedSet):
        # Adding 0.0 makes one of the two zeros.
        return _in_none(_parts(member, _SCORE.pack(score + 0.0)) for member, score in value.items())
    if isinstance(value, Hash):
        fields = value.walk()
        left = [_parts(field, text, b"%d" % at) for field, text, at in fields if not 0 < at <= as_of]
        return _in_none(left) if left else None
    if isinstance(value, Stream):
        return _of_stream(value)
    raise TypeError(f"no fingerprint of {type(value).__name__}")


def _in_order(parts: Iterable[bytes]) -> bytes:
    whole = hashlib.sha256()
    for part in parts:
        whole.update(b"%d:%b" % (len(part), part))
    return whole.digest()


def _in_none(elements: Iterable[bytes]) -> bytes:
    whole = count = 0
    for element in elements:
        whole ^= _number(element)
        count += 1
    return b"%d %032x" % (count, whole)


def _of_stream(stream: Stream) -> bytes:
    entries = hashlib.sha256()
    for entry_id, pairs in stream.entries():
        entries.update(b"%b %d " % (_id(entry_id), len(pairs)))
        entries.update(_parts(*pairs))
    groups = hashlib.sha256()
    for name in sorted(stream.groups):
        group = stream.groups[name]
        read = -1 if group.entries_read is None else group.entries_read
        groups.update(_parts(name, _id(group.last_id), b"%d" % read))
        for entry_id in group.pending_ids:
            pending = group.pending[entry_id]
            groups.update(_parts(_id(entry_id), pending.consumer.name))
            groups.update(b"%d %d " % (pending.delivered_at, pending.deliveries))
        for consumer in group.sorted_consumers():
            groups.update(_parts(consumer.name, b"%d %d" % (consumer.seen_at, consumer.active_at)))
    facts = (_id(stream.last_id), _id(stream.max_deleted), b"%d" % stream.entries_added)
    return _parts(*facts, entries.digest(), groups.digest())


def _id(entry_id: int) -> bytes:
    return b"%d-%d" % stream_id.split(entry_id)
