"""The proxy as one server among the others: `CONFIG SET NODE PROXY client-rate 1000`, `INFO NODE PROXY`.

Where a request may name the node that is to answer alone, PROXY stands for the proxy itself. So what is
counted and set here has the names that Redis has for it, and does not hide what workers have by the same.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from node.commands import Command
from node.errors import ReplyError, config_set_failed, config_set_unknown, wrong_arity
from node.handlers.arguments import INT64_MAX, parse_int_between
from node.keyspace.glob import Glob
from node.metrics import request_stats
from node.replies import OK, Verbatim
from proxy.local import limit_options, settings
from proxy.local.info import info_text

if TYPE_CHECKING:
    from proxy.core.tallies import Tallies
    from proxy.requests.commands import Commands

NAME = "PROXY"
PERCENTILES = (50.0, 99.0, 99.9)
BAD_COUNT = ReplyError("ERR count should be greater than or equal to -1")


def answer(commands: Commands, command: Command, argv: list[bytes]) -> Any:
    """The reply value to a request without the words NODE PROXY. Raises ReplyError."""
    function = ANSWERS.get(command.name)
    if function is None:
        raise ReplyError(f"ERR The proxy itself does not answer '{command.name}'")
    return function(commands, argv)


def _info(commands: Commands, argv: list[bytes]) -> Any:
    """All sections that the proxy has, or those that are wanted."""
    wanted = [section.decode("latin-1").lower() for section in argv[1:]]
    return Verbatim(info_text(commands, wanted, counts(commands)))


def counts(commands: Commands) -> dict[str, dict[str, str]]:
    """The sections of INFO about requests, as the proxy has seen them."""
    tallies = commands.tallies
    return {
        "Stats": {},
        "Commandstats": request_stats.command_lines(command_stats(tallies)),
        "Errorstats": request_stats.error_lines(error_counts(tallies)),
        "Latencystats": request_stats.latency_lines(tallies.latencies(), PERCENTILES),
    }


def command_stats(tallies: Tallies) -> dict[str, tuple[int, int, int, int]]:
    """name -> (calls, rejected, failed, ns), as a worker's engine has them."""
    return {
        name: (calls, rejected, failed, spent)
        for name, (calls, spent, rejected, failed) in tallies.commands().items()
    }


def error_counts(tallies: Tallies) -> dict[str, int]:
    return {kind.decode("latin-1"): count for kind, count in tallies.errors.items()}


def _histogram(commands: Commands, argv: list[bytes]) -> Any:
    return request_stats.histograms(commands.tallies.latencies(), argv[2:])


def _reset_stat(commands: Commands, argv: list[bytes]) -> Any:
    commands.tallies.reset()
    commands.connections_received = commands.connections_rejected = 0
    return OK


def _slow_log_get(commands: Commands, argv: list[bytes]) -> Any:
    count = parse_int_between(argv[2], -1, INT64_MAX, BAD_COUNT) if len(argv) > 2 else 10
    return commands.slow_requests.log.rows(count)


def _slow_log_len(commands: Commands, argv: list[bytes]) -> Any:
    return len(commands.slow_requests.log)


def _slow_log_reset(commands: Commands, argv: list[bytes]) -> Any:
    commands.slow_requests.log.clear()
    return OK


# CONFIG


def _config_get(commands: Commands, argv: list[bytes]) -> Any:
    globs = [Glob(pattern.lower()) for pattern in argv[2:]]
    values = settings.own_settings(commands)
    values |= {name.encode(): show(commands).encode() for name, (show, _) in SETTINGS.items()}
    return {name: value for name, value in values.items() if any(glob.matches(name) for glob in globs)}


def _config_set(commands: Commands, argv: list[bytes]) -> Any:
    """All or nothing, as far as values are checked before the first is set."""
    if len(argv) % 2:
        raise wrong_arity("config|set")
    changes: list[Callable[[], None]] = []
    for name, value in zip(argv[2::2], argv[3::2], strict=True):
        changes.append(_change(commands, name.lower(), value))
    for change in changes:
        change()
    for client in commands.clients.values():
        client.limits_changed()
    return OK


def _change(commands: Commands, name: bytes, value: bytes) -> Callable[[], None]:
    shown = name.decode("latin-1")
    if shown in SETTINGS:
        _, setter = SETTINGS[shown]
        try:
            return setter(commands, value.decode("latin-1"))
        except argparse.ArgumentTypeError as error:
            raise config_set_failed(shown, str(error)) from None
    if name in settings.own_settings(commands):
        return settings.change_of(commands, name, value)
    raise config_set_unknown(shown)


Setting = tuple[Callable[["Commands"], str], Callable[["Commands", str], Callable[[], None]]]


def _attribute(owner: Callable[[Commands], Any], name: str, read: Callable[[str], int]) -> Setting:
    """A number that is an attribute of what `owner` gives."""

    def show(commands: Commands) -> str:
        return str(getattr(owner(commands), name))

    def change(commands: Commands, text: str) -> Callable[[], None]:
        value = read(text)
        return lambda: setattr(owner(commands), name, value)

    return show, change


def _limits(commands: Commands) -> Any:
    return commands.limits


def _slow_requests(commands: Commands) -> Any:
    return commands.slow_requests


def _set_output(commands: Commands, text: str) -> Callable[[], None]:
    limits = _limits(commands)
    changed = limits.output | limit_options.output_limits([text])
    return lambda: setattr(limits, "output", changed)


SETTINGS: dict[str, Setting] = {
    "client-in-flight": _attribute(_limits, "in_flight", limit_options.positive),
    "client-rate": _attribute(_limits, "rate", limit_options.number),
    "client-query-buffer-limit": _attribute(_limits, "request", limit_options.memory),
    "slowlog-log-slower-than": _attribute(_slow_requests, "threshold", limit_options.threshold),
    "slowlog-max-len": _attribute(_slow_requests, "max_len", limit_options.number),
    "client-output-buffer-limit": (
        lambda commands: limit_options.shown_output(_limits(commands)),
        _set_output,
    ),
}
"""name -> how it is shown, and what checks a text and returns the change"""

ANSWERS: dict[str, Callable[[Commands, list[bytes]], Any]] = {
    "info": _info,
    "config|get": _config_get,
    "config|set": _config_set,
    "config|resetstat": _reset_stat,
    "latency|histogram": _histogram,
    "slowlog|get": _slow_log_get,
    "slowlog|len": _slow_log_len,
    "slowlog|reset": _slow_log_reset,
}
