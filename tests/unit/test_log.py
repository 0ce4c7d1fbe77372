"""The log: Redis' line format, levels, and what it does when it cannot write."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from node.config import Config, ConfigError
from node.config.directives import BY_NAME
from node.log import Log
from node.log_lines import MAX_LINE, LineFormat
from node.metrics.slow_log import SECRET_SETTINGS
from node.worker import Worker

AT = time.mktime((2026, 11, 2, 7, 8, 9, 0, 0, -1)) + 0.042


def log_to(path: Path, level: str = "notice") -> Log:
    return Log(level, str(path), clock=lambda: AT)


def test_format(tmp_path: Path) -> None:
    log = log_to(tmp_path / "log", "debug")
    for write, role in ((log.debug, "C"), (log.verbose, "M"), (log.notice, "S"), (log.warning, "M")):
        log.role = role
        write("hello")
    assert (tmp_path / "log").read_text().splitlines() == [
        f"{os.getpid()}:{role} 02 Nov 2026 07:08:09.042 {mark} hello"
        for role, mark in (("C", "."), ("M", "-"), ("S", "*"), ("M", "#"))
    ]


@pytest.mark.parametrize(
    ("level", "lines"), [("debug", 4), ("verbose", 3), ("notice", 2), ("warning", 1), ("nothing", 0)]
)
def test_levels(tmp_path: Path, level: str, lines: int) -> None:
    path = tmp_path / "log"
    path.touch()
    log = log_to(path, level)
    for write in (log.debug, log.verbose, log.notice, log.warning):
        write("x")
    assert len(path.read_text().splitlines()) == lines


def test_a_message_is_one_line_and_bounded(tmp_path: Path) -> None:
    log_to(tmp_path / "log").notice("a\nb" + "x" * 10_000)
    (line,) = (tmp_path / "log").read_text().splitlines()
    assert "a\\nb" in line
    assert len(line) < MAX_LINE + 100


def test_a_log_that_cannot_be_written_stops_nobody(tmp_path: Path) -> None:
    log_to(tmp_path / "no" / "such" / "directory").warning("lost")
    assert not (tmp_path / "no").exists()


def test_what_clients_sent_can_be_kept_out(tmp_path: Path) -> None:
    config = Config.from_args(["--logfile", str(tmp_path / "log")])
    worker = SimpleNamespace(log=Log.from_config(config))
    for hides in ("no", "yes"):
        config.set({"hide-user-data-from-log": hides})
        worker.log.notice(f"key {worker.log.key(b'ann')}")
        try:
            raise KeyError("ann")
        except KeyError as bug:
            Worker._log_bug(worker, "get", bug)  # type: ignore[arg-type]
    shown, bug, hidden, hidden_bug = (tmp_path / "log").read_text().splitlines()
    assert shown.endswith("* key b'ann'") and "KeyError: 'ann'" in bug
    assert hidden.endswith("* key *redacted*")
    assert hidden_bug.endswith("KeyError") and "A bug in get: " in hidden_bug


def test_standard_output(capfd: pytest.CaptureFixture[str]) -> None:
    Log(clock=lambda: AT).notice("hello")
    assert capfd.readouterr().out.endswith("* hello\n")


def test_the_level_follows_the_settings(tmp_path: Path) -> None:
    config = Config.from_args(["--dir", str(tmp_path), "--logfile", "log", "--loglevel", "warning"])
    log = Log.from_config(config)
    log.notice("unheard")
    config.set({"loglevel": "verbose"})
    log.verbose("heard")
    text = (tmp_path / "log").read_text()
    assert "unheard" not in text and "heard" in text


def test_start_names_settings_without_effect(tmp_path: Path) -> None:
    config = Config.from_args(["--dir", str(tmp_path), "--logfile", "log", "--io-threads", "4"])
    Log.from_config(config).starting(config)
    assert "without effect in this server: io-threads" in (tmp_path / "log").read_text()


def test_logfmt_is_that_of_valkey() -> None:
    line = LineFormat("logfmt").line(7, "S", 1, AT, 'a "b"\nc')
    assert line == 'pid=7 role=replica timestamp="02 Nov 2026 07:08:09.042" level=info message="a \'b\' c"'


def test_json_has_the_same_fields() -> None:
    fields = json.loads(LineFormat("json", "milliseconds").line(7, "M", 3, 1.5, 'a "b"\nc\udcff'))
    assert fields == {
        "pid": 7,
        "role": "primary",
        "timestamp": "1500",
        "level": "warning",
        "message": 'a "b"\nc\udcff',
    }


def test_timestamps_with_the_offset_of_local_time(monkeypatch: pytest.MonkeyPatch) -> None:
    form = LineFormat("legacy", "iso8601")
    try:
        for zone, shown in (("UTC", "+00:00"), ("XXX+3:30", "-03:30"), ("XXX-5:45", "+05:45")):
            monkeypatch.setenv("TZ", zone)
            time.tzset()
            at = time.mktime((2026, 11, 2, 7, 8, 9, 0, 0, -1)) + 0.042
            assert form.line(7, "M", 2, at, "x") == f"7:M 2026-11-02T07:08:09.042{shown} * x"
    finally:
        monkeypatch.undo()
        time.tzset()


def test_the_format_follows_the_settings(tmp_path: Path) -> None:
    config = Config.from_args(["--dir", str(tmp_path), "--logfile", "log", "--log-format", "logfmt"])
    log = Log.from_config(config)
    log.notice("one")
    config.set({"log-format": "json", "log-timestamp-format": "milliseconds"})
    log.notice("two")
    first, second = (tmp_path / "log").read_text().splitlines()
    assert first.endswith('message="one"')
    assert json.loads(second)["message"] == "two"


def test_secret_settings_are_known_by_all_their_names() -> None:
    assert {name.decode() for name in SECRET_SETTINGS} == {
        name for name, directive in BY_NAME.items() if directive.secret
    }


@pytest.mark.parametrize("line", ["requirepass s3cret more", "user ann >s3cret", "primaryauth s3cret x"])
def test_a_bad_line_with_a_secret_is_not_shown(line: str) -> None:
    name, *words = line.split()
    with pytest.raises(ConfigError) as refused:
        Config.from_args(
            [f"--{name}", *words, "--port", "nonsense"] if name == "user" else [f"--{name}", *words]
        )
    assert "s3cret" not in str(refused.value)
