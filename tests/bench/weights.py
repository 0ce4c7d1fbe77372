"""What a key of each type takes of memory: how much the resident bytes of a server grow by many of them."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

from tests.bench.measure import resident_bytes, send_all
from tests.bench.servers import side_by_side
from tests.bench.shapes import Shape
from tests.harness.resp import encode

ITEMS_IN_COMMAND = 1000
VALUE_SIZE = 64


@dataclass(frozen=True, slots=True)
class Weight:
    shape: Shape
    bytes_per_key: dict[str, float]

    @property
    def ratio(self) -> float:
        """Ours to the lightest of those it is compared with."""
        return self.bytes_per_key["shoal"] / min(self.bytes_per_key[kind] for kind in self.shape.beside)


def weigh(shapes: Iterable[Shape], keys: int | None = None) -> Generator[Weight, None, None]:
    """Each shape in servers of its own, which have used nothing before; at most `keys` of them if given."""
    for shape in shapes:
        count = min(shape.keys, keys or shape.keys)
        with side_by_side() as servers:
            before = {kind: resident_bytes(each.pid) for kind, each in servers.items()}
            for each in servers.values():
                send_all(each.port, _commands(shape, count))
            grown = {kind: resident_bytes(each.pid) - before[kind] for kind, each in servers.items()}
        yield Weight(shape, {kind: size / count for kind, size in grown.items()})


def _commands(shape: Shape, keys: int) -> Iterator[bytes]:
    item = shape.item.encode().replace(b"VALUE", b"x" * VALUE_SIZE)
    chunks = [
        b" ".join(
            item.replace(b"@", b"%d" % number)
            for number in range(start, min(start + ITEMS_IN_COMMAND, shape.items))
        ).split(b" ")
        for start in range(0, shape.items, ITEMS_IN_COMMAND)
    ]
    for number in range(keys):
        head = shape.head.encode().replace(b"#", b"%012d" % number).split(b" ")
        for words in chunks:
            yield encode(*head, *words)
