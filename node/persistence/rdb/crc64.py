"""CRC-64 of the Jones polynomial, reflected, starting at zero: what RDB files and DUMP payloads end with.

The check value (of `123456789`) is e9c6d914c4b8d9ca.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import crcmod

POLYNOMIAL: Final = 0x1AD93D23594C935A9

crc64: Final[Callable[..., int]] = crcmod.mkCrcFun(POLYNOMIAL, initCrc=0, rev=True, xorOut=0)
"""`crc64(data, crc=0)`: the checksum of `data` appended to data whose checksum is `crc`."""
