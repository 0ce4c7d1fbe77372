"""Who gets in by the proxies: they log in at the workers by themselves, whoever comes to them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from cluster.plans.check import Problem
from cluster.plans.diagnosis.facts import Entrance, Facts


def findings(proxy: Entrance, servers: Sequence[Facts]) -> Iterator[Problem]:
    if proxy.lets_in and proxy.from_elsewhere:
        yield Problem(
            "open-proxy",
            "error",
            f"{proxy.address} lets in whoever reaches it, without a password, and has logged in at the"
            " workers by itself",
            "start the proxy with --password-file or --auth-by-workers, or with `--bind 127.0.0.1`;"
            " without `--protected-mode no` it keeps others out meanwhile",
        )
    elif proxy.lets_in and proxy.protected_mode == "no":
        yield Problem(
            "protected-mode",
            "warning",
            f"{proxy.address} has no password and protected-mode no: another `bind` opens it to all",
            "start the proxy without `--protected-mode no`",
        )
    if proxy.is_plain and proxy.from_elsewhere and _ask_for_tls(servers):
        yield Problem(
            "plain-proxy",
            "warning",
            f"{proxy.address} takes clients without TLS, which the workers ask for: passwords and data can be"
            " read on the way",
            "start the proxy with `--port 0 --tls-port …` once all clients come by TLS",
        )


def _ask_for_tls(servers: Sequence[Facts]) -> bool:
    """Whether nobody comes to any worker without."""
    told = [server for server in servers if server.settings and not server.is_proxy]
    return bool(told) and all(server.number("port") == 0 and server.number("tls-port") for server in told)
