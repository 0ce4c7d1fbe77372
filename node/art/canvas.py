"""A canvas of dots, shown as Braille: each character is two dots wide and four high."""

from __future__ import annotations

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""Bit of the dot at [row][column] of a character."""
_BLANK = 0x2800


class Canvas:
    def __init__(self, width: int, height: int) -> None:
        """In dots; rounded up to whole characters."""
        self.columns = (width + 1) // 2
        self.rows = (height + 3) // 4
        self._cells = [[0] * self.columns for _ in range(self.rows)]

    def dot(self, x: int, y: int) -> None:
        """What lies outside is not drawn."""
        if 0 <= x < self.columns * 2 and 0 <= y < self.rows * 4:
            self._cells[y // 4][x // 2] |= _DOTS[y % 4][x % 2]

    def line(self, x1: int, y1: int, x2: int, y2: int) -> None:
        steps = max(abs(x2 - x1), abs(y2 - y1), 1)
        for step in range(steps + 1):
            self.dot(x1 + round((x2 - x1) * step / steps), y1 + round((y2 - y1) * step / steps))

    def __str__(self) -> str:
        return "".join("".join(chr(_BLANK + cell) for cell in row) + "\n" for row in self._cells)
