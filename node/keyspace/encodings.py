"""The thresholds of compact encodings, kept in step with the settings.

The datatypes know no settings: they read `node.datatypes.limits`, one object for the process, whose fields
are directives. This is the one place that fills it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from node.config import Config
from node.datatypes.limits import limits


def follow(config: Config) -> None:
    """Take over the thresholds of `config`, now and whenever they change."""
    for field in fields(limits):
        apply = _setter(field.name)
        apply(getattr(config, field.name))
        config.on_change(field.name, apply)


def _setter(name: str) -> Callable[[int], None]:
    def apply(value: int) -> None:
        limits.update(**{name: value})

    return apply
