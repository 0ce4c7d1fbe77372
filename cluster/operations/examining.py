"""Finding out what `shoal doctor` judges (cluster/plans/diagnosis): by the commands any Redis or Valkey has,
and, for servers of this host, by what the kernel tells of them.

Nothing is changed. What a server refuses is left out.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import stat
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from cluster.addresses import is_unix
from cluster.operations.certificate import days_left
from cluster.operations.dialling import CONNECT_SECONDS, Tls, dial
from cluster.operations.link import Credentials, ErrorReply, NodeLink, OperationError, Refused
from cluster.operations.proxies import is_here
from cluster.operations.survey import LOOPBACK, Survey
from cluster.plans.check import Problem, check
from cluster.plans.diagnosis.facts import Facts, Machine
from cluster.plans.model import NodeInfo
from cluster.readings.info import server_version
from cluster.readings.proxy_names import proxies_among

AT_ONCE = 16
KEYS = ("tls-key-file", "tls-client-key-file")


def examine(host: str, port: int, credentials: Credentials) -> tuple[list[Facts], list[Problem]]:
    """Of a server alone, or of all members that answer; and what is wrong with the cluster as such. Raises
    OperationError when nobody answers."""
    try:
        with Survey.of(host, port, credentials) as survey:
            nodes = [view.observer for view in survey.views]
            links = [survey.link(node.id) for node in nodes]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                found = list(pool.map(_examined, links, nodes))
            return [facts for facts in found if facts], check(survey.views, survey.unreachable)
    except Refused as error:
        if "cluster support disabled" not in error.reply:
            raise
    with contextlib.closing(NodeLink(host, port, credentials)) as link:
        facts = _examined(link, None)
    return [facts] if facts else [], []


def _examined(link: NodeLink, member: NodeInfo | None) -> Facts | None:
    """None of one that has gone meanwhile."""
    try:
        info, settings, users, clients = link.pipeline(
            [["INFO", "everything"], ["CONFIG", "GET", "*"], ["ACL", "LIST"], ["CLIENT", "LIST"]]
        )
        before = time.time()
        (at,) = link.pipeline([["TIME"]])
        now = (before + time.time()) / 2
        # Directives of shoal and Valkey that patterns do not find.
        more = link.pipeline([["CONFIG", "GET", name] for name in _BY_NAME])
    except OperationError:
        return None
    fields = _fields(info)
    known = _pairs(settings)
    for reply in more:
        known |= _pairs(reply)
    lines = [line.decode("utf-8", "replace").split() for line in users] if isinstance(users, list) else []
    facts = Facts(
        address=link.address,
        host=_host_of(link),
        settings=known,
        info=fields,
        version=server_version(fields),
        default_user=next((" ".join(words) for words in lines if words[1] == "default"), ""),
        other_users=sum(words[1] != "default" and "on" in words for words in lines),
        clock_ahead=int(at[0]) + int(at[1]) / 1e6 - now if isinstance(at, list) else None,
        certificate_days=_certificate_days(link, known),
        member=member,
        proxies=_proxies(clients, link),
    )
    return replace(facts, machine=_machine(facts) if is_here(link.host) else None)


_BY_NAME = ("storage-engine", "synchronous-replicas", "availability-zone", "cluster-secret-required")


def _fields(info: Any) -> dict[str, str]:
    if isinstance(info, ErrorReply):
        return {}
    lines = (line.partition(":") for line in info.decode("utf-8", "replace").splitlines())
    return {name: value for name, colon, value in lines if colon}


def _pairs(reply: Any) -> dict[str, str]:
    if not isinstance(reply, list):
        return {}
    words = [word.decode("utf-8", "replace") for word in reply]
    return dict(zip(words[::2], words[1::2], strict=True))


def _proxies(clients: Any, link: NodeLink) -> frozenset[tuple[str, int]]:
    if not isinstance(clients, bytes):
        return frozenset()
    host = LOOPBACK if is_unix(link.host) else link.host
    return frozenset(proxies_among(clients.decode("utf-8", "replace"), host))


def _host_of(link: NodeLink) -> str:
    return socket.gethostname() if is_here(link.host) else link.host


def _machine(facts: Facts) -> Machine:
    pid = facts.told("process_id")
    overcommit = _first_line("/proc/sys/vm/overcommit_memory")
    waiting = _first_line("/proc/sys/net/core/somaxconn")
    pages = _first_line("/sys/kernel/mm/transparent_hugepage/enabled")
    return Machine(
        overcommit=int(overcommit) if overcommit else None,
        huge_pages=pages.partition("[")[2].partition("]")[0],
        most_waiting=int(waiting) if waiting else None,
        open_files=_open_files(pid, facts.told("tcp_port")),
        key_files=tuple(_readable_keys(facts.settings)),
    )


def _first_line(path: str) -> str:
    """Empty where the kernel has no such file."""
    with contextlib.suppress(OSError):
        return Path(path).read_text().partition("\n")[0].strip()
    return ""


def _open_files(pid: int, port: int) -> int | None:
    """The limit of that process; None if we may not know. In a container it has another number here."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
        if pid and str(port).encode() in command:
            line = next(
                line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "open files" in line
            )
            # A server raises the first as far as it needs to, and the second is as far as it can.
            hard = line.split()[4]
            return None if hard == "unlimited" else int(hard)
    return None


def _readable_keys(settings: Mapping[str, str]) -> list[str]:
    found = []
    for name in KEYS:
        path = Path(settings.get("dir", "")) / settings.get(name, "")
        with contextlib.suppress(OSError):
            if settings.get(name) and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
                found.append(str(path))
    return found


def _certificate_days(link: NodeLink, settings: Mapping[str, str]) -> float | None:
    """Of what it shows at its TLS port, whoever has signed it. None where that cannot be seen."""
    port = int(settings.get("tls-port") or 0) or (link.port if link.credentials.tls else 0)
    if not port or is_unix(link.host):
        return None
    ours = link.credentials.tls or Tls()
    curious = replace(ours, verify=False, check_name=False, ca_file="", ca_directory="")
    with contextlib.suppress(OSError, ValueError), dial(link.host, port, curious, CONNECT_SECONDS) as reached:
        if isinstance(reached, ssl.SSLSocket):
            shown = reached.getpeercert(binary_form=True)
            return days_left(shown, time.time()) if shown else None
    return None
