"""HyperLogLog: a string of at most 12 KB that estimates how many different elements it has been shown.

An element's hash picks one of 16384 registers, which keeps the longest run of zero bits (plus one) it has
seen. The estimate comes from how many registers hold which value, by Otmar Ertl's improved raw estimator
(arXiv:1702.01284); its standard error is 0.81 %. Everything, down to the bytes, is Redis' own format, so that
the strings can be exchanged with other servers by GET, DUMP or a snapshot:

    "HYLL"  encoding  0 0 0  cardinality[8]  registers

    encoding 0, dense   registers of 6 bits, the first in the lowest bits of the first byte: 12288 bytes
    encoding 1, sparse  opcodes for runs of registers, from the first register to the last:
                            00nnnnnn             ZERO   n + 1 registers that are 0
                            01nnnnnn nnnnnnnn    XZERO  n + 1 registers that are 0
                            1vvvvvnn             VAL    n + 1 registers that are v + 1

`cardinality` is the last estimate, little-endian; its highest bit says that registers changed since.

A sparse string becomes dense, for good, when a register exceeds what VAL can say, or when an insertion would
make it longer than `hll-sparse-max-bytes`. Insertion works on the opcodes in place, in the steps of Redis, as
another order would leave other bytes.

Registers are handled all at once where possible, as `bytes` of 16384: node/core/registers.pyx.
"""

from __future__ import annotations

import math
import re
import struct
from itertools import groupby
from typing import Final

from node.core.registers import highest, histogram, pack, place, unpack
from node.datatypes.limits import limits

REGISTERS: Final = 16384
INDEX_BITS: Final = 14
HASH_BITS: Final = 64 - INDEX_BITS
"""Bits of a hash whose zeros are counted; a register is at most one more."""
HEADER: Final = 16
DENSE_SIZE: Final = HEADER + REGISTERS * 6 // 8

DENSE: Final = 0
SPARSE: Final = 1
ENCODING_AT: Final = 4
CARDINALITY: Final = slice(8, 16)
STALE_AT: Final = 15
"""The byte with the bit that makes the cardinality invalid."""
STALE: Final = 0x80

ZERO_MAX: Final = 64
XZERO: Final = 0x40
XZERO_MAX: Final = REGISTERS
VAL: Final = 0x80
VAL_MAX: Final = 32
"""The highest register that VAL can say."""
VAL_RUN_MAX: Final = 4
MERGED_OPCODES: Final = 5
"""How far from the one before an inserted opcode is looked for opcodes to merge."""

PASSING_GROWTH: Final = 3
"""How much longer than in the end a string may be while registers are raised from first to last: a VAL not
merged yet, and the opcode of the zeros that follow."""

ALPHA_INF: Final = 0.721347520444481703680
"""0.5 / ln 2."""

_OPCODES = re.compile(rb"[\x40-\x7f].?|[^\x40-\x7f]{1,64}", re.DOTALL)
"""One XZERO, or up to 64 of the opcodes of one byte. An XZERO cut off at the end lacks its 0."""


def _expanded(opcode: int) -> bytes:
    """The registers that an opcode of one byte stands for."""
    if opcode & VAL:
        return bytes(((opcode >> 2 & 31) + 1,)) * ((opcode & 3) + 1)
    return bytes(opcode + 1)


_EXPANDED: Final = [b"" if XZERO <= opcode < VAL else _expanded(opcode) for opcode in range(256)]
_SPANS: Final = bytes(map(len, _EXPANDED))
"""Opcode → how many registers it stands for, as a table for `bytes.translate`."""


class CorruptedError(ValueError):
    """The opcodes of a sparse string do not say exactly 16384 registers."""


class HyperLogLog:
    """One HyperLogLog, being read or changed; `data` is its string."""

    __slots__ = ("data",)

    def __init__(self, data: bytes | None = None) -> None:
        """Of a string that `is_valid`; an empty one by default."""
        if data is None:
            data = b"HYLL\1\0\0\0" + bytes(8) + _zeros(REGISTERS)
        self.data = bytearray(data)

    @property
    def is_dense(self) -> bool:
        return self.data[ENCODING_AT] == DENSE

    @property
    def encoding(self) -> str:
        return "dense" if self.is_dense else "sparse"

    # ------------------------------------------------------------------------------------- reading

    def registers(self) -> bytes:
        """All registers, a byte each. Raises CorruptedError."""
        if self.is_dense:
            return unpack(memoryview(self.data)[HEADER:])
        pieces: list[bytes] = []
        length = 0
        for found in _OPCODES.finditer(self.data, HEADER):
            run = found[0]
            piece = (
                bytes(_xzero_span(run)) if _is_xzero(run[0]) else b"".join(map(_EXPANDED.__getitem__, run))
            )
            pieces.append(piece)
            length += len(piece)
            if length > REGISTERS:
                raise CorruptedError
        if length != REGISTERS:
            raise CorruptedError
        return b"".join(pieces)

    def decode(self) -> str:
        """A sparse string's opcodes in letters: z:ZERO Z:XZERO v:VALUE,LENGTH."""
        words: list[str] = []
        for found in _OPCODES.finditer(self.data, HEADER):
            run = found[0]
            if _is_xzero(run[0]):
                words.append(f"Z:{_xzero_span(run)}")
                continue
            for opcode in run:
                registers = _EXPANDED[opcode]
                words.append(f"v:{registers[0]},{len(registers)}" if opcode & VAL else f"z:{len(registers)}")
        return " ".join(words)

    @property
    def cached_cardinality(self) -> int | None:
        """The estimate that the string carries; None if registers changed since."""
        if self.data[STALE_AT] & STALE:
            return None
        return int.from_bytes(self.data[CARDINALITY], "little")

    def cardinality(self) -> int:
        """The estimate, computed where necessary and then kept in the string. Raises CorruptedError."""
        cached = self.cached_cardinality
        if cached is None:
            cached = estimate(self.registers())
            self.data[CARDINALITY] = struct.pack("<q", cached)
        return cached

    # ------------------------------------------------------------------------------------- changing

    def add(self, element: bytes) -> bool:
        """True if a register changed. Raises CorruptedError."""
        return self.raise_register(*place(element))

    def raise_register(self, index: int, value: int) -> bool:
        """Make a register at least `value`. True if it was lower. Raises CorruptedError."""
        changed = (self._raise_dense if self.is_dense else self._raise_sparse)(index, value)
        if changed:
            self.invalidate()
        return changed

    def raise_registers(self, registers: bytes) -> None:
        """Make each register at least what it is in `registers`. Raises CorruptedError.

        One after the other, since when the string becomes dense depends on the lengths in between; but an
        empty one, if it stays short enough, may be written down at once.
        """
        own = self.registers()
        if self.is_dense:
            self.data[HEADER:] = pack(highest(own, registers))
            return
        if not any(own) and max(registers) <= VAL_MAX:
            opcodes = _opcodes_for(registers)
            if HEADER + len(opcodes) + PASSING_GROWTH <= limits.hll_sparse_max_bytes:
                self.data[HEADER:] = opcodes
                return
        for index, (mine, other) in enumerate(zip(own, registers, strict=True)):
            if other > mine:
                self.raise_register(index, other)

    def invalidate(self) -> None:
        self.data[STALE_AT] |= STALE

    def to_dense(self) -> None:
        """Raises CorruptedError. The cardinality stays as it was."""
        if not self.is_dense:
            self.data[HEADER:] = pack(self.registers())
            self.data[ENCODING_AT] = DENSE

    def _raise_dense(self, index: int, value: int) -> bool:
        at, shift = divmod(index * 6, 8)
        at += HEADER
        both = int.from_bytes(self.data[at : at + 2], "little")
        old = both >> shift & 63
        if value <= old:
            return False
        self.data[at : at + 2] = (both ^ (old ^ value) << shift).to_bytes(
            len(self.data[at : at + 2]), "little"
        )
        return True

    def _raise_sparse(self, index: int, value: int) -> bool:
        if value > VAL_MAX:
            return self._raise_promoted(index, value)
        at, first, before = self._locate(index)
        data = self.data
        opcode = data[at]
        size = 2 if _is_xzero(opcode) else 1
        span = _xzero_span(data[at : at + 2]) if size == 2 else _SPANS[opcode]
        if opcode & VAL and _EXPANDED[opcode][0] >= value:
            return False
        inserted = _run(opcode, index - first) + _val(value, 1) + _run(opcode, first + span - 1 - index)
        growth = len(inserted) - size
        if growth > 0 and len(data) + growth > limits.hll_sparse_max_bytes:
            return self._raise_promoted(index, value)
        data[at : at + size] = inserted
        self._merge(HEADER if before is None else before)
        return True

    def _raise_promoted(self, index: int, value: int) -> bool:
        self.to_dense()
        return self._raise_dense(index, value)

    def _locate(self, index: int) -> tuple[int, int, int | None]:
        """The opcode for a register: where it is, the first register it is for, where the one before is."""
        first = 0
        before: int | None = None
        for found in _OPCODES.finditer(self.data, HEADER):
            run, at = found[0], found.start()
            is_xzero = _is_xzero(run[0])
            spans = (_xzero_span(run),) if is_xzero else run.translate(_SPANS)
            total = sum(spans)
            if index >= first + total:
                first += total
                before = at if is_xzero else found.end() - 1
                continue
            for span in spans:
                if index < first + span:
                    return at, first, before
                first += span
                before = at
                at += 1
        raise CorruptedError

    def _merge(self, at: int) -> None:
        """Join neighbouring VAL opcodes of the same value, within five opcodes from `at` on."""
        data = self.data
        for _ in range(MERGED_OPCODES):
            if at >= len(data):
                return
            opcode = data[at]
            following = data[at + 1] if at + 1 < len(data) else 0
            if opcode & VAL and following & VAL and (opcode ^ following) < 4:
                length = (opcode & 3) + (following & 3) + 2
                if length <= VAL_RUN_MAX:
                    data[at : at + 2] = _val((opcode >> 2 & 31) + 1, length)
                    continue
            at += 2 if _is_xzero(opcode) else 1


def is_valid(header: bytes, length: int) -> bool:
    """Whether a string of so many bytes, which begins with HEADER bytes like this, may be a HyperLogLog."""
    if length < HEADER or header[:4] != b"HYLL" or header[ENCODING_AT] > SPARSE:
        return False
    return header[ENCODING_AT] == SPARSE or length == DENSE_SIZE


# --------------------------------------------------------------------------------------------- opcodes


def _is_xzero(opcode: int) -> bool:
    return opcode & 0xC0 == XZERO


def _xzero_span(opcode: bytes | bytearray) -> int:
    low = opcode[1] if len(opcode) > 1 else 0
    return ((opcode[0] & 0x3F) << 8 | low) + 1


def _zeros(length: int) -> bytes:
    if length == 0:
        return b""
    if length <= ZERO_MAX:
        return bytes((length - 1,))
    return bytes((XZERO | (length - 1) >> 8, (length - 1) & 0xFF))


def _val(value: int, length: int) -> bytes:
    return bytes((VAL | (value - 1) << 2 | (length - 1),))


def _opcodes_for(registers: bytes) -> bytes:
    """All registers as opcodes, none of them above VAL_MAX."""
    opcodes = bytearray()
    for value, group in groupby(registers):
        length = sum(1 for _ in group)
        if value == 0:
            opcodes += _zeros(length)
            continue
        whole, rest = divmod(length, VAL_RUN_MAX)
        opcodes += _val(value, VAL_RUN_MAX) * whole
        if rest:
            opcodes += _val(value, rest)
    return bytes(opcodes)


def _run(opcode: int, length: int) -> bytes:
    """`length` registers with the value of those of `opcode`; none for length 0."""
    if length and opcode & VAL:
        return _val(_EXPANDED[opcode][0], length)
    return _zeros(length)


# ------------------------------------------------------------------------------------------ the mathematics


def estimate(registers: bytes) -> int:
    """How many different elements left these registers."""
    counts = histogram(registers)
    total = REGISTERS * _tau((REGISTERS - counts[HASH_BITS + 1]) / REGISTERS)
    for value in range(HASH_BITS, 0, -1):
        total = (total + counts[value]) * 0.5
    total += REGISTERS * _sigma(counts[0] / REGISTERS)
    if total == 0:  # no element can do that, but a client can write any string
        return -1 << 63
    exact = ALPHA_INF * REGISTERS * REGISTERS / total
    whole = math.floor(exact)
    return whole + (exact - whole >= 0.5)


def _sigma(x: float) -> float:
    if x == 1.0:
        return math.inf
    y, z, last = 1.0, x, math.nan
    while z != last:
        x *= x
        last = z
        z += x * y
        y += y
    return z


def _tau(x: float) -> float:
    if x in (0.0, 1.0):
        return 0.0
    y, z, last = 1.0, 1 - x, math.nan
    while z != last:
        x = math.sqrt(x)
        last = z
        y *= 0.5
        z -= (1 - x) ** 2 * y
    return z / 3
