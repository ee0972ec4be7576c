"""Commands that speak the protocol: ``hello`` first, one ``result`` or ``error`` last."""

from __future__ import annotations

from typing import Any

import click

from tsfal_geo.cli.reporter import CommandReporter

_JSON = "--json"


class ReportedCommand(click.Command):
    """A click command with ``--json`` whose function reports to a `CommandReporter`.

    The function takes the reporter as its argument ``reporter`` and returns the fields of the ``result``
    event. An exception ends the command with an ``error`` event. Wrong options do so, too, before the
    function is called.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        text = "Print one JSON object a line (docs/protocol.md); stop when stdin closes."
        self.params.append(click.Option([_JSON, "as_json"], is_flag=True, help=text))

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        """Parse the arguments; in JSON mode a mistake in them is an ``error`` event, too."""
        as_json = _JSON in args
        try:
            return super().make_context(info_name, args, parent, **extra)
        except click.ClickException:
            with CommandReporter(as_json):
                raise

    def invoke(self, ctx: click.Context) -> None:
        """Call the function between the first and the last event."""
        with CommandReporter(ctx.params.pop("as_json")) as reporter:
            ctx.params["reporter"] = reporter
            reporter.result(super().invoke(ctx))


class ReportedGroup(click.Group):
    """A group whose commands are `ReportedCommand`s."""

    command_class = ReportedCommand
