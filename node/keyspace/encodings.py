"""The thresholds of compact encodings, kept in step with the settings.

The datatypes know no settings: they read `node.datatypes.limits`, one object for the process, whose fields
are directives. This is the one place that fills it.
"""

from __future__ import annotations

from collections.abc import Callable

from node.config import Config
from node.datatypes.limits import NAMES, limits


def follow(config: Config) -> None:
    """Take over the thresholds of `config`, now and whenever they change."""
    for name in NAMES:
        apply = _setter(name)
        apply(getattr(config, name))
        config.on_change(name, apply)


def _setter(name: str) -> Callable[[int], None]:
    def apply(value: int) -> None:
        limits.update(**{name: value})

    return apply
