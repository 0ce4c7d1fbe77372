"""Publish and subscribe: who listens to what, and the way of a message to them.

There are three kinds of subscription. A *channel* has a name, a *pattern* stands for all channels it
matches; both are heard of wherever in the cluster something is published. A *shard channel* belongs to the
shard that owns its slot, and is kept by slot, because all subscriptions of a slot end when the slot leaves.

`PubSub` is the worker's registry, and knows nothing of the cluster: what other members publish is given to
it by `publish` and `publish_shard` like anything else. Each session that listens has its `Subscriptions`.
The two are always changed together, here.

A message is encoded once for each protocol that its receivers speak, however many they are, and sent with
what else comes for the same receiver in a turn of the loop (`core/fanout`). What a slow receiver does not
take waits in its transport, up to its class' limit (`session/output_limits`).

Frames are those of Redis' documentation "Redis Pub/Sub": an array in RESP2, a push in RESP3.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Final

from node.core.command_rows import GATE_SUBSCRIBED
from node.core.fanout import Fanout
from node.core.key_slot import key_slot
from node.core.reply_writer import encode_reply
from node.keyspace.glob import Glob
from node.replies import Push

if TYPE_CHECKING:
    from node.session.session import Session

MESSAGE: Final = b"message"
PATTERN_MESSAGE: Final = b"pmessage"
SHARD_MESSAGE: Final = b"smessage"

Listeners = dict["Session", None]
"""The sessions of one channel, in the order in which they came."""


class Subscriptions:
    """What one session listens to. Names, in the order in which they were asked for."""

    __slots__ = ("channels", "patterns", "shard_channels")

    def __init__(self) -> None:
        self.channels: dict[bytes, None] = {}
        self.patterns: dict[bytes, None] = {}
        self.shard_channels: dict[bytes, None] = {}

    @property
    def count(self) -> int:
        """Channels and patterns together: what their confirmations tell."""
        return len(self.channels) + len(self.patterns)

    def __bool__(self) -> bool:
        return bool(self.channels or self.patterns or self.shard_channels)


class Frame:
    """One push on its way to many: encoded when the first receiver of a protocol asks for it."""

    __slots__ = ("_encoded", "push")

    def __init__(self, *items: Any) -> None:
        self.push = Push(items)
        self._encoded: dict[int, bytes] = {}

    def encoded(self, protocol: int) -> bytes:
        raw = self._encoded.get(protocol)
        if raw is None:
            raw = self._encoded[protocol] = encode_reply(self.push, protocol)
        return raw

    def send_to(self, listeners: Iterable[Session]) -> None:
        for session in listeners:
            session.deliver(self)


class PubSub:
    """All subscriptions of one worker."""

    def __init__(self, worker: Any) -> None:
        self._worker = worker
        self._channels: dict[bytes, Listeners] = {}
        self._patterns: dict[bytes, tuple[Glob, Listeners]] = {}
        self._shard_channels: dict[int, dict[bytes, Listeners]] = {}
        self.subscribers: Listeners = {}
        """Sessions that listen to anything."""
        self.fanout = worker.engine.fanout = Fanout(self._channels, self._patterns)

    # --- publishing

    def publish(self, channel: bytes, message: bytes) -> int:
        """Give a message to this worker's listeners; returns how many frames that took."""
        receivers = 0
        listeners = self._channels.get(channel)
        if listeners:
            Frame(MESSAGE, channel, message).send_to(listeners)
            receivers = len(listeners)
        for pattern, (glob, listeners) in self._patterns.items():
            if glob.matches(channel):
                Frame(PATTERN_MESSAGE, pattern, channel, message).send_to(listeners)
                receivers += len(listeners)
        return receivers

    def publish_shard(self, channel: bytes, message: bytes) -> int:
        listeners = self._shard_channels.get(key_slot(channel), {}).get(channel)
        if not listeners:
            return 0
        Frame(SHARD_MESSAGE, channel, message).send_to(listeners)
        return len(listeners)

    # --- subscribing: each returns the confirmation

    def subscribe(self, session: Session, channel: bytes) -> Push:
        own = self._subscriptions(session)
        if channel not in own.channels:
            self.fanout.end_run()
            own.channels[channel] = None
            self._channels.setdefault(channel, {})[session] = None
        return Push((b"subscribe", channel, own.count))

    def subscribe_pattern(self, session: Session, pattern: bytes) -> Push:
        own = self._subscriptions(session)
        if pattern not in own.patterns:
            own.patterns[pattern] = None
            if pattern not in self._patterns:
                self._patterns[pattern] = (Glob(pattern), {})
            self._patterns[pattern][1][session] = None
        return Push((b"psubscribe", pattern, own.count))

    def subscribe_shard(self, session: Session, channel: bytes) -> Push:
        own = self._subscriptions(session)
        if channel not in own.shard_channels:
            own.shard_channels[channel] = None
            of_slot = self._shard_channels.setdefault(key_slot(channel), {})
            of_slot.setdefault(channel, {})[session] = None
        return Push((b"ssubscribe", channel, len(own.shard_channels)))

    def unsubscribe(self, session: Session, channel: bytes | None) -> Push:
        """No channel: the confirmation of having had none."""
        own = session.subscriptions
        if own is not None and channel in own.channels:
            self.fanout.end_run()
            del own.channels[channel]
            _leave(self._channels, channel, session)
            self._settle(session)
        return Push((b"unsubscribe", channel, own.count if own else 0))

    def unsubscribe_pattern(self, session: Session, pattern: bytes | None) -> Push:
        own = session.subscriptions
        if own is not None and pattern in own.patterns:
            del own.patterns[pattern]
            listeners = self._patterns[pattern][1]
            del listeners[session]
            if not listeners:
                del self._patterns[pattern]
            self._settle(session)
        return Push((b"punsubscribe", pattern, own.count if own else 0))

    def unsubscribe_shard(self, session: Session, channel: bytes | None) -> Push:
        own = session.subscriptions
        if own is not None and channel in own.shard_channels:
            del own.shard_channels[channel]
            slot = key_slot(channel)
            _leave(self._shard_channels[slot], channel, session)
            if not self._shard_channels[slot]:
                del self._shard_channels[slot]
            self._settle(session)
        return Push((b"sunsubscribe", channel, len(own.shard_channels) if own else 0))

    def remove(self, session: Session) -> None:
        """End all subscriptions of a session without a word: it is gone, or was reset."""
        own = session.subscriptions
        if own is None:
            return
        for channel in list(own.channels):
            self.unsubscribe(session, channel)
        for pattern in list(own.patterns):
            self.unsubscribe_pattern(session, pattern)
        for channel in list(own.shard_channels):
            self.unsubscribe_shard(session, channel)

    def lose_slots(self, still_ours: Any) -> None:
        """End, and tell, the subscriptions of shard channels whose slot `still_ours(slot)` denies."""
        for slot in [slot for slot in self._shard_channels if not still_ours(slot)]:
            for channel, listeners in list(self._shard_channels[slot].items()):
                for session in list(listeners):
                    session.push(Frame(*self.unsubscribe_shard(session, channel).items))

    def _subscriptions(self, session: Session) -> Subscriptions:
        """Those of a session that is about to listen: it becomes one of the pub/sub class."""
        if session.subscriptions is None:
            session.subscriptions = Subscriptions()
            session.gate |= GATE_SUBSCRIBED
            self.subscribers[session] = None
            if session.kind == "normal":
                self._worker.output_limits.classify(session, "pubsub")
        return session.subscriptions

    def _settle(self, session: Session) -> None:
        """A subscription ended; with the last one, the session is like any other again."""
        if session.subscriptions:
            return
        session.subscriptions = None
        session.gate &= ~GATE_SUBSCRIBED
        self.subscribers.pop(session, None)
        if session.kind == "pubsub":
            self._worker.output_limits.classify(session, "normal")

    # --- views

    @property
    def channel_count(self) -> int:
        return len(self._channels)

    @property
    def pattern_count(self) -> int:
        """Different patterns, however many listen to each."""
        return len(self._patterns)

    @property
    def shard_channel_count(self) -> int:
        return sum(map(len, self._shard_channels.values()))

    def channels(self) -> Iterator[bytes]:
        """Names of the channels somebody listens to, patterns left aside."""
        return iter(self._channels)

    def shard_channels(self) -> Iterator[bytes]:
        return (channel for of_slot in self._shard_channels.values() for channel in of_slot)

    def listeners(self, channel: bytes) -> int:
        return len(self._channels.get(channel, ()))

    def shard_listeners(self, channel: bytes) -> int:
        return len(self._shard_channels.get(key_slot(channel), {}).get(channel, ()))


def _leave(channels: dict[bytes, Listeners], channel: bytes, session: Session) -> None:
    listeners = channels[channel]
    del listeners[session]
    if not listeners:
        del channels[channel]
