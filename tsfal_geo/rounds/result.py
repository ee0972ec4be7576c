"""The outcome of a round."""

from __future__ import annotations

from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tsfal_geo.figures import figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class RoundResult:
    """The figures of a complete round.

    Attributes:
        workspace: the workspace's folder.
        number: of the round, from 0.
        status: ``waiting`` for labels, or ``done``: the budget is spent.
        labelled_share: share of the valid pixels that were labelled when the round began, 0 to 1.
        budget: share of the valid pixels that may be labelled in the end, 0 to 1; None where the round, of an
            earlier version, has no record of it, as for the figures below.
        queries: number of queries that the round selected.
        query_pixels: number of pixels in them.
        answers: number of answers that annotators had given when the round began.
        minutes: of a person's time for these answers.
        open_queries: number of queries that nobody has answered yet.
        miou: mean IoU on the validation scenes, 0 to 1; None without them.
        class_iou: IoU of each class on the validation scenes; empty without them.
        seconds: wall time of the round.
        metrics: everything that ``metrics.json`` holds of the round.
    """

    workspace: Path
    number: int
    status: str
    labelled_share: float
    budget: float | None
    queries: int | None
    query_pixels: int | None
    answers: int | None
    minutes: float | None
    open_queries: int
    miou: float | None
    class_iou: dict[str, float]
    seconds: float | None
    metrics: dict[str, Any] = field(repr=False)

    @classmethod
    def of(cls, workspace: Path, status: str, open_queries: int, metrics: dict[str, Any]) -> Self:
        """Read a result from a round's metrics.

        Args:
            workspace: the workspace's folder.
            status: of the workspace after the round.
            open_queries: number of queries without an answer.
            metrics: the values of ``metrics.json``.
        """
        return cls(
            workspace=workspace,
            number=metrics["round"],
            status=status,
            labelled_share=metrics["labelled_share"],
            budget=metrics["budget"],
            queries=metrics["queries"],
            query_pixels=metrics["query_pixels"],
            answers=metrics["answers"],
            minutes=metrics["minutes"],
            open_queries=open_queries,
            miou=metrics.get("miou"),
            class_iou=dict(metrics.get("class_iou") or {}),
            seconds=(metrics["seconds"] or {}).get("total"),
            metrics=metrics,
        )

    def to_json(self) -> dict[str, Any]:
        """Return the values that ``tsfal-geo train --json`` ends with."""
        return {
            "round": self.number,
            "status": self.status,
            "workspace": str(self.workspace),
            "labelled_share": self.labelled_share,
            "budget": self.budget,
            "queries": self.queries,
            "query_pixels": self.query_pixels,
            "answers": self.answers,
            "minutes": self.minutes,
            "miou": self.miou,
        }

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the IoU of each class on the validation scenes as bars.

        Args:
            ax: axes of Matplotlib to draw on; None: new ones.

        Returns:
            The axes.
        """
        if ax is None:
            from matplotlib.figure import Figure

            ax = Figure(figsize=(6, 3), layout="constrained").subplots()
        names = list(self.class_iou)
        ax.barh(names, [self.class_iou[name] for name in names])
        ax.set_xlim(0, 1)
        ax.set_xlabel("IoU")
        ax.invert_yaxis()
        miou = "without validation scenes" if self.miou is None else f"mIoU {self.miou:.3f}"
        ax.set_title(f"round {self.number}: {miou}")
        return ax

    def _repr_html_(self) -> str:
        rows = {
            "status": self.status,
            "labelled": f"{self.labelled_share:.2%} of {figure(self.budget, '.2%')}",
            "queries": f"{figure(self.queries)} ({self.open_queries} open)",
            "answers": figure(self.answers),
            "minutes": figure(self.minutes, ".1f"),
            "mIoU": figure(self.miou, ".4f"),
            "seconds": figure(self.seconds, ".0f"),
        }
        cells = "".join(f"<tr><th>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in rows.items())
        return f"<table><caption>Round {self.number}</caption>{cells}</table>"
