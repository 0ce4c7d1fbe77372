"""Replies that the socket does not take at once leave whole and in order, and their memory with them."""

from __future__ import annotations

from tests.harness.resp import Resp, Simple, encode
from tests.harness.servers import ShoalNode
from tests.harness.wait import eventually
from tests.integration.test_memory import MB

SIZES = (1, 300_000, 20 * MB, 5, 12 * MB, 250_000, 300_000)


def value(size: int) -> bytes:
    return b"".join(b"%08d" % n for n in range(size // 8 + 1))[:size]


def test_large_replies_wait_in_order_and_are_held_once() -> None:
    with ShoalNode(save="") as node, node.client() as client, Resp(node.port) as connection:
        for size in SIZES:
            client.set(f"key:{size}", value(size))
        before = client.info("memory")["used_memory"]
        connection.send(b"".join(encode("GET", f"key:{size}") + b"PING\r\n" for size in SIZES))

        def owed() -> int:
            return max(int(each["omem"]) for each in client.client_list())

        eventually(lambda: owed() > 20 * MB, "the replies wait")
        assert client.info("memory")["used_memory"] - before < sum(SIZES) + 2 * MB
        assert client.set("another", "x"), "nobody else does"
        for size in SIZES:
            assert connection.read() == value(size)
            assert connection.read() == Simple("PONG")
        eventually(lambda: client.info("memory")["used_memory"] < before + 2 * MB, "nothing is left of them")
