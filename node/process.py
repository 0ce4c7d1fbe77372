"""A worker as a process: `redis-server`'s way to start, run and stop.

Settings come from a file and flags; a bad one is told on stderr with exit code 1. SIGTERM and SIGINT end it
as SHUTDOWN does, with the options `shutdown-on-sigterm` and `shutdown-on-sigint` give. The garbage
collector is frozen once everything is set up: what lives then lives to the end, and need not be walked
again.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
from collections.abc import Sequence

from node import log as log_lines
from node.acl.file import AclFileError
from node.config import Config, ConfigError
from node.descriptors import fit_clients
from node.ending import Wish
from node.errors import ReplyError
from node.event_loop import new_event_loop
from node.listeners import ListenError
from node.log import Log
from node.persistence.aof.reader import AofError
from node.persistence.files import StoreError
from node.persistence.rdb import RdbError
from node.worker import MakeCluster, Worker


def run(argv: Sequence[str], make_cluster: MakeCluster | None = None) -> int:
    """Run a worker with redis-server's arguments until it is told to stop; returns the exit code."""
    try:
        config = Config.from_args(argv)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    if config.cluster_enabled and make_cluster is None:
        print("This worker stands alone; a member of a cluster is started as `shoal node`.", file=sys.stderr)
        return 1
    log = Log.from_config(config)
    log.starting(config)
    fit_clients(config, log)
    _write_pid_file(config, log)
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            return runner.run(_life(config, log, make_cluster if config.cluster_enabled else None))
    except (AclFileError, AofError, ListenError, RdbError, StoreError, OSError) as error:
        for line in str(error).splitlines():
            log.warning(line)
        return 1
    finally:
        _remove_pid_file(config)


async def _life(config: Config, log: Log, make_cluster: MakeCluster | None) -> int:
    worker = Worker(config, log, make_cluster)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _signalled, worker, number)
    await worker.start()
    gc.collect()
    gc.freeze()
    assert worker.stopping is not None
    code = await worker.stopping
    await worker.stop()
    return code


def _signalled(worker: Worker, number: signal.Signals) -> None:
    """End as the signal's setting says, whose words are SHUTDOWN's."""
    config = worker.config
    line, setting = (
        (log_lines.SIGTERM_RECEIVED, config.shutdown_on_sigterm)
        if number == signal.SIGTERM
        else (log_lines.SIGINT_RECEIVED, config.shutdown_on_sigint)
    )
    worker.log.warning(line)
    worker.log.notice(log_lines.SHUTDOWN_REQUESTED)
    try:
        worker.ending.request(Wish.of(setting.split()))
    except ReplyError as error:
        worker.log.warning(f"{error.text} The worker goes on.")


def _write_pid_file(config: Config, log: Log) -> None:
    if config.pidfile:
        try:
            with open(config.path(config.pidfile), "w") as file:
                file.write(f"{os.getpid()}\n")
        except OSError as error:
            log.warning(f"Failed to write PID file: {error.strerror}")


def _remove_pid_file(config: Config) -> None:
    if config.pidfile and os.path.exists(config.path(config.pidfile)):
        os.unlink(config.path(config.pidfile))
