"""`shoal proxy`: run a proxy in the foreground until SIGTERM or SIGINT.

One process serves, or, with --processes, several that keeper.py looks after: each is this program, too.

Exit codes: 0 after a signal, 1 if an address cannot be listened on, 2 for a command line that makes no sense.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence

from node.log_lines import LineFormat
from proxy.config import ProxyConfig, parse
from proxy.processes.place import END, READY, Place, adopt, own_place

log = logging.getLogger("shoal.proxy")

LOG_LEVELS = {
    "debug": logging.DEBUG,
    "verbose": logging.INFO,
    "notice": logging.INFO,
    "warning": logging.WARNING,
}
WARNING = 3
MARKS_OF = {logging.DEBUG: 0, logging.INFO: 2}
"""Level of a record -> level of its line"""
LONGEST_LINE = 16384
"""Characters: the story of a bug is to be told to its end, and no client has any other part in a line."""


class Lines(logging.Formatter):
    def __init__(self, form: LineFormat) -> None:
        super().__init__()
        self._form = form

    def format(self, record: logging.LogRecord) -> str:
        level = MARKS_OF.get(record.levelno, WARNING)
        text = super().format(record)
        return self._form.line(os.getpid(), "P", level, record.created, text, LONGEST_LINE)


def main(argv: Sequence[str] | None = None) -> int:
    words = list(sys.argv[1:] if argv is None else argv)
    config = parse(words)
    place = own_place()
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(Lines(LineFormat(config.log_format, config.log_timestamps)))
    logging.basicConfig(handlers=[handler], level=LOG_LEVELS[config.log_level])
    if config.processes and place is None:
        from proxy.processes.keeper import Keeper

        return asyncio.run(Keeper(words, config).run())
    return _run(config, place)


def _run(config: ProxyConfig, place: Place | None) -> int:
    """Serve. Imports here what a process that only watches others has no use for."""
    from node.event_loop import new_event_loop

    factory = new_event_loop if config.own_poller else asyncio.SelectorEventLoop
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(_serve(config, place))


async def _serve(config: ProxyConfig, place: Place | None) -> int:
    from proxy.server import ProxyServer

    loop = asyncio.get_running_loop()
    ending = asyncio.Event()
    heirs: list[socket.socket] = []
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ending.set)
    loop.add_signal_handler(signal.SIGHUP, log.warning, "only a proxy with --processes can be reloaded")
    server = ProxyServer(config, place)
    try:
        await server.start()
    except OSError as error:
        print(f"shoal proxy: {error.strerror}", file=sys.stderr)
        return 1
    except ModuleNotFoundError as error:
        print(f"shoal proxy: --traces-to needs shoal[otel]: {error}", file=sys.stderr)
        return 1
    where = [f"{address}:{server.port}" for address in config.bind] if config.port else []
    log.info("Server initialized")
    log.info("Ready to accept connections at %s", ", ".join([*where, *filter(None, [config.unix_socket])]))
    if config.is_open_to_others and config.protected_mode:
        log.warning("Protected mode is on, and no password asked for: only clients of this host are let in")
    elif config.is_open_to_others:
        log.warning("Whoever reaches this address may do everything: no password is asked for")
    gc.freeze()  # what is loaded by now stays: no collection needs to look at it again
    if place is not None:
        await _listen_to_keeper(place, ending, heirs)
    await ending.wait()
    log.info("Stopping")
    await server.drain(heirs[0] if heirs else None)
    await server.stop()
    return 0


async def _listen_to_keeper(place: Place, ending: asyncio.Event, heirs: list[socket.socket]) -> None:
    """Say that we serve, and from now on hear when to end, and who the heir is."""
    loop = asyncio.get_running_loop()
    control = adopt(place.control)

    def heard() -> None:
        try:
            _, descriptors, _, _ = socket.recv_fds(control, len(END), 1)
        except OSError:
            descriptors = []
        heirs.extend(map(adopt, descriptors))
        loop.remove_reader(control)
        ending.set()

    await loop.sock_sendall(control, READY)
    loop.add_reader(control, heard)


if __name__ == "__main__":
    sys.exit(main())
