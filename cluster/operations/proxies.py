"""Looking at proxies as somebody does who knows no password and has no certificate: who lets him in?

A proxy logs in at the workers by itself, so what workers ask for keeps nobody out who reaches it. That is
found by trying, not by its settings: whether it can be reached from other hosts, too, is seen from here if it
is on another host, and otherwise by going to it by an address of this host that is not loopback's. What is
asked for is whether a key exists; nothing is changed.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from cluster.addresses import address_text, is_loopback, is_unix
from cluster.operations.dialling import CONNECT_SECONDS, Tls, dial
from cluster.operations.link import Credentials, ErrorReply, NodeLink, NotLetIn, OperationError
from cluster.plans.diagnosis.facts import Entrance

AT_ONCE = 16
_WHOEVER = Tls(verify=False, check_name=False)
_QUESTIONS = (("EXISTS", "shoal"), ("CONFIG", "GET", "protected-mode"))
_REFUSALS = ("NOAUTH", "DENIED")


def look_at_proxies(proxies: Iterable[tuple[str, int]], any_password: bool = False) -> list[Entrance]:
    """Of those that can be reached, in this order. Addresses of this host with one port are one proxy.

    `any_password`: workers let in the default user by whatever password he gives, so a proxy that leaves
    passwords to them does, too. Otherwise none is tried, which would be in their log of refusals."""
    ways: dict[tuple[str, int], list[str]] = {}
    for host, port in proxies:
        ways.setdefault(("" if is_here(host) else host, port), []).append(host)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        seen = pool.map(partial(_look, any_password), ways, ways.values())
        return [entrance for entrance in seen if entrance is not None]


def is_here(host: str) -> bool:
    """Whether that is this host: the address is one of ours."""
    if is_unix(host):
        return True
    with contextlib.suppress(OSError):
        for family, kind, protocol, _, address in socket.getaddrinfo(host, 0, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as probe, contextlib.suppress(OSError):
                probe.bind((address[0], 0))
                return True
    return False


def _look(any_password: bool, place: tuple[str, int], hosts: list[str]) -> Entrance | None:
    is_elsewhere, port = place
    ways = hosts if is_elsewhere else [*_own_addresses(), *hosts]
    seen = [
        Entrance(address_text(hosts[0], port), not is_loopback(way), *found)
        for way in dict.fromkeys(ways)
        if (found := _ask(way, port, any_password)) is not None
    ]
    # Who lets in nobody from elsewhere may still let in whoever is here.
    return next((entrance for entrance in seen if entrance.lets_in), seen[0] if seen else None)


def _own_addresses() -> list[str]:
    """By which others reach this host: that of the way out, for which nothing is sent."""
    with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # RFC 5737: nobody's
        return [str(probe.getsockname()[0])]
    return []


def _ask(host: str, port: int, any_password: bool) -> tuple[bool, bool, str] | None:
    """(lets in, speaks plain text, protected mode as it tells it); None where nobody listens."""
    try:
        dial(host, port, None, CONNECT_SECONDS).close()
    except OSError:
        return None
    for tls in (None, _WHOEVER):
        found = _answers(host, port, Credentials(tls=tls))
        if found is not None:
            if not found[0] and any_password:
                found = _answers(host, port, Credentials("default", "any", tls)) or found
            return found[0], tls is None, found[1]
    return False, False, ""


def _answers(host: str, port: int, login: Credentials) -> tuple[bool, str] | None:
    """(lets in, protected mode as it tells it); None if it does not speak so."""
    try:
        with contextlib.closing(NodeLink(host, port, login, CONNECT_SECONDS)) as link:
            exists, mode = link.pipeline(_QUESTIONS)
    except NotLetIn:
        return False, ""
    except OperationError:
        return None
    refused = isinstance(exists, ErrorReply) and exists.text.startswith(_REFUSALS)
    return not refused, _value_of(mode)


def _value_of(reply: object) -> str:
    """Of CONFIG GET of one name."""
    if isinstance(reply, Sequence) and len(reply) == 2 and isinstance(reply[1], bytes):
        return reply[1].decode("utf-8", "replace")
    return ""
