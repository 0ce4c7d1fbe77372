"""A proxy without a password lets in only clients of its own host, until somebody says otherwise."""

from __future__ import annotations

import pytest

from tests.harness.environment import own_address
from tests.harness.proxies import ShoalProxy
from tests.harness.resp import Error, Resp


class Alone(ShoalProxy):
    """Its cluster need not be there: who may come is no question to it."""

    def is_ready(self) -> bool:
        return "slots_served" in self.facts()


@pytest.mark.parametrize(
    ("options", "password", "reply"),
    [
        ([], "", None),
        (["--protected-mode", "no"], "", b""),
        ([], "secret", Error("NOAUTH Authentication required.")),
        (["--processes", "1"], "", None),
    ],
)
def test_strangers(options: list[str], password: str, reply: object) -> None:
    with Alone(["127.0.0.1:1"], "--bind", "0.0.0.0", *options, password=password) as proxy:
        with Resp(proxy.port, own_address()) as stranger:
            if reply is None:
                told = stranger.read_until_closed()
                assert told.startswith(b"-DENIED The proxy is running in protected mode")
            else:
                assert stranger.command("CLIENT", "LIST", "TYPE", "pubsub") == reply
        assert ("Protected mode is on" in proxy.log) == (reply is None)
        assert ("may do everything" in proxy.log) == ("no" in options)
