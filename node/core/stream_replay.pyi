"""What Python sees of stream_replay.pyx."""

from collections.abc import Callable

from node.core.engine import Client
from node.core.replay import Replay

class StreamReplay(Replay):
    all_by_hand: bool
    def __init__(
        self,
        client: Client,
        bulk_length: int,
        by_hand: Callable[[list[bytes], bytes], bool],
        on_error: Callable[[str, str], object],
    ) -> None: ...
    def stop(self) -> None: ...
