"""What compiled code holds, comparable over a test."""

from __future__ import annotations

import gc

from node.core.memory import used_bytes


def settled_bytes() -> int:
    """`used_bytes`, with nothing left of earlier tests that garbage collection would free later on."""
    gc.collect()
    return used_bytes()
