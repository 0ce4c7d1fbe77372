"""What an import reads out of a source's replication stream: commands, and the keys that they touched."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.importing.dirty import StreamReader, Touched, Unfollowable
from node.core.reply_writer import encode_command

WORDS = st.lists(st.binary(max_size=20), min_size=1, max_size=4)


class TestReading:
    @given(st.lists(WORDS, max_size=6), st.lists(st.integers(0, 200), max_size=8))
    def test_commands_come_out_as_they_went_in_wherever_they_are_cut(
        self, commands: list[list[bytes]], cuts: list[int]
    ) -> None:
        stream = b"\n".join(encode_command(command) for command in commands) + b"*1\r\n$4\r\nPI"
        reader = StreamReader()
        edges = [0, *sorted(min(cut, len(stream)) for cut in cuts), len(stream)]
        found = [command for first, last in pairwise(edges) for command in reader.feed(stream[first:last])]
        assert found == commands
        assert reader.feed(b"NG\r\n") == [[b"PING"]]

    def test_byte_by_byte(self) -> None:
        reader = StreamReader()
        stream = encode_command([b"SET", b"a", b"\r\n*1"]) + encode_command([b"DEL", b"a"])
        assert [command for byte in stream for command in reader.feed(bytes([byte]))] == [
            [b"SET", b"a", b"\r\n*1"],
            [b"DEL", b"a"],
        ]

    @pytest.mark.parametrize("noise", [b"+OK\r\n", b"*x\r\n", b"*1\r\n:5\r\n", b"*1\r\n$-1\r\n"])
    def test_noise_is_refused(self, noise: bytes) -> None:
        with pytest.raises(ValueError, match="the stream holds"):
            StreamReader().feed(noise)


def touched(*commands: str) -> set[tuple[int, bytes]]:
    found = Touched()
    for command in commands:
        found.note(command.encode().split())
    return found.take()


class TestTouching:
    @pytest.mark.parametrize(
        ("command", "keys"),
        [
            ("SET a 1", {"a"}),
            ("mset a 1 b 2", {"a", "b"}),
            ("RENAME a b", {"a", "b"}),
            ("SUNIONSTORE a b c", {"a", "b", "c"}),
            ("SORT a STORE b", {"a", "b"}),
            ("XGROUP CREATE s g 0", {"s"}),
            ("GEORADIUS a 0 0 1 m STORE b", {"a", "b"}),
            ("RESTORE a 0 x", {"a"}),
            ("PFCOUNT a", {"a"}),
            ("PING", set()),
            ("MULTI", set()),
            ("EXEC", set()),
            ("PUBLISH a b", set()),
            ("SPUBLISH a b", set()),
            ("SCRIPT LOAD x", set()),
            ("REPLCONF GETACK *", set()),
        ],
    )
    def test_keys_of(self, command: str, keys: set[str]) -> None:
        assert touched(command) == {(0, key.encode()) for key in keys}

    def test_databases(self) -> None:
        assert touched("SELECT 3", "SET a 1", "SELECT 0", "SET a 2") == {(3, b"a"), (0, b"a")}
        assert touched("SELECT 1", "MOVE a 2") == {(1, b"a"), (2, b"a")}
        assert {(1, b"b"), (5, b"b")} <= touched("SELECT 1", "COPY a b DB 5 REPLACE")
        assert touched("COPY db b") == {(0, b"db"), (0, b"b")}

    def test_what_cannot_be_followed(self) -> None:
        for command, words in (("FLUSHALL", "FLUSHALL was called"), ("JSON.SET a $ 1", "of a module")):
            with pytest.raises(Unfollowable, match=words):
                touched(command)

    def test_functions_are_noted_once(self) -> None:
        found = Touched()
        found.note([b"FUNCTION", b"LOAD", b"x"])
        assert [found.take_functions(), found.take_functions()] == [True, False]
