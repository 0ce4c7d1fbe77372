"""The contexts in use. New connections get new ones as soon as settings or files have changed; connections
that are there keep theirs.

Files are looked at every `tls-auto-reload-interval` seconds. What cannot be used, because only the half of it
has been replaced yet, or it is damaged, leaves everything as it was, with a line in the log.
"""

from __future__ import annotations

import ssl
import time
from typing import TYPE_CHECKING, Any

from node.listeners import ListenError
from node.tls.contexts import FILES, OTHERS, Contexts, TlsError, build, stamp

if TYPE_CHECKING:
    from node.config import Config
    from node.log import Log

REFUSED = "Unable to update TLS configuration. Check server logs."


class TlsKeeper:
    def __init__(self, config: Config, log: Log) -> None:
        self._config = config
        self._log = log
        self._contexts: Contexts | None = None
        self._stamp: tuple[Any, ...] = ()
        self._look_at = 0.0
        for name in (*FILES, *OTHERS):
            config.on_change(name, lambda _: self._set())

    def start(self) -> None:
        """Raises ListenError where TLS is asked for and cannot be had."""
        if self._is_wanted:
            try:
                self._load()
            except TlsError as error:
                raise ListenError(f"{error}\nFailed to configure TLS. Check logs for more info.") from None

    @property
    def for_clients(self) -> ssl.SSLContext:
        return self._in_use.clients

    @property
    def for_members(self) -> ssl.SSLContext | None:
        """What those need who connect to the cluster bus; None: they come plain."""
        return self._in_use.members if self._config.tls_cluster else None

    @property
    def to_members(self) -> ssl.SSLContext | None:
        """What we connect with to others' bus, and with MIGRATE; None: plain."""
        return self._in_use.outgoing if self._config.tls_cluster else None

    @property
    def to_primaries(self) -> ssl.SSLContext | None:
        """What we connect with to follow another, or to send it slots; None: plain."""
        return self._in_use.outgoing if self._config.tls_replication else None

    def look(self) -> None:
        """Whether files have changed. Called some times a second."""
        config, now = self._config, time.monotonic()
        interval = config.tls_auto_reload_interval
        if self._contexts is None or not interval or now < self._look_at:
            return
        self._look_at = now + interval
        seen = stamp(config)
        if seen == self._stamp:
            return
        try:
            self._load()
        except TlsError as error:
            self._stamp = seen  # not again before they change again
            self._log.warning(f"TLS files have changed, and cannot be used: {error}")
        else:
            self._log.notice("TLS files have changed, and were loaded.")

    @property
    def _in_use(self) -> Contexts:
        assert self._contexts is not None, "TLS is used without its contexts"
        return self._contexts

    @property
    def _is_wanted(self) -> bool:
        config = self._config
        return bool(config.tls_port or config.tls_replication or config.tls_cluster)

    def _set(self) -> None:
        """A setting has changed, or was set again. Raises ValueError."""
        if not self._is_wanted:
            return
        try:
            self._load()
        except TlsError as error:
            self._log.warning(str(error))
            raise ValueError(REFUSED) from None

    def _load(self) -> None:
        seen = stamp(self._config)
        self._contexts = build(self._config)
        self._stamp = seen
