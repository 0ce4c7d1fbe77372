#!/usr/bin/env python3
"""Is the worker or proxy of this container at work? `shoal-healthy [--ready] [--port PORT]`

It is if it answers a PING, also by saying that it wants a password, loads its data or is busy: to end it
for that would help nobody. With `--ready` it must serve, too: a member's cluster must be up, and a replica
linked to its primary. The port is the one that the container's first process was given with `--port`, and the
password that of SHOAL_PASSWORD. Exit code 0 if so, else 1 with a reason.

Where clients come by TLS alone, it is enough that the port is open. Only the standard library is imported,
and little of it, because this is called every few seconds for as long as the container lives.
"""

import os
import socket
import sys

PATIENCE = 4.0
ALIVE = (b"+PONG", b"-NOAUTH", b"-NOPERM", b"-LOADING", b"-BUSY", b"-MASTERDOWN", b"-ERR max number of")


def option(words: list[str], name: str) -> str:
    """The value after the last `name`; empty if it is not there."""
    places = [at for at, word in enumerate(words[:-1]) if word == name]
    return words[places[-1] + 1] if places else ""


def command(*words: str) -> bytes:
    parts = [b"$%d\r\n%s\r\n" % (len(word.encode()), word.encode()) for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(parts)


class Conversation:
    """With who listens at this port of this machine. Raises OSError."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), PATIENCE)
        self._replies = self._socket.makefile("rb")

    def ask(self, *words: str) -> bytes:
        """The reply: its line, and for a bulk string also what follows."""
        self._socket.sendall(command(*words))
        line = self._replies.readline()
        if not line:
            raise ConnectionError("it hangs up")
        is_bulk = line.startswith(b"$") and not line.startswith(b"$-")
        return line + self._replies.read(int(line[1:]) + 2) if is_bulk else line


def what_is_wrong(talk: Conversation, must_serve: bool) -> str:
    password = os.environ.get("SHOAL_PASSWORD")
    if password:
        talk.ask("AUTH", password)
    pong = talk.ask("PING")
    if not pong.startswith(ALIVE):
        return f"PING: {pong.decode(errors='replace').strip()}"
    if not must_serve:
        return ""
    if not pong.startswith(b"+PONG"):
        return pong.decode(errors="replace").strip()
    facts = talk.ask("INFO", "replication")
    if b"role:slave" in facts and b"master_link_status:up" not in facts:
        return "it has no link to its primary"
    state = talk.ask("CLUSTER", "INFO")
    if not state.startswith(b"-") and b"cluster_state:ok" not in state:
        return "the cluster is down, as it sees it"
    return ""


def main(arguments: list[str]) -> int:
    with open("/proc/1/cmdline", "rb") as file:
        of_first = file.read().decode(errors="replace").split("\0")
    plain = int(option(arguments, "--port") or option(of_first, "--port") or 6379)
    by_tls = int(option(of_first, "--tls-port") or 0)
    try:
        talk = Conversation(plain or by_tls)
        wrong = what_is_wrong(talk, "--ready" in arguments) if plain else ""
    except OSError as error:
        wrong = str(error)
    if wrong:
        print(wrong)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
