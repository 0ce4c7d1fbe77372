"""Entry point of `shoal`.

A worker is started as `shoal node` too, and there every module imported costs memory for as long as it lives.
So the two long-running programs are dispatched here by hand, and typer, rich and redis-py are imported only
for the others. The proxy package stands above this one (`proxy -> cluster -> node`), so it is not imported at
all: the process becomes it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import Any

from cluster.supervisor.programs import proxy_command, source_environment

EXIT_OK = 0
EXIT_CLUSTER = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130


def main(argv: Sequence[str] | None = None) -> None:
    """Run `shoal ARGV...` (default: the process' own arguments) and exit with its code."""
    args = list(sys.argv[1:] if argv is None else argv)
    if args[:1] == ["node"]:
        from cluster.node_process import run

        sys.exit(run(args[1:]))
    if args[:1] == ["proxy"]:
        become_proxy(args[1:])
    sys.exit(run_subcommand(args))


def become_proxy(args: Sequence[str]) -> None:
    """Replace this process by the proxy's. Does not return."""
    command = proxy_command(args)
    os.execve(command[0], command, source_environment())


def run_subcommand(args: list[str]) -> int:
    """Every other subcommand; any failure becomes one line on stderr and a code."""
    import typer

    from cluster.cli.app import app
    from cluster.cli.common import UsageProblem
    from cluster.cli.output import Declined, complain
    from cluster.operations.link import Interrupted, OperationError
    from cluster.plans.model import PlanError

    # Newer typers carry a click of their own, so its base class of usage errors is found through theirs.
    click_error: Any = typer.BadParameter.__mro__[2]
    try:
        code = app(args, prog_name="shoal", standalone_mode=False)
    except click_error as error:
        complain(f"{error.format_message().rstrip('.')}; see `{_called(error)} --help`")
        return EXIT_USAGE
    except (UsageProblem, PlanError) as error:
        complain(str(error))
        return EXIT_USAGE
    except (Interrupted, Declined) as error:
        complain(str(error))
        return EXIT_INTERRUPTED
    except OperationError as error:
        complain(str(error))
        return EXIT_CLUSTER
    except (typer.Abort, KeyboardInterrupt):
        code = EXIT_INTERRUPTED
    except BrokenPipeError:  # `shoal nodes | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_OK
    if code == EXIT_INTERRUPTED:  # newer typers return it, too
        complain("interrupted")
    return code if isinstance(code, int) else EXIT_OK


def _called(error: Any) -> str:
    """The subcommand that a usage error is about, as it was called."""
    context = getattr(error, "ctx", None)
    return context.command_path if context else "shoal"


if __name__ == "__main__":
    main()
