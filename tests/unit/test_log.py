"""The log: Redis' line format, levels, and what it does when it cannot write."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from node.config import Config
from node.log import MAX_LINE, Log

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
