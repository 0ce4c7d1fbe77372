"""What a proxy shows of itself in CONFIG GET."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from proxy.config import parse
from proxy.local.settings import own_settings


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (["--bind", "0.0.0.0"], b"no"),
        (["--bind", "0.0.0.0", "--auth", "secret"], None),
        (["--bind", "127.0.0.1"], None),
    ],
)
def test_who_lets_anybody_in_has_no_protected_mode(arguments: list[str], shown: bytes | None) -> None:
    front: Any = SimpleNamespace(port=6379, max_clients=10)
    commands: Any = SimpleNamespace(config=parse(["--seed", "127.0.0.1:7001", *arguments]), front=front)
    assert own_settings(commands).get(b"protected-mode") == shown
