"""What a process gets from the one that started and watches it (keeper.py).

* Its number, which no process of this keeper had before: ids of clients begin with it; and its index among
  those that serve at a time.
* Listening sockets, open already; and a directory for the sockets by which the processes reach each other
  (siblings.py).
* A line to the keeper. The process says when it serves; the keeper says when to end, and sends along a
  descriptor if there is an heir to whom clients can be handed over. A keeper that is gone, whatever ended it,
  is a line that is closed: then the process ends, too.
* Lines from those whose heir it is: each message one client (handover.py), until it is closed.

Sockets are inherited as descriptors; their numbers come in an environment variable, in which is no secret.
"""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass

VARIABLE = "SHOAL_PROXY_PLACE"
ID_BITS = 32
"""A client's id is its process' number, and so many bits that count: exact also where numbers are doubles."""

READY = b"R"
END = b"E"


@dataclass(frozen=True)
class Place:
    number: int
    listeners: tuple[int, ...]
    control: int
    directory: str
    legacies: tuple[int, ...] = ()
    """Lines from predecessors"""
    index: int = 0

    @property
    def first_id(self) -> int:
        return self.number << ID_BITS

    def environment(self) -> dict[str, str]:
        return {VARIABLE: json.dumps(asdict(self))}

    @property
    def descriptors(self) -> tuple[int, ...]:
        return (*self.listeners, self.control, *self.legacies)


def own_place() -> Place | None:
    """Of this process; None if nobody watches it."""
    text = os.environ.pop(VARIABLE, None)
    if text is None:
        return None
    fields = json.loads(text)
    return Place(
        fields["number"],
        tuple(fields["listeners"]),
        fields["control"],
        fields["directory"],
        tuple(fields["legacies"]),
        fields["index"],
    )


def adopt(descriptor: int) -> socket.socket:
    """The socket behind an inherited descriptor. Processes that this one starts do not inherit it again."""
    os.set_inheritable(descriptor, False)
    adopted = socket.socket(fileno=descriptor)
    adopted.setblocking(False)
    return adopted
