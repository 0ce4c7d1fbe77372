"""Several connections to one server, and everything each of them hears: for what servers say unasked.

A script is text, one step a line, `name> COMMAND arg ...`, quoted as in redis.conf; `name> close` ends a
connection. Connections are opened by `name> hello 2` or `name> hello 3`. `{name}` among the arguments is that
connection's client id; in what is heard, ids are replaced by names, so that servers can be compared.

Each step waits for its reply; what was pushed meanwhile is kept in the order in which it came. In the end
each connection is asked once more, so that nothing that was sent is missed.
"""

from __future__ import annotations

from collections.abc import Sequence

from node.words import split_words
from tests.harness.resp import Resp, encode
from tests.harness.servers import Server

END = b"that was all"


class Conversation:
    def __init__(self, server: Server) -> None:
        self._server = server
        self._connections: dict[str, Resp] = {}
        self._ids: dict[str, bytes] = {}
        self.heard: dict[str, list[bytes]] = {}
        """Per connection, the raw frames it got."""

    def __enter__(self) -> Conversation:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._connections.values():
            connection.close()

    def open(self, name: str, protocol: int) -> None:
        connection = self._connections[name] = Resp(self._server.port, self._server.host, protocol=protocol)
        self._ids[name] = b"%d" % connection.command("CLIENT", "ID")
        self.heard.setdefault(name, [])

    def step(self, line: str) -> None:
        self.say(*parsed(line))

    def say(self, name: str, words: Sequence[bytes]) -> None:
        if words[0] == b"hello":
            self.open(name, int(words[1]))
        elif words[0] == b"close":
            self._connections.pop(name).close()
            self._server.run("PING")  # so that it was noticed
        else:
            argv = [self._with_ids(word) for word in words]
            self._connections[name].send(encode(*argv))
            self._hear(name)

    def _with_ids(self, word: bytes) -> bytes:
        for name, number in self._ids.items():
            word = word.replace(b"{%b}" % name.encode(), number)
        return word

    def _hear(self, name: str) -> bytes:
        """Keep frames up to the first that is no push; returns that."""
        while True:
            frame = self._connections[name].read_raw()
            for other, number in self._ids.items():
                frame = frame.replace(b":%b\r\n" % number, b":<%b>\r\n" % other.encode())
            self.heard[name].append(frame)
            if not frame.startswith((b">", b"*3\r\n$7\r\nmessage")):
                return frame

    def finish(self) -> None:
        for name, connection in self._connections.items():
            connection.send(encode(b"PING", END))
            while END not in self._hear(name):
                pass


def parsed(line: str) -> tuple[str, list[bytes]]:
    """Whose step it is, and its words."""
    name, _, text = line.partition("> ")
    return name, split_words(text.encode())


def heard(server: Server, script: str) -> dict[str, list[bytes]]:
    """What each connection of the script got."""
    server.run("FLUSHALL")
    with Conversation(server) as conversation:
        for line in script.splitlines():
            if line.strip() and not line.strip().startswith("#"):
                conversation.step(line.strip())
        conversation.finish()
        return conversation.heard


def assert_same_heard(ours: Server, oracle: Server, script: str) -> None:
    mine, theirs = heard(ours, script), heard(oracle, script)
    for name in theirs:
        assert mine[name] == theirs[name], name
