"""What a child tells of itself while it works."""

from __future__ import annotations

import os

from node.persistence.progress import Progress


def test_the_parent_sees_what_the_child_notes() -> None:
    progress = Progress()
    progress.begin(8)
    assert progress.info()["current_save_keys_processed"] == 0
    pid = os.fork()
    if pid == 0:
        try:
            progress.note(2)
            progress.note(4)  # too soon
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    found = progress.info()
    assert found["current_save_keys_processed"] == 2
    assert found["current_save_keys_total"] == 8
    assert found["current_fork_perc"] == "25.00"
    assert found["current_cow_peak"] == found["current_cow_size"] > 0
    progress.end()
    assert set(map(float, progress.info().values())) == {0.0}
