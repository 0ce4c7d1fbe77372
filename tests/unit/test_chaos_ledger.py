"""The judge of the chaos tests must itself be sound: it may neither miss a loss nor invent one."""

from __future__ import annotations

import pytest

from tests.chaos.ledger import Impossible, Ledger


def written(*fates: str) -> Ledger:
    """A ledger of key `k` whose versions 1, 2, ... were acknowledged ("a") or are doubtful ("d")."""
    ledger = Ledger()
    for fate in fates:
        version = ledger.next_version("k")
        if fate == "a":
            ledger.acknowledged("k", version, now=float(version))
        else:
            ledger.doubtful("k", version)
    return ledger


def lost(ledger: Ledger) -> list[int]:
    return [loss.version for loss in ledger.losses]


def test_what_was_acknowledged_last_is_expected() -> None:
    ledger = written("a", "a", "d")
    assert ledger.expected("k") == 2
    ledger.found("k", 2)
    ledger.found("k", 3)  # the doubtful one happened
    assert ledger.expected("k") == 3
    assert lost(ledger) == []


def test_acknowledged_writes_that_are_gone_are_counted_once() -> None:
    ledger = written("a", "a", "a")
    ledger.found("k", 1)
    ledger.found("k", 1)
    assert lost(ledger) == [2, 3]
    assert [loss.acknowledged_at for loss in ledger.losses] == [2.0, 3.0]


def test_a_key_that_is_gone_lost_all() -> None:
    ledger = written("a", "d", "a")
    ledger.found("k", 0)
    assert lost(ledger) == [1, 3]
    assert ledger.expected("k") == 0


def test_an_old_doubtful_write_loses_the_newer_ones() -> None:
    ledger = written("a", "d", "a")
    ledger.found("k", 2)
    assert lost(ledger) == [3]
    assert ledger.expected("k") == 2


def test_a_read_that_went_back_in_time_is_a_loss_and_coming_back_is_impossible() -> None:
    ledger = written("a", "a")
    ledger.found("k", 1)
    assert lost(ledger) == [2]
    with pytest.raises(Impossible):
        ledger.found("k", 2)


@pytest.mark.parametrize("version", [4, 99])
def test_what_nobody_wrote_is_impossible(version: int) -> None:
    with pytest.raises(Impossible):
        written("a", "a", "d").found("k", version)


def test_an_adopted_key_has_its_version() -> None:
    ledger = Ledger()
    ledger.adopt("k", 7)
    ledger.found("k", 7)
    assert ledger.next_version("k") == 8
    with pytest.raises(Impossible):
        ledger.found("k", 6)
