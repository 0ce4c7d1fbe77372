"""One question to several workers over connections of their own.

A shared connection stands still while a script runs that came over it. SCRIPT KILL, sent there, would wait
for the very script that it is to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from proxy.dialogue import Address, greeting, open_socket, raw_replies

TIMEOUT = 2.0


async def ask_aside(
    addresses: Sequence[Address], credentials: tuple[bytes, ...], version: int, argv: Sequence[bytes]
) -> list[bytes]:
    """The raw replies in the order of `addresses`, errors and unreachable workers as error replies."""
    return await asyncio.gather(*(_ask(address, credentials, version, argv) for address in addresses))


async def _ask(
    address: Address, credentials: tuple[bytes, ...], version: int, argv: Sequence[bytes]
) -> bytes:
    try:
        async with asyncio.timeout(TIMEOUT):
            connection = await open_socket(address)
            try:
                return (await raw_replies(connection, *greeting(credentials, version), argv))[-1]
            finally:
                connection.close()
    except (OSError, TimeoutError, EOFError, ValueError):
        return b"-CLUSTERDOWN upstream %b:%d does not answer\r\n" % (address[0].encode(), address[1])
