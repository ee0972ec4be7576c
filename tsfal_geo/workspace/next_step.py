"""The next step of a user, in a sentence with its command."""

from __future__ import annotations

from pathlib import Path

from tsfal_geo.config import ActiveConfig


def next_step(
    root: Path,
    *,
    round_number: int,
    status: str,
    queries: int,
    open_queries: int,
    labelled_share: float,
    interrupted: bool = False,
    limit: str = "--budget SHARE",
) -> str:
    """Say what the user does next.

    Args:
        root: the workspace's folder.
        round_number: the last complete round; -1 before the first is done.
        status: of the workspace: ``new``, ``training``, ``waiting`` or ``done``.
        queries: number of queries that the last round selected.
        open_queries: number of those without an answer.
        labelled_share: share of the valid pixels with a label, 0 to 1.
        interrupted: whether a round has begun and is not complete.
        limit: the option that allows more queries.

    Returns:
        A sentence without a capital and without a full stop, so that it fits after a colon or semicolon.
    """
    command = f"tsfal-geo train --workspace {root}"
    if interrupted or round_number < 0:
        return f"go on with training: {command}"
    if status == "waiting":
        if open_queries:
            path = root / "rounds" / f"{round_number:03d}" / "queries.gpkg"
            return f"{open_queries} queries wait for labels in {path}; label them, then run: {command}"
        answered = "every query is answered" if queries else "the round selected no queries"
        return f"{answered}; go on with training: {command}"
    step = f"write the map: tsfal-geo export --workspace {root}"
    if labelled_share >= 1:
        return step
    return f"{step}, or ask for more with: tsfal-geo query --workspace {root} {limit}"


def limiting_option(active: ActiveConfig) -> str:
    """Return the options that allow more queries: those of the limits that are in use.

    Args:
        active: the limits.
    """
    options = [
        text
        for text, value in (("--answers NUMBER", active.answers), ("--minutes MINUTES", active.minutes))
        if value is not None
    ]
    if active.budget is not None or not options:
        options.insert(0, "--budget SHARE")
    return " ".join(options)
