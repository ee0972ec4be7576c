"""``tsfal-geo queries``: list queries and assign them to annotators."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from tsfal_geo.cli.command import ReportedGroup
from tsfal_geo.cli.options import workspace_option
from tsfal_geo.cli.reporter import CommandReporter
from tsfal_geo.errors import LabelError

if TYPE_CHECKING:
    from tsfal_geo.labels.store import LabelStore

round_option = click.option("--round", "number", type=int, help="Number of the round; default: the last one.")


@click.group("queries", cls=ReportedGroup)
def command() -> None:
    """List queries and assign them to annotators."""


@command.command("list")
@workspace_option
@round_option
@click.option("--to", "author", help="List only queries that are assigned to this annotator.")
@click.option("--all", "answered", is_flag=True, help="List answered and skipped queries, too.")
def list_command(
    workspace: Path, number: int | None, author: str | None, answered: bool, reporter: CommandReporter
) -> dict[str, Any]:
    """List open queries by rank, with place, size, suggested class, reason and annotators."""
    from tsfal_geo.labels.report import query_rows

    store, number = _store(workspace, number)
    rows = query_rows(store, number, author=author, answered=answered)
    for row in rows:
        reporter.event({"event": "query", **row})
        reporter.output(_line(row))
    return {"round": number, "queries": len(rows)}


@command.command("assign")
@workspace_option
@round_option
@click.option("--to", "authors", multiple=True, required=True, help="Name of an annotator. Repeatable.")
@click.option(
    "--count", type=click.IntRange(1), help="Number of queries for each annotator; default: all open queries."
)
@click.option(
    "--overlap",
    type=float,
    default=0.0,
    help="Share of the queries that two annotators get, to measure their agreement.",
)
def assign_command(
    workspace: Path,
    number: int | None,
    authors: tuple[str, ...],
    count: int | None,
    overlap: float,
    reporter: CommandReporter,
) -> dict[str, Any]:
    """Assign each open query to one annotator, or to two for the share that --overlap gives."""
    store, number = _store(workspace, number)
    for author in authors:
        if not author.strip():
            raise LabelError("--to: the name is empty")
    new = store.assign_queries(number, authors, overlap, count)
    counts = {author: sum(author in assigned for assigned in new.values()) for author in authors}
    reporter.output(*(f"{author}: {number} queries" for author, number in counts.items()))
    return {"assigned": counts}


def _store(workspace: Path, number: int | None) -> tuple[LabelStore, int]:
    from tsfal_geo.workspace.folder import WorkspaceFolder

    opened = WorkspaceFolder.open(workspace)
    number = opened.current_round if number is None else number
    if number < 0:
        raise LabelError(f"{workspace}: no round has selected queries yet; run `tsfal-geo train` first")
    return opened.store(), number


def _line(row: dict[str, Any]) -> str:
    suggested = "no suggestion" if row["suggested"] is None else f"{row['suggested']}?"
    return (
        f"{row['rank']:>5}  {row['qid']}  {row['scene']} {row['chip']}  {row['pixels']} px  "
        f"{suggested}  {row['reason']}  {row['status']}  {', '.join(row['to']) or '-'}"
    )
