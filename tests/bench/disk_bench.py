"""The disk tier: a dataset four times as large as memory, beside the same one in memory.

    python -m tests.bench.disk_bench [--keys N] [--requests N] [--rounds N]

Two workers get the same mixed dataset, one with `storage-engine disk` and room for a quarter of it. First,
both answer requests of which four fifths go to one fifth of the keys, one write to four reads, in turns:
throughput. Then keys are read and written uniformly, the same on both, and DEBUG DIGEST must be the same. At
last the worker with the disk is killed and started again, until it answers.
"""

from __future__ import annotations

import argparse
import random
import selectors
import socket
import statistics
import time
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from tests.bench.measure import cpu_nanoseconds
from tests.harness.servers import Server, ShoalNode

MARK = b"+PONG\r\n"
PING = b"*1\r\n$4\r\nPING\r\n"
BATCH = 1000
HOT_SHARE = 0.2
HOT_ACCESSES = 0.8
WRITES = 0.2


def encode(*words: object) -> bytes:
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%b\r\n" % (len(part), part) for part in parts)


def text(seed: int) -> bytes:
    """A value of 100 to 1,000 bytes that does not compress well, always the same for a seed."""
    made = random.Random(seed)
    return made.randbytes(made.randrange(50, 500)).hex().encode()


def creation(number: int) -> bytes:
    """The key `number`: every fourth one a collection."""
    match number % 16:
        case 3:
            return encode(
                "HSET", f"k:{number}", *(word for n in range(10) for word in (f"field:{n}", number + n))
            )
        case 7:
            return encode("RPUSH", f"k:{number}", *(f"item {number + n}" for n in range(20)))
        case 11:
            return encode(
                "ZADD", f"k:{number}", *(word for n in range(20) for word in (n * 1.5, f"member:{n}"))
            )
        case 15:
            return encode("SADD", f"k:{number}", *(f"member:{number + n}" for n in range(20)))
    return encode("SET", f"k:{number}", text(number))


def read(number: int) -> bytes:
    words = {3: ("HGETALL",), 7: ("LRANGE", 0, -1), 11: ("ZRANGE", 0, -1), 15: ("SMEMBERS",)}
    name, *rest = words.get(number % 16, ("GET",))
    return encode(name, f"k:{number}", *rest)


def write(number: int, seed: int) -> bytes:
    key = f"k:{number}"
    match number % 16:
        case 3:
            return encode("HSET", key, f"field:{seed % 10}", seed)
        case 7:
            return encode("LSET", key, seed % 20, seed)
        case 11:
            return encode("ZADD", key, seed % 1000, f"member:{seed % 20}")
        case 15:
            return encode("SADD", key, f"member:{seed % 20}")
    return encode("SET", key, text(seed))


def requests(keys: int, count: int, seed: int, *, hot: bool) -> list[bytes]:
    """`count` requests; `hot`: most of them to few keys, spread over all."""
    made = random.Random(seed)
    chosen = []
    for _ in range(count):
        number = made.randrange(keys)
        if hot and made.random() < HOT_ACCESSES:
            number = made.randrange(int(keys * HOT_SHARE)) * int(1 / HOT_SHARE) % keys
        # What is written to a key depends on the turn alone, so that any order has the same result.
        chosen.append(write(number, seed + number) if made.random() < WRITES else read(number))
    return chosen


def batches(frames: list[bytes], size: int) -> Iterator[bytes]:
    for start in range(0, len(frames), size):
        yield b"".join(frames[start : start + size]) + PING


def connect(port: int) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link


def play(port: int, frames: list[bytes], pipeline: int, connections: int) -> float:
    """Send all frames, each connection its share, `pipeline` at a time; seconds until the last reply."""
    selector = selectors.DefaultSelector()
    waiting = batches(frames, pipeline)
    for _ in range(connections):
        link = connect(port)
        selector.register(link, selectors.EVENT_READ, bytearray())
    began = time.monotonic()
    for key in list(selector.get_map().values()):
        advance(selector, key.fileobj, waiting)
    while selector.get_map():
        for key, _ in selector.select():
            tail = key.data
            tail += key.fileobj.recv(1 << 18)
            if tail.endswith(MARK):
                tail.clear()
                advance(selector, key.fileobj, waiting)
            elif len(tail) > len(MARK):
                del tail[: -len(MARK)]
    return time.monotonic() - began


def advance(selector: selectors.DefaultSelector, link: socket.socket, waiting: Iterator[bytes]) -> None:
    batch = next(waiting, None)
    if batch is None:
        selector.unregister(link)
        link.close()
    else:
        link.sendall(batch)


def compare_throughput(servers: dict[str, Server], keys: int, count: int, rounds: int) -> Table:
    table = Table("pipeline", "memory, requests/s", "disk, requests/s", "ratio", "ratio by CPU")
    for pipeline in (1, 16):
        rates: dict[str, list[float]] = {kind: [] for kind in servers}
        costs: dict[str, list[float]] = {kind: [] for kind in servers}
        for turn in range(rounds + 1):
            frames = requests(keys, count // (4 if pipeline == 1 else 1), turn, hot=True)
            for kind, each in servers.items():
                cpu = cpu_nanoseconds(each.pid)
                seconds = play(each.port, frames, pipeline, 20)
                if turn:  # the first one only brings what is hot to memory
                    rates[kind].append(len(frames) / seconds)
                    costs[kind].append((cpu_nanoseconds(each.pid) - cpu) / len(frames))
        memory, disk = (statistics.median(rates[kind]) for kind in servers)
        by_cpu = statistics.median(costs["memory"]) / statistics.median(costs["disk"])
        table.add_row(
            str(pipeline), f"{memory:,.0f}", f"{disk:,.0f}", f"{disk / memory:.2f}", f"{by_cpu:.2f}"
        )
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--keys", type=int, default=1_000_000)
    parser.add_argument("--requests", type=int, default=200_000)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    console = Console()
    creations = [creation(number) for number in range(chosen.keys)]
    with ShoalNode(save="") as memory:
        with memory.client() as client:
            before = client.info("memory")["used_memory"]
            play(memory.port, creations, BATCH, 1)
            dataset = client.info("memory")["used_memory"] - before
        console.print(
            f"{chosen.keys} keys take {dataset >> 20} MB of memory; the disk tier gets {dataset >> 22} MB"
        )
        with ShoalNode(storage_engine="disk", maxmemory=before + dataset // 4) as disk:
            seconds = play(disk.port, creations, BATCH, 1)
            console.print(f"filled in {seconds:.1f} s")
            console.print(
                compare_throughput(
                    {"memory": memory, "disk": disk}, chosen.keys, chosen.requests, chosen.rounds
                )
            )
            frames = requests(chosen.keys, chosen.keys, 99, hot=False)
            digests = []
            for each in (memory, disk):
                seconds = play(each.port, frames, BATCH, 1)
                with each.client(socket_timeout=600) as client:
                    digests.append(client.execute_command("DEBUG", "DIGEST"))
                    used = client.info("memory")["used_memory"]
                console.print(f"{len(frames)} uniform requests in {seconds:.1f} s, {used >> 20} MB used")
            assert digests[0] == digests[1], digests
            with disk.client() as client:
                console.print(client.info("storage"))
            disk.kill()
            began = time.monotonic()
            disk.start()
            with disk.client() as client:
                client.get("k:0")
                console.print(
                    f"restart to first reply: {time.monotonic() - began:.2f} s, {client.dbsize()} keys"
                )


if __name__ == "__main__":
    main()
