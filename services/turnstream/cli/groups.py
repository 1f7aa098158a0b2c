"""Groups of commands that say which one was meant."""

import difflib
from collections.abc import Mapping
from typing import Any

import click


class NearestGroup(click.Group):
    """Refuses an unknown command with the name nearest to it, or with those that there are.

    `absent` are commands of Rasa that are not here, each with what to do in its place.
    """

    def __init__(self, *args: Any, absent: Mapping[str, str] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._absent = absent or {}

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        names = self.list_commands(ctx)
        if args and args[0] not in names and not args[0].startswith("-") and not ctx.resilient_parsing:
            if args[0] in self._absent:
                ctx.fail(f"There is no command '{args[0]}' here. {self._absent[args[0]]}")
            close = difflib.get_close_matches(args[0], names, n=1)
            hint = f"Did you mean '{close[0]}'?" if close else f"There are: {', '.join(names)}."
            ctx.fail(f"No such command '{args[0]}'. {hint}")
        return super().resolve_command(ctx, args)
