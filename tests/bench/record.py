"""The JSON of a run, written after every result, so that a long run may be interrupted and goes on later.

What is there already is not measured again, if it is of the same extent and of the same sources: figures of
different programs do not belong into one table. Medians and ratios stand beside the samples for whoever reads
the file; only the samples are read back.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

from tests.bench.results import Result
from tests.bench.runs import Extent, Task
from tests.bench.servers import KINDS
from tests.bench.shapes import SHAPES
from tests.bench.weights import Weight
from tests.harness.servers import ROOT


class Record:
    def __init__(self, path: Path | None, extent: Extent) -> None:
        self._path = path
        self._head = {"extent": asdict(extent), "sources": fingerprint()}
        self._results: dict[Any, Result] = {}
        self._weights: dict[str, Weight] = {}
        if path is not None and path.exists():
            self._read(json.loads(path.read_text()))

    def _read(self, data: dict[str, Any]) -> None:
        for name, value in self._head.items():
            if data.get(name) != value:
                raise SystemExit(
                    f"{self._path} is of another run (its {name} differ): remove it, or name another"
                )
        for each in map(Result.from_data, data["rows"]):
            self._results[each.key] = each
        for one in data["memory"]:
            self._weights[one["keys"]] = Weight(SHAPES[one["keys"]], one["bytes_per_key"])

    def add(self, measured: Result | Weight) -> None:
        if isinstance(measured, Weight):
            self._weights[measured.shape.name] = measured
        else:
            self._results[measured.key] = measured
        if self._path is not None:
            beside = self._path.with_suffix(".part")
            beside.write_text(json.dumps(self.as_data(), indent=1))
            beside.rename(self._path)

    def has(self, what: Task | str) -> bool:
        """A task, or the name of a shape."""
        return what in self._weights if isinstance(what, str) else what.key in self._results

    def results(self, tasks: list[Task]) -> list[Result]:
        return [self._results[task.key] for task in tasks if task.key in self._results]

    def weights(self) -> list[Weight]:
        return list(self._weights.values())

    def as_data(self) -> dict[str, Any]:
        return {
            **self._head,
            "rows": [_readable(each) | each.as_data() for each in self._results.values()],
            "memory": [
                {"keys": each.shape.name, "bytes_per_key": each.bytes_per_key, "ratio": each.ratio}
                for each in self._weights.values()
            ],
        }


def _readable(result: Result) -> dict[str, Any]:
    figures = [one.name for one in fields(type(result.samples["shoal"][0]))]
    medians = {figure: {kind: result.median(kind, figure) for kind in KINDS} for figure in figures}
    return medians | {"ratios": {figure: result.ratio(figure) for figure in figures}}


def fingerprint() -> str:
    """Of all that a worker runs."""
    found = hashlib.sha256()
    for package in ("node", "cluster"):
        for path in sorted((ROOT / package).rglob("*.py*")):
            if path.suffix in (".py", ".pyx", ".pxd"):
                found.update(path.read_bytes())
    return found.hexdigest()[:16]
