"""SUBSCRIBE and its family, PUBLISH, PUBSUB.

Subscribing confirms each channel by a reply of its own, which has the form of a push. The commands, but for
SSUBSCRIBE, may stand in a transaction, whose reply then holds all these confirmations, as in Redis.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from node import errors
from node.errors import ReplyError
from node.handlers.registry import command
from node.keyspace.glob import Glob
from node.replies import Push, Replies

if TYPE_CHECKING:
    from node.session.session import Session

_NOT_IN_TRANSACTIONS = ReplyError("ERR SSUBSCRIBE isn't allowed for a DENY BLOCKING client")

HELP = [
    "PUBSUB <subcommand> [<arg> [value] [opt] ...]. Subcommands are:",
    "CHANNELS [<pattern>]",
    "    The channels that somebody listens to, or those of them that match.",
    "NUMPAT",
    "    How many different patterns are listened to.",
    "NUMSUB [<channel> ...]",
    "    How many listen to each channel, patterns left aside.",
    "SHARDCHANNELS [<pattern>]",
    "    The shard channels that somebody listens to, or those of them that match.",
    "SHARDNUMSUB [<shardchannel> ...]",
    "    How many listen to each shard channel.",
    "HELP",
    "    Print this help.",
]


def _each(ctx: Session, change: Callable[..., Push], names: Sequence[bytes | None]) -> Replies:
    """Make a change for each name; every one is confirmed."""
    return Replies([change(ctx, name) for name in names])


@command("subscribe")
def subscribe(ctx: Session, args: list[bytes]) -> Replies:
    return _each(ctx, ctx.worker.pubsub.subscribe, args)


@command("psubscribe")
def psubscribe(ctx: Session, args: list[bytes]) -> Replies:
    return _each(ctx, ctx.worker.pubsub.subscribe_pattern, args)


@command("ssubscribe")
def ssubscribe(ctx: Session, args: list[bytes]) -> Replies:
    if ctx.in_transaction:
        raise _NOT_IN_TRANSACTIONS
    return _each(ctx, ctx.worker.pubsub.subscribe_shard, args)


@command("unsubscribe")
def unsubscribe(ctx: Session, args: list[bytes]) -> Replies:
    own = ctx.subscriptions
    channels = args or list(own.channels if own else ())
    return _each(ctx, ctx.worker.pubsub.unsubscribe, channels or [None])


@command("punsubscribe")
def punsubscribe(ctx: Session, args: list[bytes]) -> Replies:
    own = ctx.subscriptions
    patterns = args or list(own.patterns if own else ())
    return _each(ctx, ctx.worker.pubsub.unsubscribe_pattern, patterns or [None])


@command("sunsubscribe")
def sunsubscribe(ctx: Session, args: list[bytes]) -> Replies:
    own = ctx.subscriptions
    channels = args or list(own.shard_channels if own else ())
    return _each(ctx, ctx.worker.pubsub.unsubscribe_shard, channels or [None])


@command("publish")
def publish(ctx: Session, args: list[bytes]) -> int:
    """The reply counts listeners of this worker only, also in a cluster."""
    channel, message = args
    _spread(ctx, b"PUBLISH", channel, message, sharded=False)
    return ctx.worker.pubsub.publish(channel, message)


@command("spublish")
def spublish(ctx: Session, args: list[bytes]) -> int:
    channel, message = args
    _spread(ctx, b"SPUBLISH", channel, message, sharded=True)
    return ctx.worker.pubsub.publish_shard(channel, message)


def _spread(ctx: Session, name: bytes, channel: bytes, message: bytes, *, sharded: bool) -> None:
    """To the other members; without a cluster, to our replicas, as part of their stream. The stream of a
    replica is its primary's, so there is no place in it for what is published here."""
    if ctx.worker.cluster.enabled:
        ctx.worker.cluster.publish(channel, message, sharded)
    elif ctx.worker.replication.role == "master":
        ctx.propagate([name, channel, message])


@command("pubsub|channels")
def channels(ctx: Session, args: list[bytes]) -> list[bytes]:
    return _matching(ctx.worker.pubsub.channels(), args, "CHANNELS")


@command("pubsub|shardchannels")
def shardchannels(ctx: Session, args: list[bytes]) -> list[bytes]:
    return _matching(ctx.worker.pubsub.shard_channels(), args, "SHARDCHANNELS")


def _matching(names: Iterable[bytes], args: list[bytes], subcommand: str) -> list[bytes]:
    if len(args) > 1:
        raise errors.bad_subcommand_arguments("pubsub", subcommand)
    if not args:
        return list(names)
    matches = Glob(args[0]).matches
    return [name for name in names if matches(name)]


@command("pubsub|numpat")
def numpat(ctx: Session, args: list[bytes]) -> int:
    return ctx.worker.pubsub.pattern_count


@command("pubsub|numsub")
def numsub(ctx: Session, args: list[bytes]) -> list[bytes | int]:
    return _counted(args, ctx.worker.pubsub.listeners)


@command("pubsub|shardnumsub")
def shardnumsub(ctx: Session, args: list[bytes]) -> list[bytes | int]:
    return _counted(args, ctx.worker.pubsub.shard_listeners)


def _counted(names: list[bytes], count: Callable[[bytes], int]) -> list[bytes | int]:
    """Name, count, name, count: flat in both protocols."""
    return [item for name in names for item in (name, count(name))]


@command("pubsub|help")
def help_(ctx: Session, args: list[bytes]) -> list[str]:
    return HELP
