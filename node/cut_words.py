"""Words of a command as logs show them: long ones cut, with a note of how much is missing.

The core cuts them before it hands a request to a log, so that 100 MB are not copied for their first bytes.
The length is that of Redis' slowlog.h, so that tools show the same.
"""

from __future__ import annotations

from typing import Final

LONGEST: Final = 128
"""Bytes of a word that are shown."""


class CutWord(bytes):
    """The beginning of a word, and the note: on its way to a log, which is not to cut it again."""


def cut_word(beginning: bytes, length: int) -> CutWord:
    """The first LONGEST bytes of a word of `length`."""
    return CutWord(beginning + b"... (%d more bytes)" % (length - LONGEST))


def cut(word: bytes) -> bytes:
    """The word, cut if it is long."""
    if len(word) > LONGEST and not isinstance(word, CutWord):
        word = cut_word(word[:LONGEST], len(word))
    return bytes(word)
