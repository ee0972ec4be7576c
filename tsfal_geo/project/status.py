"""The state of a workspace: its rounds, its budget, the queries that wait."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from tsfal_geo.figures import figure
from tsfal_geo.labels.effort import Effort, measure_effort
from tsfal_geo.workspace.folder import WorkspaceFolder
from tsfal_geo.workspace.next_step import limiting_option, next_step


@dataclass(frozen=True)
class WorkspaceStatus:
    """The state of a workspace.

    Attributes:
        workspace: the folder.
        status: ``new``, ``training``, ``waiting`` (for labels) or ``done``.
        round: last complete round; -1 before the first is done.
        rounds: the values of each complete round's ``metrics.json``.
        open_queries: number of the last round's queries without an answer.
        effort: of annotators until now.
        answers_limit: annotators' answers at the end; None: no limit.
        minutes_limit: of annotators' time at the end; None: no limit.
        interrupted: whether a round has begun and is not complete.
        next: what the user does next, with the command.
    """

    workspace: Path
    status: str
    round: int
    rounds: tuple[dict[str, Any], ...]
    open_queries: int
    effort: Effort
    answers_limit: int | None
    minutes_limit: float | None
    interrupted: bool
    next: str

    def to_json(self) -> dict[str, Any]:
        """Return the values that ``tsfal-geo status --json`` prints."""
        return {
            "workspace": str(self.workspace),
            "status": self.status,
            "round": self.round,
            "rounds": list(self.rounds),
            "open_queries": self.open_queries,
            **self.effort.to_json(),
            "answers_limit": self.answers_limit,
            "minutes_limit": self.minutes_limit,
            "interrupted": self.interrupted,
            "next": self.next,
        }

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{item['round']}</td><td>{item['labelled_share']:.2%}</td>"
            f"<td>{figure(item.get('miou'), '.4f')}</td><td>{figure(item['queries'])}</td>"
            f"<td>{figure(item['answers'])}</td><td>{figure(item['minutes'], '.1f')}</td></tr>"
            for item in self.rounds
        )
        names = ("round", "labelled", "mIoU", "queries", "answers", "minutes")
        head = f"<tr>{''.join(f'<th>{name}</th>' for name in names)}</tr>"
        return f"<table>{head}{rows}</table><p>{escape(self.status)}; next: {escape(self.next)}</p>"


def read_status(workspace: WorkspaceFolder) -> WorkspaceStatus:
    """Read the state of a workspace.

    Args:
        workspace: the folder.

    Raises:
        WorkspaceError: a round's ``metrics.json`` is missing or damaged.
    """
    number = workspace.current_round
    rounds = tuple(workspace.metrics(n) for n in range(number + 1))
    interrupted = workspace.in_progress(number + 1)
    store, active = workspace.store(), workspace.config.active
    snapshot = store.snapshot()
    open_queries = len(store.open_queries(number, snapshot)) if rounds else 0
    return WorkspaceStatus(
        workspace=workspace.root,
        status=workspace.state.status,
        round=number,
        rounds=rounds,
        open_queries=open_queries,
        effort=measure_effort(snapshot, store.scenes),
        answers_limit=active.answers,
        minutes_limit=active.minutes,
        interrupted=interrupted,
        next=next_step(
            workspace.root,
            round_number=number,
            status=workspace.state.status,
            queries=rounds[-1]["queries"] or 0 if rounds else 0,
            open_queries=open_queries,
            labelled_share=rounds[-1]["labelled_share"] if rounds else 0.0,
            interrupted=interrupted,
            limit=limiting_option(active),
        ),
    )
