"""Who gets in, by which way, and what they may do."""

from __future__ import annotations

from collections.abc import Iterator

from cluster.plans.check import Problem
from cluster.plans.diagnosis.facts import Facts

SHORTEST_PASSWORD = 16
CERTIFICATE_WARNING, CERTIFICATE_ERROR = 30, 7
"""Days before its end"""


def findings(server: Facts) -> Iterator[Problem]:
    if not server.settings:
        yield Problem(
            "untold",
            "advice",
            f"{server.address} does not tell its settings, so they were not looked at",
            "log in as a user who may CONFIG GET: --user, --password",
        )
        return
    yield from _passwords(server)
    yield from _rights(server)
    yield from _ways(server)
    yield from _certificates(server)


def _passwords(server: Facts) -> Iterator[Problem]:
    protected = server.setting("protected-mode") == "yes"
    # The users that a proxy tells of are those of the workers: who gets in there is tried (proxies.py).
    if not server.asks_for_password and not server.is_proxy:
        if server.is_for_the_world and not protected:
            yield Problem(
                "open",
                "error",
                f"{server.address} lets in whoever reaches it, without a password",
                "set requirepass, or `bind` it to 127.0.0.1; `protected-mode yes` keeps others out meanwhile",
            )
        elif not protected:
            yield Problem(
                "protected-mode",
                "warning",
                f"{server.address} has no password and protected-mode no: another `bind` opens it to all",
                "CONFIG SET protected-mode yes",
            )
    password = server.setting("requirepass") or ""
    if 0 < len(password) < SHORTEST_PASSWORD:
        yield Problem(
            "password",
            "warning",
            f"{server.address} has a password of fewer than {SHORTEST_PASSWORD} characters, which can be"
            " guessed at a million tries a second",
            "`ACL GENPASS` makes a good one; `shoal call CONFIG SET requirepass …` sets it everywhere",
        )
    if password and not server.setting("masterauth") and server.member is not None:
        yield Problem(
            "masterauth",
            "error",
            f"{server.address} asks for a password and has none for its primary: it could not follow one",
            "CONFIG SET masterauth to the same password, everywhere",
        )


def _rights(server: Facts) -> Iterator[Problem]:
    rules = server.default_user.split()
    if server.is_for_the_world and "+@all" in rules and not server.other_users and server.asks_for_password:
        yield Problem(
            "dangerous-commands",
            "advice",
            f"{server.address} knows only the default user, who may do everything",
            "give applications users of their own: ACL SETUSER app on '>…' '~app:*' +@all -@dangerous",
        )
    for what in ("debug-command", "protected-configs", "module-command"):
        name = f"enable-{what}"
        if server.setting(name) == "yes":
            yield Problem(
                name,
                "warning",
                f"{server.address} has {name} yes: who gets in may crash it or write files of its host",
                f"set it to no or local, and start it again ({name} cannot be changed at run time)",
            )


def _ways(server: Facts) -> Iterator[Problem]:
    plain, by_tls = server.number("port") or 0, server.number("tls-port") or 0
    if plain and by_tls and server.is_for_the_world:
        yield Problem(
            "plain-port",
            "warning",
            f"{server.address} listens without TLS, too (port {plain}): passwords can be read on the way",
            "set port 0 once all clients come by TLS",
        )
    if by_tls and server.member is not None:
        for name in ("tls-cluster", "tls-replication"):
            if server.setting(name) == "no":
                yield Problem(
                    name,
                    "warning",
                    f"{server.address} takes clients by TLS, but has {name} no",
                    f"CONFIG SET {name} yes, on every member",
                )
    if by_tls and server.setting("tls-auth-clients") == "no" and not server.asks_for_password:
        yield Problem(
            "tls-auth-clients",
            "error" if server.is_for_the_world else "warning",
            f"{server.address} asks neither for a certificate nor for a password",
            "set requirepass, or tls-auth-clients yes",
        )
    trusts_the_bus = server.setting("tls-cluster") != "yes" and server.setting("cluster-secret-required")
    if server.member is not None and server.is_for_the_world and trusts_the_bus == "no":
        yield Problem(
            "bus",
            "advice",
            f"{server.address} believes whoever reaches its bus port {server.member.bus_port}",
            "let a firewall keep others away, or use tls-cluster, or cluster-secret-file",
        )


def _certificates(server: Facts) -> Iterator[Problem]:
    days = server.certificate_days
    if days is not None and days < CERTIFICATE_WARNING:
        yield Problem(
            "certificate",
            "error" if days < CERTIFICATE_ERROR else "warning",
            f"{server.address} has a certificate that "
            + (f"ended {-days:.0f} days ago" if days < 0 else f"ends in {days:.0f} days"),
            "replace the files; a running server reads them anew (CONFIG SET tls-cert-file)",
        )
    for path in server.machine.key_files if server.machine else ():
        yield Problem(
            "key-file",
            "error",
            f"{server.address} has a private key that other users of its host may read: {path}",
            f"chmod 600 {path}",
        )
