"""A worker as a member of its cluster: the coordinator's hands and senses.

The coordinator decides and touches nothing. The member gives it what happens (messages, links, time,
commands) and carries out the effects it returns, strictly in order: a `SaveConfig` is on disk before
the message behind it leaves. If nodes.conf cannot be written the member closes its links and ends the
worker, as Redis does: a node that cannot remember its votes must not cast any.

It is the worker's `ClusterPort`, so it also answers where a command belongs (`redirection.py`), and keeps the
core's table of plainly served slots in step with the cluster. Everything happens on the worker's event loop;
effects are carried out before the call that caused them returns.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from cluster import redirection
from cluster.bus.links import SEND_LIMIT, Links
from cluster.commands import slot_stats
from cluster.coordinator import effects as fx
from cluster.coordinator.coordinator import Coordinator, LinkInfo
from cluster.coordinator.effects import Effect, LinkId
from cluster.coordinator.messages import Header, LightPublish, Message
from cluster.figures import figures
from cluster.local_facts import OBEYED, WorkerFacts, bus_port_of, settings_of, update_settings
from cluster.meanwhile import Meanwhile
from cluster.migration.migrations import Migrations
from cluster.nodes_file import NodesFile, NodesFileError
from cluster.publishing import Publishing
from cluster.secret_keeper import SecretKeeper
from cluster.seeds import Seeds
from cluster.slots import ALL_SLOTS, ranges
from cluster.topology.nodes_conf import ConfigError
from node.cluster_port import SLOT_ASK, SLOT_SERVED
from node.core.key_slot import key_slot
from node.core.steady_clock import steady_ms
from node.errors import ReplyError, one_line
from node.listeners import ListenError, open_tcp
from node.metrics.figures import Figure

if TYPE_CHECKING:
    from node.worker import Worker

PAUSE_REASON = "failover"
HIGHEST_PORT = 65535
FOREVER = (1 << 63) - 1
"""How many keys of a lost slot are listed at a time while they are deleted."""


class SaveFailed(ReplyError):
    """nodes.conf could not be written. The text is what CLUSTER SAVECONFIG replies."""

    def __init__(self, reason: OSError) -> None:
        super().__init__(f"ERR error saving the cluster node config: {one_line(str(reason.strerror))}")


Turn = Callable[[Coordinator, int], list[Effect]]
T = TypeVar("T")


class Member:
    """The `ClusterPort` of a worker with `cluster-enabled yes`.

    Made by the worker (`Worker(config, log, Member)`). Raises NodesFileError or ListenError, whose text
    is for the log, if nodes.conf is damaged or taken, or the bus port is impossible.
    """

    enabled = True

    def __init__(self, worker: Worker) -> None:
        config = worker.config
        self._bus_port = bus_port_of(config)
        if self._bus_port > HIGHEST_PORT:
            raise ListenError(
                "Redis port number too high for cluster mode (the cluster bus would be on port "
                f"{self._bus_port}); use a lower port or set cluster-port."
            )
        self._worker = worker
        self._file = NodesFile(config.path(config.cluster_config_file))
        self._settings = settings_of(config, self._bus_port)
        self._facts = WorkerFacts(worker)
        try:
            self.coordinator = Coordinator(
                self._settings,
                self._facts,
                random.SystemRandom(),
                steady_ms(),
                self._file.read(),
            )
        except ConfigError as error:
            raise NodesFileError(
                f"Unrecoverable error: corrupted cluster config file {self._file.path}: {error}"
            ) from error
        send_limit = config.cluster_link_sendbuf_limit or SEND_LIMIT
        self.secrets = SecretKeeper(config, self._secrets_changed)
        self.links = Links(
            self, worker.log.warning, send_limit, worker.tls, worker.log.verbose, self.secrets.secrets
        )
        self.migrations = Migrations(self, worker)
        self._meanwhile = Meanwhile(self)
        self._publishing = Publishing(self, worker.pubsub.fanout)
        self._seeds = Seeds(self, worker)
        self._timer: asyncio.TimerHandle | None = None
        self._alarm: asyncio.TimerHandle | None = None
        self._is_late = False
        """The core has let our lease lapse, and the coordinator does not know."""
        self._due: list[Effect] = []
        """Saves and messages that commands of the batch being executed have caused."""
        self._saves_after_departures = False
        self._served = 0
        """Bitmap of what the core's table says."""
        for name in OBEYED:
            config.on_change(name, self._settings_changed)
        slot_stats.follow_setting(worker)
        config.on_change("cluster-link-sendbuf-limit", self._send_limit_changed)
        worker.engine.on_lapse = self._stood_still
        worker.engine.slot_states[:] = bytes([SLOT_ASK]) * len(worker.engine.slot_states)

    # --- the worker's cluster port

    async def start(self) -> None:
        config = self._worker.config
        sockets = open_tcp(config.bind, self._bus_port, config.tcp_backlog, self._worker.log.warning)
        try:
            self.turn(Coordinator.start)
        except SaveFailed as failure:
            raise NodesFileError(failure.text) from failure
        await self.links.listen(sockets)
        if self.coordinator.myself.is_primary:
            self.migrations.promoted("Process restarted")
        self._tick()
        self._seeds.start()

    async def stop(self) -> None:
        self._cancel_timer()
        await self._seeds.stop()
        self.migrations.stop()
        try:
            self.save()
        except SaveFailed as failure:
            self._worker.log.warning(failure.text)
        self.links.close()
        self._file.close()

    def _cancel_timer(self) -> None:
        for timer in (self._timer, self._alarm):
            if timer is not None:
                timer.cancel()

    def redirect(self, session: Any, row: Any, argv: list[bytes], keys: list[bytes]) -> None:
        if not (self._meanwhile.holds_still and self._are_served(keys)):
            redirection.check(self.coordinator, session, row, argv, keys)

    def _are_served(self, keys: list[bytes]) -> bool:
        """Whether the core's table has one slot for all of them, and it is ours: as of before a script."""
        slots = set(map(key_slot, keys))
        return len(slots) == 1 and self._worker.engine.slot_states[slots.pop()] == SLOT_SERVED

    def publish(self, channel: bytes, message: bytes, sharded: bool) -> None:
        self._publishing.publish(channel, message, sharded)

    def data_flushed(self) -> None:
        self.migrations.data_flushed()

    def data_replaced(self) -> None:
        self.migrations.data_replaced()

    def info(self) -> dict[str, Any]:
        return {"cluster_enabled": 1}

    def figures(self) -> Iterable[Figure]:
        return figures(self, self._worker)

    @property
    def node_id(self) -> str:
        return self.coordinator.myself.id

    def knows(self, node_id: str) -> bool:
        return node_id in self.coordinator.topology.nodes

    @property
    def is_voting_primary(self) -> bool:
        myself = self.coordinator.myself
        return myself.is_primary and bool(myself.slots)

    @property
    def slots(self) -> list[tuple[int, int]]:
        return list(ranges(self.coordinator.myself.slots))

    @property
    def may_feed_replicas(self) -> bool:
        return self.coordinator.may_feed_replicas

    @property
    def replication_offset(self) -> int:
        """Bytes of the replication stream this worker produced or processed."""
        return self._facts.replication_offset()

    # --- turns of the coordinator

    def _now(self) -> int:
        """The coordinator's clock; the worker's own, which its data go by, is read at the same time."""
        self._worker.engine.tick()
        if self._is_late:
            self._is_late = False
            self.perform(self.coordinator.lapsed(steady_ms()))
        return steady_ms()

    def turn(self, action: Turn) -> None:
        """Let the coordinator do something, `action(coordinator, now)`, and carry out what it wants done.
        `now` is of the steady clock, in all the coordinator is told.

        Raises what the action raises, and SaveFailed.
        """
        self.settle()
        self.perform(action(self.coordinator, self._now()))

    def command(self, action: Turn) -> None:
        """As `turn`, for a command of a client. What it changes is saved before its reply leaves, and
        messages to the others leave after that: once for all commands that a client sent together.
        """
        self._perform_for_client(action(self.coordinator, self._now()))

    def answer(self, action: Callable[[Coordinator, int], tuple[T, list[Effect]]]) -> T:
        """As `command`, for an action that also has a result."""
        result, effects = action(self.coordinator, self._now())
        self._perform_for_client(effects)
        return result

    def save(self) -> None:
        """Write nodes.conf now: CLUSTER SAVECONFIG. Raises SaveFailed, after which the worker goes on,
        because nothing rests on this save.
        """
        for effect in self.coordinator.save_config(steady_ms()):
            if isinstance(effect, fx.SaveConfig):
                try:
                    self._file.write(effect.text, sync=effect.sync)
                except OSError as error:
                    raise SaveFailed(error) from error
            else:
                self.perform([effect])

    def react(self, action: Turn) -> None:
        """A turn that nobody waits for: after SaveFailed there is nobody to tell, it is in the log."""
        with contextlib.suppress(SaveFailed):
            self.turn(action)

    def link_up(self, link: LinkId) -> None:
        self.react(lambda coordinator, now: coordinator.link_up(link, now))

    def link_down(self, link: LinkId) -> None:
        self.react(lambda coordinator, now: coordinator.link_down(link, now))

    def header(self) -> Header:
        return self.coordinator.header()

    def _secrets_changed(self) -> None:
        self.links.greet()

    def bytes_received(self, link: LinkId) -> None:
        self.coordinator.bytes_received(link, steady_ms())

    def received(self, message: Message | LightPublish, link: LinkInfo) -> None:
        self.react(lambda coordinator, now: coordinator.step(message, link, now))

    def serve_meanwhile(self) -> None:
        self._meanwhile.serve(self._settings.tick_period)

    def primary_lost(self) -> None:
        self.react(Coordinator.wake)

    def _wake_at(self, at: int) -> None:
        if self._alarm is not None:
            self._alarm.cancel()  # it is never set to an earlier time
        delay = max(0, at - steady_ms()) / 1000
        self._alarm = asyncio.get_running_loop().call_later(delay, self.react, Coordinator.wake)

    def _stood_still(self) -> None:
        """The core noticed that the time of our lease was over before it was renewed. The coordinator must
        hear that before anything else."""
        self._is_late = True
        asyncio.get_running_loop().call_soon(self._now)

    def _take_lease(self, lease: fx.Lease) -> None:
        engine = self._worker.engine
        if lease.until is None:
            engine.leased_until = FOREVER
            if engine.outbox.lapsed:
                self._worker.replication.synchrony.give_up("another has, or may have, our place")
        elif lease.renewed or not engine.outbox.lapsed:  # else it has noticed what the coordinator will hear
            engine.leased_until = lease.until
            if engine.outbox.lapsed:
                engine.outbox.renew()

    def _tick(self) -> None:
        loop, period = asyncio.get_running_loop(), self._settings.tick_period / 1000
        if self._timer is not None and loop.time() - self._timer.when() > period:
            self.links.read_now()  # we were busy: hear first what the others have said, before judging them
        self._timer = loop.call_later(period, self._tick)
        self.react(Coordinator.tick)
        self.migrations.tick()

    def _settings_changed(self, _value: Any) -> None:
        update_settings(self._settings, self._worker.config, self._bus_port)
        self.react(Coordinator.settings_changed)

    def _send_limit_changed(self, limit: int) -> None:
        self.links.send_limit = limit or SEND_LIMIT

    # --- effects

    def _perform_for_client(self, effects: list[Effect]) -> None:
        for effect in effects:
            if isinstance(effect, fx.SaveConfig | fx.Send):
                self._due.append(effect)
            else:
                self.perform([effect])
        if self._due:
            self._worker.engine.call_before_replies(self.settle)

    def settle(self) -> None:
        """Save what commands changed, in its last state; then let their messages go. Raises SaveFailed."""
        due, self._due = self._due, []
        saves = [effect for effect in due if isinstance(effect, fx.SaveConfig)]
        if saves:
            self._save(fx.SaveConfig(saves[-1].text, sync=any(save.sync for save in saves)))
        self.perform([effect for effect in due if isinstance(effect, fx.Send)])

    def perform(self, effects: list[Effect]) -> None:
        """Carry out effects in order; in the middle of a long command, those that do not touch its ground."""
        effects = self._meanwhile.sift(effects)
        if any(isinstance(effect, fx.SlotsChanged) for effect in effects):
            self.migrations.slots_changed()  # before the keys of slots that have left are deleted
        if any(isinstance(effect, fx.DeleteKeys) for effect in effects):
            effects = self._save_after_departures(effects)
        for effect in effects:
            match effect:
                case fx.Send():
                    self.links.send(effect.links, effect.message)
                case fx.Log():
                    getattr(self._worker.log, effect.level)(effect.text)
                case fx.SaveConfig():
                    self._save(effect)
                case fx.Connect():
                    self._publishing.meet_others()
                    source = self._worker.config.bind_source_addr or None
                    self.links.connect(effect.link, effect.ip, effect.bus_port, source)
                case fx.Disconnect():
                    self.links.disconnect(effect.link)
                case fx.SlotsChanged():
                    self._serve_slots(effect.slots)
                    self._worker.pubsub.lose_slots(self._is_of_our_shard)
                case fx.ClusterStateChanged():
                    self._serve_slots(ALL_SLOTS)
                case fx.Deliver():
                    pubsub = self._worker.pubsub
                    deliver = pubsub.publish_shard if effect.sharded else pubsub.publish
                    deliver(effect.channel, effect.message)
                case fx.Wake():
                    self._wake_at(effect.at)
                case fx.Lapse():
                    self._worker.engine.outbox.lapse()
                case fx.Lease():
                    self._take_lease(effect)
                case _:
                    self._perform_on_data(effect)

    def _save_after_departures(self, effects: list[Effect]) -> list[Effect]:
        """Put the saving off until the keys of lost slots are deleted, in the log, too; returns the other
        effects.

        Who dies in between starts with the slots as they were, is told anew that they are lost, and deletes
        the keys again. With the loss on disk it would take them for keys that an operator has to look at. It
        is a claim of another node that is saved here, never a vote of ours.
        """
        if any(isinstance(effect, fx.SaveConfig) for effect in effects):
            self._put_saving_off()
        return [effect for effect in effects if not isinstance(effect, fx.SaveConfig)]

    def _put_saving_off(self) -> None:
        if not self._saves_after_departures:
            self._saves_after_departures = True
            self._worker.departures.when_done(self._save_now)

    def _save_now(self) -> None:
        self._saves_after_departures = False
        self.react(Coordinator.save_config)

    def _perform_on_data(self, effect: Effect) -> None:
        worker = self._worker
        match effect:
            case fx.BecomeReplicaOf():
                worker.departures.finish()
                self.migrations.demoted()
                worker.replication.follow(effect.ip, effect.port)
            case fx.LeavePrimary():
                worker.replication.leave_primary(effect.ms)
            case fx.BecomePrimary():
                worker.replication.promote()
                self.migrations.promoted("A failover occurred during slot import")
            case fx.DeleteKeys():
                worker.departures.leave(list(ranges(effect.slots)))
            case fx.EmptyDatabase():
                worker.replication.empty()
            case fx.PauseWrites():
                worker.departures.finish()  # the replica that takes over must have heard of it
                worker.replication.acknowledgements.ask_if_due()  # with writes paused the stream stands still
                until = worker.engine.tick() + effect.until - steady_ms()
                worker.pause.begin(PAUSE_REASON, until, writes_only=True)
                self.react(Coordinator.writes_paused)
            case fx.ResumeWrites():
                worker.pause.end(PAUSE_REASON)

    def _save(self, effect: fx.SaveConfig) -> None:
        """Write nodes.conf, or see to it that nothing leaves this node any more and end the worker.

        While keys of lost slots are being deleted, what others wait for makes short work of them; the rest
        waits for that (see `_save_after_departures`).
        """
        departures = self._worker.departures
        if departures.pending:
            if not effect.sync:
                self._put_saving_off()
                return
            departures.finish()
            self._worker.append_only.recorder.write_now()
        try:
            self._file.write(effect.text, sync=effect.sync)
        except OSError as error:
            self._worker.log.warning(f"Fatal: can't update cluster config file {self._file.path}: {error}")
            self.links.close()
            self._cancel_timer()
            stopping = self._worker.stopping
            assert stopping is not None
            if not stopping.done():
                stopping.set_result(1)
            raise SaveFailed(error) from error

    def _serve_slots(self, slots: int) -> None:
        """Bring the core's table in line with the cluster, for these slots."""
        served = redirection.served_slots(self.coordinator)
        changed = (served ^ self._served) & slots
        self._served ^= changed
        if changed & served:
            self._worker.departures.finish()  # some of them may be back
        states = self._worker.engine.slot_states
        for part, state in ((changed & served, SLOT_SERVED), (changed & ~served, SLOT_ASK)):
            for first, last in ranges(part):
                states[first : last + 1] = bytes([state]) * (last + 1 - first)
        if self._worker.config.cluster_slot_stats_enabled:
            slot_stats.forget_lost(self, self._worker.engine, changed & ~served)
        self._worker.blocking.redirect()

    def _is_of_our_shard(self, slot: int) -> bool:
        topology = self.coordinator.topology
        owner = topology.slots[slot]
        return owner is not None and owner.shard_id == topology.myself.shard_id
