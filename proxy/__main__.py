"""`shoal proxy`: run one proxy in the foreground until SIGTERM or SIGINT.

Exit codes: 0 after a signal, 1 if an address cannot be listened on, 2 for a command line that makes no sense.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import Sequence

import uvloop

from proxy.config import ProxyConfig, parse
from proxy.server import ProxyServer

log = logging.getLogger("shoal.proxy")

LOG_LEVELS = {
    "debug": logging.DEBUG,
    "verbose": logging.INFO,
    "notice": logging.INFO,
    "warning": logging.WARNING,
}


def main(argv: Sequence[str] | None = None) -> int:
    config = parse(sys.argv[1:] if argv is None else argv)
    logging.basicConfig(
        stream=sys.stdout,
        level=LOG_LEVELS[config.log_level],
        format=f"{os.getpid()}:P %(asctime)s.%(msecs)03d %(levelname).1s %(message)s",
        datefmt="%d %b %Y %H:%M:%S",
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(config))


async def _serve(config: ProxyConfig) -> int:
    server = ProxyServer(config)
    try:
        await server.start()
    except OSError as error:
        print(f"shoal proxy: {error.strerror}", file=sys.stderr)
        return 1
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    where = [f"{address}:{server.port}" for address in config.bind] if config.port else []
    log.info("Server initialized")
    log.info("Ready to accept connections at %s", ", ".join([*where, *filter(None, [config.unix_socket])]))
    gc.freeze()  # what is loaded by now stays: no collection needs to look at it again
    await stopping.wait()
    log.info("Stopping")
    await server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
