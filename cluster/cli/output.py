"""What the operator sees: tables on stdout, bars and complaints on stderr, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

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


def confirm(question: str, json: bool = False) -> None:
    """Raises typer.Abort unless the answer is yes. With `json` it is asked on stderr."""
    typer.confirm(question, abort=True, err=json)


def narrator(quiet: bool) -> Callable[[str], None]:
    """What steps are told to. Quiet where only JSON is to be printed."""
    return (lambda line: None) if quiet else say


def print_json(value: Any) -> None:
    print(json.dumps(value, indent=2))


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[Any]], numeric: Sequence[str] = ()
) -> None:
    """Columns named in `numeric` are aligned to the right."""
    table = Table(
        title=title or None, title_justify="left", title_style="bold", header_style="bold", box=None
    )
    for column in columns:
        table.add_column(column, justify="right" if column in numeric else "left", overflow="fold")
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    console().print(table)


def progress_bar() -> Progress:
    """On stderr. Its tasks have `figures`, shown behind the bar."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[figures]}"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        console=Console(file=sys.stderr, width=None if sys.stderr.isatty() else 100),
    )


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
