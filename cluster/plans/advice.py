"""The next step after a connection that could not be had."""

from __future__ import annotations

RUNNING = "is it running?"


def advice_on(reason: str) -> str:
    """`reason` is the bare cause, as of `Unreachable`."""
    if "not known" in reason or "no address" in reason:
        return "is the name right, and does this host resolve it?"
    if "certificate required" in reason:
        return "it wants a certificate of ours: --cert and --cert-key"
    if "certificate" in reason:
        return "--cacert names who is trusted, --sni whom the certificate names"
    if reason.startswith("TLS"):
        return "is this its TLS port? Does it want a certificate of ours (--cert, --cert-key)?"
    if "closed" in reason or "reset by peer" in reason:
        return f"{RUNNING} Does its port want --tls?"
    return RUNNING
