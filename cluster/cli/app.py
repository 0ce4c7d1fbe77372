"""The list of subcommands, in the order in which `shoal --help` shows them."""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from cluster.cli import (
    add_node,
    backup,
    call,
    check,
    check_aof,
    check_rdb,
    create,
    del_node,
    failover,
    fix,
    forget,
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
    top,
    up,
)

app = typer.Typer(
    name="shoal",
    help="A Redis-compatible sharded cluster, and tools for any cluster that speaks the protocol.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

_RUN = "Run"
_LOOK = "Look"
_CHANGE = "Change"
_FILES = "Data"

app.command("up", rich_help_panel=_RUN)(up.up)


@app.command("node", rich_help_panel=_RUN, add_help_option=False)
def node() -> None:
    """Run one worker, as redis-server is run: `shoal node redis.conf --name value ...`."""
    raise AssertionError("main.py dispatches `node` before this is imported")


@app.command("proxy", rich_help_panel=_RUN, add_help_option=False)
def proxy() -> None:
    """Run one proxy: `shoal proxy --seed HOST:PORT ...` makes a cluster look like one server."""
    raise AssertionError("main.py dispatches `proxy` before this is imported")


app.command("info", rich_help_panel=_LOOK)(info.info)
app.command("nodes", rich_help_panel=_LOOK)(nodes.nodes)
app.command("slots", rich_help_panel=_LOOK)(slots.slots)
app.command("top", rich_help_panel=_LOOK)(top.top)
app.command("check", rich_help_panel=_LOOK)(check.check)
app.command("create", rich_help_panel=_CHANGE)(create.create)
app.command("reshard", rich_help_panel=_CHANGE)(reshard.reshard)
app.command("rebalance", rich_help_panel=_CHANGE)(rebalance.rebalance)
app.command("add-node", rich_help_panel=_CHANGE)(add_node.add_node)
app.command("del-node", rich_help_panel=_CHANGE)(del_node.del_node)
app.command("replace-node", rich_help_panel=_CHANGE)(replace_node.replace_node)
app.command("failover", rich_help_panel=_CHANGE)(failover.failover)
app.command("forget", rich_help_panel=_CHANGE)(forget.forget)
app.command("set-timeout", rich_help_panel=_CHANGE)(set_timeout.set_timeout)
app.add_typer(migrations.app, name="migrations", rich_help_panel=_CHANGE)
app.command("fix", rich_help_panel=_CHANGE)(fix.fix)
app.command(
    "call",
    rich_help_panel=_CHANGE,
    context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False},
)(call.call)
app.command("import", rich_help_panel=_FILES)(import_.import_)
app.command("backup", rich_help_panel=_FILES)(backup.backup)
app.command("restore", rich_help_panel=_FILES)(restore.restore)
app.command("check-rdb", rich_help_panel=_FILES)(check_rdb.check_rdb)
app.command("check-aof", rich_help_panel=_FILES)(check_aof.check_aof)


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
