"""``tsfal-geo status``: rounds, budget, and what is waited for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tsfal_geo.cli.options import json_option, workspace_option

if TYPE_CHECKING:
    from tsfal_geo.project.status import WorkspaceStatus


@click.command("status")
@workspace_option
@json_option
def command(workspace: Path, as_json: bool) -> None:
    """Show a workspace's rounds, its budget and what is waited for."""
    from tsfal_geo.project.open_workspace import open_workspace

    status = open_workspace(workspace).status()
    if as_json:
        click.echo(json.dumps({"event": "result", **status.to_json()}, ensure_ascii=False))
        return
    _print(status)


def _print(status: WorkspaceStatus) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("round", "labelled", "mIoU (val)", "queries", "query px", "seconds")
    for item in status.rounds:
        miou = item.get("miou")
        table.add_row(
            str(item["round"]),
            f"{item['labelled_share']:.2%}",
            "–" if miou is None else f"{miou:.4f}",
            str(item["queries"]),
            f"{item['query_pixels']:,}",
            f"{item['seconds']['total']:.0f}",
        )
    console = Console()
    if status.rounds:
        last = status.rounds[-1]
        console.print(table)
        console.print(
            f"budget: {last['labelled_share']:.2%} labelled of {last['budget']:.2%}", highlight=False
        )
    console.print(f"status: {status.status}; next: {status.next}", highlight=False, markup=False)
