"""Taking part in the cluster in the middle of a command that runs long: a script.

The event loop stands still then. If nobody read the bus the others would find this worker silent, hold it for
failed after cluster-node-timeout and put a replica in its place. So the worker calls here now and then:
what has arrived on the bus is read, pings are answered, votes are given, and the coordinator gets its ticks.

Under the running command nothing may change, though: not the role, not the slots, not the keys. Effects of
that kind wait, in their order, until the event loop turns again; the others know by then what will happen,
as they would if the message had come a little earlier. For the same reason a replica that is busy does not
stand for election.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from cluster.coordinator import effects as fx
from cluster.coordinator.coordinator import Coordinator
from cluster.coordinator.effects import Effect
from node.core.steady_clock import steady_ms

if TYPE_CHECKING:
    from cluster.member import Member

_HARMLESS_WITHOUT_SAVING = fx.Send | fx.Log | fx.Connect | fx.Disconnect | fx.Wake | fx.Lapse | fx.Lease
_HARMLESS = _HARMLESS_WITHOUT_SAVING | fx.SaveConfig


def part(effects: list[Effect]) -> tuple[list[Effect], list[Effect]]:
    """What of this may be performed in the middle of a command, and what has to wait for its end."""
    # Of slots that are lost nothing is saved before their keys are gone.
    departs = any(isinstance(effect, fx.DeleteKeys) for effect in effects)
    harmless = _HARMLESS_WITHOUT_SAVING if departs else _HARMLESS
    now: list[Effect] = [effect for effect in effects if isinstance(effect, harmless)]
    return now, [effect for effect in effects if not isinstance(effect, harmless)]


class Meanwhile:
    def __init__(self, member: Member) -> None:
        self._member = member
        self._put_off: list[list[Effect]] = []
        self._serving = False
        self._next_tick = 0

    @property
    def holds_still(self) -> bool:
        """Something has changed that the running command may not see."""
        return bool(self._put_off)

    def serve(self, tick_period: int) -> None:
        """The event loop stands still: do what it would do for the bus. `tick_period` in ms."""
        member, now = self._member, steady_ms()
        if not member.coordinator.is_interrupted:
            member.coordinator.is_interrupted = True
            asyncio.get_running_loop().call_soon(self._over)
        self._serving = member.links.loop_stands_still = True
        try:
            member.links.read_now()
            if now >= self._next_tick:
                self._next_tick = now + tick_period
                member.react(Coordinator.tick)
        finally:
            self._serving = member.links.loop_stands_still = False

    def _over(self) -> None:
        self._member.coordinator.is_interrupted = False
        self.catch_up()

    def sift(self, effects: list[Effect]) -> list[Effect]:
        """What of this may be performed now. Called for all effects, always."""
        if not self._serving:
            self.catch_up()
            return effects
        now, later = part(effects)
        if later:
            self._put_off.append(later)
        return now

    def catch_up(self) -> None:
        """Perform what was put off, unless we are still in the middle of it."""
        while self._put_off and not self._serving:
            self._member.perform(self._put_off.pop(0))
