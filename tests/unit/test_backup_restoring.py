"""What a restored key is sent as, and which targets are refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cluster.backup.layout import Access
from cluster.backup.manifest import Manifest
from cluster.backup.restoring import How, replacing, require_fit, restore_job
from cluster.operations import link as links
from cluster.operations.link import ANONYMOUS, ErrorReply, OperationError
from cluster.plans.backup import Holder, Layout
from cluster.slots import ALL_SLOTS
from node.core.request_reader import RequestReader
from node.datatypes import Hash
from node.persistence.rdb import Entry, load_payload

ALONE = Layout(False, (Holder("id", "127.0.0.1", 7001, ALL_SLOTS, 0),))
ACCESS = Access((("127.0.0.1", 7001),), ANONYMOUS, 1.0)
FAR = 4_000_000_000_000


def sent(entry: Entry, replace: bool = False, again: bool = False) -> list[list[bytes]]:
    job = restore_job(entry, replace)
    commands = replacing(job) if again else job.commands
    return [argv for argv, _ in RequestReader().feed(b"".join(commands))]


def test_a_string_and_its_moment() -> None:
    ((name, key, moment, payload, *options),) = sent(Entry(0, b"k", b"v", FAR))
    assert (name, key, moment, options) == (b"RESTORE", b"k", b"%d" % FAR, [b"ABSTTL"])
    assert load_payload(payload) == b"v"


@pytest.mark.parametrize(
    ("entry", "options"),
    [
        (Entry(0, b"k", b"v", 0), []),
        (Entry(0, b"k", b"v", 0, idle=77), [b"IDLETIME", b"77"]),
        (Entry(0, b"k", b"v", 0, frequency=7), [b"FREQ", b"7"]),
    ],
)
def test_options(entry: Entry, options: list[bytes]) -> None:
    assert sent(entry)[0][4:] == [b"ABSTTL", *options]
    replaced = [b"ABSTTL", *options, b"REPLACE"]
    assert sent(entry, replace=True)[0][4:] == replaced
    assert sent(entry, again=True)[0][4:] == replaced
    assert sent(entry, replace=True, again=True)[0][4:] == replaced


def test_fields_that_expire_are_told_apart_from_the_payload() -> None:
    """No payload says it to Redis and Valkey both."""
    value = Hash({b"a": b"1", b"b": b"2", b"c": b"3", b"d": b"4"})
    for name, moment in ((b"a", FAR), (b"b", FAR), (b"c", FAR + 1)):
        value.set_expiry(name, moment)
    restore, *expiries = sent(Entry(0, b"k", value, 0))
    plain = load_payload(restore[3])
    assert dict(plain.items()) == dict(value.items())
    assert not plain.timed
    assert restore[3][-10:-8] == b"\x0b\x00"
    assert {(*command[:5], *sorted(command[5:])) for command in expiries} == {
        (b"HPEXPIREAT", b"k", b"%d" % FAR, b"FIELDS", b"2", b"a", b"b"),
        (b"HPEXPIREAT", b"k", b"%d" % (FAR + 1), b"FIELDS", b"1", b"c"),
    }


class FakeLink(links.NodeLink):
    """Answers RESTORE by `reply`, and INFO as a server without keys."""

    reply: Any = b"OK"

    def pipeline(self, commands: Any) -> list[Any]:
        (command,) = commands
        return [self.reply if command[0] == "RESTORE" else b"redis_version:7.0.15\r\n"]


@pytest.mark.parametrize(
    ("reply", "words"),
    [
        (b"OK", ""),
        (ErrorReply("BUSYKEY Target key name already exists."), ""),
        (
            ErrorReply("DUMP payload version or checksum are wrong"),
            "127.0.0.1:7001, redis 7.0.15, does not take values of RDB version 11; Redis 7.2 and",
        ),
        (
            ErrorReply("READONLY You can't write against a read only replica."),
            "refused RESTORE .* 1: READONLY",
        ),
    ],
)
def test_a_target_that_does_not_understand_is_refused(
    reply: Any, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("cluster.backup.layout.NodeLink", FakeLink)
    monkeypatch.setattr(FakeLink, "reply", reply)
    manifest = Manifest(False, "", "", ())
    if words:
        with pytest.raises(OperationError, match=words):
            require_fit(manifest, ACCESS, ALONE, How())
    else:
        assert require_fit(manifest, ACCESS, ALONE, How()) == 0
