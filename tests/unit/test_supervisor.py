"""The supervisor's parts that need no process: settings, log lines, the directory."""

from __future__ import annotations

import json
from collections import deque
from pathlib import Path

import pytest

from cluster.supervisor.child import describe_end
from cluster.supervisor.login import login_from
from cluster.supervisor.logs import LONGEST_LINE, JsonSpeaker, LineSplitter, cause_of_end, shorten
from cluster.supervisor.secrets import divide, without_secrets
from cluster.supervisor.settings import SetupError, settle, to_remember
from cluster.supervisor.workspace import Workspace


class TestSettings:
    def test_the_defaults_are_three_primaries_with_a_replica_each(self) -> None:
        settings = settle({}, None)
        assert (settings.workers, settings.primaries, settings.replicas, settings.proxies) == (6, 3, 1, 1)
        assert settings.worker_ports == [7001, 7002, 7003, 7004, 7005, 7006]
        assert settings.proxy_port == 6379

    @pytest.mark.parametrize(("workers", "replicas"), [(3, 0), (5, 0), (6, 1), (9, 1)])
    def test_few_workers_are_all_primaries(self, workers: int, replicas: int) -> None:
        assert settle({"workers": workers, "replicas": None}, None).replicas == replicas

    def test_what_was_remembered_comes_back(self) -> None:
        before = settle({"workers": 9, "replicas": 2, "port": 8001, "proxies": 0}, None)
        assert settle({}, to_remember(before) | {"format": 1, "formed": True}) == before
        assert settle({"proxies": 2, "proxy_port": 7777}, to_remember(before)).proxies == 2

    @pytest.mark.parametrize("asked", [{"workers": 6}, {"replicas": 1}, {"port": 1}, {"bind": "0.0.0.0"}])
    def test_another_shape_is_refused(self, asked: dict) -> None:
        before = to_remember(settle({"workers": 9, "replicas": 2}, None))
        with pytest.raises(SetupError, match=f"has --{next(iter(asked))}"):
            settle(asked, before)

    def test_where_the_workers_are_found(self) -> None:
        assert settle({"bind": "10.0.0.7"}, None).host == "10.0.0.7"
        everywhere = settle({"bind": "0.0.0.0", "announce": "shoal.example"}, None)
        assert (everywhere.host, everywhere.local_host) == ("shoal.example", "127.0.0.1")


class TestLogin:
    def test_proxies_let_in_whom_workers_let_in(self) -> None:
        assert login_from(["--protected-mode", "yes", "--requirepass", "x"]).proxy_options == []
        assert login_from(["--Protected-Mode", "NO"]).proxy_options == ["--protected-mode", "no"]


class TestLogs:
    def test_lines_are_whole_however_they_arrive(self) -> None:
        text = "one\ntwo\r\nthr\u00e9e\n\nlast".encode()
        for size in (1, 2, 3, 7, len(text)):
            splitter = LineSplitter()
            lines = [line for i in range(0, len(text), size) for line in splitter.feed(text[i : i + size])]
            assert [*lines, *splitter.end()] == ["one", "two", "thr\u00e9e", "", "last"]

    def test_an_endless_line_is_cut(self) -> None:
        lines = list(LineSplitter().feed(b"x" * (LONGEST_LINE * 3 + 5)))
        assert lines == ["x" * LONGEST_LINE] * 3

    def test_a_worker_line_is_shortened_and_any_other_kept(self) -> None:
        line = "75341:M 22 Nov 2026 17:38:38.914 * Ready to accept connections tcp"
        assert shorten(line, "7001 │") == "17:38:38 7001 │ * Ready to accept connections tcp"
        assert shorten("Traceback", "7001 │") == "         7001 │ Traceback"

    def test_the_cause_of_an_end_is_its_last_words(self) -> None:
        lines = deque(["starting", "1:M 22 Nov 2026 17:38:38.914 # Failed listening on port 7001", " "])
        assert cause_of_end(lines) == "Failed listening on port 7001"
        assert cause_of_end(deque()) == ""

    def test_lines_of_json_get_a_name(self) -> None:
        written: list[str] = []
        speaker = JsonSpeaker("7001", written.append, lambda: True)
        speaker.say('{"pid": 7, "level": "notice", "message": "hello"}')
        speaker.say("Traceback (most recent call last):")
        speaker.say("{no json")
        assert [json.loads(line) for line in written] == [
            {"process": "7001", "pid": 7, "level": "notice", "message": "hello"},
            {"process": "7001", "level": "warning", "message": "Traceback (most recent call last):"},
            {"process": "7001", "level": "warning", "message": "{no json"},
        ]
        assert cause_of_end(deque(['{"level": "warning", "message": "no more"}'])) == "no more"

    def test_how_a_process_ended(self) -> None:
        assert describe_end(1) == "ended with code 1"
        assert describe_end(-9) == "was killed by SIGKILL"
        assert describe_end(None) == "did not start"


class TestWorkspace:
    def test_a_failed_start_leaves_what_it_found(self, tmp_path: Path) -> None:
        workspace = Workspace(tmp_path / "a" / "b")
        workspace.acquire()
        workspace.remember({"port": 7001, "workers": 3}, formed=False)
        workspace.prepare_workers([7001, 7002, 7003])
        (workspace.worker_directory(7001) / "nodes.conf").write_text("x")
        workspace.discard()
        assert list(tmp_path.iterdir()) == []

    def test_a_formed_cluster_stays(self, tmp_path: Path) -> None:
        workspace = Workspace(tmp_path / "data")
        workspace.acquire()
        workspace.prepare_workers([7001])
        workspace.remember({"port": 7001, "workers": 1}, formed=True)
        workspace.discard()
        again = Workspace(tmp_path / "data")
        again.acquire()
        assert again.remembered is not None
        assert again.remembered["port"] == 7001
        again.discard()
        assert (tmp_path / "data" / "worker-7001").is_dir()

    def test_a_damaged_memory_is_refused_by_name(self, tmp_path: Path) -> None:
        for content in ("{", "[]", '{"format": 1}'):
            (tmp_path / "shoal.json").write_text(content)
            workspace = Workspace(tmp_path)
            with pytest.raises(SetupError, match=r"shoal\.json is damaged"):
                workspace.acquire()
            workspace.discard()
        (tmp_path / "shoal.json").write_text(
            json.dumps({"format": 99, "formed": True, "port": 1, "workers": 3})
        )
        workspace = Workspace(tmp_path)
        with pytest.raises(SetupError, match="another version of shoal"):
            workspace.acquire()
        workspace.discard()
        assert (tmp_path / "shoal.json").exists()


class TestSecrets:
    SETTINGS = (
        *("--save", ""),
        *("--requirepass", "--pass word"),
        *("--user", "ann", "on", ">pw"),
        "--masterauth x",
    )

    def test_they_go_to_workers_apart(self) -> None:
        public, told = divide([*self.SETTINGS, "--appendonly", "yes"])
        assert public == ["--save", "", "--appendonly", "yes"]
        assert told.splitlines() == [
            b'requirepass "--pass word"',
            b'user "ann" "on" ">pw"',
            b"masterauth x",
        ]
        assert divide(["--appendonly", "yes"]) == (["--appendonly", "yes"], b"")

    def test_a_command_line_shows_stars(self) -> None:
        words = ["shoal", "up", "--", *self.SETTINGS, "--appendonly", "yes", ""]
        shown = without_secrets("\0".join(words).encode()).decode().split("\0")
        assert list(map(len, shown)) == list(map(len, words))
        assert shown[:6] == ["shoal", "up", "--", "--save", "", "--requirepass"]
        assert set("".join(shown[6:7] + shown[8:11])) == {"*"}
        assert shown[11:] == ["--masterauth**", "--appendonly", "yes", ""]
        assert without_secrets(b"shoal\0doctor\0") == b"shoal\0doctor\0"
