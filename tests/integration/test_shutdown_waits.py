"""A primary that is told to end waits for its replicas, as Redis and Valkey do, and says how they are."""

from __future__ import annotations

import signal

import pytest

from tests.harness.resp import Error, Simple
from tests.harness.servers import Server, server
from tests.harness.wait import eventually

OK = Simple("OK")
REFUSED = Error("ERR Errors trying to SHUTDOWN. Check logs.")
WAITS = "Waiting for replicas before shutting down."


def lines_about_replicas(node: Server) -> list[str]:
    """Its last words about replicas, without time and process."""
    return [
        line.split(" ", 6)[-1] for line in node.log.splitlines() if "in sync when" in line or WAITS in line
    ]


@pytest.mark.parametrize("kind", ["shoal", "valkey"])
@pytest.mark.parametrize("asked", [signal.SIGTERM, "SHUTDOWN"])
def test_it_ends_when_the_last_write_has_arrived(kind: str, asked: signal.Signals | str) -> None:
    with server(kind) as primary, server("shoal") as replica, primary.resp() as client:
        replica.follow(primary)
        replica.pause()
        assert client.command("SET", "a", "last") == OK
        assert primary.process is not None
        if isinstance(asked, str):
            client.send_command(asked)
        else:
            primary.process.send_signal(asked)
        eventually(lambda: WAITS in primary.log, "it waits")
        assert 0 < primary.info("server")["shutdown_in_milliseconds"] <= 10_000
        replica.resume()
        assert primary.process.wait(5) == 0
        assert replica.run("GET", "a") == b"last"
        assert lines_about_replicas(primary) == [WAITS, "1 of 1 replicas are in sync when shutting down."]


@pytest.mark.parametrize("kind", ["shoal", "valkey"])
def test_it_does_not_wait_for_ever(kind: str) -> None:
    with server(kind, shutdown_timeout=1) as primary, server("shoal") as replica:
        replica.follow(primary)
        replica.pause()
        try:
            assert primary.run("SET", "a", "lost") == OK
            assert primary.process is not None
            primary.process.send_signal(signal.SIGTERM)
            assert primary.process.wait(5) == 0
            assert "0 of 1 replicas are in sync when shutting down." in primary.log
            assert f"Lagging replica {replica.address} reported offset " in primary.log
        finally:
            replica.resume()


@pytest.mark.parametrize("kind", ["shoal", "redis", "valkey"])
def test_writes_wait_with_it_and_go_on_when_it_is_aborted(kind: str) -> None:
    with server(kind) as primary, server("shoal") as replica, primary.resp() as asking:
        replica.follow(primary)
        replica.pause()
        try:
            primary.run("SET", "a", "1")
            asking.send_command("SHUTDOWN")
            eventually(lambda: WAITS in primary.log, "it waits")
            with primary.resp() as writer:
                writer.send_command("INCR", "a")
                assert writer.silent()
                assert primary.run("GET", "a") == b"1"
                assert primary.run("SHUTDOWN", "ABORT") == OK
                assert writer.read() == 2
            assert asking.read() == REFUSED
            assert primary.run("SHUTDOWN", "ABORT") == Error("ERR No shutdown in progress.")
            assert "shutdown_in_milliseconds" not in primary.info("server")
        finally:
            replica.resume()


@pytest.mark.parametrize("how", ["SHUTDOWN NOW", "CONFIG SET shutdown-timeout 0"])
def test_it_does_not_wait_at_all(how: str) -> None:
    with server("shoal") as primary, server("shoal") as replica:
        replica.follow(primary)
        replica.pause()
        try:
            assert primary.run("SET", "a", "lost") == OK
            with primary.resp() as client:
                client.send_command(*how.split())
                if how.startswith("CONFIG"):
                    assert client.read() == OK
                    client.send_command("SHUTDOWN")
                assert client.read_until_closed() == b""
            assert WAITS not in primary.log
        finally:
            replica.resume()
