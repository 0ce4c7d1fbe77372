"""What being a member costs a worker at rest, by the number of members: counted, and on paper.

    python -m tests.bench.bus_bench [--sizes 6,20,50,100] [--node-timeout MS]        two minutes

Counted is what one member sends a second in the simulation (tests/simulation) while nothing but heartbeats
happens, and the CPU of coordinator and codec for that and for as many messages that come. The paper goes on
where simulations end. Of N members each pings one a second, the most silent of five, and everybody of whom
it has had no news for H seconds, half the node timeout. Each ping is answered, and pings and pongs both
tell what their sender knows of g = max(3, N / 10) + 1 others. So there is news of a peer by its own
answers, P a second, R = 1 / (N - 1) of them to random pings, D to those that were due; and by hearsay, g
out of N entries in each of 2 P N messages, so 2 g P a second, if it is fresher than what one has. Let S(a)
be the share of peers of whom the news is older than a seconds. News ages; by an answer, or fresher hearsay,
what is older than a becomes younger:

    -S'(a) = D + R (1 - (1 - S(a))^5) + 2 g P S(a) (1 - S(a - 1))        S(0) = 1, S(H) = 0, P = D + R

Hearsay counts one second late, because it is told in whole seconds: at most that, so the paper's figures are
rather too high. D is what makes S end at H. With 1,000 members it is a tenth of what it were without hearsay.

Counted at the default node timeout of 15 s, messages and kB a second, beside the paper's:

    6: 2.0, 5.4 (2.0, 5.4)     20: 3.4, 9.1 (3.4, 9.1)     50: 6.8, 20 (6.8, 20)     100: 9.9, 34 (10.2, 35)
    on paper 200: 14, 64       500: 21, 158                1,000: 26, 337, which is 0.3 MB/s either way

The CPU, of a machine that was busy with other things, was 0.3 ms a second with 6 members and 3 with 100; by
what a message and an entry cost there, it would be 65 ms with 1,000.
"""

from __future__ import annotations

import argparse
import statistics

from rich.console import Console
from rich.table import Table

from cluster.bus import layout
from cluster.coordinator.heartbeat import MIN_GOSSIP, RANDOM_PING_CHOICES
from tests.simulation.convergence import costs_at_rest

ON_PAPER = (6, 10, 20, 50, 100, 200, 500, 1000)
STEP = 0.02
"""Seconds."""
LATE = 1.0
"""What whole seconds make of hearsay."""
SHARD_ID = layout.EXTENSION.size + layout.ID_BYTES
"""The extension that every heartbeat has."""


def gossip_entries(members: int) -> int:
    """In a heartbeat: never more than there are others to tell of."""
    return min(max(members // 10, MIN_GOSSIP) + 1, members - 1)


def bytes_per_message(members: int) -> int:
    return layout.HEADER.size + layout.GOSSIP.size * gossip_entries(members) + SHARD_ID


def messages_per_second(members: int, node_timeout: int) -> float:
    """Pings and pongs that a member sends; `node_timeout` in ms."""
    half = node_timeout / 2000
    low, high = 0.0, 1 / half
    for _ in range(30):
        due = (low + high) / 2
        if _share_left(due, members, half) > 0:
            low = due
        else:
            high = due
    return 2 * (low * (members - 1) + 1)


def _share_left(due: float, members: int, half: float) -> float:
    """S(H), if so many pings a second were due to each peer."""
    by_chance = 1 / (members - 1)
    hearsay = 2 * gossip_entries(members) * (due + by_chance)
    shares = [1.0]
    for number in range(int(half / STEP)):
        share, before = shares[-1], shares[max(0, number - int(LATE / STEP))]
        chosen = 1 - (1 - share) ** RANDOM_PING_CHOICES
        share -= STEP * (due + by_chance * chosen + hearsay * share * (1 - before))
        if share <= 0:
            break
        shares.append(share)
    return share


def cost_of_entries(counted: dict[int, tuple[float, float, float]]) -> tuple[float, float]:
    """ms of CPU of a message, sent or received: of itself, and of each entry. Sizes too close to each other
    cannot tell these apart."""
    entries = [gossip_entries(members) for members in counted]
    costs = [cpu / (2 * messages) for messages, _, cpu in counted.values()]
    if len(set(entries)) == 1:
        return statistics.mean(costs), 0.0
    slope, constant = statistics.linear_regression(entries, costs)
    return constant, slope


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--sizes", default="6,20,50,100", help="members, half of them replicas")
    parser.add_argument("--node-timeout", type=int, default=15000, help="ms")
    options = parser.parse_args()
    sizes = [int(size) for size in options.sizes.split(",")]
    counted = {members: costs_at_rest(members, options.node_timeout) for members in sizes}
    table = Table(
        "members",
        "messages/s: counted",
        "on paper",
        "kB/s: counted",
        "on paper",
        "CPU ms/s: counted",
        "by these",
    )
    constant, slope = cost_of_entries(counted)
    for members in sorted({*sizes, *ON_PAPER}):
        rate, entries = messages_per_second(members, options.node_timeout), gossip_entries(members)
        paper = f"{rate:.1f}", f"{rate * bytes_per_message(members) / 1000:.1f}"
        cpu = f"{2 * rate * (constant + slope * entries):.1f}"
        cells = [f"{value:.1f}" for value in counted[members]] if members in counted else [""] * 3
        table.add_row(str(members), cells[0], paper[0], cells[1], paper[1], cells[2], cpu)
    Console(width=110).print(table)


if __name__ == "__main__":
    main()
