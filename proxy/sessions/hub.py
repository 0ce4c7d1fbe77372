"""What the proxy listens to, on behalf of all its clients.

A topic (a channel, a pattern, or a shard channel) is subscribed to once, however many clients want it, and
each message is handed on to all of them: ten thousand subscribers cost a worker one connection.

Where a topic is subscribed to:
* A shard channel at the worker that owns its slot.
* Channels and patterns at one worker, the anchor, because workers tell each other what is published.
  Everything published through this proxy goes to the anchor, too, so that it arrives in order.
* Those that begin with `__key` at every primary: notifications of what happens to keys are not told on.

A topic is *placed* when all these workers have confirmed it, and a client is told that it is subscribed only
then: what is published afterwards it will get. When a line breaks, a slot moves or the anchor fails, topics
are placed anew. Clients are not told; they miss what was published in between, as after a reconnect.
A client that is still waiting for its confirmation gets an error, instead of waiting for a cluster to heal.

Sources: Redis documentation, "Redis Pub/Sub" (frames) and "Redis keyspace notifications" (where they go).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from node.core.key_slot import key_slot
from node.keyspace.glob import Glob
from proxy.core.frames import reply_elements
from proxy.core.listener import Listener
from proxy.requests import codec
from proxy.sessions.lines import Lines
from proxy.workers.dialogue import Address, Login
from proxy.workers.redirection import destination

if TYPE_CHECKING:
    from proxy.core.connection import Turns
    from proxy.workers.topology import Topology
    from proxy.workers.upstreams import UpstreamPool

CHANNEL, PATTERN, SHARD = b"subscribe", b"psubscribe", b"ssubscribe"
"""Kinds of topics, by the word that subscribes to them."""
UNSUBSCRIBES = {CHANNEL: b"unsubscribe", PATTERN: b"punsubscribe", SHARD: b"sunsubscribe"}
MESSAGES = {b"message": CHANNEL, b"pmessage": PATTERN, b"smessage": SHARD}
UNBOUND = b"-CLUSTERDOWN Hash slot not served\r\n"


class Hearer(Protocol):
    """A client, or who stands for one."""

    resp: int

    def tell(self, frame: bytes) -> None: ...


@dataclass(eq=False, slots=True)
class Topic:
    kind: bytes
    name: bytes
    listeners: dict[Hearer, None] = field(default_factory=dict)
    """In the order in which they came."""
    at: dict[Listener, bool] = field(default_factory=dict)
    """Lines on which it was asked for → has that been confirmed?"""
    waiting: list[Placement] = field(default_factory=list)
    glob: Glob | None = None

    @property
    def placed(self) -> bool:
        return bool(self.at) and all(self.at.values())


@dataclass(eq=False, slots=True)
class Placement:
    """One SUBSCRIBE of a client: `done(None)` when all its topics are placed, `done(error)` if that fails."""

    missing: set[Topic]
    topics: list[Topic]
    done: Callable[[bytes | None], None]


class Hub(Lines):
    def __init__(self, turns: Turns, login: Login, pool: UpstreamPool, topology: Topology) -> None:
        super().__init__(turns, login)
        self.pool = pool
        self.topology = topology
        self.anchor: Address | None = None
        self._shunned: Address | None = None
        """The anchor that was lost last: the next is another one, if there is another."""
        self.topics: dict[tuple[bytes, bytes], Topic] = {}
        self._patterns: dict[bytes, Topic] = {}
        self._asked: dict[Listener, deque[tuple[bytes, Topic]]] = {}
        """What each line has to confirm, in order: (word, topic)."""

    # What sessions ask for

    def subscribe(self, kind: bytes, names: Sequence[bytes], done: Callable[[bytes | None], None]) -> None:
        """Place all these topics, then call `done`; at once if they are placed already."""
        topics = [self._topic(kind, name) for name in dict.fromkeys(names)]
        missing = {topic for topic in topics if not topic.placed}
        if not missing:
            done(None)
            return
        placement = Placement(missing, topics, done)
        for topic in missing:
            topic.waiting.append(placement)
        for topic in list(missing):
            if topic in placement.missing:
                self._place(topic)

    def join(self, client: Hearer, kind: bytes, name: bytes) -> None:
        """From now on `client` gets the messages of a topic that has just been placed for it."""
        self._topic(kind, name).listeners[client] = None

    def leave(self, client: Hearer, kind: bytes, name: bytes) -> None:
        topic = self.topics.get((kind, name))
        if topic is not None:
            topic.listeners.pop(client, None)
            self._drop_if_unused(topic)

    def own_share(self, channel: bytes) -> tuple[int, int]:
        """(to how many of our lines' subscriptions a message on `channel` is sent by the anchor, how many
        frames our clients get of it). What is still being placed again counts for nobody."""
        topics = [topic for topic in self._patterns.values() if topic.glob and topic.glob.matches(channel)]
        direct = self.topics.get((CHANNEL, channel))
        if direct is not None:
            topics.append(direct)
        line = self.lines.get(self.anchor) if self.anchor else None
        placed = [topic for topic in topics if line is not None and topic.at.get(line)]
        return len(placed), sum(len(topic.listeners) for topic in placed)

    # Placing

    def map_changed(self) -> None:
        """Slots have new owners, or there are other primaries."""
        if self.anchor not in self.topology.owners:
            self.anchor = None
        for topic in list(self.topics.values()):
            self._place(topic)
        used = {listener for topic in self.topics.values() for listener in topic.at}
        for listener in set(self.lines.values()) - used:
            self._asked.pop(listener, None)
            self.hang_up(listener)

    def repair(self) -> None:
        for topic in list(self.topics.values()):
            if not topic.placed:
                self._place(topic)

    def _topic(self, kind: bytes, name: bytes) -> Topic:
        topic = self.topics.get((kind, name))
        if topic is None:
            topic = self.topics[kind, name] = Topic(kind, name)
            if kind == PATTERN:
                topic.glob = Glob(name)
                self._patterns[name] = topic
        return topic

    def _wanted(self, topic: Topic) -> set[Address]:
        """Where it should be subscribed to; empty if there is nobody."""
        if topic.kind == SHARD:
            owner = self.topology.owners[key_slot(topic.name)]
            return {owner} if owner else set()
        if _about_keys(topic):
            return set(self.topology.primaries)
        if self.anchor is None:
            primaries = [(upstream.host, upstream.port) for _, upstream in self.pool.shards(2)]
            random.shuffle(primaries)
            primaries.sort(key=lambda address: address == self._shunned)
            self.anchor = primaries[0] if primaries else None
        return {self.anchor} if self.anchor else set()

    def _place(self, topic: Topic) -> None:
        """Ask for it where it should be and is not, and let go of it elsewhere. Idempotent."""
        wanted = self._wanted(topic)
        if not wanted:
            self._fail(topic, UNBOUND)
            self.repair_later()
            return
        for listener in [each for each in topic.at if each.address not in wanted]:
            del topic.at[listener]
            self._say(listener, UNSUBSCRIBES[topic.kind], topic)
        for address in wanted:
            listener = self.line(address)
            if listener not in topic.at:
                topic.at[listener] = False
                self._say(listener, topic.kind, topic)

    def _say(self, listener: Listener, word: bytes, topic: Topic) -> None:
        self._asked.setdefault(listener, deque()).append((word, topic))
        listener.send(codec.encode_request([word, topic.name]))

    def _settled(self, topic: Topic) -> None:
        if topic.placed:
            waiting, topic.waiting = topic.waiting, []
            for placement in waiting:
                placement.missing.discard(topic)
                if not placement.missing:
                    placement.done(None)
                    for each in placement.topics:
                        self._drop_if_unused(each)

    def _fail(self, topic: Topic, error: bytes) -> None:
        """Whoever waits for this topic gets `error`."""
        for placement in list(topic.waiting):
            for each in placement.missing:
                each.waiting.remove(placement)
            placement.missing.clear()
            placement.done(error)
            for each in placement.topics:
                self._drop_if_unused(each)

    def _drop_if_unused(self, topic: Topic) -> None:
        if topic.listeners or topic.waiting or self.topics.get((topic.kind, topic.name)) is not topic:
            return
        del self.topics[topic.kind, topic.name]
        if topic.kind == PATTERN:
            del self._patterns[topic.name]
        for listener in topic.at:
            self._say(listener, UNSUBSCRIBES[topic.kind], topic)
        topic.at.clear()

    # What lines tell

    def heard(self, listener: Listener, frame: bytes) -> None:
        asked = self._asked.get(listener)
        if frame[:1] == b"-":
            if asked:
                self._refused(listener, asked.popleft()[1], frame)
            return
        words = reply_elements(frame)
        word, name = codec.bulk_of(words[0]), codec.bulk_of(words[1])
        kind = MESSAGES.get(word)
        if kind is not None:
            self._deliver(kind, name, frame)
        elif asked and asked[0][0] == word and asked[0][1].name == name:
            _, topic = asked.popleft()
            if word == topic.kind and listener in topic.at:
                topic.at[listener] = True
                self._settled(topic)
        elif word == UNSUBSCRIBES[SHARD]:
            self._left_alone(listener, name)

    def _left_alone(self, listener: Listener, name: bytes) -> None:
        """A worker has ended our subscription: the slot has left it."""
        topic = self.topics.get((SHARD, name))
        if topic is not None and topic.at.pop(listener, False):
            self.topology.refresh_soon()
            self.repair_later()

    def _deliver(self, kind: bytes, name: bytes, frame: bytes) -> None:
        topic = self.topics.get((kind, name))
        if topic is None:
            return  # its last listener has just left
        plain = b"*" + frame[1:]
        for client in list(topic.listeners):
            client.tell(frame if client.resp == 3 else plain)

    def _refused(self, listener: Listener, topic: Topic, error: bytes) -> None:
        if topic.at.pop(listener, None) is None:
            return  # nobody wants it there any more
        where = destination(error[:-2], listener.address)
        if where is not None and not where.asking:
            self.topology.moved(where.slot, where.address)  # tells `map_changed`
        else:
            self._fail(topic, error)
        self.repair_later()

    def was_lost(self, listener: Listener, error: bytes) -> None:
        if self.anchor == listener.address:
            self.anchor, self._shunned = None, self.anchor
        self.topology.refresh_soon()
        self._asked.pop(listener, None)
        for topic in list(self.topics.values()):
            if topic.at.pop(listener, None) is not None:
                self._fail(topic, error)


def _about_keys(topic: Topic) -> bool:
    return topic.kind != SHARD and topic.name.startswith(b"__key")
