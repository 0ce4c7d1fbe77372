"""What the operator sees, without any server: tables and bars in little room, refusals, exit codes."""

from __future__ import annotations

import io
import re
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from cluster.cli import bigkeys, main, moving, output
from cluster.migration.classic import Progress
from cluster.operations.big_keys import BigKey, Tally
from cluster.operations.key_walk import Source
from cluster.operations.link import Interrupted, NotLetIn, OperationError
from cluster.plans.advice import advice_on
from cluster.plans.check import check
from tests.harness.shoal_command import shoal

COLUMNS = ["address", "version", "slots", "ranges"]
ROWS = [["127.0.0.1:17001", "shoal 0.1.0", 5461, "0-5460"], ["127.0.0.1:17002", "shoal 0.1.0", 1, "5461"]]


def page(monkeypatch: pytest.MonkeyPatch, width: int) -> io.StringIO:
    written = io.StringIO()
    monkeypatch.setattr(output, "console", lambda: Console(file=written, width=width, highlight=False))
    return written


class TestTables:
    def test_what_does_not_fit_is_left_out_and_nothing_is_broken(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        seen = []
        for width in (60, 43, 30):
            written = page(monkeypatch, width)
            output.print_table("", COLUMNS, ROWS, numeric=["slots"], dispensable=["version", "slots"])
            head, first, second = written.getvalue().splitlines()
            assert "127.0.0.1:17001" in first and "127.0.0.1:17002" in second
            seen.append(head.split())
        assert seen == [COLUMNS, ["address", "slots", "ranges"], ["address", "ranges"]]

    def test_the_elastic_column_is_cut_to_what_the_others_leave(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        rows = [["12.3 kB", 5461, "k" * 80], ["1 B", 1, "\u9bca" * 80], ["1 B", 1, "short"]]
        for width, columns in ((40, 3), (28, 2), (200, 3)):
            written = page(monkeypatch, width)
            output.print_table("", ["memory", "slot", "key"], rows, dispensable=["slot"], elastic="key")
            lines = written.getvalue().splitlines()
            assert len(lines) == 4 and len(lines[0].split()) == columns
            assert ("…" in lines[1]) == ("…" in lines[2]) == (width < 200) and "short" in lines[3]

    @pytest.mark.parametrize("width", [80, 200])
    def test_big_keys_have_a_line_each(self, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
        total = Tally(10, by_length=False)
        sources = [Source("127.0.0.1", port) for port in (17001, 17002)]
        for number, source in enumerate(sources * 5):
            key = f"session:{number}:{'of somebody:' * 8}".encode()
            total.add(BigKey(key, "string", 123_456_789, 123_456_000 + number, source, 0))
        total.add(BigKey(b"list", "list", 300, 100, sources[0], 0))
        written = page(monkeypatch, width)
        bigkeys._print(total)
        of_types, of_keys = written.getvalue().split("the biggest")
        head, strings, lists = of_types.split("\n")[:3]
        assert "session:0:of" in strings and "list" in lists and len(of_keys.splitlines()) == 2 + 10
        assert max(map(len, written.getvalue().splitlines())) <= width
        if width == 200:
            assert "memory/key" in head and "300 B  100 items  100.0  300 B, 100 items" in re.sub(
                " {2,}", "  ", lists
            )

    def test_parts_of_a_line_go_in_their_order(self) -> None:
        parts = [Text("first"), Text("second"), Text("third")]
        fits = [output.as_fits(parts, [1, 2], ", ", width).plain for width in (20, 19, 12, 11, 5, 4)]
        assert fits == ["first, second, third", "first, third", "first, third", "first", "first", "fir…"]

    def test_a_neighbour_is_called_by_its_port(self) -> None:
        assert output.near("10.0.0.1:7001", "10.0.0.1:7002") == ":7001"
        assert output.near("10.0.0.1:7001", "10.0.0.2:7001") == "10.0.0.1:7001"
        assert output.near(None, "10.0.0.2:7001") == "nobody"


class TestBars:
    @pytest.mark.parametrize("width", [80, 200])
    def test_figures_and_what_is_left_have_room(self, width: int, monkeypatch: pytest.MonkeyPatch) -> None:
        terminal = Console(file=io.StringIO(), width=width, force_terminal=True)
        monkeypatch.setattr(output, "Console", lambda **_: terminal)
        figures = "16000/16384 slots, 1234567 keys, 98765 keys/s, 123.4 MB/s"
        with output.progress_bar() as bar, terminal.capture() as shown:
            task = bar.add_task("moving", total=100, figures=figures)
            bar.update(task, completed=50)
            terminal.print(bar.get_renderable())
        assert figures in shown.get()
        assert "left" in shown.get() and "…" not in shown.get()

    def test_a_repair_that_moves_nothing_has_none(self) -> None:
        painted: list[Any] = []
        bars = output.Bars()
        bars.paint = lambda *figures: painted.append(figures)  # type: ignore[method-assign]
        paint = moving._painter(bars)
        paint(Progress())
        assert painted == []
        paint(Progress(slots=1, keys=5, total_slots=2, total_keys=9))
        assert painted[0][:3] == ("moving", 6, 11)


class TestAsking:
    def ask(self, answer: str, monkeypatch: pytest.MonkeyPatch, **options: Any) -> None:
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        output.confirm("Do this?", **options)

    def test_yes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ask("y\n", monkeypatch)

    def test_no(self, monkeypatch: pytest.MonkeyPatch) -> None:
        with pytest.raises(output.Declined, match="declined"):
            self.ask("n\n", monkeypatch)

    def test_nobody_is_there(
        self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
    ) -> None:
        with pytest.raises(output.Declined, match="--yes goes on unasked"):
            self.ask("", monkeypatch, json=True)
        told = capsys.readouterr()
        assert told.out == ""
        assert told.err.endswith("\n")


class TestExitCodes:
    @pytest.mark.parametrize(
        ("problem", "code"),
        [
            (OperationError("a", "b"), 1),
            (Interrupted("stopped", "resume it"), 130),
            (output.Declined("declined"), 130),
            (KeyboardInterrupt(), 130),
            (BrokenPipeError(), 0),
        ],
    )
    def test_of_what_is_raised(
        self, problem: BaseException, code: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def app(*_: Any, **__: Any) -> None:
            raise problem

        monkeypatch.setattr("cluster.cli.app.app", app)
        monkeypatch.setattr("os.dup2", lambda *_: None)
        with open("/dev/null", "w") as nowhere:
            monkeypatch.setattr("sys.stdout", nowhere)
            assert main.run_subcommand([]) == code

    def test_of_a_wrong_call_which_names_the_page_to_read(self) -> None:
        assert shoal("reshard", code=2).error_line.endswith("'--to'; see `shoal reshard --help`")
        assert "`shoal migrations --help`" in shoal("migrations", "nosuch", code=2).error_line
        missing = shoal("nodes", "127.0.0.1:1", "--cacert", "/nowhere/ca.pem", code=2).error_line
        assert "/nowhere/ca.pem: no such file" in missing


def test_who_is_not_let_in_is_told_why() -> None:
    assert str(NotLetIn("a:1", "AUTH", "WRONGPASS")).endswith("give --user and --password")
    unasked = NotLetIn("a:1", "AUTH", "AUTH <password> called without any password configured")
    assert str(unasked).endswith("give none")


def test_a_name_that_is_nobodys_is_not_said_to_be_down() -> None:
    assert "is the name right" in advice_on("name or service not known")
    assert advice_on("connection refused") == "is it running?"


def test_whom_we_do_not_trust_is_not_to_be_forgotten() -> None:
    def advice(reason: str) -> str:
        return check([], {"a:1": reason})[0].next_step

    assert "shoal forget a:1" in advice("connection refused")
    assert "--sni" in advice("its certificate is not trusted: IP address mismatch")
    assert "--cert-key" in advice("TLS: tlsv13 alert certificate required")
