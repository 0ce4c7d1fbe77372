"""One question to several workers over connections of their own.

A shared connection stands still while a script runs that came over it. SCRIPT KILL, sent there, would wait
for the very script that it is to end.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from proxy.workers.dialogue import Address, Login, greeting, open_line, raw_replies

TIMEOUT = 2.0


async def ask_aside(
    addresses: Sequence[Address], login: Login, version: int, argv: Sequence[bytes]
) -> list[bytes]:
    """The raw replies in the order of `addresses`, errors and unreachable workers as error replies."""
    return await asyncio.gather(*(_ask(address, login, version, argv) for address in addresses))


async def _ask(address: Address, login: Login, version: int, argv: Sequence[bytes]) -> bytes:
    try:
        async with asyncio.timeout(TIMEOUT):
            line = await open_line(address, login)
            try:
                return (await raw_replies(line, *greeting(login, version), argv))[-1]
            finally:
                line.close()
    except (OSError, TimeoutError, EOFError, ValueError):
        return b"-CLUSTERDOWN upstream %b:%d does not answer\r\n" % (address[0].encode(), address[1])
