"""`shoal autobalance`: even out the load of the nodes again and again.

The load is sampled at every interval. When it has been further from even than the threshold in some samples
in a row, slots move, few at a time, until all nodes are within the goal; a slot that has moved stays where it
is for a while, so that a load that jumps to and fro does not chase slots. Run it as a service, or by `--once`
from a timer. It stops on Ctrl-C and SIGTERM when what is under way has arrived.

JSON, one object a line: {"at", "event": "sample", "spread_percent", "decision": "balanced" | "watch" | "move"
| "would move" | "outside the windows" | "no load", "moves"}; {"at", "event": "moved", "plan", "slots",
"of_slots", "keys", "spread_percent": {"before", "after"}}; {"at", "event": "problem", "text", "next_step"}.
"""

from __future__ import annotations

from datetime import datetime
from json import dumps
from typing import Annotated, Any

import typer

from cluster.cli.common import DEFAULT_ADDRESS, Address, open_survey
from cluster.cli.connecting import connecting
from cluster.cli.how_to_move import AS_USUAL, How, moving
from cluster.cli.output import confirm, say
from cluster.cli.rebalance import UseEmpty, Weights, parse_weights
from cluster.cli.stopping import stopped_by_signals
from cluster.operations.balancer import Balancer, Policy
from cluster.operations.drafting import require_sound
from cluster.operations.journals import default_directory
from cluster.operations.link import ANONYMOUS, Credentials
from cluster.operations.slot_loads import Measure
from cluster.plans.load import GOAL
from cluster.plans.steadiness import Limits, Windows

USUAL = Limits()


@connecting
@moving
def autobalance(
    address: Address = DEFAULT_ADDRESS,
    by: Annotated[Measure, typer.Option("--by", help="The load to even out.")] = Measure.OPS,
    window: Annotated[
        list[str] | None,
        typer.Option(
            "--window",
            metavar="HH:MM-HH:MM",
            help="When slots may move, by the clock of this machine; may be repeated. Default: always.",
        ),
    ] = None,
    interval: Annotated[
        float, typer.Option("--interval", min=0.1, metavar="SECONDS", help="Between two samples.")
    ] = 60.0,
    samples: Annotated[
        int, typer.Option("--samples", min=1, help="In a row that must be past the threshold.")
    ] = USUAL.samples,
    threshold: Annotated[
        float, typer.Option("--threshold", min=0, help="Percent off its share from which a node is past it.")
    ] = USUAL.threshold,
    goal: Annotated[
        float, typer.Option("--goal", min=0, help="Percent within which all nodes are to be then.")
    ] = GOAL,
    rest: Annotated[
        float, typer.Option("--rest", min=0, metavar="SECONDS", help="For which a moved slot stays.")
    ] = USUAL.rest,
    max_moves: Annotated[
        int, typer.Option("--max-moves", min=1, help="Slots that move in one round.")
    ] = USUAL.most,
    once: Annotated[
        bool, typer.Option("--once", help="Take the samples, move once if need be, and end.")
    ] = False,
    weight: Weights = None,
    use_empty: UseEmpty = False,
    how: How = AS_USUAL,
    credentials: Credentials = ANONYMOUS,
) -> None:
    """Even out the load of the primaries again and again, within windows and limits."""
    windows = Windows.parse(window or [])
    with open_survey(address, credentials) as survey:
        require_sound(survey)
        policy = Policy(
            measure=by,
            directory=how.journal or default_directory(),
            interval=interval,
            limits=Limits(threshold, goal, samples, rest, max_moves),
            windows=windows,
            weights=parse_weights(survey, weight),
            use_empty=use_empty,
            options=how.options,
            dry_run=how.dry_run,
        )
        if not (how.yes or how.dry_run):
            confirm("Move slots whenever the load is uneven, without asking again?", how.json)
        balancer = Balancer(survey, policy, _tell_json if how.json else _tell)
        with stopped_by_signals(balancer):
            balancer.run(looks=samples if once else None)


def _tell_json(event: dict[str, Any]) -> None:
    print(dumps({"at": datetime.now().astimezone().isoformat(timespec="seconds"), **event}), flush=True)


def _tell(event: dict[str, Any]) -> None:
    say(f"{datetime.now():%F %T} {_sentence(event)}")


def _sentence(event: dict[str, Any]) -> str:
    match event:
        case {"event": "sample", "spread_percent": None}:
            return "no load"
        case {"event": "sample", "spread_percent": spread, "decision": decision, "moves": moves}:
            plan = f" {moves} slots" if moves else ""
            return f"at most {spread:.1f}% off its share: {decision}{plan}"
        case {"event": "moved", "slots": slots, "of_slots": planned, "keys": keys, "plan": plan}:
            return f"moved {slots} of {planned} slots with {keys} keys by plan {plan}"
        case {"event": "problem", "text": text, "next_step": advice}:
            return f"{text}; {advice}" if advice else str(text)
    raise AssertionError(event)
