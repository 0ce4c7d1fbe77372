"""CONFIG through the proxy: its own settings, and the workers'.

CONFIG GET shows what all primaries have; of a setting on which they differ, the value of the one with the
lowest slot. The names below are the proxy's own and hide the workers'. CONFIG SET sets at all nodes, replicas
too, or, if all names are the proxy's, here. `CONFIG GET NODE host:port name …` and `CONFIG SET NODE host:port
name value …` are for one worker alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from node.errors import ReplyError
from node.keyspace.glob import Glob
from node.replies import OK
from proxy.codec import decode_reply, encode_reply
from proxy.merger import Merge, first_error, map_union
from proxy.reports import pairs_of

if TYPE_CHECKING:
    from proxy.commands import Commands


def own_settings(commands: Commands) -> dict[bytes, bytes]:
    config = commands.config
    values = {
        "port": str(commands.port),
        "bind": " ".join(config.bind),
        "unixsocket": config.unix_socket,
        "tcp-backlog": str(config.backlog),
        "loglevel": config.log_level,
        "maxclients": str(commands.max_clients),
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
    own = own_settings(commands)
    names = [name.lower() for name in argv[2::2]]
    if own.keys().isdisjoint(names):
        return None
    for name, value in zip(names, argv[3::2], strict=True):
        shown = name.decode("latin-1")
        if name not in own:
            raise _failed(shown, "settings of the proxy and of workers cannot be set at once")
        if name != b"maxclients":
            raise _failed(shown, "can't set immutable config")
        if not value.isdigit() or not 0 < int(value) <= commands.config.max_clients:
            raise _failed(shown, f"argument must be between 1 and {commands.config.max_clients} inclusive")
    commands.max_clients = int(argv[-1])
    return OK


def _failed(name: str, why: str) -> ReplyError:
    return ReplyError(f"ERR CONFIG SET failed (possibly related to argument '{name}') - {why}")
