"""The library `bit`: LuaBitOp's functions on 32-bit integers.

Semantics from https://bitop.luajit.org/semantics.html: a number is taken modulo 2**32 (rounded to the nearest
integer first, halves to even), a result is signed.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any

from node.scripting.arguments import number_at

_MASK = 0xFFFFFFFF


def _bits(args: tuple[Any, ...], at: int, function: str) -> int:
    value = number_at(args, at, function)
    if isinstance(value, float):
        value = round(value) if abs(value) < 2.0**63 else 0
    return value & _MASK


def _signed(value: int) -> int:
    value &= _MASK
    return value - (1 << 32) if value >> 31 else value


def tobit(*args: Any) -> int:
    return _signed(_bits(args, 0, "tobit"))


def bnot(*args: Any) -> int:
    return _signed(~_bits(args, 0, "bnot"))


def bswap(*args: Any) -> int:
    return _signed(int.from_bytes(_bits(args, 0, "bswap").to_bytes(4, "little"), "big"))


def tohex(*args: Any) -> bytes:
    """tohex(x [, digits]): negative digits for upper case."""
    value = _bits(args, 0, "tohex")
    digits = _signed(_bits(args, 1, "tohex")) if len(args) > 1 else 8
    count = min(abs(digits), 8)
    text = b"%08x" % value
    text = text[8 - count :]
    return text.upper() if digits < 0 else text


def _folding(name: str, operation: Callable[[int, int], int]) -> Callable[..., int]:
    def fold(*args: Any) -> int:
        return _signed(reduce(operation, [_bits(args, i, name) for i in range(max(1, len(args)))]))

    return fold


def _shifting(name: str, operation: Callable[[int, int], int]) -> Callable[..., int]:
    def shift(*args: Any) -> int:
        return _signed(operation(_bits(args, 0, name), _bits(args, 1, name) & 31))

    return shift


LIBRARY: dict[str, Callable[..., Any]] = {
    "tobit": tobit,
    "bnot": bnot,
    "bswap": bswap,
    "tohex": tohex,
    "band": _folding("band", lambda a, b: a & b),
    "bor": _folding("bor", lambda a, b: a | b),
    "bxor": _folding("bxor", lambda a, b: a ^ b),
    "lshift": _shifting("lshift", lambda a, n: a << n),
    "rshift": _shifting("rshift", lambda a, n: a >> n),
    "arshift": _shifting("arshift", lambda a, n: _signed(a) >> n),
    "rol": _shifting("rol", lambda a, n: a << n | a >> (32 - n)),
    "ror": _shifting("ror", lambda a, n: a >> n | a << (32 - n)),
}
