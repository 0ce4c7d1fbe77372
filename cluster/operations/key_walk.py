"""Going through the keys of a whole cluster: all nodes side by side, each at a bounded rate.

The keys of a node come by SCAN, a portion at a time, so that it serves its clients in between; what is to be
known of them is asked in pipelines of the same size. As SCAN promises, a key that is there all the time is
met, one that comes or goes meanwhile may be, and one may be met twice. One whose slot moves away is left out,
or met at both places.

A walk can be stopped at any time (`request_stop`), and what it has found until then is good.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass
from enum import Enum
from typing import Any

from cluster.addresses import address_text
from cluster.operations.link import (
    Argument,
    Credentials,
    ErrorReply,
    NodeLink,
    OperationError,
    Refused,
)
from cluster.operations.server_info import keys_per_database, read_info
from cluster.operations.survey import Survey, first_slot
from cluster.plans.model import NodeInfo

AT_ONCE = 64
LOOK_SECONDS = 0.1
_OF_LONG_AGO = ("MOVED ", "ASK ", "TRYAGAIN", "WRONGTYPE", "ERR no such key")
"""How errors begin that say no more than that the key is not any more what it was a moment ago."""


class Which(Enum):
    PRIMARIES = "primaries"
    REPLICAS = "replicas"
    """One of each shard, and its primary where there is none that is in sync."""
    ALL = "all"


@dataclass(frozen=True)
class Source:
    """A node whose keys are gone through."""

    host: str
    port: int
    is_replica: bool = False

    @property
    def address(self) -> str:
        return address_text(self.host, self.port)


def find_sources(host: str, port: int, credentials: Credentials, which: Which) -> list[Source]:
    """The nodes of the cluster that host:port belongs to, or that server alone.

    Raises OperationError when it does not answer.
    """
    try:
        with Survey.of(host, port, credentials) as survey:
            return _sources_of(survey, which)
    except Refused as error:
        if "cluster support disabled" not in error.reply:
            raise
    return [Source(host, port)]


def _sources_of(survey: Survey, which: Which) -> list[Source]:
    """Primaries by their slots; those that do not answer, too, lest they be passed over in silence."""
    found = []
    for primary in sorted(survey.nodes.values(), key=first_slot):
        if not primary.is_primary or not primary.slots:
            continue
        replicas = [
            Source(node.host, node.port, is_replica=True)
            for node in survey.nodes.values()
            if node.primary_id == primary.id and _is_in_sync(survey, node)
        ]
        own = [Source(primary.host, primary.port)]
        if which is Which.ALL:
            found += own + replicas
        else:
            found += replicas[:1] if which is Which.REPLICAS and replicas else own
    return found


def _is_in_sync(survey: Survey, node: NodeInfo) -> bool:
    if node.failed or node.address in survey.unreachable:
        return False
    return read_info(survey.link(node.id), "replication").get("master_link_status") == "up"


Examine = Callable[[NodeLink, int, Sequence[bytes]], None]
"""Called with a link to the node, the number of the database, and some keys of it."""


@dataclass
class Progress:
    """Of one source."""

    source: Source
    keys: int = 0
    """That it has, as it said in the beginning."""
    seen: int = 0
    problem: OperationError | None = None
    done: bool = False


class Walk:
    """Goes through the keys of all sources. `rate`: keys a second of each source, 0 for as many as come."""

    def __init__(
        self,
        sources: Sequence[Source],
        credentials: Credentials,
        rate: int = 0,
        portion: int = 100,
        pattern: str = "",
        kind: str = "",
    ) -> None:
        self.progress = [Progress(source) for source in sources]
        self._credentials = credentials
        self._rate = rate
        self._portion = portion
        options: list[Argument] = ["MATCH", pattern] if pattern else []
        self._options = [*options, "COUNT", portion, *(["TYPE", kind] if kind else [])]
        self.stop_requested = False
        self._stop = threading.Event()

    def request_stop(self) -> None:
        """A handler of signals may call this, at any moment: so it sets a flag, and no event, whose lock the
        interrupted thread may hold."""
        self.stop_requested = True

    @property
    def is_complete(self) -> bool:
        return all(each.done for each in self.progress)

    def run(self, examine: Callable[[Source], Examine], watch: Callable[[], None]) -> None:
        """Go through all. `examine(source)` gives what looks at the keys of one; it is called by one thread
        only. `watch()` is called again and again. What has befallen the sources is in `progress`."""
        with ThreadPoolExecutor(max(1, min(AT_ONCE, len(self.progress)))) as pool:
            try:
                jobs = [pool.submit(self._go, each, examine(each.source)) for each in self.progress]
                while wait(jobs, LOOK_SECONDS).not_done:
                    watch()
                    if self.stop_requested:
                        self._stop.set()
                watch()
                for job in jobs:
                    job.result()  # a bug of ours is not to be silent
            finally:
                self._stop.set()  # the pool waits for its threads, whatever has happened

    def _go(self, progress: Progress, examine: Examine) -> None:
        source = progress.source
        try:
            with closing(NodeLink(source.host, source.port, self._credentials)) as link:
                numbers = keys_per_database(link)
                progress.keys = sum(numbers.values())
                for number in sorted(numbers):
                    with link.database(number):
                        # Where that is known, our looking makes no key seem used.
                        link.pipeline([("CLIENT", "NO-TOUCH", "ON")])
                        if source.is_replica:
                            link.call("READONLY")
                        self._go_through(link, number, progress, examine)
            progress.done = not self._stop.is_set()
        except OperationError as error:
            progress.problem = error

    def _go_through(self, link: NodeLink, number: int, progress: Progress, examine: Examine) -> None:
        began, looked_at = time.monotonic(), 0
        for keys in self._portions(link):
            if keys:
                examine(link, number, keys)
            progress.seen += len(keys)
            looked_at += max(len(keys), self._portion)
            due = began + looked_at / self._rate if self._rate else 0.0
            if self._stop.wait(max(0.0, due - time.monotonic())):
                return

    def _portions(self, link: NodeLink) -> Iterator[list[bytes]]:
        cursor = b"0"
        while True:
            cursor, keys = link.call("SCAN", cursor, *self._options)
            yield keys
            if cursor == b"0":
                return


def ask(link: NodeLink, commands: Sequence[Sequence[Argument]]) -> list[Any]:
    """The replies to commands about keys, each about one: None where the key is gone, or another by now.
    Raises Refused for any other error."""
    replies = link.pipeline(commands)
    for i, reply in enumerate(replies):
        if isinstance(reply, ErrorReply):
            if not reply.text.startswith(_OF_LONG_AGO):
                raise link.refused(commands[i], reply)
            replies[i] = None
    return replies
