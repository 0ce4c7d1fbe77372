"""The gates of sessions as their users' rights change: who is judged, and who never is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from node.acl import User
from node.acl.file import AclFileError
from node.config import Config
from node.core.command_rows import GATE_AUTH, GATE_RESTRICTED, GATE_TRANSACTION
from node.errors import ReplyError
from node.log import Log
from node.session.session import Session
from node.worker import Worker


def worker_with(*arguments: str) -> Worker:
    worker = Worker(Config.from_args(arguments), Log("nothing"))
    worker.access.load_at_start()
    return worker


@pytest.fixture
def worker() -> Worker:
    return worker_with()


def connected(worker: Worker) -> Session:
    session = Session(worker.engine, worker, 1)
    worker.clients[session.id] = session
    worker.access.greet(session)
    return session


def set_user(session: Session, name: str, *rules: str) -> None:
    session.worker.access.set_user(name.encode(), [rule.encode() for rule in rules], session)


def text_of(reply: Any) -> str:
    assert isinstance(reply, ReplyError)
    return reply.text


def test_an_unrestricted_session_is_never_judged(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    def judge(*_: Any) -> None:
        raise AssertionError("judged")

    monkeypatch.setattr(User, "judge", judge)
    session = connected(worker)
    assert session.gate == 0
    assert session.execute([b"SET", b"k", b"v"]) == "OK"
    set_user(session, "al", "on", "nopass", "+@all", "~*", "&*", "-get", "+get")
    assert session.execute([b"AUTH", b"al", b"x"]) == "OK"
    assert session.gate == 0


def test_the_gate_follows_the_rights(worker: Worker) -> None:
    session = connected(worker)
    session.gate |= GATE_TRANSACTION
    set_user(session, "default", "-get")
    assert session.gate == GATE_TRANSACTION | GATE_RESTRICTED
    set_user(session, "default", "(+@all ~* &*)")
    assert session.gate == GATE_TRANSACTION
    set_user(session, "default", "clearselectors", "+@all", "resetchannels", "&a")
    assert session.gate == GATE_TRANSACTION | GATE_RESTRICTED


def test_a_password_is_asked_of_those_who_come_later() -> None:
    worker = worker_with("--requirepass", "secret")
    session = connected(worker)
    assert session.gate == GATE_AUTH
    assert text_of(session.execute([b"GET", b"k"])).startswith("NOAUTH")
    worker.config.set({"requirepass": ""})
    assert session.gate == 0
    worker.access.greet(session)
    worker.config.set({"requirepass": "other"})
    assert session.gate == 0, "who was let in stays in"
    session.execute([b"RESET"])
    assert session.gate == GATE_AUTH
    assert session.execute([b"AUTH", b"other"]) == "OK"
    assert session.gate == 0


def test_internal_sessions_have_no_user(worker: Worker) -> None:
    set_user(connected(worker), "default", "-@all", "off")
    session = worker.internal_session()
    assert session.user is None
    assert session.execute([b"SET", b"k", b"v"]) == "OK"


def test_users_of_the_settings(tmp_path: Path) -> None:
    path = tmp_path / "redis.conf"
    path.write_text("# users\nuser al on +get ~k\nrequirepass x\nuser default on nopass -@all\nport 0\n")
    config = Config.from_args([str(path)])
    assert config.users == [(b"al", [b"on", b"+get", b"~k"]), (b"default", [b"on", b"nopass", b"-@all"])]
    config.rewrite()
    assert [line for line in path.read_text().splitlines() if line.startswith("user")] == [
        "user al on +get ~k", "user default on nopass -@all",
    ]  # fmt: skip
    worker = worker_with(str(path))
    session = connected(worker)
    assert session.gate == GATE_RESTRICTED
    worker.config.rewrite()
    assert path.read_text().splitlines()[:4] == [
        "# users",
        "user al on sanitize-payload ~k resetchannels -@all +get",
        'requirepass "x"',
        "user default on nopass sanitize-payload resetchannels -@all",
    ]


def test_bad_users_end_the_start(tmp_path: Path) -> None:
    (tmp_path / "users.acl").write_text("user al +nosuch\n")
    files = ["--dir", str(tmp_path), "--aclfile", "users.acl"]
    for arguments, reason in (
        (files, "Aborting Redis startup because of ACL errors: users.acl:1: Error in applying operation"),
        (
            [*files, "--user", "al", "on"],
            "Configuring Redis with users defined in redis.conf and at the same",
        ),
        (["--user", "al", "+nosuch"], "Error loading ACL rule '+nosuch' for the user named 'al': Unknown"),
        (["--user", "a b", "on"], "Spaces not allowed in ACL usernames"),
    ):
        with pytest.raises(AclFileError) as caught:
            worker_with(*arguments)
        assert str(caught.value).startswith(reason)
