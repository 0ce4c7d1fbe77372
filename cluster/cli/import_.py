"""`shoal import --from SOURCE`: all data of a server or a cluster in use, live, until clients switch.

JSON: {"source_keys", "target_keys": numbers before, "keys": put into the target, "deleted", "rounds",
"snapshot_bytes", "seconds", "paused_seconds", "moved": bool}. With --dry-run all but the first two are null.
"""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from cluster.backup.restoring import How as Fill
from cluster.backup.restoring import examine
from cluster.cli.common import (
    DEFAULT_ADDRESS,
    DryRun,
    Json,
    Seed,
    UsageProblem,
    Yes,
    go_through_keys,
    open_layout,
)
from cluster.cli.connecting import connecting
from cluster.cli.output import Bars, Declined, confirm, human_bytes, print_json, say
from cluster.importing.importer import Importer, Side
from cluster.operations.dialling import Tls
from cluster.operations.link import ANONYMOUS, Credentials, Interrupted, NotLetIn, OperationError

PANEL = "Source"
REPLY_SECONDS = 60.0
"""A server may need long for one very large value."""


def _source(*names: str, help: str, **more: Any) -> Any:
    return typer.Option(*names, help=help, rich_help_panel=PANEL, **more)


From = Annotated[
    str, _source("--from", metavar="HOST:PORT", help="A server alone, or any member of a cluster.")
]
FromUser = Annotated[str, _source("--from-user", help="User name to log in with there.")]
FromPassword = Annotated[
    str, _source("--from-password", "--from-pass", help="Password there.", envvar="SHOAL_FROM_PASSWORD")
]
FromAskpass = Annotated[bool, _source("--from-askpass", help="Ask for that password.")]
FromTls = Annotated[bool, _source("--from-tls", help="Connect to it by TLS.")]
FromCacert = Annotated[str, _source("--from-cacert", help="Whose signatures to trust there: a file.")]
FromInsecure = Annotated[bool, _source("--from-insecure", help="Trust any certificate there.")]


@dataclass(frozen=True)
class How:
    """How it ends."""

    switch: str
    fence: bool
    move: bool
    pause_seconds: float
    yes: bool
    json: bool


@connecting
def import_(
    from_: From,
    address: Seed = DEFAULT_ADDRESS,
    move: Annotated[
        bool, typer.Option("--move/--copy", help="Empty the source in the end, or leave it as it is.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Overwrite keys that the target has already.")
    ] = False,
    flush: Annotated[bool, typer.Option("--flush", help="Empty the target first.")] = False,
    switch: Annotated[
        str, typer.Option("--switch", metavar="COMMAND", help="What points the clients at the target.")
    ] = "",
    fence: Annotated[
        bool, typer.Option("--fence", help="Let the source refuse writes then, by min-replicas-to-write.")
    ] = False,
    pause: Annotated[
        float, typer.Option("--pause", min=1, help="Seconds after which writers go on if we are gone.")
    ] = 10.0,
    spool: Annotated[
        Path | None,
        typer.Option("--spool", exists=True, file_okay=False, help="Where snapshots lie meanwhile."),
    ] = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    from_user: FromUser = "",
    from_password: FromPassword = "",
    from_askpass: FromAskpass = False,
    from_tls: FromTls = False,
    from_cacert: FromCacert = "",
    from_insecure: FromInsecure = False,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Copy all keys and functions of a server or cluster into this one, while clients use the source.

    Its writes are followed until little is left. Then writers wait at the source, the rest is copied, and
    COMMAND switches the clients; without --switch you are asked to do that. If anything fails, clients go on
    at the source.
    """
    if replace and flush:
        raise UsageProblem("--replace and --flush exclude each other")
    if from_askpass:
        from_password = typer.prompt("Password of the source", hide_input=True, err=True)
    tls = Tls(ca_file=from_cacert, verify=not from_insecure)
    protected = from_tls or from_insecure or from_cacert
    there = Credentials(from_user or None, from_password or None, tls if protected else None)
    go_through_keys()
    try:
        source = Side(*open_layout(from_, there, REPLY_SECONDS))
    except NotLetIn as error:
        error.next_step = error.next_step.replace("--user and --password", "--from-user and --from-password")
        raise
    target = Side(*open_layout(address, credentials, REPLY_SECONDS))
    fill, how = Fill(replace, flush), How(switch, fence, move, pause, yes, json)
    keys, held = _examine(source, target, fill)
    if not json:
        _print_plan(source, target, keys, held, fill, how)
    if not dry_run and not yes:
        confirm("Import?", json)
    with closing(Importer(source, target, fill, spool)) as importer:
        seconds = None if dry_run else _run(importer, keys, how)
    _report(importer, {"source_keys": keys, "target_keys": held}, seconds, how)


def _examine(source: Side, target: Side, fill: Fill) -> tuple[int, int]:
    """How many keys the two hold. Raises OperationError when the target does not take those of the source."""
    if {each.id for each in source.layout.holders} & {each.id for each in target.layout.holders}:
        raise UsageProblem("source and target are the same")
    keys = source.keys
    held = examine(target.access, target.layout, sorted(keys))
    if held and not (fill.replace or fill.flush):
        raise OperationError(
            f"the target holds {held} keys",
            "--replace overwrites those that the source has, too, --flush empties it first",
        )
    return sum(keys.values()), held


def _run(importer: Importer, expected: int, how: How) -> float:
    """Returns how many seconds it took."""
    began = time.monotonic()
    try:
        _copy(importer, expected, quiet=how.json)
        if not how.yes:
            confirm("The target has caught up. Let writers wait at the source, and switch?", how.json)
            importer.catch_up(lambda keys: None)
        with importer.paused(how.pause_seconds) as pause:
            importer.copy_rest(pause)
            with pause.kept():
                _let_switch(how)
            pause.finish(empty=how.move, fence=how.fence)
        return time.monotonic() - began
    except (OperationError, Declined, typer.Abort, KeyboardInterrupt) as error:
        again = f"{importer.copied} keys are there, clients go on at the source, and --flush begins anew"
        if isinstance(error, OperationError):
            raise OperationError(error.text, "; ".join(filter(None, (error.next_step, again)))) from error
        raise Interrupted(str(error) or "interrupted", again) from error


def _copy(importer: Importer, expected: int, quiet: bool) -> None:
    with Bars() as bars:

        def painter(step: str) -> Callable[[int], None]:
            if quiet:
                return lambda done: None
            return lambda done: bars.paint(step, done, max(expected, done), f"{done} keys")

        importer.follow()
        if quiet:
            importer.await_snapshots(lambda size: None)
        else:
            importer.await_snapshots(lambda size: bars.paint("fetching", 0, 1, human_bytes(size)))
        importer.copy_snapshots(painter("copying"))
        importer.catch_up(painter("following"))


def _let_switch(how: How) -> None:
    """Point the clients at the target. Raises OperationError when that fails."""
    if how.switch:
        done = subprocess.run(how.switch, shell=True, check=False, capture_output=True, text=True)
        print(done.stdout + done.stderr, file=sys.stderr, end="")
        if done.returncode:
            raise OperationError(f"{how.switch!r} ended with code {done.returncode}")
    elif not how.yes:
        say("both hold the same, and writers wait at the source: point the clients at the target now")
        confirm("Are they switched?", how.json)


def _print_plan(source: Side, target: Side, keys: int, held: int, fill: Fill, how: How) -> None:
    say(f"from {', '.join(holder.address for holder in source.layout.holders)}: {keys} keys")
    say(f"to   {', '.join(holder.address for holder in target.layout.holders)}: {held} keys")
    if fill.flush:
        say("the target is emptied first")
    say("the source is emptied in the end" if how.move else "the source keeps its keys")


def _report(importer: Importer, result: dict[str, Any], seconds: float | None, how: How) -> None:
    """`seconds`: None for a dry run."""
    figures: dict[str, Any] = {
        "keys": importer.copied,
        "deleted": importer.deleted,
        "rounds": importer.rounds,
        "snapshot_bytes": importer.snapshot_bytes,
        "seconds": round(seconds or 0.0, 3),
        "paused_seconds": round(importer.paused_seconds, 3),
        "moved": how.move,
    }
    if how.json:
        print_json(result | (dict.fromkeys(figures) if seconds is None else figures))
    elif seconds is not None:
        rounds = f"{importer.rounds} rounds after the snapshot"
        say(f"done: {importer.copied} keys copied in {seconds:.1f} s, with {rounds}")
        say(f"writers waited {importer.paused_seconds:.2f} s")
