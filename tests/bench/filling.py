"""What has to be there before a row can be measured: its items, and who listens."""

from __future__ import annotations

import contextlib
import selectors
import socket
import threading
from collections.abc import Iterator

from tests.bench.measure import send_all
from tests.bench.rows import KEYS, REQUESTS, Fill
from tests.harness.resp import Error, encode
from tests.harness.servers import Server


def fill(each: Server, what: Fill, count: int, value_size: int) -> None:
    """Have the items there, with numbers as redis-benchmark has them: `count` if the row leaves it open."""
    head = what.head.encode().split()
    item = what.item.encode().replace(b"VALUE", b"x" * value_size)
    wanted = count if what.count in (KEYS, REQUESTS) else what.count

    def commands() -> Iterator[bytes]:
        for start in range(0, wanted, what.at_once):
            numbers = range(start, min(start + what.at_once, wanted))
            words = b" ".join(item.replace(b"#", b"%012d" % number) for number in numbers)
            yield encode(*head, *words.split(b" "))

    send_all(each.port, commands())


@contextlib.contextmanager
def subscribers(each: Server, count: int) -> Iterator[None]:
    """So many clients that listen to `news`, and read what comes."""
    if not count:
        yield
        return
    with contextlib.ExitStack() as stack:
        ready = stack.enter_context(selectors.DefaultSelector())
        for _ in range(count):
            client = stack.enter_context(each.resp())
            reply = client.command("SUBSCRIBE", "news")
            assert not isinstance(reply, Error), reply
            ready.register(client.socket, selectors.EVENT_READ)
        waker, end = socket.socketpair()
        stack.enter_context(waker)
        stack.enter_context(end)
        ready.register(end, selectors.EVENT_READ)
        thread = threading.Thread(target=_drain, args=(ready, end))
        thread.start()
        try:
            yield
        finally:
            waker.send(b"x")
            thread.join()


def _drain(ready: selectors.BaseSelector, end: socket.socket) -> None:
    """Read from all until there is something at `end`."""
    buffer = bytearray(1 << 18)
    while True:
        for key, _ in ready.select():
            if key.fileobj is end:
                return
            assert isinstance(key.fileobj, socket.socket)
            key.fileobj.recv_into(buffer)
