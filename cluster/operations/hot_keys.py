"""Which keys are used most, by one of two ways.

Traffic: nodes with HOTKEYS (shoal workers, Redis 8.6) are told to watch their commands for some seconds, all
at the same time, and then asked for the keys that cost most processor time and bytes.

Frequency: under an LFU policy (maxmemory-policy allkeys-lfu or volatile-lfu) every server counts accesses to
each key, on a logarithmic scale that fades; going through all keys by OBJECT FREQ finds the greatest. The
counts are of all the time before, and need no watching.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from cluster.operations.big_keys import Top
from cluster.operations.key_walk import AT_ONCE, Source, ask
from cluster.operations.link import Credentials, NodeLink, OperationError, Refused
from cluster.operations.server_info import read_info

MOST_KEYS = 64
"""That HOTKEYS tells of one node."""
MARGIN_SECONDS = 30
"""So much longer a watch may go on by itself, if we die before we end it."""
POLICY_ADVICE = "CONFIG SET maxmemory-policy allkeys-lfu lets it count accesses"


@dataclass(frozen=True)
class HotKey:
    """What it has cost while it was watched, scaled up from the sample; None: it was not among the first."""

    key: bytes
    source: Source
    cpu_percent: float | None
    """Of one processor."""
    share_percent: float | None
    """Of the time of all commands with keys on this node."""
    bytes_per_second: float | None


def has_hotkeys(link: NodeLink) -> bool:
    """Raises OperationError for anything but an answer or an unknown command."""
    try:
        link.call("HOTKEYS", "GET")
    except Refused as error:
        if "unknown command" not in error.reply:
            raise
        return False
    return True


def counts_accesses(link: NodeLink) -> bool:
    return "lfu" in read_info(link, "memory").get("maxmemory_policy", "")


class Watch:
    """HOTKEYS on all of `sources`. `ratio`: one of so many commands is looked at."""

    def __init__(self, sources: Sequence[Source], credentials: Credentials, ratio: int) -> None:
        self._sources = sources
        self._links = [NodeLink(source.host, source.port, credentials) for source in sources]
        self._ratio = ratio
        self._watching: list[NodeLink] = []

    @contextmanager
    def watching(self, seconds: float) -> Iterator[None]:
        """Within, all watch. Raises OperationError if one does not."""
        words = ("HOTKEYS", "START", "METRICS", 2, "CPU", "NET", "COUNT", MOST_KEYS)
        limit = ("DURATION", round(seconds) + MARGIN_SECONDS, "SAMPLE", self._ratio)
        try:
            for link in self._links:
                _start(link, (*words, *limit))
                self._watching.append(link)
            yield
        finally:
            for link in self._watching:
                with suppress(OperationError):  # it ends by itself
                    link.pipeline([("HOTKEYS", "STOP"), ("HOTKEYS", "RESET")])
            for link in self._links:
                link.close()

    def found(self) -> tuple[list[HotKey], dict[str, OperationError]]:
        """What has been seen until now; and who could not be asked (address -> why)."""
        keys: list[HotKey] = []
        problems = {}
        with ThreadPoolExecutor(AT_ONCE) as pool:
            for source, told in zip(self._sources, pool.map(_told, self._links), strict=True):
                if isinstance(told, OperationError):
                    problems[source.address] = told
                else:
                    keys += read_report(source, told)
        return keys, problems


def _start(link: NodeLink, words: tuple[str | int, ...]) -> None:
    try:
        link.call(*words)
    except Refused as error:
        if "already in progress" in error.reply:
            error.next_step = "somebody else watches; HOTKEYS STOP ends that"
        elif "unknown command" in error.reply:
            error.next_step = f"use --by frequency; {POLICY_ADVICE}"
        raise


def _told(link: NodeLink) -> dict[bytes, Any] | OperationError:
    try:
        reply = link.call("HOTKEYS", "GET")
    except OperationError as error:
        return error
    return _paired(reply[0]) if reply else {}


def _paired(flat: Sequence[Any]) -> dict[Any, Any]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def read_report(source: Source, report: dict[bytes, Any]) -> list[HotKey]:
    """The keys in a reply of HOTKEYS GET."""
    seconds = report.get(b"collection-duration-ms", 0) / 1000
    if not seconds:
        return []
    ratio = report[b"sample-ratio"]
    all_us = report.get(b"all-commands-all-slots-us", 0)
    times, volumes = _paired(report.get(b"by-cpu-time-us", ())), _paired(report.get(b"by-net-bytes", ()))
    found = []
    for key in dict.fromkeys([*times, *volumes]):
        us = times[key] * ratio if key in times else None
        found.append(
            HotKey(
                key,
                source,
                None if us is None else us / seconds / 10_000,
                None if us is None or not all_us else min(100.0, 100 * us / all_us),
                volumes[key] * ratio / seconds if key in volumes else None,
            )
        )
    return found


class Frequencies:
    """The keys of one source that are used most."""

    def __init__(self, most: int) -> None:
        self.top: Top[tuple[int, bytes, Source]] = Top(most)

    def examine(self, source: Source, link: NodeLink, database: int, keys: Sequence[bytes]) -> None:
        try:
            told = ask(link, [("OBJECT", "FREQ", key) for key in keys])
        except Refused as error:
            if "LFU" in error.reply:
                error.next_step = POLICY_ADVICE
            raise
        for key, frequency in zip(keys, told, strict=True):
            if frequency is not None:
                self.top.add(frequency, (frequency, key, source))

    def join(self, others: Iterable[Frequencies]) -> Frequencies:
        for other in others:
            self.top.add_all(other.top)
        return self


def all_can(
    sources: Sequence[Source], credentials: Credentials, can: Callable[[NodeLink], bool]
) -> str | None:
    """The address of one that cannot, None if all can. Raises OperationError when one does not answer."""

    def answer(source: Source) -> bool:
        link = NodeLink(source.host, source.port, credentials)
        try:
            return can(link)
        finally:
            link.close()

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for source, able in zip(sources, pool.map(answer, sources), strict=True):
            if not able:
                return source.address
    return None
