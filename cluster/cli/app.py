"""The list of subcommands, in the order in which `shoal --help` shows them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated, Any

import typer
from rich.markup import escape

from cluster.cli import (
    add_node,
    autobalance,
    backup,
    bigkeys,
    call,
    check,
    check_aof,
    check_rdb,
    create,
    del_node,
    doctor,
    failover,
    fix,
    forget,
    hotkeys,
    import_,
    info,
    migrations,
    nodes,
    rebalance,
    replace_node,
    reshard,
    restore,
    set_timeout,
    slots,
    tend,
    top,
    up,
)

EXIT_CODES = (
    "Exit codes: 0 done, and all is well; 1 the cluster has a problem, or refuses; 2 the call has one, or"
    " nobody answers; 130 interrupted, paused, cancelled or declined. What went wrong is one line on stderr,"
    " with the next step."
)

app = typer.Typer(
    name="shoal",
    help="A Redis-compatible sharded cluster, and tools for any cluster that speaks the protocol.",
    epilog=EXIT_CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_RUN = "Run"
_LOOK = "Look"
_CHANGE = "Change"
_DATA = "Data"


def add(name: str, panel: str, function: Callable[..., Any], **settings: Any) -> None:
    """A subcommand. What --json prints is the last paragraph of its file's essay, and ends its help."""
    app.command(name, rich_help_panel=panel, epilog=json_shape(function.__module__), **settings)(function)


def json_shape(module: str) -> str:
    essay = sys.modules[module].__doc__ or ""
    return escape(" ".join(essay[essay.index("JSON") :].split()))


add("up", _RUN, up.up)


@app.command("node", rich_help_panel=_RUN, add_help_option=False)
def node() -> None:
    """Run one worker, as redis-server is run: `shoal node redis.conf --name value ...`."""
    raise AssertionError("main.py dispatches `node` before this is imported")


@app.command("proxy", rich_help_panel=_RUN, add_help_option=False)
def proxy() -> None:
    """Run one proxy: `shoal proxy --seed HOST:PORT ...` makes a cluster look like one server."""
    raise AssertionError("main.py dispatches `proxy` before this is imported")


add("info", _LOOK, info.info)
add("nodes", _LOOK, nodes.nodes)
add("slots", _LOOK, slots.slots)
add("top", _LOOK, top.top)
add("hotkeys", _LOOK, hotkeys.hotkeys)
add("bigkeys", _LOOK, bigkeys.bigkeys)
add("check", _LOOK, check.check)
add("doctor", _LOOK, doctor.doctor)
add("create", _CHANGE, create.create)
add("reshard", _CHANGE, reshard.reshard)
add("rebalance", _CHANGE, rebalance.rebalance)
add("autobalance", _CHANGE, autobalance.autobalance)
_MIGRATIONS = json_shape(migrations.__name__)
app.add_typer(migrations.app, name="migrations", rich_help_panel=_CHANGE, epilog=_MIGRATIONS)
for each in migrations.app.registered_commands:
    each.epilog = _MIGRATIONS
add("add-node", _CHANGE, add_node.add_node)
add("del-node", _CHANGE, del_node.del_node)
add("replace-node", _CHANGE, replace_node.replace_node)
add("failover", _CHANGE, failover.failover)
add("forget", _CHANGE, forget.forget)
add("fix", _CHANGE, fix.fix)
add("tend", _CHANGE, tend.tend)
add("set-timeout", _CHANGE, set_timeout.set_timeout)
add(
    "call",
    _CHANGE,
    call.call,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)
add("import", _DATA, import_.import_)
add("backup", _DATA, backup.backup)
add("restore", _DATA, restore.restore)
add("check-rdb", _DATA, check_rdb.check_rdb)
add("check-aof", _DATA, check_aof.check_aof)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(f"shoal {version('shoal')}")
    except PackageNotFoundError:
        typer.echo("shoal (not installed)")
    raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
) -> None:
    pass
