"""``tsfal-geo status``: rounds, budget, and what is waited for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.options import json_option, workspace_option

if TYPE_CHECKING:
    from tsfal_geo.workspace.layout import Workspace


@click.command("status")
@workspace_option
@json_option
def command(workspace: Path, as_json: bool) -> None:
    """Show a workspace's rounds, its budget and what is waited for."""
    from tsfal_geo.workspace.layout import Workspace

    opened = Workspace.open(workspace)
    report = collect(opened)
    if as_json:
        click.echo(json.dumps({"event": "result", **report}, ensure_ascii=False))
        return
    _print(opened, report)


def collect(workspace: Workspace) -> dict[str, Any]:
    """Everything ``status`` shows, as JSON values.

    Raises:
        WorkspaceError: a round's ``metrics.json`` is missing or damaged.
    """
    rounds = [workspace.metrics(number) for number in range(workspace.current_round + 1)]
    # A round takes its labels in before anything else.
    interrupted = (workspace.round_dir(workspace.current_round + 1) / "taken.gpkg").is_file()
    open_queries = len(workspace.store().open_queries(workspace.current_round)) if rounds else 0
    return {
        "workspace": str(workspace.root),
        "status": workspace.state.status,
        "round": workspace.current_round,
        "rounds": rounds,
        "open_queries": open_queries,
        "interrupted": interrupted,
        "next": next_step(workspace, open_queries, interrupted),
    }


def next_step(workspace: Workspace, open_queries: int, interrupted: bool) -> str:
    """What the user does next, in a sentence with the command."""
    command = f"tsfal-geo train --workspace {workspace.root}"
    if interrupted or workspace.current_round < 0:
        return f"go on with training: {command}"
    if workspace.state.status == "waiting":
        if open_queries:
            folder = workspace.round_dir(workspace.current_round)
            return f"label the {open_queries} open queries of {folder / 'queries.gpkg'}, then: {command}"
        return f"no query is open; go on with training: {command}"
    return f"write the map: tsfal-geo export --workspace {workspace.root}"


def _print(workspace: Workspace, report: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("round", "labelled", "mIoU (val)", "queries", "asked px", "seconds")
    for item in report["rounds"]:
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
    if report["rounds"]:
        last = report["rounds"][-1]
        console.print(table)
        console.print(
            f"budget: {last['labelled_share']:.2%} labelled of {last['budget']:.2%}", highlight=False
        )
    console.print(f"status: {report['status']}; next: {report['next']}", highlight=False, markup=False)
