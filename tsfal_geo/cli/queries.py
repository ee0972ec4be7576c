"""``tsfal-geo queries``: look at what is asked, and hand it out."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tsfal_geo.cli.options import json_option, workspace_option
from tsfal_geo.errors import LabelError

if TYPE_CHECKING:
    from tsfal_geo.labels.store import LabelStore

round_option = click.option("--round", "number", type=int, help="Round; else the current one.")


@click.group("queries")
def command() -> None:
    """List queries and hand them out."""


@command.command("list")
@workspace_option
@round_option
@click.option("--to", "author", help="Only those handed out to this person.")
@click.option("--all", "everything", is_flag=True, help="Answered ones too.")
@json_option
def list_command(
    workspace: Path, number: int | None, author: str | None, everything: bool, as_json: bool
) -> None:
    """Open queries by rank: where, how large, why, and what the refinement suggests."""
    store, number = _store(workspace, number)
    snapshot, given = store.snapshot(), store.assignments(number)
    names = {info.id: info.name for info in store.classes.classes}
    decided = {item.qid: item.status for item in snapshot.decisions}
    for query in store.read_queries(number):
        status = decided.get(query.qid, "done" if query.qid in snapshot.answered else "open")
        people = given.get(query.qid, ())
        if (status != "open" and not everything) or (author is not None and author not in people):
            continue
        row = {
            "qid": query.qid,
            "rank": query.rank,
            "scene": query.scene,
            "chip": query.chip,
            "pixels": query.pixels,
            "score": query.score,
            "reason": query.reason,
            "suggested": names.get(query.suggested, str(query.suggested)),
            "status": status,
            "to": list(people),
        }
        click.echo(json.dumps({"event": "query", **row}, ensure_ascii=False) if as_json else _line(row))


@command.command("assign")
@workspace_option
@round_option
@click.option("--to", "authors", multiple=True, required=True, help="A person; once for each.")
@click.option("--count", type=click.IntRange(1), help="Queries for each person; else all open ones.")
@click.option("--overlap", type=float, default=0.0, help="Share that two people get, to measure agreement.")
@json_option
def assign_command(
    workspace: Path,
    number: int | None,
    authors: tuple[str, ...],
    count: int | None,
    overlap: float,
    as_json: bool,
) -> None:
    """Hand open queries out: nobody gets the same one, but for the share that --overlap asks for."""
    store, number = _store(workspace, number)
    for author in authors:
        if not author.strip():
            raise LabelError("--to: the name is empty")
    new = store.assign_queries(number, authors, overlap, count)
    held = {author: sum(author in people for people in new.values()) for author in authors}
    if as_json:
        click.echo(json.dumps({"event": "result", "assigned": held}, ensure_ascii=False))
        return
    for author, many in held.items():
        click.echo(f"{author}: {many} queries")


def _store(workspace: Path, number: int | None) -> tuple[LabelStore, int]:
    from tsfal_geo.workspace.folder import WorkspaceFolder

    opened = WorkspaceFolder.open(workspace)
    number = opened.current_round if number is None else number
    if number < 0:
        raise LabelError(f"{workspace}: no round has asked anything yet; run `tsfal-geo train` first")
    return opened.store(), number


def _line(row: dict[str, object]) -> str:
    people = ", ".join(row["to"]) if isinstance(row["to"], list) and row["to"] else "-"
    return (
        f"{row['rank']:>5}  {row['qid']}  {row['scene']} {row['chip']}  {row['pixels']} px  "
        f"{row['suggested']}?  {row['reason']}  {row['status']}  {people}"
    )
