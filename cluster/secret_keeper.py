"""The secrets of the cluster bus, from the settings: `cluster-secret`, or the lines of `cluster-secret-file`,
of which the first signs and all are accepted, so that a secret can be replaced while the cluster runs:

    1. a line with the new secret below the old one, in the file of every member; CONFIG SET
       cluster-secret-file to the same name lets it be read
    2. the same with the new line first
    3. the old line is taken out

They are written nowhere else: not into nodes.conf, not into the log.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from cluster.bus.sealing import SHORTEST_SECRET, Secrets
from node.config import Config
from node.listeners import ListenError

NAMES = ("cluster-secret", "cluster-secret-file", "cluster-secret-required")


class SecretKeeper:
    """`changed` is called when there may be a secret that was not there before. Raises ListenError for
    settings that cannot be used."""

    def __init__(self, config: Config, changed: Callable[[], None]) -> None:
        self.secrets = Secrets()
        self._config = config
        try:
            self._load()
        except ValueError as problem:
            raise ListenError(f"{problem}") from None

        def follow(_: Any) -> None:
            self._load()
            changed()

        for name in NAMES:
            config.on_change(name, follow)

    def _load(self) -> None:
        """Raises ValueError, and then has changed nothing."""
        config = self._config
        found = [config.cluster_secret.encode()] if config.cluster_secret else []
        if config.cluster_secret_file:
            found += self._lines(config.path(config.cluster_secret_file))
        if config.cluster_secret_required and not found:
            raise ValueError("cluster-secret-required needs cluster-secret or cluster-secret-file")
        if any(len(secret) < SHORTEST_SECRET for secret in found):
            raise ValueError(f"a secret of the cluster has at least {SHORTEST_SECRET} characters")
        self.secrets.use(found)
        self.secrets.required = config.cluster_secret_required

    @staticmethod
    def _lines(path: str) -> list[bytes]:
        try:
            with open(path, "rb") as file:
                lines = [line.strip() for line in file.read().splitlines()]
        except OSError as error:
            raise ValueError(f"cluster-secret-file cannot be read: {error.strerror}") from None
        if not any(lines):
            raise ValueError("cluster-secret-file is empty")
        return [line for line in lines if line]
