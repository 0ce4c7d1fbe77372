"""Plans of moves and their journals: steps, what is left of them, and reading what a killed program left."""

from __future__ import annotations

import json
import os
import re
from dataclasses import replace
from pathlib import Path

import pytest

from cluster.operations.journals import Journal, all_journals, find_journal
from cluster.operations.link import OperationError
from cluster.plans import journal as lines
from cluster.plans.journal import (
    End,
    JournalError,
    Options,
    Plan,
    Step,
    Wish,
    cut_steps,
    heir,
    remainder,
    startable,
)
from cluster.plans.model import Move, NodeInfo
from cluster.slots import from_iterable, from_range
from tests.harness.shoal_command import shoal

A, B, C, HEIR = "a" * 40, "b" * 40, "c" * 40, "d" * 40


def node(
    name: str, slots: int = 0, primary: str | None = None, flags: frozenset[str] = frozenset()
) -> NodeInfo:
    return NodeInfo(name, "host", 7000 + ord(name[0]), slots, primary, flags)


def plan(*steps: Step) -> Plan:
    return Plan(
        "0123", "reshard", 1.5, ["host:1"], list(steps), Options(pipeline=7), {A: [HEIR], B: []}, {B: "b"}
    )


class TestSteps:
    def test_they_are_cut_by_slots_and_by_keys_in_order(self) -> None:
        moves = [Move(slot, A, B) for slot in range(5)] + [Move(9, C, B)]
        steps = cut_steps(moves, {0: 50, 1: 60, 2: 5}, most_slots=3, most_keys=100)
        assert [(step.source, list(_members(step)), step.keys) for step in steps] == [
            (A, [0], 50),
            (A, [1, 2, 3], 65),
            (A, [4], 0),
            (C, [9], 0),
        ]
        assert [move for step in steps for move in step.moves] == moves

    def test_a_slot_of_too_many_keys_is_a_step_of_its_own(self) -> None:
        steps = cut_steps([Move(0, A, B), Move(1, A, B)], {0: 500, 1: 1}, most_keys=100)
        assert [step.keys for step in steps] == [500, 1]


class TestWhichIsNext:
    one, other, both, last = Step(A, B, 1), Step(C, HEIR, 2), Step(A, HEIR, 4), Step(C, B, 8)

    def test_steps_that_share_no_node_go_on_side_by_side(self) -> None:
        whole = plan(self.one, self.both, self.other, self.last)
        assert startable(whole, {}, 4) == [0, 2]
        assert startable(whole, {}, 1) == [0]
        assert startable(whole, {0}, 4) == [2]
        assert startable(whole, {0, 2}, 4) == []
        whole.done = {0, 2}
        assert startable(whole, {}, 4) == [1, 3]

    def test_what_was_begun_comes_first(self) -> None:
        whole = plan(self.one, self.both, self.other)
        whole.begun = {1}
        assert startable(whole, {}, 4) == [1]


def _members(step: Step) -> list[int]:
    return [move.slot for move in step.moves]


class TestWhatIsLeft:
    step = Step(A, B, from_range(0, 9))

    def test_what_the_target_owns_is_done(self) -> None:
        nodes = {A: node(A, from_range(4, 9)), B: node(B, from_range(0, 3))}
        assert remainder(plan(self.step), self.step, nodes).moves == [
            Move(slot, A, B) for slot in range(4, 10)
        ]

    def test_an_heir_gives_what_a_dead_source_had(self) -> None:
        nodes = {A: node(A, flags=frozenset({"fail"})), HEIR: node(HEIR, from_range(0, 9)), B: node(B)}
        assert remainder(plan(self.step), self.step, nodes).moves[0] == Move(0, HEIR, B)

    def test_an_heir_takes_what_a_dead_target_was_to_get(self) -> None:
        step = Step(B, A, from_range(0, 0))
        for gone in ({A: node(A, flags=frozenset({"fail"}))}, {A: node(A, primary=HEIR)}, {A: node(A)}):
            nodes = {**gone, HEIR: node(HEIR, from_range(20, 30)), B: node(B, from_range(0, 9))}
            assert remainder(plan(step), step, nodes).moves == [Move(0, B, HEIR)]

    def test_a_target_without_heir_stops_it(self) -> None:
        with pytest.raises(JournalError, match="b is gone"):
            remainder(plan(self.step), self.step, {A: node(A, from_range(0, 9))})

    def test_slots_of_strangers_are_left_alone(self) -> None:
        nodes = {A: node(A, from_range(0, 8)), B: node(B), C: node(C, from_range(9, 9))}
        rest = remainder(plan(self.step), self.step, nodes)
        assert len(rest.moves) == 9 and rest.lost == from_iterable([9])

    def test_an_empty_primary_is_no_heir(self) -> None:
        nodes = {A: node(A, from_range(0, 1)), HEIR: node(HEIR)}
        assert heir(plan(), A, nodes) == A


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.create(tmp_path, plan(Step(A, B, from_range(0, 3), 10), Step(A, B, from_range(4, 5), 1)))


class TestJournals:
    def test_what_was_written_is_read(self, journal: Journal) -> None:
        assert Journal(journal.path).plan == journal.plan
        journal.add("began", step=0)
        journal.add("done", step=0, keys=11)
        journal.add("borrowed", node=A, setting="s", before="5")
        journal.add("stopped", text="no way")
        journal.add("limit", bandwidth=9)
        journal.add("limit", max_p99=2.5)
        journal.add("limit", at_once=2)
        found = Journal(journal.path).plan
        assert (found.done, found.pending, found.keys, found.slots_done) == ({0}, [1], 11, 4)
        assert (found.state, found.problem, found.borrowed) == ("stopped", "no way", {A: {"s": "5"}})
        assert found.options == Options(pipeline=7, bandwidth=9, max_p99=2.5, at_once=2)
        journal.add("returned", node=A)
        journal.add("wish", wish=Wish.PAUSE)
        assert Journal(journal.path).plan.state == "paused" and not Journal(journal.path).plan.borrowed
        journal.add("ended", how=End.CANCELLED)
        assert Journal(journal.path).plan.state == "cancelled"

    def test_what_others_add_is_noticed(self, journal: Journal) -> None:
        Journal(journal.path).add("wish", wish=Wish.CANCEL)
        assert journal.plan.wish is Wish.RUN
        assert journal.reread().wish is Wish.CANCEL

    def test_one_at_a_time_carries_it_out(self, journal: Journal) -> None:
        other = Journal(journal.path)
        assert not other.is_carried_out
        assert journal.lock() and not other.lock() and other.is_carried_out
        journal.__exit__()
        assert other.lock()

    def test_a_line_that_was_never_finished_spoils_no_other(self, journal: Journal) -> None:
        with journal.path.open("a") as file:
            file.write('{"at": 1, "event": "do')
        late = Journal(journal.path)
        assert late.lock()
        late.add("done", step=1)
        assert Journal(journal.path).plan.done == {1} == late.plan.done

    @pytest.mark.parametrize("text", ["", "nonsense\n", '{"shoal": "else"}\n', "[]\n"])
    def test_other_files_are_refused(self, tmp_path: Path, text: str) -> None:
        path = tmp_path / "x.journal"
        path.write_text(text)
        with pytest.raises(OperationError, match="no journal of moves"):
            Journal(path)
        assert list(all_journals(tmp_path)) == []

    def test_a_later_format_is_refused(self) -> None:
        first = lines.first_line(plan()) | {"format": lines.FORMAT + 1}
        with pytest.raises(JournalError, match="this program knows"):
            lines.read([json.dumps(first)])

    def test_they_are_found_by_the_beginning_of_their_ids(self, journal: Journal, tmp_path: Path) -> None:
        assert find_journal(tmp_path, "01").plan == journal.plan
        assert find_journal(tmp_path, str(journal.path)).plan == journal.plan
        for name in ("9", "../0123"):
            with pytest.raises(OperationError):
                find_journal(tmp_path, name)

    def test_many_are_listed_one_by_one_the_latest_first(self, tmp_path: Path) -> None:
        for number in range(5):
            made = replace(plan(), id=f"{number}", created=float(number))
            Journal.create(tmp_path, made).__exit__()
        before = len(os.listdir("/proc/self/fd"))
        seen = []
        for journal in all_journals(tmp_path):
            with journal:
                assert len(os.listdir("/proc/self/fd")) <= before + 1
                seen.append(journal.plan.id)
        assert seen == ["4", "3", "2", "1", "0"]

    def test_of_those_that_ended_the_latest_are_shown(self, tmp_path: Path) -> None:
        for number in range(25):
            with Journal.create(tmp_path, replace(plan(), id=f"plan{number:02}", created=number)) as made:
                if number != 1:
                    made.add("ended", how="done" if number % 2 else "cancelled")
        known = [f"plan{number:02}" for number in range(24, -1, -1)]

        def listed(*options: str) -> list[str]:
            text = shoal("migrations", "--journal", tmp_path, *options).out
            assert ("4 older plans that have ended: --all" in text) == (options != ("--all",))
            return re.findall(r"^ (plan\d\d) ", text, re.MULTILINE)

        assert listed() == [*known[:20], "plan01"]
        assert listed("--all") == known
        rows = shoal("migrations", "--journal", tmp_path, "--json").json
        assert [row["plan"] for row in rows] == known

    def test_no_password_is_kept(self, journal: Journal) -> None:
        assert "password" not in journal.path.read_text()
