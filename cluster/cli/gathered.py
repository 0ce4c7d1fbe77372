"""Options that several subcommands have in common stand once, and reach each of them as one value.

    @gathered("how", _how)      # def _how(dry_run: DryRun = False, yes: Yes = False) -> How
    def reshard(slots: Slots, how: How = How(), json: Json = False) -> None: ...

gives `reshard` the options of `_how` where `how` stands, and calls it with what `_how` makes of them. Typer
sees nothing of this: it reads signatures, and so they are all that is changed.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, get_type_hints

Subcommand = Callable[..., Any]


def gathered(parameter: str, gather: Callable[..., Any]) -> Callable[[Subcommand], Subcommand]:
    """A decorator that replaces `parameter` of a subcommand by the parameters of `gather`."""
    options = inspect.signature(gather).parameters
    option_hints = get_type_hints(gather, include_extras=True)

    def decorate(function: Subcommand) -> Subcommand:
        hints = get_type_hints(function, include_extras=True) | option_hints
        parameters: list[inspect.Parameter] = []
        for each in inspect.signature(function).parameters.values():
            parameters += options.values() if each.name == parameter else [each]

        def called(**given: Any) -> Any:
            gathered_value = gather(**{name: given.pop(name) for name in options})
            return function(**given, **{parameter: gathered_value})

        called.__name__ = function.__name__
        called.__doc__ = function.__doc__
        called.__module__ = function.__module__
        called.__annotations__ = {each.name: hints[each.name] for each in parameters}
        called.__signature__ = inspect.Signature(  # type: ignore[attr-defined]
            [
                each.replace(annotation=hints[each.name], kind=inspect.Parameter.KEYWORD_ONLY)
                for each in parameters
            ]
        )
        return called

    return decorate
