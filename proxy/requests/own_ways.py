"""Commands with a way of their own: of those that the table alone says too little about.

Each answers with a value, or with LATER once it has sent what will complete the client's request `tag`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from node.core.key_slot import key_slot
from node.errors import SYNTAX, ReplyError
from node.replies import Verbatim
from proxy.local import hot_keys, settings
from proxy.local.facade import slot_asked_about
from proxy.local.info import Figures, asks_workers, figures_text, info_text, merging
from proxy.processes.siblings import Siblings
from proxy.requests import codec, jobs
from proxy.requests.merger import all_succeeded
from proxy.requests.questions import ask_all
from proxy.requests.reports import REPORTS, reporting
from proxy.requests.routing import DEBUG_ANYWHERE, DEBUG_EVERYWHERE, DEBUG_WITH_KEY
from proxy.requests.scanning import Scan
from proxy.sessions.session import LATER

if TYPE_CHECKING:
    from proxy.core.client import Client
    from proxy.requests.commands import Commands


def random_key(commands: Commands, client: Client, tag: int, argv: list[bytes], request: bytes) -> Any:
    dbsize = codec.encode_request([b"DBSIZE"])
    jobs.RandomKey(client, tag, request).start(dbsize, commands.primaries(client))
    return LATER


def scan(commands: Commands, client: Client, tag: int, argv: list[bytes], request: bytes) -> Any:
    client.hold()
    commands.begin(commands.answer(client, tag, Scan(commands, client, argv).run()))
    return LATER


def info(commands: Commands, client: Client, tag: int, argv: list[bytes], request: bytes) -> Any:
    if client.facts.sibling:
        return figures_text(commands).encode()
    if commands.siblings is None:
        info_with(commands, client, tag, argv, request, [])
    else:
        commands.begin(info_of_all(commands, client, tag, argv, request, commands.siblings))
    return LATER


async def info_of_all(
    commands: Commands, client: Client, tag: int, argv: list[bytes], request: bytes, siblings: Siblings
) -> None:
    info_with(commands, client, tag, argv, request, await siblings.figures())


def info_with(
    commands: Commands, client: Client, tag: int, argv: list[bytes], request: bytes, others: Sequence[Figures]
) -> None:
    wanted = [section.decode("latin-1").lower() for section in argv[1:]]
    targets = [upstream for upstream in commands.primaries(client) if upstream.state_name in ("up", "idle")]
    if targets and asks_workers(wanted):
        merge = merging(commands, wanted, client.resp, others)
        jobs.Broadcast(client, tag, merge).start(request, targets)
    else:
        text = Verbatim(info_text(commands, wanted, {}, others))
        client.complete(tag, codec.encode_reply(text, client.resp))


def config_get(commands: Commands, client: Client, tag: int, argv: list[bytes], request: bytes) -> Any:
    merge = settings.showing(commands, argv[2:], client.resp)
    jobs.Broadcast(client, tag, merge).start(request, commands.primaries(client))
    return LATER


def config_set(commands: Commands, client: Client, tag: int, argv: list[bytes], request: bytes) -> Any:
    if len(argv) % 2:
        raise SYNTAX
    if done := settings.set_own(commands, argv):
        return done
    jobs.Broadcast(client, tag, all_succeeded).start(request, commands.pool.nodes(client.resp))
    return LATER


def keys_in_slot(commands: Commands, client: Client, tag: int, argv: list[bytes], request: bytes) -> Any:
    commands.owner(client, slot_asked_about(commands, argv)).send(request, client, tag)
    return LATER


def hotkeys_start(commands: Commands, client: Client, tag: int, argv: list[bytes], request: bytes) -> Any:
    shares = hot_keys.dealt_out(argv, commands.topology.owners)
    if shares is None:
        requests = [(upstream, request) for upstream in commands.primaries(client)]
    else:
        requests = [(commands.pool.get(owner, client.resp), share) for owner, share in shares.items()]
    jobs.Broadcast(client, tag, all_succeeded).start_each(requests)
    return LATER


def debug(commands: Commands, client: Client, tag: int, argv: list[bytes], request: bytes) -> Any:
    what = argv[1].lower()
    if what == b"digest-value":
        commands.begin(commands.answer(client, tag, digest_values(commands, client, argv)))
    elif what == b"digest":
        merge = reporting(REPORTS["debug"], argv, client.resp)
        jobs.Broadcast(client, tag, merge).start(request, commands.primaries(client))
    elif what in DEBUG_WITH_KEY and len(argv) > 2:
        commands.owner(client, key_slot(argv[2])).send(request, client, tag)
    elif what in DEBUG_EVERYWHERE:
        jobs.Broadcast(client, tag, all_succeeded).start(request, commands.primaries(client))
    elif what in DEBUG_ANYWHERE:
        commands.send_anywhere(client, tag, request)
    else:
        raise ReplyError("ERR the proxy does not know whom to ask: say DEBUG NODE host:port ...")
    return LATER


async def digest_values(commands: Commands, client: Client, argv: list[bytes]) -> list[Any]:
    digests = []
    for key in argv[2:]:
        question = codec.encode_request([*argv[:2], key])
        (reply,) = await ask_all(commands.owner(client, key_slot(key)), [question])
        value = codec.decode_reply(reply)
        if isinstance(value, ReplyError):
            raise value
        digests += value
    return digests


OWN_WAYS: dict[str, Callable[[Commands, Client, int, list[bytes], bytes], Any]] = {
    "scan": scan,
    "randomkey": random_key,
    "info": info,
    "config|get": config_get,
    "config|set": config_set,
    "debug": debug,
    "hotkeys|start": hotkeys_start,
    "cluster|countkeysinslot": keys_in_slot,
    "cluster|getkeysinslot": keys_in_slot,
}
