"""What the operator sees: tables on stdout, bars and complaints on stderr, JSON for programs."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column, Table
from rich.text import Text

GAP = 2
"""Between columns"""
SHORTEST_CUT = 16
"""Letters of a column that is cut"""
WIDTH_OF_A_PIPE = 200
"""Rich would fold tables to 80 columns where there is no terminal."""


def console() -> Console:
    """Made anew each time, because stdout may be another one each time (tests, redirections)."""
    return Console(width=None if sys.stdout.isatty() else WIDTH_OF_A_PIPE, highlight=False, soft_wrap=False)


def complain(text: str) -> None:
    """One line on stderr."""
    print(f"shoal: {' '.join(text.split())}", file=sys.stderr)


def say(text: str) -> None:
    console().print(Text(text))


class Declined(Exception):
    """Nobody said yes."""


def confirm(question: str, json: bool = False) -> None:
    """Raises Declined unless the answer is yes, typer.Abort on Ctrl-C. With `json` it is asked on stderr."""
    heard = sys.stderr if json else sys.stdout  # where nobody types, `input` writes to stdout, too
    try:
        with contextlib.redirect_stdout(heard):
            agreed = typer.confirm(question, err=json)
    except typer.Abort as error:
        if not isinstance(error.__context__, EOFError):
            raise
        typer.echo(err=json)  # the question still waits in its line
        raise Declined("nobody is there to answer; --yes goes on unasked") from error
    if not agreed:
        raise Declined("declined")


def narrator(quiet: bool) -> Callable[[str], None]:
    """What steps are told to. Quiet where only JSON is to be printed."""
    return (lambda line: None) if quiet else say


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Iterable[Sequence[Any]],
    numeric: Collection[str] = (),
    dispensable: Sequence[str] = (),
    elastic: str = "",
) -> None:
    """Columns have different names. Those in `numeric` are aligned to the right; those in `dispensable` are
    left out, in this order, where there is no room for all. What stands in the column `elastic` is cut to the
    room that the others leave."""
    page = console()
    lines = [dict(zip(columns, row, strict=True)) for row in rows]
    longest = {elastic: SHORTEST_CUT}
    table = Table(
        title=title or None, title_justify="left", title_style="bold", header_style="bold", box=None
    )
    shown = fitting(columns, lines, dispensable, page.width, longest)
    if elastic in shown:
        others = [column for column in shown if column != elastic]
        room = page.width - GAP - sum(widths_of(others, lines).values())
        lines = [line | {elastic: _cut(str(line[elastic]), max(room, SHORTEST_CUT))} for line in lines]
    for column in shown:
        table.add_column(column, justify="right" if column in numeric else "left", overflow="fold")
    for line in lines:
        cells = (line[column] for column in shown)
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in cells))
    page.print(table)


def _cut(text: str, width: int) -> Text:
    """To so many cells of the terminal, of which some letters take two."""
    cut = Text(text)
    cut.truncate(width, overflow="ellipsis")
    return cut


def fitting(
    columns: Sequence[str],
    lines: Sequence[Mapping[str, Any]],
    dispensable: Sequence[str],
    width: int,
    longest: Mapping[str, int] = {},
) -> list[str]:
    """The columns that there is room for. `lines`: column -> what stands there. `longest`: column -> how many
    letters of it are enough."""
    widths = widths_of(columns, lines)
    widths |= {
        column: min(widths[column], GAP + most) for column, most in longest.items() if column in widths
    }
    shown = list(columns)
    for column in dispensable:
        if sum(widths[each] for each in shown) <= width:
            break
        shown.remove(column)
    return shown


def widths_of(columns: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> dict[str, int]:
    """Of each, with the gap to the next."""
    return {
        column: GAP + max(len(column), *(len(str(line.get(column, ""))) for line in lines), 0)
        for column in columns
    }


def as_fits(parts: Sequence[Text], dispensable: Sequence[int], gap: str, width: int) -> Text:
    """One line of the parts, without those that have no room, of which the first of `dispensable` (numbers of
    parts) goes first. What is too long all the same ends in an ellipsis."""
    shown = list(range(len(parts)))
    for number in dispensable:
        if sum(parts[each].cell_len + len(gap) for each in shown) - len(gap) <= width:
            break
        shown.remove(number)
    line = Text(gap).join(parts[each] for each in shown)
    line.truncate(width, overflow="ellipsis")
    return line


def near(address: str | None, other: str) -> str:
    """`:7001` of one on the same host as the other."""
    host, _, port = (address or "nobody").rpartition(":")
    return f":{port}" if host and host == other.rpartition(":")[0] else address or "nobody"


def counted(number: int, what: str) -> str:
    """`1 problem`, `2 problems`."""
    return f"{number} {what}{'s' * (number != 1)}"


ROOMY = 100
"""Columns of a terminal in which a bar has room for all that it could tell."""


def progress_bar() -> Progress:
    """On stderr. Its tasks have `figures`, shown behind the bar. Where there is little room the figures and
    the time that is left come before the rest."""
    page = Console(file=sys.stderr, width=None if sys.stderr.isatty() else ROOMY)
    figures = TextColumn("{task.fields[figures]}")
    parts: list[ProgressColumn] = [TextColumn("{task.description}"), BarColumn()]
    if page.width < ROOMY:
        remaining = TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True))
        parts += [figures, remaining, TextColumn("left")]
    else:
        parts += [
            TaskProgressColumn(),
            figures,
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("left"),
        ]
    return Progress(*parts, console=page)


class Bars:
    """A bar for each step, on stderr. Nothing is shown before the first is painted, so that an error that
    comes before stands alone. A context manager."""

    def __init__(self) -> None:
        self._bar: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> Bars:
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def paint(self, step: str, done: int, total: int, figures: str) -> None:
        if self._bar is None:
            self._bar = progress_bar()
            self._bar.start()
        if step not in self._tasks:
            self._tasks[step] = self._bar.add_task(step, total=None, figures="")
        # Of nothing, all is done.
        self._bar.update(
            self._tasks[step], total=max(total, 1), completed=done if total else 1, figures=figures
        )


def coloured(text: str, good: bool) -> Text:
    return Text(text, style="green" if good else "bold red")


def human_bytes(number: float) -> str:
    """`1.5 MB`: powers of 1000, as on the label of a disk."""
    for unit in ("B", "kB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:.1f} TB"


def key_text(key: bytes) -> str:
    """A key as one line of text: what cannot be printed stands as `\\xNN`."""
    text = key.decode("utf-8", "backslashreplace")
    if text.isprintable():
        return text
    return "".join(
        letter if letter.isprintable() else "".join(f"\\x{byte:02x}" for byte in letter.encode())
        for letter in text
    )


def shortened(text: str, longest: int = 80) -> str:
    return text if len(text) <= longest else f"{text[:longest]}..."
