"""The bytes of published messages.

All that is published in a turn of the event loop leaves in one piece, and all of it says the same of its
sender. So the header, which is by far the most of a message, is put together once, and with it what stands in
front of each message is only copied.

Who announces that it reads the light header gets that, which says of the sender nothing at all: only the link
does. It has no room for a seal, so it is for links without one.
"""

from __future__ import annotations

from cluster.bus import layout
from cluster.bus.wire import encode
from cluster.coordinator import messages as m


def encode_each(message: m.Message | m.Published, *, sealed: bool = False) -> list[bytes]:
    """The messages that stand for `message` on the wire. Published ones must be within MAX_PUBLISHED; for
    others see `encode`."""
    if not isinstance(message, m.Published):
        return [encode(message)]
    if message.light and not sealed:
        header = layout.LIGHT_HEADER.pack(layout.SIGNATURE, 0, layout.VERSION, message.type | layout.LIGHT)
    else:
        kind = m.PublishShard if message.sharded else m.Publish
        header = encode(kind(message.header, b"", b""))[: layout.HEADER.size]
    rest = header[layout.START.size :]
    shortest = len(header) + layout.PUBLISH.size
    return [
        b"".join(
            (
                layout.START.pack(layout.SIGNATURE, shortest + len(channel) + len(text)),
                rest,
                layout.PUBLISH.pack(len(channel), len(text)),
                channel,
                text,
            )
        )
        for channel, text in message.messages
    ]
