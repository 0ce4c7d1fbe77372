"""Messages of the bus that only those can write who know a secret (`cluster-secret`).

Every message carries a seal in the 30 bytes of its header that protocol version 1 leaves unused: Redis and
Valkey send zeros there and do not look. So members with a secret and real servers can be in one cluster, as
long as nobody insists (`cluster-secret-required no`); who insists takes nothing without a seal.

    seal     := "S1" counter (8 bytes) code (16) 0000
    code     := the first half of HMAC-SHA256(key, nonce of the reader + nonce of the writer + message),
                the message as it is sent, with the code itself zero
    key      := HMAC-SHA256(secret, "shoal cluster bus")
    greeting := a MODULE message, module id "shoalbus", with a nonce of 16 random bytes

Both ends of a connection greet with a nonce of their own as soon as it is there; a module that nobody has
loaded is passed over in silence by real servers, and the greeting proves nothing. With the nonces a seal
belongs to this connection and this direction of it, and the counter only grows: what was recorded can
neither be replayed nor sent to somebody else (a vote counts for one candidate), and is not taken twice.

Secrets can be replaced while the cluster runs: the first signs, all are accepted.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Sequence
from struct import Struct
from typing import Final

from cluster.bus import layout
from cluster.coordinator.messages import Header, MessageType, Module

SEAL: Final = Struct(">2sQ16s")
MARK: Final = b"S1"
AT: Final = next(offset for name, _, offset in layout.HEADER_FIELDS if name == "notused1")
CODE_BYTES: Final = 16
CODE_AT: Final = AT + SEAL.size - CODE_BYTES
NOTHING: Final = bytes(CODE_BYTES)
GREETER: Final = int.from_bytes(b"shoalbus", "big")
NONCE_BYTES: Final = 16
SHORTEST_SECRET: Final = 16


class Secrets:
    """Those of one member, shared by all its links."""

    def __init__(self) -> None:
        self.required = False
        self.refused = 0
        """Messages that were not taken."""
        self.unsealed = 0
        """Messages that were taken all the same."""
        self._keys: tuple[bytes, ...] = ()

    def __bool__(self) -> bool:
        return bool(self._keys)

    def use(self, secrets: Sequence[bytes]) -> None:
        self._keys = tuple(hmac.digest(secret, b"shoal cluster bus", "sha256") for secret in secrets)

    def code(self, bound: bytes, raw: bytes) -> bytes:
        return hmac.digest(self._keys[0], bound + raw, "sha256")[:CODE_BYTES]

    def accept(self, code: bytes, bound: bytes, raw: bytes) -> bool:
        fits = [
            hmac.compare_digest(hmac.digest(key, bound + raw, "sha256")[:CODE_BYTES], code)
            for key in self._keys
        ]
        return any(fits)


class Sealing:
    """What one connection needs: both nonces, and how far both directions have counted."""

    def __init__(self, secrets: Secrets) -> None:
        self.has_greeted = False
        self._secrets = secrets
        self._ours = os.urandom(NONCE_BYTES)
        self._theirs = b""
        self._sent = 0
        self._heard = 0

    @property
    def knows_reader(self) -> bool:
        """Whether the other side has greeted."""
        return bool(self._theirs)

    @property
    def may_speak(self) -> bool:
        """Whether what we send now would be taken by one who insists."""
        return not self._secrets or self.knows_reader

    @property
    def stamps(self) -> bool:
        """Whether messages get a seal: we have a secret, and know for whom they are."""
        return bool(self._secrets and self._theirs)

    def greeting(self, header: Header) -> Module:
        self.has_greeted = True
        return Module(header, GREETER, 1, self._ours)

    def stamp(self, raw: bytes) -> bytes:
        """The encoded message, with its seal where it gets one."""
        if not self.stamps:
            return raw
        self._sent += 1
        prepared = raw[:AT] + SEAL.pack(MARK, self._sent, NOTHING) + raw[AT + SEAL.size :]
        code = self._secrets.code(self._theirs + self._ours, prepared)
        return prepared[:CODE_AT] + code + prepared[CODE_AT + CODE_BYTES :]

    def admits(self, raw: bytes) -> bool:
        """Whether to take a message that has arrived. A greeting is taken here, and by nobody else."""
        nonce = _nonce_in(raw)
        if nonce is not None:
            if not self._theirs and nonce != self._ours:  # who has our own only echoes
                self._theirs = nonce
            return False
        secrets = self._secrets
        if not secrets or self._is_sealed(raw):
            return True
        if secrets.required:
            secrets.refused += 1
            return False
        secrets.unsealed += 1
        return True

    def _is_sealed(self, raw: bytes) -> bool:
        if len(raw) < layout.HEADER.size or not self._theirs:
            return False
        mark, count, code = SEAL.unpack_from(raw, AT)
        if mark != MARK or count <= self._heard:
            return False
        open_ = raw[:CODE_AT] + NOTHING + raw[CODE_AT + CODE_BYTES :]
        if not self._secrets.accept(code, self._ours + self._theirs, open_):
            return False
        self._heard = count
        return True


def _nonce_in(raw: bytes) -> bytes | None:
    """Of a greeting; None if the message is something else."""
    version, kind = layout.TYPE.unpack_from(raw, layout.TYPE_OFFSET)
    at = layout.HEADER.size
    if version != layout.VERSION or kind != MessageType.MODULE:
        return None
    if len(raw) != at + layout.MODULE.size + NONCE_BYTES:
        return None
    module_id, length, module_type = layout.MODULE.unpack_from(raw, at)
    if (module_id, length, module_type) != (GREETER, NONCE_BYTES, 1):
        return None
    return raw[at + layout.MODULE.size :]
