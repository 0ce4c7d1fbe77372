"""What a proxy's options amount to."""

from __future__ import annotations

import pytest

from proxy.config import parse


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ("", False),
        ("--bind 127.0.0.1 ::1", False),
        ("--bind 0.0.0.0", True),
        ("--bind 127.0.0.1 10.0.0.1", True),
        ("--bind 0.0.0.0 --auth secret", False),
        ("--bind 0.0.0.0 --auth-by-workers", False),
        ("--bind 0.0.0.0 --port 0 --tls-port 6380", False),
        ("--bind 0.0.0.0 --port 0 --tls-port 6380 --tls-auth-clients no", True),
        ("--bind 0.0.0.0 --tls-port 6380", True),
    ],
)
def test_who_lets_anybody_in(options: str, expected: bool) -> None:
    assert parse(["--seed", "127.0.0.1:7001", *options.split()]).lets_anybody_in is expected
