"""What a proxy's options amount to."""

from __future__ import annotations

from pathlib import Path

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
def test_who_is_open_to_others(options: str, expected: bool) -> None:
    assert parse(["--seed", "127.0.0.1:7001", *options.split()]).is_open_to_others is expected


def test_a_file_may_say_no_where_yes_is_the_default(tmp_path: Path) -> None:
    file = tmp_path / "proxy.conf"
    file.write_text("seed 127.0.0.1:7001\nprotected-mode no\ntls-auth-clients yes\ntls yes\nreuse-port no\n")
    config = parse([str(file)])
    assert not config.protected_mode and config.tls.tls_auth_clients == "yes"
    assert config.tls.to_workers and not config.reuse_port
    assert parse([str(file), "--protected-mode", "yes"]).protected_mode


@pytest.mark.parametrize(
    ("options", "plain", "by_tls"),
    [
        ("", False, True),
        ("--tls-auth-clients optional", False, False),
        ("--auth secret --tls-auth-clients no", True, True),
        ("--auth-by-workers", True, True),
    ],
)
def test_who_comes_is_known_by_password_or_certificate(options: str, plain: bool, by_tls: bool) -> None:
    config = parse(["--seed", "127.0.0.1:7001", *options.split()])
    assert (config.knows_who_comes(False), config.knows_who_comes(True)) == (plain, by_tls)
