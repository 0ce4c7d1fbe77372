"""Three pictures.

`squares`: rows of squares that fall into disorder, an idea of Georg Nees, who let a plotter draw "Schotter"
in 1968. `skyline`: a town at night, in the greys of a terminal. `shoal`: fish, most of which agree where to
swim.

Sizes are the caller's, who bounds them.
"""

from __future__ import annotations

import math
from random import Random

from node.art.canvas import Canvas

SKY, WINDOW = 232, 255
"""The darkest and the lightest grey of a terminal with 256 colours."""


def squares(random: Random, columns: int, across: int, down: int) -> str:
    """`columns` characters wide, with so many squares in a row and so many rows."""
    width = columns * 2
    side = (width - 4) / across if width > 4 else 1.0
    canvas = Canvas(width, math.ceil(side * down) + 4)
    for row in range(down):
        disorder = row / down
        for column in range(across):
            turn = random.uniform(-1, 1) * disorder * math.pi / 4
            x = 2 + (column + 0.5 + random.uniform(-1, 1) * disorder / 3) * side
            y = 2 + (row + 0.5 + random.uniform(-1, 1) * disorder / 3) * side
            _square(canvas, x, y, side / math.sqrt(2), turn)
    return str(canvas)


def _square(canvas: Canvas, x: float, y: float, radius: float, turn: float) -> None:
    corners = [
        (
            int(x + radius * math.cos(turn + math.pi * quarter)),
            int(y + radius * math.sin(turn + math.pi * quarter)),
        )
        for quarter in (0.25, 0.75, 1.25, 1.75)
    ]
    for (x1, y1), (x2, y2) in zip(corners, [*corners[1:], corners[0]], strict=True):
        canvas.line(x1, y1, x2, y2)


def skyline(random: Random, columns: int, rows: int) -> str:
    """So many characters wide and high, each coloured by itself."""
    town = [[SKY] * columns for _ in range(rows)]
    for distance in (3, 2, 1):
        x = 0
        while x < columns:
            wide = random.randint(3, 8)
            high = random.randint(1, max(1, rows * 3 // 4 - distance * rows // 8))
            for row in range(max(0, rows - high), rows):
                for column in range(x, min(columns, x + wide)):
                    lit = (column - x) % 2 and (rows - row) % 2 == 0 and random.random() < 0.3
                    town[row][column] = WINDOW - distance * 3 if lit else SKY + 2 + (3 - distance) * 4
            x += wide + random.randint(0, 2)
    return "".join("".join(f"\x1b[48;5;{grey}m " for grey in row) + "\x1b[0m\n" for row in town)


def shoal(random: Random, columns: int, rows: int) -> str:
    """So many characters wide and high."""
    water = [[" "] * columns for _ in range(rows)]
    leftwards = random.random() < 0.5
    for _ in range(columns * rows // 30):
        agrees = random.random() < 0.9
        fish = "<><" if agrees == leftwards else "><>"
        x, y = random.randint(0, max(0, columns - len(fish))), random.randrange(rows)
        if all(cell == " " for cell in water[y][max(0, x - 1) : x + len(fish) + 1]):
            water[y][x : x + len(fish)] = fish
    return "".join("".join(row[:columns]).rstrip() + "\n" for row in water)
