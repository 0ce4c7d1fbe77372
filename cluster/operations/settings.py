"""One setting on all members."""

from __future__ import annotations

from typing import Any

from cluster.operations.link import OperationError
from cluster.operations.survey import Survey

SET = "set"
UNWRITTEN = "set, not written"


def set_everywhere(survey: Survey, name: str, value: str) -> dict[str, Any]:
    """CONFIG SET and REWRITE on every member that answers. Address -> SET, UNWRITTEN (there is no settings
    file, or it cannot be written), or {"error": text}."""
    outcome: dict[str, Any] = {}
    for view in survey.views:
        link = survey.link(view.observer.id)
        try:
            link.call("CONFIG", "SET", name, value)
        except OperationError as error:
            outcome[view.observer.address] = {"error": str(error)}
            continue
        try:
            link.call("CONFIG", "REWRITE")
            outcome[view.observer.address] = SET
        except OperationError:
            outcome[view.observer.address] = UNWRITTEN
    return outcome
