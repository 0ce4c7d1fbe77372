"""`shoal call`: one command on every member.

JSON: {address: the reply as JSON, or {"error": text}}, also of members that do not answer. Bytes that are no
text are escaped.
"""

from __future__ import annotations

from typing import Annotated, Any

import typer

from cluster.cli.common import DEFAULT_ADDRESS, Json, UsageProblem, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.output import print_json, say
from cluster.operations.link import ANONYMOUS, Credentials, Refused, Unreachable


@connecting
def call(
    words: Annotated[
        list[str], typer.Argument(metavar="COMMAND ARGUMENT...", help="The command, as for redis-cli.")
    ],
    at: Annotated[
        str, typer.Option("--at", metavar="HOST:PORT", help="Any member of the cluster.")
    ] = DEFAULT_ADDRESS,
    primaries: Annotated[bool, typer.Option("--primaries", help="Only on primaries.")] = False,
    replicas: Annotated[bool, typer.Option("--replicas", help="Only on replicas.")] = False,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Run a command on every member, and print each one's reply. Exit code 1 if any refuses or does not
    answer."""
    replies: dict[str, Any] = {}
    if primaries and replicas:
        raise UsageProblem("--primaries and --replicas exclude each other: without them it is all")
    with open_survey(at, credentials) as survey:
        for view in survey.views:
            if replicas if view.observer.is_primary else primaries:
                continue
            link = survey.link(view.observer.id)
            try:
                replies[view.observer.address] = _readable(link.call(*words))
            except Refused as error:
                replies[view.observer.address] = {"error": error.reply}
            except Unreachable as error:
                replies[view.observer.address] = _silence(error.reason)
        for node in survey.nodes.values():
            if node.address in survey.unreachable and not (replicas if node.is_primary else primaries):
                replies[node.address] = _silence(survey.unreachable[node.address])
    if json:
        print_json(replies)
    else:
        for address, reply in replies.items():
            say(f"{address}:")
            say("\n".join(f"  {line}" for line in _lines(reply)))
    raise typer.Exit(1 if any(isinstance(reply, dict) for reply in replies.values()) else 0)


def _silence(reason: str) -> dict[str, str]:
    return {"error": f"does not answer: {reason}"}


def _readable(reply: Any) -> Any:
    """Bytes as text; what is no UTF-8 with its bytes escaped."""
    if isinstance(reply, bytes):
        return reply.decode(errors="backslashreplace")
    if isinstance(reply, list):
        return [_readable(item) for item in reply]
    return str(reply) if isinstance(reply, Exception) else reply


def _lines(reply: Any) -> list[str]:
    if isinstance(reply, list):
        return [line for i, item in enumerate(reply, 1) for line in _numbered(i, _lines(item))] or ["(empty)"]
    if isinstance(reply, dict):
        return [f"(error) {reply['error']}"]
    return str(reply).splitlines() if reply not in (None, "") else ["(nil)" if reply is None else '""']


def _numbered(number: int, lines: list[str]) -> list[str]:
    first, *others = lines
    return [f"{number}) {first}", *(f"   {line}" for line in others)]
