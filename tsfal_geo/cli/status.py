"""``tsfal-geo status``: rounds, budget and the next step of a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.command import ReportedCommand
from tsfal_geo.cli.options import workspace_option
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.figures import figure

if TYPE_CHECKING:
    from rich.table import Table


@click.command("status", cls=ReportedCommand)
@workspace_option
def command(workspace: Path, reporter: CommandReporter) -> dict[str, Any]:
    """Show a workspace's rounds, its budget and the next step."""
    from tsfal_geo.project.open_workspace import open_workspace

    status = open_workspace(workspace).status()
    if status.rounds:
        last = status.rounds[-1]
        budget = f"budget: {last['labelled_share']:.2%} labelled of {figure(last['budget'], '.2%')}"
        answers = _of(str(status.effort.answers), figure(status.answers_limit))
        minutes = _of(f"{status.effort.minutes:.1f}", figure(status.minutes_limit, "g"))
        effort = f"effort: {answers} answers, {minutes} minutes"
        reporter.output(_table(status.rounds), budget, effort)
    reporter.output(f"status: {status.status}; next: {status.next}")
    return status.to_json()


def _of(value: str, limit: str) -> str:
    return value if limit == figure(None) else f"{value} of {limit}"


def _table(rounds: tuple[dict[str, Any], ...]) -> Table:
    from rich.table import Table

    table = Table("round", "labelled", "answers", "minutes", "mIoU (val)", "queries", "query px", "seconds")
    for item in rounds:
        table.add_row(
            str(item["round"]),
            f"{item['labelled_share']:.2%}",
            figure(item["answers"]),
            figure(item["minutes"], ".1f"),
            figure(item.get("miou"), ".4f"),
            figure(item["queries"]),
            figure(item["query_pixels"], ","),
            figure((item["seconds"] or {}).get("total"), ".0f"),
        )
    return table
