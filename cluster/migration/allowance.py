"""How many bytes a second a worker may send in migrations: `slot-migration-max-bandwidth`.

All exports of a worker share one allowance. It limits snapshots, which can wait, by debt: who sends when
nothing is left still sends all of a piece, and then nobody goes on before the debt is paid off. What clients
write meanwhile is never held back, since it would only gather here, but it counts.
"""

from __future__ import annotations

from typing import Final

BURST_MS: Final = 50
"""As much as may be sent in this time is saved up at most."""


class Allowance:
    """Times are ms. A `rate` of 0 bytes a second stands for any number."""

    def __init__(self) -> None:
        self._rate = 0
        self._left = 0.0
        self._at = 0

    def set_rate(self, rate: int, now: int) -> None:
        self._pay(now)
        self._rate = rate
        # What was sent under another rate is no debt under this one.
        self._left = max(self._left, 0.0) if rate else 0.0

    def sent(self, amount: int, now: int) -> None:
        if self._rate:
            self._pay(now)
            self._left -= amount

    def is_spent(self, now: int) -> bool:
        if not self._rate:
            return False
        self._pay(now)
        return self._left < 0

    def _pay(self, now: int) -> None:
        most = self._rate * BURST_MS / 1000
        self._left = min(most, self._left + self._rate * max(0, now - self._at) / 1000)
        self._at = now
