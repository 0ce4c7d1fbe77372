"""`shoal up`: run a whole cluster on this machine, in the foreground.

JSON: {"endpoints": [{"process", "address", "role", "slots"}], "slots_served": number}, once it serves.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from dataclasses import asdict
from functools import partial
from json import dumps
from pathlib import Path
from typing import Annotated

import typer

from cluster.cli.common import UsageProblem
from cluster.cli.output import print_table
from cluster.operations.link import OperationError
from cluster.plans.tending import Policy
from cluster.slots import SLOT_COUNT
from cluster.supervisor.endpoints import ALL, Endpoint
from cluster.supervisor.preflight import require_free_ports, require_program
from cluster.supervisor.secrets import hide_own
from cluster.supervisor.settings import Settings, SetupError, settle
from cluster.supervisor.supervisor import Stopped, Supervisor
from cluster.supervisor.workspace import Workspace


def up(
    worker_settings: Annotated[
        list[str] | None,
        typer.Argument(metavar="-- --NAME VALUE...", help="Settings for every worker, as for `shoal node`."),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option("--workers", help="Processes that hold data, replicas included. Default: 6."),
    ] = None,
    replicas: Annotated[
        int | None, typer.Option("--replicas", help="Replicas for each primary. Default: 1.")
    ] = None,
    proxies: Annotated[
        int | None, typer.Option("--proxies", help="Processes of the proxy. Default: 1.")
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", help="Port of the first worker; the others follow. Default: 7001."),
    ] = None,
    proxy_port: Annotated[
        int | None,
        typer.Option("--proxy-port", help="Port for clients that know no clusters. Default: 6379."),
    ] = None,
    bind: Annotated[
        str | None, typer.Option("--bind", help="Address to listen on. Default: 127.0.0.1.")
    ] = None,
    announce: Annotated[
        str | None, typer.Option("--announce", help="Address at which clients elsewhere find the workers.")
    ] = None,
    tls: Annotated[
        bool | None,
        typer.Option("--tls/--no-tls", help="By TLS only, with certificates made in the directory."),
    ] = None,
    metrics_port: Annotated[
        int | None,
        typer.Option("--metrics-port", help="Port of the first worker's figures for Prometheus."),
    ] = None,
    proxy_metrics_port: Annotated[
        int | None,
        typer.Option("--proxy-metrics-port", help="The same of the first proxy, and the status page."),
    ] = None,
    directory: Annotated[Path, typer.Option("--dir", help="Where the cluster lives.")] = Path("shoal-data"),
    password_file: Annotated[
        Path | None,
        typer.Option("--password-file", help="The password of workers, proxy and clients is in this file."),
    ] = None,
    worker_program: Annotated[
        str | None, typer.Option("--worker-program", help="Run this server for workers, e.g. valkey-server.")
    ] = None,
    witness: Annotated[
        bool,
        typer.Option("--witness/--no-witness", help="Tell the cluster which workers died or are only busy."),
    ] = True,
    add_replicas: Annotated[
        bool,
        typer.Option(
            "--add-replicas/--no-add-replicas",
            help="Start a worker for a primary that stays without replica.",
        ),
    ] = True,
    replace_lost: Annotated[
        bool,
        typer.Option(
            "--replace-lost/--no-replace-lost",
            help="Start a fresh worker in place of one that cannot be started any more.",
        ),
    ] = True,
    rebalance: Annotated[
        bool, typer.Option("--rebalance/--no-rebalance", help="Give slots to new primaries.")
    ] = True,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Show the workers' logs from the first line.")
    ] = False,
    json_lines: Annotated[
        bool, typer.Option("--json-lines", help="Write all logs as lines of JSON.")
    ] = False,
    json: Annotated[
        bool, typer.Option("--json", help="Print the addresses as one line of JSON, all else on stderr.")
    ] = False,
) -> None:
    """Run a cluster on this machine: workers, their replicas and a proxy. Ctrl-C stops it.

    The same directory gives the same cluster again; with a higher number of --workers the new ones join it,
    as primaries or replicas as the numbers say, and slots move to the former. With --password-file, or `--
    --requirepass PASSWORD`, or with users of your own and `--masteruser USER --masterauth PASSWORD`, workers
    and proxy want that password, and have it.
    """
    asked = {
        "workers": workers,
        "replicas": replicas,
        "proxies": proxies,
        "port": port,
        "proxy_port": proxy_port,
        "bind": bind,
        "announce": announce,
        "tls": tls,
        "metrics_port": metrics_port,
        "proxy_metrics_port": proxy_metrics_port,
    }
    hide_own()
    more_settings = [*_password_in(password_file), *(worker_settings or [])]
    workspace = Workspace(directory)
    try:
        program = [require_program(worker_program)] if worker_program else []
        if program and metrics_port:
            raise SetupError("--metrics-port is for shoal's own workers, not for a --worker-program")
        workspace.acquire()
        settings = settle(asked, workspace.remembered)
        require_free_ports(settings)
        policy = Policy(add_replicas=add_replicas, replace_lost=replace_lost, rebalance=rebalance)
        _run(settings, workspace, program, more_settings, verbose, witness, policy, json, json_lines)
    except SetupError as error:
        raise UsageProblem(str(error)) from error
    finally:
        workspace.discard()


def _password_in(file: Path | None) -> list[str]:
    """As a setting of workers."""
    if file is None:
        return []
    try:
        password = file.read_text().rstrip("\r\n")
    except OSError as error:
        raise UsageProblem(f"{file}: {(error.strerror or str(error)).lower()}") from error
    if not password:
        raise UsageProblem(f"{file} holds no password")
    return ["--requirepass", password]


def _run(
    settings: Settings,
    workspace: Workspace,
    program: list[str],
    worker_settings: list[str],
    verbose: bool,
    witness: bool,
    policy: Policy,
    json: bool,
    json_lines: bool,
) -> None:
    async def live() -> None:
        tls = workspace.directory / "tls" if settings.tls else None
        in_words = partial(_show, page=settings.proxy_metrics_port, tls=tls)
        write, show = (_write_aside, _show_json) if json else (_write, in_words)
        up = Supervisor(
            settings, workspace, write, show, program, worker_settings, verbose, witness, policy, json_lines
        )
        await up.run()

    try:
        asyncio.run(live())
    except Stopped:
        raise OperationError("stopped before the cluster served") from None


def _write(line: str) -> None:
    """A reader of our output that went away (`shoal up | head`) ends the cluster, as Ctrl-C does."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        signal.raise_signal(signal.SIGTERM)


def _write_aside(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _show_json(rows: list[Endpoint], served: int) -> None:
    print(dumps({"endpoints": [asdict(row) for row in rows], "slots_served": served}), flush=True)


def _show(rows: list[Endpoint], served: int, page: int, tls: Path | None) -> None:
    """The table, and the addresses that most people need. `page`: port of the status page, or 0; `tls`: where
    certificates are."""
    print(flush=True)
    print_table(
        "",
        ["process", "address", "role", "slots"],
        [[row.process, row.address, row.role, row.slots] for row in rows],
    )
    proxy = next((row.address for row in rows if row.slots == ALL), None)
    worker = next(row.address for row in rows if row.slots != ALL)
    scheme = "redis" if tls is None else "rediss"
    print(f"\n plain clients:    {scheme}://{proxy}" if proxy else "")
    print(f" cluster clients:  {scheme}://{worker}")
    if proxy and page:
        print(f" status page:      http://{proxy.rpartition(':')[0]}:{page}/")
    if tls is not None:
        print(f" by TLS, with      --cacert {tls}/ca.crt --cert {tls}/client.crt --cert-key {tls}/client.key")
    all_served = served == SLOT_COUNT
    print(f"\n{'All' if all_served else f'Only {served} of'} {SLOT_COUNT} slots are served.", end=" ")
    print("Ctrl-C stops the cluster.\n", flush=True)
