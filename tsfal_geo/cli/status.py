"""``tsfal-geo status``: rounds, budget and the next step of a workspace."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.command import ReportedCommand
from tsfal_geo.cli.options import workspace_option
from tsfal_geo.cli.reporter import CommandReporter

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
        budget = f"budget: {last['labelled_share']:.2%} labelled of {last['budget']:.2%}"
        reporter.output(_table(status.rounds), budget)
    reporter.output(f"status: {status.status}; next: {status.next}")
    return status.to_json()


def _table(rounds: tuple[dict[str, Any], ...]) -> Table:
    from rich.table import Table

    table = Table("round", "labelled", "mIoU (val)", "queries", "query px", "seconds")
    for item in rounds:
        miou = item.get("miou")
        table.add_row(
            str(item["round"]),
            f"{item['labelled_share']:.2%}",
            "–" if miou is None else f"{miou:.4f}",
            str(item["queries"]),
            f"{item['query_pixels']:,}",
            f"{item['seconds']['total']:.0f}",
        )
    return table
