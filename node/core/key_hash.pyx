"""The hash of keys: SipHash with a secret of the process.

A new secret for each process, unless the data in its store was laid out by an older one.
"""

import os

from cpython.bytes cimport PyBytes_AS_STRING
from libc.string cimport memcpy


def set_hash_secret(bytes words not None) -> None:
    """Hash keys by these 16 bytes. No database may hold a key yet."""
    if len(words) != sizeof(secret):
        raise ValueError("the secret has 16 bytes")
    memcpy(&secret, PyBytes_AS_STRING(words), sizeof(secret))


set_hash_secret(os.urandom(sizeof(secret)))
