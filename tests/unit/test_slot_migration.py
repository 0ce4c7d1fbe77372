"""The two ends of a migration, without sockets: every way it can go, word by word."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cluster.migration import effects as fx
from cluster.migration.effects import Effect
from cluster.migration.export_job import PAUSE_FACTOR, PROPAGATION_TIME, ExportJob
from cluster.migration.import_job import ImportJob
from cluster.migration.job import ACK_PERIOD, Job, State
from cluster.slots import from_iterable

NAME, SOURCE, TARGET = "1" * 40, "5" * 40, "7" * 40
RANGES = [(0, 2), (7, 7)]
TIMEOUT = 60_000
PAUSE = 5000
START = 1_000_000

Step = Callable[[ExportJob], list[Effect]]


def export() -> ExportJob:
    return ExportJob(NAME, RANGES, SOURCE, TARGET, START)


def arrival(source: str = SOURCE) -> ImportJob:
    return ImportJob(NAME, RANGES, source, TARGET, START)


def deeds(effects: list[Effect]) -> list[Effect]:
    """Without what is only said."""
    return [effect for effect in effects if not isinstance(effect, fx.Log)]


def words(effects: list[Effect]) -> list[str]:
    """What is sent, each command as text."""
    return [b" ".join(effect.argv).decode() for effect in effects if isinstance(effect, fx.Send)]


# The way of an export, state by state: what takes it out of each.
WAY: list[tuple[State, Step]] = [
    (State.CONNECTING, lambda job: job.connected(START, has_password=True)),
    (State.READING_AUTH, lambda job: job.replied("+OK", START)),
    (State.READING_ESTABLISH, lambda job: job.replied("+OK", START)),
    (State.WAITING_TO_SNAPSHOT, lambda job: job.snapshot_began(START)),
    (State.SNAPSHOTTING, lambda job: job.snapshot_sent(123, START)),
    (State.STREAMING, lambda job: job.heard("request-pause", START)),
    (State.WAITING_TO_PAUSE, lambda job: job.on_its_way(0, 0, PAUSE, START)),
    (State.PAUSED, lambda job: job.heard("request-failover", START)),
    (State.GRANTED, lambda job: job.owned_by(TARGET, SOURCE, START)),
]
STATES = [state for state, _ in WAY]


def exporting(state: State) -> ExportJob:
    """An export that has come to `state`."""
    job = export()
    for reached, step in WAY:
        if reached is state:
            break
        step(job)
    assert job.state is state
    return job


def test_the_source_goes_its_way() -> None:
    job = export()
    assert job.start() == [fx.Connect()]
    said = []
    for state, step in WAY:
        assert job.state is state
        said.append(deeds(step(job)))
    establish = f"CLUSTER SYNCSLOTS ESTABLISH SOURCE {SOURCE} NAME {NAME} SLOTSRANGE 0 2 7 7"
    assert said[0] == [fx.Authenticate()]
    assert words(said[1]) == [establish]
    assert words(said[2]) == ["CLUSTER SYNCSLOTS ACK"] and said[2][-1] == fx.Snapshot()
    assert said[3] == []
    assert words(said[4]) == ["CLUSTER SYNCSLOTS SNAPSHOT-EOF"] and said[4][-1] == fx.Stream()
    assert said[5] == []
    assert said[6][0] == fx.HoldWrites(START + PAUSE * PAUSE_FACTOR), "before PAUSED leaves"
    assert words(said[6]) == ["CLUSTER SYNCSLOTS PAUSED"]
    assert words(said[7]) == ["CLUSTER SYNCSLOTS FAILOVER-GRANTED"]
    assert said[8] == [fx.Hangup(), fx.ResumeWrites()]
    assert (job.state, job.message, job.copied_bytes) == (State.SUCCESS, "", 123)


def test_without_a_password_there_is_no_auth() -> None:
    job = export()
    assert words(job.connected(START, has_password=False))[0].startswith("CLUSTER SYNCSLOTS ESTABLISH")


@pytest.mark.parametrize(
    ("state", "step", "message"),
    [
        (
            State.CONNECTING,
            lambda job: job.failed_to_connect("no way", START),
            "Unable to connect to target node: no way",
        ),
        (
            State.READING_AUTH,
            lambda job: job.replied("-WRONGPASS x", START),
            "Failed to AUTH to target node: -WRONGPASS x",
        ),
        (
            State.READING_ESTABLISH,
            lambda job: job.replied("-ERR no", START),
            "Received error during handshake to target: -ERR no",
        ),
        (State.SNAPSHOTTING, lambda job: job.snapshot_failed(START), "Failed to perform snapshot"),
        (
            State.STREAMING,
            lambda job: job.heard("request-failover", START),
            "Unexpected state machine transition",
        ),
        (State.PAUSED, lambda job: job.heard("request-pause", START), "Unexpected state machine transition"),
        (State.PAUSED, lambda job: job.heard("sing", START), "Unknown SYNCSLOTS subcommand used"),
    ],
)
def test_what_the_source_does_not_take(state: State, step: Step, message: str) -> None:
    job = exporting(state)
    effects = step(job)
    assert (job.state, job.message) == (State.FAILED, message)
    assert fx.Hangup() in effects
    assert (fx.ResumeWrites() in effects) is (state is State.PAUSED)


@pytest.mark.parametrize("state", STATES)
def test_every_state_of_an_export_can_end(state: State) -> None:
    for end in (
        lambda job: job.flushed(START),
        lambda job: job.demoted(START),
        lambda job: job.cancel(START),
        lambda job: job.owned_by("", SOURCE, START),
    ):
        job = exporting(state)
        effects = deeds(end(job))
        held = state in (State.PAUSED, State.GRANTED)
        assert effects == [fx.Hangup(), *([fx.ResumeWrites()] if held else [])]
        assert not job.in_progress


@pytest.mark.parametrize("state", STATES)
def test_a_lost_connection_tells_nothing_once_the_slots_are_granted(state: State) -> None:
    job = exporting(state)
    job.lost(START)
    assert job.in_progress is (state is State.GRANTED)


@pytest.mark.parametrize("state", STATES)
def test_a_silent_target_is_given_up(state: State) -> None:
    job = exporting(state)
    job.tick(START + TIMEOUT, TIMEOUT) if state not in (State.PAUSED, State.GRANTED) else None
    assert job.in_progress
    job.tick(START + TIMEOUT + 1, TIMEOUT)
    assert job.state is State.FAILED


def test_writes_are_held_no_longer_than_promised() -> None:
    job = exporting(State.PAUSED)
    assert deeds(job.tick(job.held_until - 1, TIMEOUT))[0] != fx.Hangup()
    assert fx.ResumeWrites() in job.tick(job.held_until, TIMEOUT)
    assert job.message == "Timed out before streaming completed"


def test_a_request_that_comes_after_the_pause_is_refused() -> None:
    job = exporting(State.PAUSED)
    assert words(job.heard("request-failover", job.held_until)) == []
    assert job.message == "Unpaused before failover completed"


def test_a_grant_holds_writes_until_the_news_can_be_here() -> None:
    job = exporting(State.PAUSED)
    late = job.held_until - 10
    assert fx.HoldWrites(late + PROPAGATION_TIME) in job.heard("request-failover", late)
    said = [effect.text for effect in job.tick(job.held_until, TIMEOUT) if isinstance(effect, fx.Log)]
    assert any("Write loss risk" in text for text in said)
    assert job.state is State.FAILED


@pytest.mark.parametrize(
    ("ours", "heard", "failed", "settled", "outbids"),
    [
        (True, 0, False, False, False),
        (True, 0, True, True, True),
        (True, 1, True, True, False),
        (True, 1, False, True, False),
        (False, 0, True, True, False),
    ],
    ids=["no news", "it failed", "it was heard and failed", "it was heard", "it has them"],
)
def test_a_grant_of_which_nothing_was_heard(
    ours: bool, heard: int, failed: bool, settled: bool, outbids: bool
) -> None:
    job = exporting(State.GRANTED)
    job.tick(job.held_until, TIMEOUT)
    assert job.doubtful and not job.in_progress
    effects = job.settle_doubt(ours=ours, target_heard_at=job.changed_at + heard, target_failed=failed)
    assert (deeds(effects) == [fx.Outbid()], job.doubtful) == (outbids, not settled)
    assert job.settle_doubt(ours=True, target_heard_at=0, target_failed=True) == [] or not settled


@pytest.mark.parametrize(
    ("unsent", "limit", "pauses"),
    [(0, 0, True), (1, 0, False), (9, 9, True), (10, 9, False), (1 << 40, -1, True)],
)
def test_writes_are_held_when_little_is_on_its_way(unsent: int, limit: int, pauses: bool) -> None:
    job = exporting(State.WAITING_TO_PAUSE)
    job.on_its_way(unsent, limit, PAUSE, START)
    assert (job.state is State.PAUSED) is pauses


def test_signs_of_life_leave_once_a_second_but_never_within_the_snapshot() -> None:
    for state in STATES:
        job = exporting(state)
        early, late = job.tick(START + ACK_PERIOD - 1, TIMEOUT), job.tick(START + ACK_PERIOD, TIMEOUT)
        quiet = (
            State.CONNECTING,
            State.READING_AUTH,
            State.READING_ESTABLISH,
            State.SNAPSHOTTING,
            State.GRANTED,
        )
        assert words(early) == []
        expected = [] if state in (*quiet, State.WAITING_TO_SNAPSHOT) else ["CLUSTER SYNCSLOTS ACK"]
        assert words(late) == expected, state


# --- the target


def finish(state: str, message: str = "") -> fx.Propagate:
    told = (b"MESSAGE", message.encode()) if message else ()
    name = NAME.encode()
    return fx.Propagate((b"CLUSTER", b"SYNCSLOTS", b"FINISH", b"STATE", state.encode(), b"NAME", name, *told))


WORDS = ["ack", "snapshot-eof", "paused", "failover-granted"]
REACHED = [
    State.WAITING_FOR_ACK,
    State.RECEIVING_SNAPSHOT,
    State.WAITING_FOR_PAUSED,
    State.FAILOVER_REQUESTED,
    State.GRANTED,
]


def importing(state: State) -> ImportJob:
    job = arrival()
    for word in WORDS[: REACHED.index(state)]:
        job.heard(word, START)
    assert job.state is state
    return job


def test_the_target_goes_its_way() -> None:
    job = arrival()
    establish = f"CLUSTER SYNCSLOTS ESTABLISH SOURCE {SOURCE} NAME {NAME} SLOTSRANGE 0 2 7 7"
    assert deeds(job.begun()) == [fx.Propagate(tuple(establish.encode().split()))]
    answers = [words(job.heard(word, START)) for word in WORDS]
    assert answers == [[], ["CLUSTER SYNCSLOTS REQUEST-PAUSE"], ["CLUSTER SYNCSLOTS REQUEST-FAILOVER"], []]
    assert deeds(job.take(START)) == [fx.TakeSlots(), finish("success"), fx.Hangup()]
    assert job.state is State.SUCCESS
    assert job.take(START) == [], "once"


@pytest.mark.parametrize("state", REACHED)
@pytest.mark.parametrize("word", [*WORDS, "sing"])
def test_words_out_of_turn_end_an_import(state: State, word: str) -> None:
    job = importing(state)
    effects = deeds(job.heard(word, START))
    if word in (*WORDS[REACHED.index(state) : REACHED.index(state) + 1], "ack"):
        assert job.in_progress
        return
    expected = (
        "Unknown SYNCSLOTS subcommand used" if word == "sing" else "Unexpected state machine transition"
    )
    assert effects == [fx.Hangup(), fx.Dismiss(told=True), finish("failed", expected)], (
        "keys go before FINISH"
    )


@pytest.mark.parametrize("state", REACHED)
def test_every_state_of_an_import_can_end(state: State) -> None:
    for end, message in (
        (lambda job: job.lost(START), "Connection lost to source"),
        (lambda job: job.refused(START), "Failed to process command"),
        (lambda job: job.out_of_memory(START), "Ran out of memory"),
        (lambda job: job.owned_by("", TARGET, START), "no longer owned by source"),
        (lambda job: job.owned_by(TARGET, TARGET, START), "unexpectedly assigned to myself"),
        (lambda job: job.tick(START + TIMEOUT + 1, TIMEOUT), "Timed out"),
    ):
        job = importing(state)
        effects = deeds(end(job))
        assert job.state is State.FAILED and message in job.message
        assert effects == [fx.Hangup(), fx.Dismiss(told=True), finish("failed", job.message)]


def test_a_source_that_keeps_its_slots_is_no_reason_to_end() -> None:
    assert arrival().owned_by(SOURCE, TARGET, START) == []
    assert export().owned_by(SOURCE, SOURCE, START) == []


def test_anything_the_source_sends_is_a_sign_of_life() -> None:
    job = importing(State.RECEIVING_SNAPSHOT)
    job.received(START + TIMEOUT)
    assert words(job.tick(START + 2 * TIMEOUT, TIMEOUT)) == ["CLUSTER SYNCSLOTS ACK"]


def test_a_replica_does_as_its_primary_says() -> None:
    for success, deed in ((True, fx.Admit()), (False, fx.Dismiss(told=False))):
        job = arrival(source="")
        assert job.state is State.OCCURRING_ON_PRIMARY and job.only_tracked
        assert (
            job.tick(START + 10 * TIMEOUT, TIMEOUT)
            == job.lost(START)
            == job.owned_by("", TARGET, START)
            == []
        )
        assert deeds(job.finished(START, success=success, message="")) == [fx.Hangup(), deed]
        assert not job.in_progress


def test_a_primary_that_becomes_a_replica_keeps_what_has_come_and_waits() -> None:
    job = importing(State.WAITING_FOR_PAUSED)
    assert deeds(job.demoted(START)) == [fx.Hangup()]
    assert job.only_tracked and job.state is State.OCCURRING_ON_PRIMARY


def test_what_is_shown_of_a_job() -> None:
    def shown(job: Job) -> list[str]:
        return [name.decode() for name in job.view()]

    ends = ["target_node", "source_node"]
    first, last = (
        ["name", "operation", "slot_ranges"],
        [
            "create_time",
            "last_update_time",
            "last_ack_time",
            "state",
            "message",
            "cow_size",
            "remaining_repl_size",
        ],
    )
    assert shown(arrival()) == [*first, *ends, *last]
    assert shown(export()) == [*first, *ends, *last, "sent_bytes"]
    assert shown(arrival(source="")) == [*first, *last]
    assert export().view()[b"slot_ranges"] == b"0-2 7-7"
    assert export().slots == from_iterable([0, 1, 2, 7])
