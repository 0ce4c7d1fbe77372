"""The ends of ranges of sorted sets: by score and by member. By rank they are plain integers."""

from __future__ import annotations

from typing import NamedTuple


class ScoreBound(NamedTuple):
    """One end of a range of scores."""

    score: float
    exclusive: bool = False


class LexBound(NamedTuple):
    """One end of a range of members: a member, or an end of everything (`infinite` -1 or 1)."""

    member: bytes = b""
    exclusive: bool = False
    infinite: int = 0
