from typing import Any

class StreamHead:
    length: int
    last_id: int
    max_deleted: int
    entries_added: int
    groups: dict[bytes, Any]
