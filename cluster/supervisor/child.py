"""One watched process: spawned, its output passed on, restarted when it dies, stopped when asked.

A child leads a process group of its own, so that Ctrl-C in the terminal reaches the supervisor alone, which
then stops all in order. On Linux the kernel sends it SIGTERM if the supervisor dies without a word.

A child that dies is started again after a pause that doubles with each quick death (a wrong setting must not
turn into a busy loop) and is back at the shortest once a run has lasted. Its end is known when the kernel
says so, whoever else still holds its output: a snapshot that it forked off, for instance.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import cast

from cluster.supervisor.logs import LineSplitter, Speaker

SHORTEST_PAUSE = 0.5
LONGEST_PAUSE = 15.0
LASTING_RUN = 30.0
"""Seconds after which a death is news rather than a repetition."""
LAST_WORDS_SECONDS = 1.0
"""for what is left of the output of a process that has ended"""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None) if sys.platform == "linux" else None


class _Process(asyncio.SubprocessProtocol):
    """One run of the program."""

    def __init__(self, speaker: Speaker) -> None:
        self.ended = asyncio.Event()
        self.said_all = asyncio.Event()
        self.transport: asyncio.SubprocessTransport | None = None
        self._speaker = speaker
        self._splitter = LineSplitter()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.SubprocessTransport, transport)

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        for line in self._splitter.feed(data):
            self._speaker.say(line)

    def pipe_connection_lost(self, fd: int, exc: Exception | None) -> None:
        for line in self._splitter.end():
            self._speaker.say(line)
        self.said_all.set()

    def process_exited(self) -> None:
        self.ended.set()


class Child:
    """`keep_alive` says whether a death is followed by a new start. `before_restart` is called at once, has
    to come to its end first, and tells whether there shall be a next start. `told` is what it finds at its
    standard input, each time."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        directory: Path,
        environment: dict[str, str],
        speaker: Speaker,
        note: Callable[[str], None],
        before_restart: Callable[[], Awaitable[bool]] | None = None,
        told: bytes = b"",
    ) -> None:
        self.name = name
        self.command = list(command)
        self.speaker = speaker
        self.keep_alive = False
        """off while the cluster starts: a first start that fails is reported, not repeated"""
        self.exit_code: int | None = None
        """of the last run that ended"""
        self.failures = 0
        """How often it has ended since it was last seen to work (`worked`)."""
        self._directory = directory
        self._environment = environment
        self._note = note
        self._before_restart = before_restart
        self._told = told
        self._process: _Process | None = None
        self._stopping = asyncio.Event()
        self._hurry = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.transport.get_pid() if self._process and self._process.transport else None

    @property
    def running(self) -> bool:
        return self._process is not None and not self._process.ended.is_set()

    @property
    def succeeded(self) -> bool:
        """Whether its last run has ended as it should. Known before its last words are."""
        transport = self._process.transport if self._process is not None else None
        return transport is not None and transport.get_returncode() == 0

    def worked(self) -> None:
        """It was seen to do what it is there for."""
        self.failures = 0

    def hurry(self) -> None:
        """What kept it from starting is out of the way: start it now rather than after a pause."""
        self.failures = 0
        self._hurry.set()

    async def start(self) -> None:
        """Spawn it and begin to watch. Raises OSError when the program cannot be run at all."""
        await self._spawn()
        self._watch = asyncio.create_task(self._run())

    def ask_to_stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Send a signal; it is not started again from now on."""
        self._stopping.set()
        if self.running and self.pid is not None:
            # Not `send_signal`: it looks whether the process has ended, and would take the exit code away
            # from asyncio's watcher.
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGCONT)
                os.kill(self.pid, number)

    async def wait_stopped(self) -> None:
        if self._watch is not None:
            await self._watch

    async def _run(self) -> None:
        pause = SHORTEST_PAUSE
        while True:
            started = time.monotonic()
            assert self._process is not None
            await self._process.ended.wait()
            over = self._stopping.is_set() or not self.keep_alive
            decision = None
            if self._before_restart is not None and not over:
                decision = asyncio.ensure_future(self._before_restart())
            await self._hear_last_words(self._process)
            if over:
                return
            self.failures += 1
            if time.monotonic() - started >= LASTING_RUN:
                pause = SHORTEST_PAUSE
            self._note(f"{self.name} {describe_end(self.exit_code)}")
            if decision is not None and not await decision:
                return
            if await self._is_stopped_within(pause):
                return
            pause = min(pause * 2, LONGEST_PAUSE)
            self._note(f"starting {self.name} again")
            try:
                await self._spawn()
            except OSError as error:
                self._note(f"{self.name} cannot be started: {error}")

    async def _is_stopped_within(self, pause: float) -> bool:
        """Wait so long, unless it is to be stopped, or to hurry."""
        self._hurry.clear()
        signs = [asyncio.ensure_future(event.wait()) for event in (self._stopping, self._hurry)]
        await asyncio.wait(signs, timeout=pause, return_when=asyncio.FIRST_COMPLETED)
        for sign in signs:
            sign.cancel()
        return self._stopping.is_set()

    async def _spawn(self) -> None:
        self.exit_code = None
        with tempfile.TemporaryFile() as told:  # without a name, so nobody else finds it
            told.write(self._told)
            told.seek(0)
            _, self._process = await asyncio.get_running_loop().subprocess_exec(
                lambda: _Process(self.speaker),
                *self.command,
                stdin=told if self._told else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                cwd=self._directory,
                env=self._environment,
                process_group=0,
                preexec_fn=_end_with_parent if _libc else None,
            )

    async def _hear_last_words(self, process: _Process) -> None:
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(process.said_all.wait(), LAST_WORDS_SECONDS)
        assert process.transport is not None
        self.exit_code = process.transport.get_returncode()


def describe_end(code: int | None) -> str:
    """`ended with code 1`, `was killed by SIGKILL`."""
    if code is None:
        return "did not start"
    if code >= 0:
        return f"ended with code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"


def _end_with_parent() -> None:
    """Runs in the child, before the program. If the supervisor died in between, nobody would be there to
    signal."""
    assert _libc is not None
    _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() == 1:
        os._exit(1)
