"""The proxy's map: reading CLUSTER NODES, and whom to believe when nodes disagree."""

from __future__ import annotations

import pytest

from proxy.workers.topology import Layout, parse_nodes

A = "a" * 40
B = "b" * 40


def line(node: str, address: str, flags: str, epoch: int, slots: str = "") -> str:
    return f"{node} {address} {flags} - 0 0 {epoch} connected {slots}".rstrip()


def test_reads_lines_of_all_versions() -> None:
    text = "\n".join(
        [
            line(A, ":7001@17001,host.example", "myself,master", 1, "0-100 200 [300->-" + B + "]"),
            line(B, "10.0.0.2:7002@17002", "slave", 1),
            line("c" * 40, "10.0.0.3:7003", "master,fail", 3, "101-199"),
            line("d" * 40, ":0@0", "master,noaddr", 0),
        ]
    )
    first, second, third, fourth = parse_nodes(text, ("10.0.0.1", 7001))
    assert first.address == ("10.0.0.1", 7001)
    assert first.ranges == ((0, 100), (200, 200))
    assert first.leaving == {300}
    assert (second.address, second.ranges, second.usable) == (("10.0.0.2", 7002), (), True)
    assert (third.epoch, third.usable) == (3, False)
    assert not fourth.usable


@pytest.mark.parametrize("text", ["hello", "a b c d e f g", line(A, "x:y@1", "master", 1)])
def test_refuses_other_texts(text: str) -> None:
    with pytest.raises(ValueError):
        parse_nodes(text, ("h", 1))


def test_the_highest_epoch_wins_a_slot_whoever_says_it_first() -> None:
    old = parse_nodes(
        line(A, "h:1@2", "master", 5, "0-16383") + "\n" + line(B, "h:2@3", "slave", 5), ("h", 1)
    )
    new = parse_nodes(
        line(A, "h:1@2", "master,fail", 5) + "\n" + line(B, "h:2@3", "master", 6, "0-16383"), ("h", 2)
    )
    for views in ([old, new], [new, old]):
        layout = Layout.merge(views)
        assert set(layout.owners) == {("h", 2)}
        assert layout.failed == {("h", 1)}
        assert ("h", 2) in layout.nodes


def test_slots_nobody_claims_have_no_owner() -> None:
    layout = Layout.merge([parse_nodes(line(A, "h:1@2", "master", 1, "5"), ("h", 1))])
    assert layout.owners[5] == ("h", 1)
    assert layout.owners.count(None) == 16383
