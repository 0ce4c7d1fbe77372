"""What can be found wrong before anything is started, so that a failed start is one line and leaves
nothing."""

from __future__ import annotations

import errno
import shutil
import socket

from cluster.supervisor.settings import BUS_OFFSET, Settings, SetupError


def require_free_ports(settings: Settings) -> None:
    """Raises SetupError naming the first port that is taken, and the option that moves it."""
    for port in settings.worker_ports:
        require_free_port(settings.bind, port)
    if settings.proxies:
        _require_free(settings.bind, settings.proxy_port, "proxy", "--proxy-port")
    for port in settings.metrics_ports:
        _require_free(settings.bind, port, "figures", "--metrics-port or --proxy-metrics-port")


def require_free_port(bind: str, port: int) -> None:
    """For one worker, with its cluster bus."""
    _require_free(bind, port, "worker", "--port")
    _require_free(bind, port + BUS_OFFSET, f"cluster bus of worker {port}", "--port")


def require_program(name: str) -> str:
    """The full path of a worker program other than our own. Raises SetupError when there is none."""
    path = shutil.which(name)
    if path is None:
        raise SetupError(f"--worker-program {name}: no such program")
    return path


def _require_free(bind: str, port: int, what: str, option: str) -> None:
    host = "" if bind == "*" else bind
    family = socket.AF_INET6 if ":" in bind else socket.AF_INET
    with socket.socket(family) as probe:
        # As the servers do: connections that linger in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                raise SetupError(f"--bind {bind}: {reason}") from error
            raise SetupError(
                f"port {port} ({what}) cannot be used: {reason}; choose another {option}"
            ) from error
