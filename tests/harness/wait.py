"""Waiting for a condition, with a message and a deadline: the only way a test may let time pass."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

T = TypeVar("T")

_FIRST_PAUSE = 0.005
_LONGEST_PAUSE = 0.1


class StillFalse(AssertionError):
    """The condition did not hold before its deadline."""


def eventually(condition: Callable[[], T], message: str | Callable[[], str] = "", timeout: float = 10.0) -> T:
    """Call `condition` until it returns something true, and return that.

    An exception of the condition counts as "not yet"; the last one is chained to the failure. `message` says
    what was awaited, and may be a function, to describe the state at the deadline.
    """
    deadline = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while True:
        last_error: Exception | None = None
        value: Any = None
        try:
            value = condition()
        except Exception as error:
            last_error = error
        if value:
            return value
        if time.monotonic() >= deadline:
            raise _failure(message, timeout, value, last_error) from last_error
        time.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


async def eventually_async(
    condition: Callable[[], Awaitable[T]], message: str | Callable[[], str] = "", timeout: float = 10.0
) -> T:
    """`eventually` for a condition that must be awaited."""
    deadline = time.monotonic() + timeout
    pause = _FIRST_PAUSE
    while True:
        last_error: Exception | None = None
        value: Any = None
        try:
            value = await condition()
        except Exception as error:
            last_error = error
        if value:
            return value
        if time.monotonic() >= deadline:
            raise _failure(message, timeout, value, last_error) from last_error
        await asyncio.sleep(pause)
        pause = min(pause * 1.5, _LONGEST_PAUSE)


def _failure(
    message: str | Callable[[], str], timeout: float, value: Any, last_error: Exception | None
) -> StillFalse:
    text = message() if callable(message) else message
    outcome = repr(last_error) if last_error is not None else repr(value)
    return StillFalse(f"not within {timeout:g} s: {text or 'condition'} (last: {outcome})")
