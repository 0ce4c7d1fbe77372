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
        ([], b"yes"),
        (["--auth", "secret"], b"yes"),
        (["--protected-mode", "no"], b"no"),
    ],
)
def test_protected_mode_is_the_proxys_own(arguments: list[str], shown: bytes) -> None:
    front: Any = SimpleNamespace(port=6379, max_clients=10)
    commands: Any = SimpleNamespace(config=parse(["--seed", "127.0.0.1:7001", *arguments]), front=front)
    assert own_settings(commands).get(b"protected-mode") == shown
