"""LOLWUT: pictures are a matter of taste; their last line and their errors are not."""

from __future__ import annotations

import time

import pytest

from tests.harness.resp import Error, Verbatim
from tests.harness.servers import Oracle, ShoalNode


@pytest.mark.parametrize(
    "words",
    ["", "VERSION 5", "VERSION 5 1 1 1", "VERSION 5 40 4 2", "VERSION 6", "VERSION 6 0 -1", "VERSION 7", "x"],
)
def test_the_last_line_is_the_version(shoal_node: ShoalNode, words: str) -> None:
    picture = shoal_node.run("LOLWUT", *words.split()).decode()
    assert picture.splitlines()[-1].endswith("Redis ver. 7.2.0")


@pytest.mark.parametrize("words", ["VERSION x", "VERSION 5 x", "VERSION 5 10 x", "VERSION 6 10 x"])
def test_errors_are_those_of_redis(shoal_node: ShoalNode, redis_oracle: Oracle, words: str) -> None:
    ours = shoal_node.run("LOLWUT", *words.split())
    assert isinstance(ours, Error)
    assert ours == redis_oracle.run("LOLWUT", *words.split())


def test_squares_have_the_size_of_redis(shoal_node: ShoalNode, redis_oracle: Oracle) -> None:
    for columns in (1, 2, 10, 66):
        widths = {
            max(map(len, server.run("LOLWUT", "VERSION", 5, columns).decode().splitlines()[:-2]))
            for server in (shoal_node, redis_oracle)
        }
        assert widths == {columns}


def test_it_is_verbatim_and_soon_done(shoal_node: ShoalNode) -> None:
    with shoal_node.resp(protocol=3) as connection:
        began = time.monotonic()
        for words in ("VERSION 5 10000 10000 10000", "VERSION 6 100000 100000"):
            reply = connection.command("LOLWUT", *words.split())
            assert isinstance(reply, Verbatim)
        assert time.monotonic() - began < 2
