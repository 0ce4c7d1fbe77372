"""Values drawn in text: columns of four lines, labels below that read downwards. What LATENCY GRAPH shows.

The picture is the one Redis draws, so that whoever knows it finds it again: a column's top is `_`, `o` or `#`
(thirds of a line), what is below the top is `|`.
"""

from __future__ import annotations

from collections.abc import Sequence

ROWS = 4
WIDTH = 80
TOPS = "_o#"


def draw(values: Sequence[int], labels: Sequence[str]) -> str:
    """Both of one length. Wider pictures than WIDTH go on below."""
    lowest = min(values)
    span = (max(values) - lowest) or 1
    steps = ROWS * len(TOPS)
    heights = [min(steps - 1, (value - lowest) * steps // span) for value in values]
    lines = []
    for start in range(0, len(values), WIDTH):
        columns = range(start, min(start + WIDTH, len(values)))
        for row in range(ROWS - 1, -1, -1):
            lines.append("".join(_cell(heights[i] - row * len(TOPS)) for i in columns))
        lines.append(" " * len(columns))
        for letter in range(max(len(labels[i]) for i in columns)):
            lines.append("".join(labels[i][letter : letter + 1] or " " for i in columns))
    return "".join(line + "\n" for line in lines)


def _cell(above: int) -> str:
    """`above`: steps by which a column reaches into this row."""
    if above < 0:
        return " "
    return TOPS[above] if above < len(TOPS) else "|"
