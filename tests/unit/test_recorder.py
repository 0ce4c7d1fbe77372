"""When the append-only file is written: before what it holds is acknowledged, whatever the disk is doing."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from node.persistence.aof import recorder as module
from node.persistence.aof.file import LogFile
from node.persistence.aof.recorder import Recorder


class BusyDisk:
    """A sync that does not come to its end."""

    syncs = 0

    def sync(self, file: LogFile, done: Any) -> None:
        self.syncs += 1


@pytest.fixture
def worker() -> Any:
    nothing = SimpleNamespace(note=lambda *_: None, notice=lambda _: None)
    awaited = SimpleNamespace(awaits_log=True)
    trail = SimpleNamespace(offset=0, flush=lambda: None, attach_log=lambda _: None)
    return SimpleNamespace(
        config=SimpleNamespace(
            appendfsync="everysec", aof_timestamp_enabled=False, no_appendfsync_on_rewrite=False
        ),
        engine=SimpleNamespace(outbox=awaited, now=0),
        replication=SimpleNamespace(stream_database=None),
        trail=trail,
        slowness=nothing,
        log=nothing,
    )


def test_a_sync_under_way_keeps_nothing_in_memory(
    worker: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = SimpleNamespace(now=100.0)
    monkeypatch.setattr(module.time, "monotonic", lambda: clock.now)
    disk: Any = BusyDisk()
    file = LogFile(str(tmp_path / "log"), fresh=True)
    recorder = Recorder(worker, disk, lambda: None)
    recorder.switch(file)
    written = b""
    for chunk in (b"first", b"second", b"third"):
        recorder.record(chunk)
        recorder.flush()
        written += chunk
        assert (tmp_path / "log").read_bytes() == written
        assert disk.syncs == 1
    clock.now += module.SLOW_SYNC_SECONDS
    for _ in range(2):
        recorder.record(b".")
        recorder.flush()
        assert recorder.delayed_syncs == 1, "a slow sync is counted once"
    file.close()
