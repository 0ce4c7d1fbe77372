"""`shoal proxy --processes N`: one process that starts, watches and replaces those that serve.

It holds the listening sockets and hands each of its processes some of them, so it serves nobody itself and
has little that could fail. A process that ends is started again, after a pause that grows; connections that
come meanwhile wait in its socket.

SIGHUP is a reload: the configuration is read again, new processes are started with it on the same sockets
(also those of a new version of the program, if there is one), and when all of them serve, each former process
hands its clients over to one of them. If the configuration makes no sense, or a new process does not come to
serve, those that run go on.

SIGTERM and SIGINT: all processes stop accepting, answer what is in flight (`--drain-timeout`), and end.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from cluster.supervisor.programs import proxy_command, source_environment
from proxy.config import ProxyConfig, parse
from proxy.processes.directory import Directory
from proxy.processes.listening import listen_tcp, listen_unix
from proxy.processes.place import END, Place

log = logging.getLogger("shoal.proxy")

START_SECONDS = 30.0
"""For a process to serve"""
KILL_SECONDS = 5.0
"""After a process should have ended"""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 15.0
LASTING_RUN = 30.0
"""Seconds after which a process' end is news rather than a repetition."""

Where = tuple[str, int, int]
"""Of a listening socket: address and port, or path and 0; and which of those that share them"""


class DidNotStart(Exception):
    pass


@dataclass(eq=False)
class Runner:
    """One process that serves."""

    index: int
    """Whose share of the sockets it has"""
    place: Place
    process: asyncio.subprocess.Process
    control: socket.socket
    started: float = field(default_factory=time.monotonic)
    leaving: bool = False

    async def serves(self) -> bool:
        """Waits until it does; False if it ends instead."""
        loop = asyncio.get_running_loop()
        with contextlib.suppress(OSError):
            return bool(await loop.sock_recv(self.control, 1))
        return False

    def ask_to_end(self, heir: socket.socket | None = None) -> None:
        self.leaving = True
        with contextlib.suppress(OSError):
            socket.send_fds(self.control, [END], [heir.fileno()] if heir else [])

    async def ended_within(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self.process.wait()
        except TimeoutError:
            log.warning("process %d does not end; killing it", self.process.pid)
            self.process.kill()
            await self.process.wait()


class Keeper:
    def __init__(self, argv: Sequence[str], config: ProxyConfig) -> None:
        self.argv = list(argv)
        self.config = config
        self.directory = Directory()
        self._sockets: dict[Where, socket.socket] = {}
        self._runners: list[Runner] = []
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()
        self._stop = asyncio.Event()
        self._reload = asyncio.Event()

    async def run(self) -> int:
        """Until a signal; returns the exit code."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)
        loop.add_signal_handler(signal.SIGHUP, self._reload.set)
        try:
            self._open_sockets(self.config)
            self._runners = await self._start_all(self.config, [])
            log.info("%d processes serve", len(self._runners))
            await self._serve()
            log.info("Stopping")
        except OSError as error:
            print(f"shoal proxy: {error.strerror}", file=sys.stderr)
            return 1
        except DidNotStart as error:
            print(f"shoal proxy: {error}", file=sys.stderr)
            return 1
        finally:
            await self._end_all()
        return 0

    async def _serve(self) -> None:
        """Reload whenever that is asked for, until a stop is."""
        while True:
            signs = [asyncio.ensure_future(event.wait()) for event in (self._stop, self._reload)]
            await asyncio.wait(signs, return_when=asyncio.FIRST_COMPLETED)
            for sign in signs:
                sign.cancel()
            if self._stop.is_set():
                return
            self._reload.clear()
            await self._replace_all()

    # Sockets

    def _open_sockets(self, config: ProxyConfig) -> None:
        """Open what `config` names and is not open yet. Raises OSError, and then has opened nothing."""
        opened: dict[Where, socket.socket] = {}
        try:
            for where in _wanted(config):
                if where in self._sockets:
                    continue
                address, port, which = where
                if not port:
                    opened[where] = listen_unix(address, config.backlog, config.unix_permissions)
                else:
                    if not which and not config.reuse_port and (address, port, 0) not in self._sockets:
                        listen_tcp(address, port, config.backlog, shared=False).close()  # is it free?
                    opened[where] = listen_tcp(address, port, config.backlog, shared=True)
        except OSError:
            for each in opened.values():
                each.close()
            raise
        self._sockets |= opened

    def _close_others(self, config: ProxyConfig) -> None:
        """Close what is open and not named in `config`."""
        for where in self._sockets.keys() - set(_wanted(config)):
            self._sockets.pop(where).close()
            if not where[1]:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(where[0])

    def _share(self, index: int, config: ProxyConfig) -> tuple[int, ...]:
        """Descriptors for one process: its own of each TCP address, and unix sockets, which all share."""
        return tuple(
            self._sockets[where].fileno() for where in _wanted(config) if not where[1] or where[2] == index
        )

    # Starting

    async def _start(self, index: int, config: ProxyConfig, legacies: Sequence[socket.socket] = ()) -> Runner:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with theirs:
            place = Place(
                next(self._numbers),
                self._share(index, config),
                theirs.fileno(),
                self.directory.path,
                tuple(each.fileno() for each in legacies),
                index,
            )
            process = await asyncio.create_subprocess_exec(
                *proxy_command(self.argv),
                stdin=asyncio.subprocess.DEVNULL,
                env=source_environment() | place.environment(),
                pass_fds=place.descriptors,
                process_group=0,  # Ctrl-C in a terminal is for the keeper alone
            )
        return Runner(index, place, process, ours)

    async def _start_all(
        self, config: ProxyConfig, legacies: Sequence[Sequence[socket.socket]]
    ) -> list[Runner]:
        """All that serve in the end, or DidNotStart and none. Watched from then on."""
        runners = []
        try:
            for index in range(config.processes):
                runners.append(await self._start(index, config, legacies[index] if legacies else ()))
            async with asyncio.timeout(START_SECONDS):
                answers = await asyncio.gather(*(runner.serves() for runner in runners))
            if not all(answers):
                raise DidNotStart("a process has ended while starting")
        except (DidNotStart, TimeoutError, OSError) as error:
            for runner in runners:
                with contextlib.suppress(ProcessLookupError):
                    runner.process.kill()
                await runner.process.wait()
                runner.control.close()
            if isinstance(error, TimeoutError):
                raise DidNotStart(f"a process does not serve after {START_SECONDS:.0f} s") from None
            raise
        for runner in runners:
            self._begin(self._watch(runner))
        return runners

    def _begin(self, work: asyncio._CoroutineLike[None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _watch(self, runner: Runner) -> None:
        """Until it ends; then another takes its place, if it should not have ended."""
        pause = SHORTEST_PAUSE
        while True:
            code = await runner.process.wait()
            runner.control.close()
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(self.directory.path, str(runner.place.number)))
            if runner.leaving or self._stop.is_set():
                return
            log.warning("process %d has ended with code %d; starting another", runner.process.pid, code)
            if time.monotonic() - runner.started >= LASTING_RUN:
                pause = SHORTEST_PAUSE
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            if self._stop.is_set() or runner not in self._runners:
                return
            successor = await self._start(runner.index, self.config)
            self._runners[self._runners.index(runner)] = runner = successor

    # Replacing

    async def _replace_all(self) -> None:
        log.info("Reloading")
        try:
            config = parse(self.argv)
        except SystemExit:
            log.error("the new configuration makes no sense; going on with the old one")
            return
        if not config.processes:
            log.error("the new configuration has no processes; going on with the old one")
            return
        former = list(self._runners)
        lines = [socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET) for _ in former]
        try:
            self._open_sockets(config)
            legacies: list[list[socket.socket]] = [[] for _ in range(config.processes)]
            for number, (_, end) in enumerate(lines):
                legacies[number % config.processes].append(end)
            self._runners = await self._start_all(config, legacies)
            for runner, (end, _) in zip(former, lines, strict=True):
                runner.ask_to_end(end)
                self._begin(runner.ended_within(self.config.drain_timeout + KILL_SECONDS))
            self.config = config
            log.info("%d new processes serve", config.processes)
        except (OSError, DidNotStart) as error:
            log.error("the reload is given up: %s", error.strerror if isinstance(error, OSError) else error)
        finally:
            for ends in lines:
                for end in ends:
                    end.close()
            self._close_others(self.config)

    async def _end_all(self) -> None:
        self._stop.set()
        for runner in self._runners:
            runner.ask_to_end()
        limit = self.config.drain_timeout + KILL_SECONDS
        await asyncio.gather(*(runner.ended_within(limit) for runner in self._runners))
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=limit)
        for (path, port, _), listener in self._sockets.items():
            listener.close()
            if not port:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
        self.directory.remove()


def _wanted(config: ProxyConfig) -> list[Where]:
    found: list[Where] = []
    for port in filter(None, (config.port, config.tls.tls_port)):
        found += [(address, port, which) for address in config.bind for which in range(config.processes)]
    if config.unix_socket:
        found.append((config.unix_socket, 0, 0))
    return found
