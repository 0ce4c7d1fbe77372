"""What went wrong with a connection, in a few words: for logs and for people, without OpenSSL's source
lines.
"""

from __future__ import annotations

import ssl


def reason_of(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted: {error.verify_message}"
    if isinstance(error, ssl.SSLError):
        return f"TLS: {(error.reason or error.strerror or str(error)).replace('_', ' ').lower()}"
    return (error.strerror or str(error)).rstrip(".").lower() or type(error).__name__
