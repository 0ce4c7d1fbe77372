"""Letting nodes in, out, and into each other's place.

Every step may be repeated: who is a member already is not introduced again, who is forgotten already is no
obstacle. So a call that was interrupted is made again.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from cluster.operations.forming import POLL_SECONDS, Report, await_condition, introduce, require_strangers
from cluster.operations.link import ErrorReply, NodeLink, OperationError, Refused, Unreachable
from cluster.operations.server_info import read_info
from cluster.operations.survey import Survey, read_view
from cluster.plans.model import NodeInfo

OnBytes = Callable[[int, int], object]
"""Told how much of its data a replica has, and of how much, 0 while that is not known."""

AGREE_SECONDS = 30.0
"""For what gossip has to carry to everybody."""
UNHEARD_SECONDS = 60.0
"""So long members do not listen to news of a node that they were told to forget, and tell others to forget
it, too."""
INTRODUCE_AGAIN_SECONDS = 5.0
"""Gossip takes about a second; after so long, who was introduced may have been forgotten again."""
ASK_AGAIN_SECONDS = 6.0
"""A manual failover that has not come to its end after 5 s never will (cluster-manual-failover-timeout)."""


def is_member(survey: Survey, newcomer: NodeLink) -> bool:
    """Whether it belongs to this cluster already."""
    view = read_view(newcomer)
    return view.observer.id in survey.nodes and survey.views[0].observer.id in view.nodes


def join(survey: Survey, newcomer: NodeLink, report: Report = lambda line: None) -> str:
    """Make a running, empty node a member, a primary without slots, with the functions that the others have.
    Returns its id. Raises OperationError."""
    if not is_member(survey, newcomer):
        require_strangers([newcomer])
        _give_functions(survey, newcomer)
        report(f"introducing {newcomer.address} to the cluster")
        introduce(survey.seed, newcomer)
    node_id = read_view(newcomer).observer.id
    _await_known(survey, newcomer, node_id, report)
    survey.refresh()
    return node_id


def _give_functions(survey: Survey, newcomer: NodeLink) -> None:
    """Every primary has the same; a new one would fail the callers."""
    source = survey.link(survey.primaries[0].id) if survey.primaries else survey.seed
    dump, libraries = source.pipeline([("FUNCTION", "DUMP"), ("FUNCTION", "LIST")])
    knows = read_info(newcomer, "server").get("redis_version", "0")[0] >= "7"
    if isinstance(dump, ErrorReply) or not libraries or not knows:
        return
    restore = ("FUNCTION", "RESTORE", dump, "REPLACE")
    directive = "synchronous-replicas"
    setting = newcomer.pipeline([("CONFIG", "GET", directive)])[0]
    if not isinstance(setting, list) or len(setting) < 2 or setting[1] == b"0":
        newcomer.call(*restore)
        return
    # Its replicas, which it waits for, come later, and get the functions from it.
    newcomer.call("CONFIG", "SET", directive, 0)
    try:
        newcomer.call(*restore)
    finally:
        newcomer.call("CONFIG", "SET", directive, setting[1])


def _await_known(survey: Survey, newcomer: NodeLink, node_id: str, report: Report) -> None:
    expected = {view.observer.id for view in survey.views}
    introduced = time.monotonic()

    def all_know() -> bool:
        nonlocal introduced
        view = read_view(newcomer)
        alike = expected <= view.settled and view.claims == read_view(survey.seed).claims
        if alike and all(
            node_id in read_view(survey.link(member)).settled for member in expected if member != node_id
        ):
            return True
        if time.monotonic() - introduced > INTRODUCE_AGAIN_SECONDS:
            introduced = time.monotonic()
            report(
                "not all know each other yet: who was told to forget a node does not hear of it for"
                f" {UNHEARD_SECONDS:.0f} s"
            )
            if node_id not in read_view(survey.seed).settled:
                introduce(survey.seed, newcomer)
        return False

    await_condition(
        all_know,
        time.monotonic() + UNHEARD_SECONDS + AGREE_SECONDS,
        f"{newcomer.address} and the members do not all know each other",
        "are their bus ports (usually port + 10000) reachable from each other?",
    )


def attach(
    survey: Survey,
    replica: NodeLink,
    primary_id: str,
    report: Report = lambda line: None,
    on_bytes: OnBytes = lambda done, total: None,
) -> None:
    """Make a member that serves nothing a replica, and return when it has its primary's data and all know of
    it. Raises OperationError."""
    view = read_view(replica)
    if view.observer.primary_id != primary_id:
        replica.call("CLUSTER", "REPLICATE", primary_id)
    report(f"{replica.address} gets the data of {survey.nodes[primary_id].address}")
    await_data(replica, on_bytes)
    node_id = view.observer.id
    await_views(
        survey, lambda nodes: _primary_of(nodes, node_id) == primary_id, "whom the new one replicates"
    )


def _primary_of(nodes: dict[str, NodeInfo], node_id: str) -> str | None:
    return nodes[node_id].primary_id if node_id in nodes else None


def await_data(replica: NodeLink, on_bytes: OnBytes = lambda done, total: None) -> None:
    """Until it is in step with its primary: however long that takes, as long as data comes."""
    deadline = time.monotonic() + AGREE_SECONDS
    while True:
        try:
            fields = read_info(replica, "replication")
        except Refused as error:
            if "LOADING" not in error.reply:
                raise
            fields = {"master_sync_in_progress": "1"}
        if fields.get("master_link_status") == "up":
            return
        if fields.get("master_sync_in_progress") == "1":
            done, total = (int(fields.get(f"master_sync_{what}_bytes", 0)) for what in ("read", "total"))
            on_bytes(done, max(done, total))
            deadline = time.monotonic() + AGREE_SECONDS
        if time.monotonic() >= deadline:
            raise OperationError(
                f"{replica.address} does not get the data of its primary",
                "their logs tell why; do they have the same password (requirepass, masterauth)?",
            )
        time.sleep(POLL_SECONDS)


def await_views(
    survey: Survey,
    agreed: Callable[[dict[str, NodeInfo]], bool],
    about: str,
    seconds: float = AGREE_SECONDS,
) -> None:
    """Until `agreed` holds for the nodes by id in every member's view."""

    def all_agree() -> bool:
        survey.refresh()
        return all(agreed(dict(view.nodes)) for view in survey.views)

    await_condition(
        all_agree,
        time.monotonic() + seconds,
        f"the members do not agree {about}",
        "`shoal check` says more",
    )


def promote(survey: Survey, heir: str, how: str = "", seconds: float = AGREE_SECONDS) -> None:
    """Let a replica take its primary's place, and return when all members say so. `how`: empty, `FORCE` or
    `TAKEOVER`. Raises OperationError."""
    node = survey.nodes[heir]
    former = node.primary_id
    slots = survey.nodes[former].slots if former in survey.nodes else 0
    link = survey.link(heir)
    ask_again = 0.0
    deadline = time.monotonic() + seconds
    while not read_view(link).observer.is_primary:
        if time.monotonic() >= deadline:
            raise OperationError(
                f"{node.address} did not take over in {seconds:g} s",
                "its log tells why; --force does without the primary, --takeover without the others' votes",
            )
        if time.monotonic() >= ask_again:
            ask_again = time.monotonic() + ASK_AGAIN_SECONDS
            _ask_to_take_over(link, how)
        time.sleep(POLL_SECONDS)

    def seen(nodes: dict[str, NodeInfo]) -> bool:
        found = nodes.get(heir)
        return found is not None and found.is_primary and found.slots & slots == slots

    await_views(survey, seen, f"that {node.address} is the primary", max(deadline - time.monotonic(), 5.0))


def _ask_to_take_over(link: NodeLink, how: str) -> None:
    try:
        link.call("CLUSTER", "FAILOVER", *([how] if how else []))
    except Refused as error:
        if "Master is down or failed" in error.reply:
            raise Refused(link.address, "CLUSTER FAILOVER", error.reply, "--force does without it") from error
        if "should send" not in error.reply:  # it has become primary meanwhile
            raise


def rehome(survey: Survey, replica: str, primary: str) -> None:
    """Let a replica follow another primary. It need not have its data before we go on."""
    survey.link(replica).call("CLUSTER", "REPLICATE", primary)


def dismiss(survey: Survey, node_id: str) -> list[str]:
    """Make a member that serves nothing, or is dead, a stranger: to itself, and to all others. Returns the
    addresses of those who could not be told. Raises OperationError.

    In the end it gets another id, so that it can come back at once, though the others do not hear of its
    former one for a minute. Until all have forgotten that, it is how a call made again finds the node.
    """
    answering = {view.observer.id for view in survey.views}
    if node_id in answering:
        _reset(survey.link(node_id), "SOFT")
    untold = forget(survey, node_id)
    if node_id in answering:
        with contextlib.suppress(Unreachable):  # gone for good, then
            _reset(survey.link(node_id), "HARD")
    return untold


def _reset(link: NodeLink, how: str) -> None:
    try:
        link.call("CLUSTER", "RESET", how)
    except Refused as error:
        if "containing keys" not in error.reply:
            raise
        raise Refused(
            link.address,
            "CLUSTER RESET",
            error.reply,
            "it has keys of slots that others serve: `shoal fix --search-multiple-owners` brings them home,"
            " FLUSHALL deletes them",
        ) from error


def forget(survey: Survey, node_id: str) -> list[str]:
    """Let all other members forget a node within the minute in which they do not listen to gossip about it.
    Returns the addresses of those who could not be told. Raises OperationError."""
    untold = [address for address in survey.unreachable if address != survey.nodes[node_id].address]
    for view in survey.views:
        if view.observer.id == node_id:
            continue
        try:
            _forget_on(survey.link(view.observer.id), node_id)
        except Unreachable:
            untold.append(view.observer.address)
    return untold


def _forget_on(link: NodeLink, node_id: str) -> None:
    try:
        link.call("CLUSTER", "FORGET", node_id)
    except Refused as error:
        if "Unknown node" in error.reply:
            return
        advice = "let its replica take over first: `shoal failover`" if "my master" in error.reply else ""
        raise Refused(link.address, "CLUSTER FORGET", error.reply, advice) from error
