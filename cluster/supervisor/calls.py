"""With which arguments `shoal up` calls its workers and its proxy, out of its settings."""

from __future__ import annotations

from pathlib import Path

from cluster.supervisor.authority import Authority
from cluster.supervisor.settings import Settings

NODE_TIMEOUT_MS = 5000
"""On one machine silence is found out sooner than over a network, where Redis' own default is 15000."""
LONGEST_SOCKET_PATH = 100
"""In bytes: some systems take no longer ones, with a zero behind them, than 104."""
JSON_LINES = ("--log-format", "json", "--log-timestamp-format", "iso8601")


def worker_arguments(
    settings: Settings, port: int, directory: Path, authority: Authority | None, json_lines: bool
) -> list[str]:
    """Directives that Redis and Valkey have, too, but for `json_lines` and figures, which are ours."""
    flags = {
        "--tls-port" if authority else "--port": str(port),
        "--bind": settings.bind,
        "--dir": str(directory),
        "--cluster-enabled": "yes",
        # Each primary has few replicas, and they are here already: nobody else to wait for.
        "--repl-diskless-sync-delay": "0",
        "--cluster-config-file": "nodes.conf",
        "--cluster-node-timeout": str(NODE_TIMEOUT_MS),
    }
    if authority is not None:
        flags |= {"--port": "0", "--tls-cluster": "yes", "--tls-replication": "yes"}
    elif len(socket := bytes(directory.resolve() / "socket")) <= LONGEST_SOCKET_PATH:
        # The proxy goes by it, which costs both of them less.
        flags |= {"--unixsocket": socket.decode(errors="surrogateescape"), "--unixsocketperm": "700"}
    if settings.announce:
        flags["--cluster-announce-ip"] = settings.announce
    if settings.metrics_port:
        flags["--metrics-port"] = str(settings.metrics_port_of(port))
        flags["--metrics-bind"] = settings.bind
    args = [word for pair in flags.items() for word in pair]
    if json_lines:
        args += JSON_LINES
    return args + authority.options if authority else args


def proxy_arguments(settings: Settings, authority: Authority | None, json_lines: bool) -> list[str]:
    args = [word for port in settings.worker_ports for word in ("--seed", f"{settings.local_host}:{port}")]
    args += ["--bind", settings.bind]
    port = str(settings.proxy_port)
    if authority is None:
        args += ["--port", port]
    else:
        args += ["--port", "0", "--tls-port", port, "--tls", *authority.options]
    if settings.proxies > 1:
        args += ["--processes", str(settings.proxies)]
    if settings.proxy_metrics_port:
        args += ["--metrics-port", str(settings.proxy_metrics_port)]
    if json_lines:
        args += JSON_LINES
    return args
