"""The page about the architecture (reference.py writes it): drawn from the code's own imports and tables.

Diagrams are Mermaid's, which GitHub, GitLab and editors show as pictures.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import is_dataclass
from pathlib import Path
from types import ModuleType
from typing import get_args

ROOT = Path(__file__).parent.parent
PACKAGES = ("proxy", "cluster", "node")
FEW = 2
"""Imports of another package's folder from which on an arrow is worth its ink."""

Table = Callable[..., Iterator[str]]
Arrows = Mapping[tuple[str, str], str]


def architecture(note: str, table: Table, ways: Counter[str]) -> Iterator[str]:
    """`table` writes one; `ways`: how many commands take each way through the proxy."""
    yield "# Architecture"
    yield ""
    yield f"{note} The README tells how to find your way; this page is what the code says of itself."
    yield from _packages(table)
    yield from _coordinator(table)
    yield from _ways(ways)


def _diagram(arrows: Arrows, boxes: Mapping[str, Iterable[str]] | None = None) -> Iterator[str]:
    """A flow chart. `arrows`: (from, to) -> what is written at it; `boxes`: what stands together, by name."""
    yield ""
    yield "```mermaid"
    yield "flowchart LR"
    for box, names in (boxes or {}).items():
        yield f"  subgraph in_{box} [{box}]"
        yield from (f'    {_id(name)}["{name.rpartition("/")[2]}"]' for name in names)
        yield "  end"
    for (start, end), label in arrows.items():
        yield f"  {_id(start)} -->{f'|{label}|' if label else ''} {_id(end)}"
    yield "```"


def _id(name: str) -> str:
    return name.replace("/", "_").replace(" ", "_")


def _first_line(text: str | None) -> str:
    return " ".join((text or "").partition("\n\n")[0].split()).partition(". ")[0].rstrip(".:")


# --- packages --------------------------------------------------------------------------------------------


def _packages(table: Table) -> Iterator[str]:
    folders = {package: sorted(_folders(package)) for package in PACKAGES}
    imports = _imports()
    between = {
        (start, end): ""
        for (start, end), count in sorted(imports.items())
        if start.partition("/")[0] != end.partition("/")[0] and count >= FEW
    }
    shown = {name for pair in between for name in pair}
    yield ""
    yield "## Packages"
    yield ""
    yield "Imports go one way, `proxy → cluster → node`; a test holds that. Between the packages, these"
    yield "folders use each other in more than one place:"
    boxes = {
        package: [name for name in [package, *names] if name in shown] for package, names in folders.items()
    }
    yield from _diagram(between, boxes)
    yield ""
    yield "Within its package, each folder uses the ones named behind it:"
    for package, names in folders.items():
        yield ""
        yield f"### {package}"
        rows = ((f"`{name.partition('/')[2]}/`", _about(name), _used_by(name, imports)) for name in names)
        yield from table("folder", "", "uses", rows=rows)


def _about(folder: str) -> str:
    return _first_line(ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text())))


def _used_by(folder: str, imports: Iterable[tuple[str, str]]) -> str:
    """The folders of its own package from which it imports."""
    package = folder.partition("/")[0]
    used = (end.partition("/") for start, end in imports if start == folder)
    return ", ".join(sorted(f"`{name}`" for root, _, name in used if root == package and name))


def _folders(package: str) -> Iterator[str]:
    for marker in (ROOT / package).glob("*/__init__.py"):
        yield f"{package}/{marker.parent.name}"


def _imports() -> Counter[tuple[str, str]]:
    """How many modules of one folder import from another one."""
    found: Counter[tuple[str, str]] = Counter()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            start = _folder(path.relative_to(ROOT).with_suffix("").parts)
            ends = {_folder(tuple(name.split("."))) for name in _imported(ast.parse(path.read_text()))}
            found.update((start, end) for end in ends - {start, ""})
    return found


def _imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and not node.level and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def _folder(parts: tuple[str, ...]) -> str:
    """The folder of a module, down to the second level; empty for what is not ours."""
    if parts[0] not in PACKAGES:
        return ""
    deep = len(parts) > 1 and (ROOT / parts[0] / parts[1]).is_dir()
    return "/".join(parts[: 1 + deep])


# --- the coordinator -------------------------------------------------------------------------------------


def _coordinator(table: Table) -> Iterator[str]:
    from cluster.coordinator import effects, messages

    kinds = {cls.__name__: cls for cls in (*get_args(messages.Message), messages.Published)}
    asked = {cls.__name__: cls for cls in _classes(effects)}
    yield ""
    yield "## A member's brain"
    yield ""
    yield "The coordinator decides and does nothing: messages and time go in, effects come out, and"
    yield "`cluster/member.py` carries them out. So whole clusters run in virtual time (`tests/simulation`)."
    arrows = {(name, "coordinator"): "" for name in kinds} | {("coordinator", name): "" for name in asked}
    yield from _diagram(arrows, {"messages": kinds, "effects": asked})
    for title, classes in (("Messages", kinds), ("Effects", asked)):
        yield from table(
            title, "", rows=((f"`{name}`", _first_line(_told(cls))) for name, cls in classes.items())
        )


def _classes(module: ModuleType) -> Iterator[type]:
    """The data classes that a module defines, in its order."""
    return (
        value
        for value in vars(module).values()
        if is_dataclass(value) and isinstance(value, type) and value.__module__ == module.__name__
    )


def _told(cls: type) -> str:
    """Its docstring, if it was written: a data class gets one of its own otherwise."""
    text = cls.__doc__ or ""
    return "" if text.startswith(f"{cls.__name__}(") else text


# --- the proxy -------------------------------------------------------------------------------------------


def _ways(counts: Counter[str]) -> Iterator[str]:
    yield ""
    yield "## A request's way through the proxy"
    yield ""
    yield "The command table decides, and says how many replies become one; so many commands and"
    yield "subcommands take each way (`node/commands/REFERENCE.md` tells which):"
    yield from _diagram({("command table", way): str(count) for way, count in counts.most_common()})
