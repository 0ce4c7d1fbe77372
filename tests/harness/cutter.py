"""A network between processes that can be cut: every member is reached through a relay of its own.

    with Cutter() as cutter:
        for node in nodes:
            node.config |= cutter.place(node)         # before it is started: where it says that it is
        cutter.open()
        cutter.set([(1, 2), (2, 1)], "silence")       # members 1 and 2 no longer hear each other
        cutter.heal()

A member listens on 127.0.0.1 as always, and announces the address 127.0.1.N, on whose ports (client and bus)
the relay listens: so members and clients that learn addresses from the cluster meet it only there, while the
test itself goes to 127.0.0.1 and is never cut off. Members call from their own address (`bind-source-addr`),
so the relay knows who speaks to whom; everybody else, the clients that is, has the number 0.

What goes from one to another is under one of these rules, for each direction apart:

    open            passed on
    silence         held back, as where packets are dropped: connections stay and nobody is told. What was
                    held comes late, as TCP repeats it; an end of the connection is held back, too
    delay:SECONDS   every piece comes that much later
    cut             connections are reset, and new ones at once: as where a host answers and the program does
                    not run. One direction is enough for that

The relay is a process of its own (this module, run), so that it does not share an interpreter with the load.
It reads one line of JSON for each change of rules from its standard input, and answers each with a line.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterable, Sequence
from typing import Any, Final

import uvloop

from tests.harness.ports import BUS_OFFSET
from tests.harness.servers import ROOT, Server, Setting, die_with_parent, source_environment

OPEN: Final = "open"
CLIENTS: Final = 0
"""The number of everybody who is no member."""
HOST = "127.0.0.1"
PIECE = 1 << 16

Direction = tuple[int, int]
"""From whom to whom."""


def address_of(number: int) -> str:
    """Where the relay of this member listens, and whence the member calls."""
    return f"127.0.1.{number}"


class Cutter:
    """The tests' side. Members have numbers from 1 on, in the order in which they were placed."""

    def __init__(self) -> None:
        self._ports: dict[int, int] = {}
        self._numbers: dict[Server, int] = {}
        self._process: subprocess.Popen[str] | None = None

    def place(self, node: Server) -> dict[str, Setting]:
        """The settings with which `node` is a member behind its relay."""
        number = len(self._ports) + 1
        self._ports[number] = node.port
        self._numbers[node] = number
        return {"cluster-announce-ip": address_of(number), "bind-source-addr": address_of(number)}

    def number_of(self, node: Server) -> int:
        return self._numbers[node]

    def host_of(self, node: Server) -> str:
        return address_of(self._numbers[node])

    def __enter__(self) -> Cutter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()

    def open(self) -> None:
        """Start the relays; all directions are open."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.harness.cutter", json.dumps(self._ports)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=ROOT,
            env=source_environment(),
            text=True,
            preexec_fn=die_with_parent,
        )
        self._answered()

    def set(self, directions: Iterable[Direction], rule: str) -> None:
        """Let this rule hold for these directions. Returns once it does."""
        self._tell({"directions": list(directions), "rule": rule})

    def heal(self) -> None:
        """All directions are open again."""
        self._tell({"directions": None, "rule": OPEN})

    def around(self, node: Server, inwards: bool = True, outwards: bool = True) -> list[Direction]:
        """The directions between `node` and all other members."""
        number = self._numbers[node]
        others = [other for other in self._ports if other != number]
        into = [(other, number) for other in others] if inwards else []
        out = [(number, other) for other in others] if outwards else []
        return into + out

    def with_clients(self, node: Server) -> list[Direction]:
        """The directions between `node` and the clients."""
        return [(CLIENTS, self._numbers[node]), (self._numbers[node], CLIENTS)]

    def _tell(self, order: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None, "the relays were not opened"
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        self._answered()

    def _answered(self) -> None:
        assert self._process is not None and self._process.stdout is not None
        assert self._process.stdout.readline() == "done\n", "the relay ended"


class Rules:
    """What holds for each direction, and a way to wait for changes."""

    def __init__(self) -> None:
        self._rules: dict[Direction, str] = {}
        self._changed = asyncio.Event()
        self.connections: set[Relayed] = set()

    def of(self, direction: Direction) -> str:
        return self._rules.get(direction, OPEN)

    def change(self, directions: Sequence[Sequence[int]] | None, rule: str) -> None:
        if directions is None:
            self._rules.clear()
        else:
            self._rules.update({(source, target): rule for source, target in directions})
        self._changed.set()
        self._changed = asyncio.Event()
        for connection in list(self.connections):
            connection.reset_if_cut()

    def is_cut(self, direction: Direction) -> bool:
        return "cut" in (self.of(direction), self.of(direction[::-1]))

    async def passage(self, direction: Direction) -> None:
        """Until a piece may go on."""
        while (rule := self.of(direction)) == "silence":
            await self._changed.wait()
        name, _, seconds = rule.partition(":")
        if name == "delay":
            await asyncio.sleep(float(seconds))


class Relayed:
    """One connection through the relay of member `target`, which has the port there that it has here."""

    def __init__(self, rules: Rules, source: int, target: int, port: int) -> None:
        self._rules = rules
        self._direction = (source, target)
        self._port = port
        self._writers: list[asyncio.StreamWriter] = []

    async def run(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._rules.connections.add(self)
        try:
            if self._rules.is_cut(self._direction):
                return
            await self._rules.passage(self._direction)
            far_reader, far_writer = await asyncio.open_connection(HOST, self._port)
            self._writers.append(far_writer)
            self.reset_if_cut()
            back = self._direction[::-1]
            async with asyncio.TaskGroup() as both:
                both.create_task(self._pump(reader, far_writer, self._direction))
                both.create_task(self._pump(far_reader, writer, back))
        except (OSError, ExceptionGroup):
            pass  # one side went away: so does the other, below
        finally:
            self._rules.connections.discard(self)
            self._reset()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, direction: Direction
    ) -> None:
        broken = False
        while True:
            try:
                piece = await reader.read(PIECE)
            except OSError:
                piece, broken = b"", True
            await self._rules.passage(direction)
            if not piece:
                break
            writer.write(piece)
            await writer.drain()
        if broken:
            writer.transport.abort()
        elif writer.can_write_eof():
            writer.write_eof()

    def reset_if_cut(self) -> None:
        if self._rules.is_cut(self._direction):
            self._reset()

    def _reset(self) -> None:
        for writer in self._writers:
            writer.transport.abort()


async def relay(ports: dict[int, int]) -> None:
    """Serve until the standard input ends. `ports`: number of each member -> its port for clients."""
    rules = Rules()
    numbers = {address_of(number): number for number in ports}

    async def listen(target: int, port: int) -> asyncio.Server:
        async def accepted(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            source = numbers.get(writer.get_extra_info("peername")[0], CLIENTS)
            await Relayed(rules, source, target, port).run(reader, writer)

        return await asyncio.start_server(accepted, address_of(target), port)

    async with contextlib.AsyncExitStack() as stack:
        for number, port in ports.items():
            for each in (port, port + BUS_OFFSET):
                await stack.enter_async_context(await listen(number, each))
        print("done", flush=True)
        loop = asyncio.get_running_loop()
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            order = json.loads(line)
            rules.change(order["directions"], order["rule"])
            print("done", flush=True)


if __name__ == "__main__":
    uvloop.run(relay({int(number): port for number, port in json.loads(sys.argv[1]).items()}))
