"""`shoal restore DIR`: a backup into a cluster of any layout, or into one server.

JSON: {"keys", "expired", "seconds", "verified": {"same", "fleeting"}}, the last unless --no-verify is given.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from cluster.backup.layout import Access, await_layout
from cluster.backup.manifest import Manifest, digest_text, load, verify_files
from cluster.backup.restoring import (
    How,
    Restored,
    Restorer,
    entries_in,
    libraries_in,
    make_ready,
    require_fit,
)
from cluster.backup.verifying import Verified, Verifier
from cluster.cli.common import (
    DEFAULT_ADDRESS,
    Json,
    Seed,
    UsageProblem,
    Yes,
    go_through_keys,
    open_layout,
)
from cluster.cli.connecting import connecting
from cluster.cli.output import Bars, confirm, print_json, say
from cluster.operations.link import ANONYMOUS, Credentials, Interrupted, OperationError
from cluster.operations.server_info import keys_per_database
from cluster.plans.backup import Layout

REPLY_SECONDS = 60.0
"""A server may need long for one very large value."""

Directory = Annotated[Path, typer.Argument(metavar="DIR", exists=True, file_okay=False, help="The backup.")]
Replace = Annotated[bool, typer.Option("--replace", help="Overwrite keys that the target has already.")]
Flush = Annotated[bool, typer.Option("--flush", help="Empty the target first. Asks, unless --yes is given.")]
Verify = Annotated[bool, typer.Option(help="Read everything back in the end, and compare it.")]
Step = Callable[[str, int], Callable[[int], None]]
"""Begins a step, given its name and its total; gives what is to be told how far it has come."""


@connecting
def restore(
    directory: Directory,
    address: Seed = DEFAULT_ADDRESS,
    replace: Replace = False,
    flush: Flush = False,
    yes: Yes = False,
    verify: Verify = True,
    credentials: Credentials = ANONYMOUS,
    json: Json = False,
) -> None:
    """Put all keys and functions of a backup into a cluster of any layout, or into one server.

    The target must hold no keys, unless --replace or --flush is given. Exit code 1 if it does not hold what
    the backup holds in the end.
    """
    if replace and flush:
        raise UsageProblem(
            "--replace and --flush exclude each other: a target that is empty has nothing to replace"
        )
    go_through_keys()
    manifest = load(directory)
    access, layout = open_layout(address, credentials, REPLY_SECONDS)
    if flush and not yes:
        nodes = ", ".join(holder.address for holder in layout.holders)
        confirm(f"Delete all keys of {nodes}?", json)
    how = How(replace, flush)
    held = require_fit(manifest, access, layout, how)
    with _steps(quiet=json) as step:
        read = _counted(step("checking", sum(file.bytes for file in manifest.files)))
        verify_files(manifest, directory, read)
        make_ready(libraries_in(manifest, directory), access, layout, how)
        started = time.monotonic()
        restored = _fill(manifest, directory, access, layout, how, step)
        seconds = time.monotonic() - started
        verified = _verify(manifest, directory, access, layout, step) if verify else None
    if flush or not held:
        _require_nothing_else(access, restored)
    _report(manifest, restored, verified, seconds, json)


def _fill(
    manifest: Manifest, directory: Path, access: Access, layout: Layout, how: How, step: Step
) -> Restored:
    paint = step("restoring", manifest.keys)
    restorer = Restorer(access, layout, how, lambda done: paint(done.keys + done.expired))
    try:
        return restorer.run(entries_in(manifest, directory))
    except (OperationError, KeyboardInterrupt) as error:
        what = error.text if isinstance(error, OperationError) else "interrupted"
        advice = error.next_step if isinstance(error, OperationError) else ""
        again = (
            f"{restorer.progress.keys} of {manifest.keys} keys are there; --replace or --flush begins anew"
        )
        kind = OperationError if isinstance(error, OperationError) else Interrupted
        raise kind(what, "; ".join(filter(None, (advice, again)))) from error


def _verify(manifest: Manifest, directory: Path, access: Access, layout: Layout, step: Step) -> Verified:
    paint = step("verifying", manifest.keys)
    found = Verifier(access, layout, lambda done: paint(done.total)).run(entries_in(manifest, directory))
    if digest_text(found.ledger.digest) != manifest.digest or found.ledger.total != manifest.keys:
        raise OperationError(
            "the files do not hold what their manifest says, though they are as they were written"
        )
    if found.different:
        raise OperationError(
            f"{found.different} of {manifest.keys} keys differ from the backup: {'; '.join(found.examples)}",
            "does somebody write to the target, or does its maxmemory-policy evict?",
        )
    return found


def _require_nothing_else(access: Access, restored: Restored) -> None:
    """The target was empty: what it holds beyond the backup is somebody else's."""
    held = 0
    for holder in await_layout(access).holders:
        with closing(access.link(holder)) as link:
            held += sum(keys_per_database(link).values())
    if held > restored.keys:
        raise OperationError(
            f"the target holds {held} keys, of which {restored.keys} were restored", "somebody writes to it"
        )


def _report(
    manifest: Manifest, restored: Restored, verified: Verified | None, seconds: float, json: bool
) -> None:
    if json:
        result: dict[str, Any] = {"keys": restored.keys, "expired": restored.expired}
        result["seconds"] = round(seconds, 3)
        if verified:
            result["verified"] = {"same": verified.same, "fleeting": verified.fleeting}
        print_json(result)
        return
    rate = restored.keys / seconds if seconds else 0
    expired = f", {restored.expired} had expired" if restored.expired else ""
    say(f"restored {restored.keys} keys{expired} in {seconds:.1f} s ({rate:.0f} keys/s)")
    if verified:
        expire = f"; {verified.fleeting} expire too soon to be compared" if verified.fleeting else ""
        say(f"verified: {verified.same} keys are as in the backup of {manifest.started_at}{expire}")


# --- bars


@contextmanager
def _steps(quiet: bool) -> Iterator[Step]:
    if quiet:
        yield lambda name, total: lambda done: None
        return
    with Bars() as bars:
        yield lambda name, total: _painter(bars, name, total)


def _painter(bars: Bars, name: str, total: int) -> Callable[[int], None]:
    started = time.monotonic()

    def paint(done: int) -> None:
        rate = done / max(time.monotonic() - started, 0.001)
        bars.paint(name, done, total, f"{done}/{total}, {rate:.0f}/s")

    return paint


def _counted(paint: Callable[[int], None]) -> Callable[[int], None]:
    """From increments to totals."""
    sum_so_far = 0

    def add(increment: int) -> None:
        nonlocal sum_so_far
        sum_so_far += increment
        paint(sum_so_far)

    return add
