"""Seals on messages of the bus: who has the secret is believed, once, on one connection; others are not."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.bus import layout
from cluster.bus.sealing import AT, CODE_AT, SEAL, Sealing, Secrets
from cluster.bus.wire import Decoder, encode
from cluster.coordinator import messages as m
from tests.unit.test_bus_wire import ALL_MESSAGES, HEADER

SECRET, OTHER = b"of the first sixteen", b"of others, not of ours"
PING = encode(m.Ping(HEADER))


def member(*secrets: bytes, required: bool = True) -> Secrets:
    made = Secrets()
    made.use(secrets)
    made.required = required
    return made


def connected(one: Secrets, two: Secrets) -> tuple[Sealing, Sealing]:
    """Both ends of a connection, after the greetings of those who greet."""
    a, b = Sealing(one), Sealing(two)
    for speaker, hearer in ((a, b), (b, a)):
        assert speaker.may_speak is not bool(speaker._secrets) or speaker.knows_reader
        if speaker._secrets:
            assert not hearer.admits(encode(speaker.greeting(HEADER)))
    return a, b


@pytest.mark.parametrize("message", ALL_MESSAGES, ids=lambda message: type(message).__name__)
def test_every_kind_of_message(message: m.Message) -> None:
    a, b = connected(member(SECRET), member(SECRET))
    raw = encode(message)
    sealed = a.stamp(raw)
    assert sealed != raw and b.admits(sealed)
    assert Decoder().feed(sealed) == Decoder().feed(raw), "a seal changes nothing for who does not look"
    assert (
        sealed[: layout.HEADER.size].replace(sealed[AT : AT + SEAL.size], bytes(SEAL.size))
        == raw[: layout.HEADER.size]
    )


def test_nothing_else_is_taken_by_who_insists() -> None:
    secrets = member(SECRET)
    a, b = connected(member(SECRET), secrets)
    _, elsewhere = connected(member(SECRET), member(SECRET))
    stranger, _ = connected(member(OTHER), secrets)
    first, second = a.stamp(PING), a.stamp(PING)
    forgeries: list[Callable[[], bytes]] = [
        lambda: PING,
        lambda: stranger.stamp(PING),
        lambda: first[:-1] + bytes([first[-1] ^ 1]),
        lambda: first[:AT] + bytes(SEAL.size) + first[AT + SEAL.size :],
        lambda: first[:CODE_AT] + bytes(16) + first[CODE_AT + 16 :],
        lambda: PING[:8] + layout.TYPE.pack(1, layout.LIGHT) + PING[14:],
        lambda: PING[:100],
    ]
    for number, forge in enumerate(forgeries):
        assert not b.admits(forge()), number
    assert secrets.refused == len(forgeries)
    assert not elsewhere.admits(first), "it is for another"
    assert not a.admits(first), "it comes back to who wrote it"
    assert b.admits(second)
    assert not b.admits(second) and not b.admits(first), "it comes again, or too late"
    assert b.admits(a.stamp(PING))


def test_any_changed_byte_is_noticed() -> None:
    a, b = connected(member(SECRET), member(SECRET))
    sealed = a.stamp(encode(m.Fail(HEADER, "f" * 40)))
    for at in range(14, len(sealed), 13):
        if not AT + SEAL.size <= at < 2246:  # four bytes that nobody uses are sealed, too
            assert not b.admits(sealed[:at] + bytes([sealed[at] ^ 0x10]) + sealed[at + 1 :]), at
    assert b.admits(sealed)


def test_who_does_not_insist_takes_everything_and_counts() -> None:
    secrets = member(SECRET, required=False)
    real_server, b = connected(member(), secrets)
    assert real_server.stamp(PING) == PING
    assert b.admits(PING) and secrets.unsealed == 1
    assert b.stamp(PING) == PING, "nobody has said for whom it would be"


def test_who_has_no_secret_takes_what_is_sealed() -> None:
    a, b = connected(member(SECRET, required=False), member())
    assert b.admits(a.stamp(PING))


def test_a_secret_that_comes_later() -> None:
    late = member(required=False)
    a, b = connected(member(SECRET), late)
    assert not a.may_speak
    late.use([SECRET])
    assert not a.admits(encode(b.greeting(HEADER)))
    late.required = True
    assert b.admits(a.stamp(PING)) and a.admits(b.stamp(PING))


def test_secrets_are_replaced() -> None:
    a, b = connected(old := member(SECRET), member(SECRET, OTHER))
    assert b.admits(a.stamp(PING)) and a.admits(b.stamp(PING))
    old.use([OTHER, SECRET])
    assert b.admits(a.stamp(PING))
    assert a.admits(b.stamp(PING))
    old.use([OTHER])
    assert not a.admits(b.stamp(PING))


def test_an_echo_is_no_greeting() -> None:
    a = Sealing(member(SECRET))
    assert not a.admits(encode(a.greeting(HEADER)))
    assert not a.knows_reader


def test_the_first_greeting_counts() -> None:
    """Else a recording of this connection could be played again in it."""
    a, b = connected(member(SECRET), member(SECRET))
    recorded = a.stamp(PING)
    assert b.admits(recorded)
    for other in (Sealing(member(SECRET)), a):
        b.admits(encode(other.greeting(HEADER)))
    assert not b.admits(recorded)
    assert b.admits(a.stamp(PING))
