"""What the lab makes of what it saw: losses and stale reads of logs, times when a cluster was down."""

from __future__ import annotations

import pytest

from tests.chaos.faults import counted, endless
from tests.chaos.logs import Count, Log, Miss, judge
from tests.chaos.prober import Prober
from tests.chaos.table import nearest_rank


def judged(found: set[int], *reads: Miss, sent: int = 4, acknowledged: tuple[int, ...] = (0, 1, 2)) -> Count:
    """Of a log with these entries in the end."""
    log = Log("log", sent, list(acknowledged), [float(entry) for entry in acknowledged], list(reads))
    total = Count()
    judge(log, frozenset(found), total)
    return total


def test_all_that_was_acknowledged_is_there_and_more_may_be() -> None:
    for found in ({0, 1, 2}, {0, 1, 2, 3}):
        total = judged(found)
        assert (total.acknowledged, total.lost, total.stale, total.unasked) == (3, [], [], [])


def test_what_is_gone_is_lost_from_its_acknowledgement_on() -> None:
    assert [event.when for event in judged({0, 3}).lost] == [1.0, 2.0]


def test_a_read_is_stale_if_what_it_did_not_show_is_there_in_the_end() -> None:
    total = judged({0, 1, 2}, Miss(5.0, frozenset({2})))
    assert [event.when for event in total.stale] == [5.0]
    assert not total.lost


def test_a_read_that_did_not_show_what_is_lost_tells_nothing_new() -> None:
    total = judged({0, 1}, Miss(5.0, frozenset({2})))
    assert len(total.lost) == 1
    assert not total.stale


def test_what_nobody_wrote_is_told() -> None:
    assert len(judged({0, 1, 2, 4}).unasked) == 1


@pytest.fixture
def prober() -> Prober:
    """Two keys: one was down from 10 to 13, the other from 12 to 14 and from 20 to 20.5."""
    prober = Prober([("127.0.0.1", 1)], keys=2)
    first, second = prober.probes
    first.successes = [(at - 0.01, at) for at in moments((0, 10), (13, 30))]
    second.successes = [(at - 0.01, at) for at in moments((0, 12), (14, 20), (20.5, 30))]
    return prober


def moments(*spans: tuple[float, float]) -> list[float]:
    return [start + 0.1 * step for start, end in spans for step in range(round((end - start) / 0.1) + 1)]


def test_a_cluster_is_down_while_any_key_is(prober: Prober) -> None:
    assert prober.gaps(0, 30) == [(pytest.approx(10), pytest.approx(14)), (pytest.approx(20), 20.5)]
    assert prober.down(0, 30) == pytest.approx(4.5)
    assert prober.down(11, 13.5) == pytest.approx(2.5)


def test_it_has_recovered_when_the_last_key_that_stopped_meanwhile_goes_on(prober: Prober) -> None:
    assert prober.recovered(10.001, 30) == pytest.approx(14)


def test_faults_by_chance_can_be_repeated() -> None:
    faults = endless({"kill", "freeze"}, seed=1)
    again = endless({"freeze", "kill"}, seed=1)
    assert [next(faults) for _ in range(20)] == [next(again) for _ in range(20)]
    many = counted({"kill": 5, "freeze": 2}, seed=1)
    assert (many.count("kill"), many.count("freeze"), len(many)) == (5, 2, 7)


def test_the_nearest_rank() -> None:
    assert nearest_rank([3.0, 1.0, 2.0], 0.5) == 2.0
    assert nearest_rank([float(number) for number in range(1, 101)], 0.99) == 99.0
    assert nearest_rank([1.0], 0.99) == 1.0
