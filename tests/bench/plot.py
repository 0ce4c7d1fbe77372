"""The CPU ratios of all rows as an SVG: one line of bars per row, one bar per pipeline depth.

Written by hand, as it is a few dozen rectangles. Colours are readable on light and on dark pages, and the
figures stand beside the bars, so that no colour has to be told from another.
"""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from tests.bench.results import Result, Setting

LABEL_WIDTH = 130
RATIO_WIDTH = 260
"""Of a ratio of 1."""
LONGEST = 2.0
BAR_HEIGHT = 7
COLOURS = ("#2a78c8", "#e08a1e", "#5a9e4b")
TEXT = "#808080"


def draw(results: list[Result]) -> str:
    """The results in the usual setting, by rows."""
    usual = [
        result
        for result in results
        if result.part == "rows" and result.setting == Setting(pipeline=result.setting.pipeline)
    ]
    depths = sorted({result.setting.pipeline for result in usual})
    names = list(dict.fromkeys(result.row.name for result in usual))
    line = len(depths) * BAR_HEIGHT + 7
    height, width = 34 + line * len(names), LABEL_WIDTH + int(LONGEST * RATIO_WIDTH) + 40
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif">'
    ]
    for at, depth in enumerate(depths):
        x = LABEL_WIDTH + 100 * at
        parts.append(f'<rect x="{x}" y="4" width="10" height="8" fill="{COLOURS[at % 3]}"/>')
        parts.append(_text(x + 14, 12, f"pipeline {depth}", 10))
    parts.append(
        _text(
            LABEL_WIDTH + RATIO_WIDTH,
            26,
            "server CPU per operation: better of redis 8.2 and valkey 9.1 = 1",
            9,
        )
    )
    found = {(result.row.name, result.setting.pipeline): result.ratio("cpu") for result in usual}
    for number, name in enumerate(names):
        top = 32 + line * number
        parts.append(_text(0, top + line / 2 + 1, name, 10))
        parts += _bars([found.get((name, depth)) for depth in depths], top)
    x = LABEL_WIDTH + RATIO_WIDTH
    parts.append(f'<path d="M{x} 28V{height}" stroke="{TEXT}" stroke-dasharray="3 3"/>')
    return "\n".join([*parts, "</svg>", ""])


def _bars(ratios: list[float | None], top: float) -> Iterator[str]:
    for at, ratio in enumerate(ratios):
        if ratio is None:
            continue
        y, length = top + at * BAR_HEIGHT, min(ratio, LONGEST) * RATIO_WIDTH
        fill, height = COLOURS[at % len(COLOURS)], BAR_HEIGHT - 1
        yield f'<rect x="{LABEL_WIDTH}" y="{y}" width="{length:.0f}" height="{height}" fill="{fill}"/>'
        yield _text(LABEL_WIDTH + length + 3, y + height, f"{ratio:.2f}", 7)


def _text(x: float, y: float, words: str, size: int) -> str:
    return f'<text x="{x:.0f}" y="{y:.0f}" font-size="{size}" fill="{TEXT}">{escape(words)}</text>'
