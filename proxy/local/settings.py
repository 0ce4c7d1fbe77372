"""CONFIG through the proxy: its own settings, and the workers'.

CONFIG GET shows what all primaries have; of a setting on which they differ, the value of the one with the
lowest slot. The names below are the proxy's own and hide the workers'. CONFIG SET sets at all nodes, replicas
too, or, if all names are the proxy's, here. `CONFIG GET NODE host:port name …` and `CONFIG SET NODE host:port
name value …` are for one worker alone, and with `NODE PROXY` for what the proxy has besides (own.py).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from node.errors import config_set_failed
from node.keyspace.glob import Glob
from node.replies import OK
from proxy.requests.codec import decode_reply, encode_reply, pairs_of
from proxy.requests.merger import Merge, first_error, map_union

if TYPE_CHECKING:
    from proxy.requests.commands import Commands


def own_settings(commands: Commands) -> dict[bytes, bytes]:
    config = commands.config
    values = {
        "port": str(commands.front.port),
        "bind": " ".join(config.bind),
        "protected-mode": "yes" if config.protected_mode else "no",
        "tls-port": str(config.tls.tls_port),
        "unixsocket": config.unix_socket,
        "tcp-backlog": str(config.backlog),
        "loglevel": config.log_level,
        "maxclients": str(commands.front.max_clients),
    }
    own = {name.encode(): value.encode() for name, value in values.items()}
    own[b"requirepass"] = config.password
    return own


def showing(commands: Commands, patterns: Sequence[bytes], resp: int) -> Merge:
    """Makes one CONFIG GET of the raw replies of the workers and our own settings."""
    globs = [Glob(pattern.lower()) for pattern in patterns]
    own = {
        name: value
        for name, value in own_settings(commands).items()
        if any(glob.matches(name) for glob in globs)
    }

    def merge(replies: Sequence[bytes]) -> bytes:
        if error := first_error(replies):
            return error
        return encode_reply(pairs_of(decode_reply(map_union(replies))) | own, resp)

    return merge


def set_own(commands: Commands, argv: Sequence[bytes]) -> str | None:
    """CONFIG SET of settings of the proxy; None if there are none among them. Raises ReplyError."""
    names = [name.lower() for name in argv[2::2]]
    if own_settings(commands).keys().isdisjoint(names):
        return None
    for name in names:
        if name not in own_settings(commands):
            shown = name.decode("latin-1")
            raise config_set_failed(shown, "settings of the proxy and of workers cannot be set at once")
    changes = [change_of(commands, *pair) for pair in zip(names, argv[3::2], strict=True)]
    for change in changes:
        change()
    return OK


def change_of(commands: Commands, name: bytes, value: bytes) -> Callable[[], None]:
    """What sets one of `own_settings`. Raises ReplyError for what cannot be set, or not so."""
    shown = name.decode("latin-1")
    if name != b"maxclients":
        raise config_set_failed(shown, "can't set immutable config")
    most = commands.config.max_clients
    if not value.isdigit() or not 0 < int(value) <= most:
        raise config_set_failed(shown, f"argument must be between 1 and {most} inclusive")
    return lambda: setattr(commands.front, "max_clients", int(value))
