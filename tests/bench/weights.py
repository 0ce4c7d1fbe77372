"""What a key of each type takes of memory: how much the resident bytes of a server grow by many of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from tests.bench.measure import resident_bytes, send_all
from tests.bench.rows import Shape
from tests.bench.runs import KINDS, started
from tests.harness.resp import encode


@dataclass(frozen=True, slots=True)
class Weight:
    shape: Shape
    bytes_per_key: dict[str, float]

    @property
    def ratio(self) -> float:
        """Ours to the better oracle's."""
        return self.bytes_per_key["shoal"] / min(self.bytes_per_key[kind] for kind in KINDS[1:])


def weigh(shapes: Iterable[Shape], value_size: int, keys: int | None = None) -> list[Weight]:
    """Each shape in servers of its own, which have used nothing before; `keys` of them where given."""
    return [
        Weight(shape, {kind: _weigh(kind, shape, value_size, keys or shape.keys) for kind in KINDS})
        for shape in shapes
    ]


def _weigh(kind: str, shape: Shape, value_size: int, keys: int) -> float:
    with started(kind, aof=False, replica=False) as each:
        before = resident_bytes(each.pid)
        send_all(each.port, _commands(shape, value_size, keys))
        return (resident_bytes(each.pid) - before) / keys


def _commands(shape: Shape, value_size: int, keys: int) -> Iterator[bytes]:
    item = shape.item.encode().replace(b"VALUE", b"x" * value_size)
    words = b" ".join(item.replace(b"@", b"%d" % number) for number in range(shape.items)).split(b" ")
    for number in range(keys):
        yield encode(*shape.head.encode().replace(b"#", b"%012d" % number).split(b" "), *words)
