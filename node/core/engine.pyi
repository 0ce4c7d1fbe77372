"""What Python sees of the engine (engine.pyx)."""

from collections.abc import Callable
from typing import Any

from node.core.fanout import Fanout
from node.core.key_traffic import KeyTraffic
from node.core.outbox import Outbox
from node.core.trail import Trail
from node.keyspace.events import Event

class Client:
    engine: Engine
    db: Any  # a Database; Any, because compiled methods take no keywords a checker would know
    gate: int
    resp: int
    suspended: bool
    closing: bool
    obeyed: bool
    replicated: bool
    link: Any
    executing: bool
    pushes: list[Any]
    queue_broken: bool
    watched: dict[tuple[int, bytes], bool]
    watch_broken: bool
    in_transaction: bool
    queue: list[tuple[Any, list[bytes]]]
    queued_count: int
    queued_bytes: int
    last_command: str
    def __init__(self, engine: Engine, *args: Any) -> None: ...
    @property
    def now(self) -> int: ...
    def execute(self, argv: list[bytes]) -> Any: ...
    def begin_transaction(self) -> None: ...
    def enqueue(self, command: Any, argv: list[bytes]) -> None: ...
    def end_transaction(self) -> None: ...
    def execute_queued(self, command: Any, argv: list[bytes]) -> Any: ...
    def keys_of(self, argv: list[bytes]) -> list[bytes]: ...
    def changed(self, key: bytes, event: Event, dirty: int = 1) -> None: ...
    def spelled(self, number: int = 0) -> bytes: ...
    def propagate(self, *argvs: list[bytes]) -> None: ...

class Engine:
    databases: list[Any]
    trail: Trail
    fanout: Fanout | None
    scripting: Any
    outbox: Outbox
    leased_until: int
    on_lapse: Callable[[], None] | None
    now: int
    dirty: int
    gate: int
    observed: bool
    on_bug: Callable[[str, Exception], None] | None
    on_error: Callable[[str], None] | None
    on_slow: Callable[[Any, Any, list[bytes], int], None] | None
    memory_ceiling: int
    on_pressure: Callable[[], None] | None
    slow_us: int
    large_request: int
    large_reply: int
    on_large: Callable[[Any, list[bytes], int, int], None] | None
    tracks_latency: bool
    bulk_length: int
    reads_processed: int
    writes_processed: int
    query_limit_disconnections: int
    followers: int
    bytes_received: int
    bytes_sent: int
    connections_received: int
    row_of: dict[str, int]
    def __init__(self, databases: int = 1) -> None: ...
    @property
    def slot_states(self) -> memoryview: ...
    def tick(self) -> int: ...
    def call(self, client: Client, name: str, argv: list[bytes], args: list[bytes]) -> Any: ...
    def observe(self, observer: Callable[[Any, bytes, Event], None]) -> None: ...
    def unobserve(self, observer: Callable[[Any, bytes, Event], None]) -> None: ...
    def call_before_replies(self, callback: Callable[[], None]) -> None: ...
    def call_after_command(self, callback: Callable[[], None]) -> None: ...
    def finish_command(self) -> None: ...
    def reject(self, name: str) -> None: ...
    def discount(self, name: str) -> None: ...
    traffic: KeyTraffic | None
