"""How fast a move may go, without a move."""

from __future__ import annotations

from cluster.migration.allowance import BURST_MS, Allowance
from cluster.plans.pace import FLOOR, LEAST, START, UNLIMITED, Pace, Percentile

MB = 1 << 20


def test_a_percentile_needs_some_times() -> None:
    times = Percentile()
    for number in range(LEAST - 1):
        times.add(number)
    assert times.p99 is None
    for _ in range(180):
        times.add(1.0)
    times.add(50.0)
    assert times.p99 == 18.0
    times.forget()
    assert times.p99 is None


def test_it_slows_down_fast_and_recovers_slowly() -> None:
    pace = Pace(max_p99=10.0)
    assert not pace.look(None) and pace.rate == UNLIMITED
    assert pace.look(20.0, measured=8 * MB) and pace.rate == 4 * MB
    assert pace.look(20.0) and pace.rate == 2 * MB
    assert not pace.look(9.0), "just right"
    assert pace.look(1.0) and pace.rate == 2.5 * MB
    for _ in range(50):
        pace.look(1.0)
    assert pace.rate == UNLIMITED, "nothing is in the way any more"
    assert pace.look(20.0) and pace.rate == START / 2


def test_it_never_stands_still() -> None:
    pace = Pace(bandwidth=MB, max_p99=1.0)
    for _ in range(50):
        pace.look(100.0)
    assert pace.rate == FLOOR
    for _ in range(50):
        pace.look(0.1)
    assert pace.rate == MB, "the bandwidth stays the limit"


def test_rests_keep_the_average() -> None:
    pace = Pace(bandwidth=MB)
    assert pace.limits and not pace.watches
    assert pace.rest(2 * MB, 0.5) == 1.5
    assert pace.rest(MB, 3.0) == 0.0
    assert Pace().rest(1e12, 0.0) == 0.0 and not Pace().limits


def test_an_allowance_is_paid_off_by_time() -> None:
    allowance = Allowance()
    assert not allowance.is_spent(0)
    allowance.set_rate(1000, 0)
    allowance.sent(500, 0)
    assert allowance.is_spent(499) and not allowance.is_spent(500)
    allowance.sent(BURST_MS + 1, 10_000)
    assert allowance.is_spent(10_000), "no more than a burst is saved up"
    allowance.set_rate(0, 10_000)
    assert not allowance.is_spent(10_000)
    allowance.set_rate(1, 10_000)
    assert not allowance.is_spent(10_000), "it owes nothing for the time without limit"


def test_a_share_that_changes() -> None:
    plain = Pace(bandwidth=MB)
    plain.limit(MB // 2)
    assert plain.rate == MB // 2
    plain.limit(MB)
    assert plain.rate == MB
    watchful = Pace(bandwidth=MB, max_p99=1.0)
    watchful.limit(MB // 2)
    assert watchful.rate == MB // 2
    watchful.limit(MB)
    assert watchful.rate == MB // 2, "it grows when clients feel nothing"
    endless = Pace(max_p99=1.0)
    endless.limit(0)
    assert endless.rate == 0
