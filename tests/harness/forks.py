"""Programs of ours that begin at once, because a process that has imported everything forks them.

    forks = FORKS["cluster.node_process"]
    node = forks.start(["--port", "7000"], directory, log)     # then as subprocess.Popen

A run of the tests starts more than a thousand workers, and most of what it takes to start one is to import
what all have in common. So a forker, a process that is started as any other, imports the program, and then
forks for each that is to be started. What comes of it is a process of its own like others, but for three
things: its command line is the forker's, it shares memory with it until either writes there, and it was not
the interpreter's start that chose its secrets. So neighbours come of forkers that take turns, in order to be
strangers to each other: Python orders their sets differently. Who measures memory starts afresh
(`Process.forked`), as all tests do with SHOAL_FULL=1.

The forker reads a request from its socket: JSON, with two descriptors, one for what the program
prints, and one to write its end to, in decimals as `subprocess` has it. It answers with the pid. It ends when
nobody holds the other end of the socket, and the kernel ends all that it has forked along with it.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import itertools
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

from tests.harness.environment import die_with_parent, source_environment

LONGEST_REQUEST = 1 << 17


class Forked:
    """One of them. As `subprocess.Popen`, as far as tests need it."""

    def __init__(self, args: Sequence[str], pid: int, end: int) -> None:
        self.args = list(args)
        self.pid = pid
        self.returncode: int | None = None
        self._end = end
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        return self._ended(0)

    def wait(self, timeout: float | None = None) -> int:
        code = self._ended(None if timeout is None else timeout * 1000)
        if code is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self.args, timeout)
        return code

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _ended(self, milliseconds: float | None) -> int | None:
        with self._lock:
            if self.returncode is None:
                poll = select.poll()
                poll.register(self._end, select.POLLIN)
                if poll.poll(milliseconds):
                    # Nothing is written only if the forker is gone, and it has gone with it.
                    self.returncode = int(os.read(self._end, 16) or -signal.SIGKILL)
                    os.close(self._end)
            return self.returncode


class Forks:
    """The forkers of one program: `main` is what to call with its arguments, as "module:function", and
    `before` what to call for all beforehand, or to import.

    They are started as they are needed, and end with the tests.
    """

    def __init__(self, main: str, *before: str, take_turns: int = 1) -> None:
        self._program = [main, *before]
        self._turns = itertools.cycle(range(take_turns))
        self._forkers: dict[int, tuple[socket.socket, subprocess.Popen[bytes]]] = {}
        self._lock = threading.Lock()
        atexit.register(self._end)

    def start(self, args: Sequence[str], directory: Path, log: IO[bytes]) -> Forked:
        open_files = resource.getrlimit(resource.RLIMIT_NOFILE)
        request = json.dumps([list(args), str(directory), source_environment(), open_files]).encode()
        assert len(request) <= LONGEST_REQUEST
        end, written = os.pipe()
        try:
            with self._lock:
                forker = self._forker(next(self._turns))
                socket.send_fds(forker, [request], [log.fileno(), written])
                pid = int(forker.recv(16))
        finally:
            os.close(written)
        return Forked(args, pid, end)

    def _forker(self, turn: int) -> socket.socket:
        if turn not in self._forkers:
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                process = subprocess.Popen(
                    [sys.executable, "-m", "tests.harness.forks", str(theirs.fileno()), *self._program],
                    stdin=subprocess.DEVNULL,
                    env=source_environment(),
                    pass_fds=[theirs.fileno()],
                )
            self._forkers[turn] = ours, process
        return self._forkers[turn][0]

    def _end(self) -> None:
        for ours, process in self._forkers.values():
            ours.close()
            process.wait()


FORKS = {
    "cluster.node_process": Forks(
        "cluster.node_process:run", "node.handlers.registry:load_all", take_turns=2
    ),
    "proxy": Forks("proxy.__main__:main", "proxy.server", "uvloop"),
}
"""What `python -m` calls it -> its forkers"""


def main(requests: socket.socket, program: str, *before: str) -> int:
    """The forker: returns 0 once nobody can ask it any more. Its children do not return."""
    run = _found(program)
    for each in map(_found, before):
        each()
    gc.collect()
    gc.freeze()  # so that no collection of a child writes to what they share
    ends: dict[int, int] = {}
    awake, wake = socket.socketpair()
    wake.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's ^C is for those who ask
    signal.set_wakeup_fd(wake.fileno())
    while True:
        asked, _, _ = select.select([requests, awake], [], [])
        if awake in asked:
            awake.recv(4096)
            _tell_ends(ends)
        if requests in asked:
            request, descriptors, _, _ = socket.recv_fds(requests, LONGEST_REQUEST, 2)
            if not request:
                return 0
            log, end = descriptors
            args, *surroundings = json.loads(request)
            pid = os.fork()
            if not pid:
                for each in (requests, awake, wake):
                    each.detach()
                _become(args, log, *surroundings)
                _end_with(run(args))
            os.close(log)
            ends[pid] = end
            requests.send(b"%d" % pid)


def _tell_ends(ends: dict[int, int]) -> None:
    """Each child that has ended; one signal may tell of several."""
    while ends:
        pid, status = os.waitpid(-1, os.WNOHANG)
        if not pid:
            return
        end = ends.pop(pid)
        with contextlib.suppress(BrokenPipeError):
            os.write(end, b"%d" % os.waitstatus_to_exitcode(status))
        os.close(end)


def _found(name: str) -> Callable[..., Any]:
    """module:function, or module for nothing but to import it."""
    module, _, function = name.partition(":")
    found = importlib.import_module(module)
    return getattr(found, function) if function else lambda: None


def _end_with(code: int) -> NoReturn:
    """End without taking apart what was only shared. (Who is not forked does that, too.)"""
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _become(
    args: list[str], log: int, directory: str, environment: dict[str, str], open_files: tuple[int, int]
) -> None:
    """In the child: nothing of the forker is left but what it has imported."""
    die_with_parent()
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.closerange(3, os.sysconf("SC_OPEN_MAX"))
    os.chdir(directory)
    resource.setrlimit(resource.RLIMIT_NOFILE, open_files)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv[1:] = args
    if "node.core.key_hash" in sys.modules:
        sys.modules["node.core.key_hash"].set_hash_secret(os.urandom(16))


if __name__ == "__main__":
    sys.exit(main(socket.socket(fileno=int(sys.argv[1])), *sys.argv[2:]))
