"""What a primary remembers of its right to its place: whom it asked, and who answered. The rules are in
lease.py."""

from __future__ import annotations

from dataclasses import dataclass, field

from cluster.topology.node import Node


@dataclass(slots=True)
class _Question:
    """Pings to a node that it has not answered."""

    link: int
    asked_at: int
    """When the first of them left, or earlier."""
    more: int = 0
    """How many left after it."""


@dataclass(slots=True)
class Tenancy:
    is_of_old: bool = False
    """It is known from before the start, and nobody has confirmed it since."""
    lapsed_at: int | None = None
    """Since when it is in doubt; None while it is not."""
    is_limited: bool = False
    """The shell was told of an end."""
    epoch: int = 0
    """The cluster's, as of when we last were sure."""
    bearers: set[str] = field(default_factory=set)
    """Primaries that have answered with a greater one since."""
    heard: dict[str, int] = field(default_factory=dict)
    """When the last ping left that this primary has answered without a doubt."""
    _questions: dict[str, _Question] = field(default_factory=dict)

    def asks(self, node: Node, now: int) -> None:
        """A ping leaves for `node` over our link to it."""
        question = self._questions.get(node.id)
        if node.link is None:
            return
        if question is None or question.link != node.link:
            self._questions[node.id] = _Question(node.link, now)
        else:
            question.more += 1

    def link_up(self, node: Node) -> None:
        """Our link to `node` is there: what was sent before is lost, and will not be answered."""
        self._questions.pop(node.id, None)

    def asked_at(self, node: Node) -> int | None:
        """Since when an answer of `node` is awaited; None if it is not."""
        question = self._questions.get(node.id)
        return question.asked_at if question is not None and question.link == node.link else None

    def answered(self, node: Node) -> int | None:
        """A pong came over our link: when its ping left, or earlier. None if it is not known."""
        question = self._questions.get(node.id)
        if question is None or question.link != node.link:
            return None
        if question.more:
            question.more -= 1
        else:
            del self._questions[node.id]
        return question.asked_at
