"""``tsfal-geo status``: rounds, budget, and what is waited for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tsfal_geo.workspace.folder import WorkspaceFolder


def collect(workspace: WorkspaceFolder) -> dict[str, Any]:
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


def next_step(workspace: WorkspaceFolder, open_queries: int, interrupted: bool) -> str:
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
