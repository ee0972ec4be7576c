"""The page that compares the rounds, and how it writes their figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qgis.PyQt.QtCore import pyqtSignal
from qgis.PyQt.QtWidgets import QTableWidget, QTableWidgetItem

from ..compat import tr
from ..store.workspace import Workspace
from .curve import Curve
from .pages import Page
from .widgets import push_button


class ComparePage(Page):
    """The rounds side by side: a person's work, the mIoU and the IoU of each class, with their change."""

    round_chosen = pyqtSignal(int)

    def __init__(self) -> None:
        super().__init__()
        self.table = _table(
            "rounds",
            (tr("round"), tr("labelled"), tr("mIoU"), tr("queries"), tr("answers"), tr("minutes")),
        )
        self.classes = _table("class_scores", (tr("class"), tr("IoU"), tr("change")))
        self.earlier = push_button(tr("Show the previous round"), "show_earlier")
        self.earlier.setCheckable(True)
        self.earlier.toggled.connect(self._toggle)
        self.curve = Curve()
        self.add(self.table, self.curve, self.classes, self.earlier)
        self._round = -1

    def show_rounds(self, workspace: Workspace) -> None:
        """Show the metrics of every round.

        Args:
            workspace: the workspace.
        """
        self._round = workspace.round
        self.earlier.blockSignals(True)
        self.earlier.setChecked(False)
        self.earlier.blockSignals(False)
        self.earlier.setEnabled(workspace.round > 0)
        _fill(
            self.table,
            [
                (
                    str(item.get("round")),
                    format_percent(item.get("labelled_share")),
                    format_score(item.get("miou")),
                    str(item.get("queries")),
                    _number(item.get("answers"), 0),
                    _number(item.get("minutes"), 1),
                )
                for item in workspace.metrics
            ],
        )
        scores = [item.get("class_iou") or {} for item in workspace.metrics[-2:]] or [{}]
        before = scores[0] if len(scores) > 1 else {}
        _fill(
            self.classes,
            [(name, format_score(iou), _change(before.get(name), iou)) for name, iou in scores[-1].items()],
        )
        self.classes.setVisible(bool(scores[-1]))
        self.curve.show_values(*miou_curve(workspace))

    def _toggle(self, earlier: bool) -> None:
        self.round_chosen.emit(self._round - 1 if earlier else self._round)


def format_percent(share: Any) -> str:
    """Write a share as a percentage.

    Args:
        share: a number from 0 to 1, or None.

    Returns:
        The text; a dash for None.
    """
    return "–" if share is None else f"{100 * float(share):.1f} %"


def format_score(score: Any) -> str:
    """Write a score with three decimals.

    Args:
        score: a number from 0 to 1, or None.

    Returns:
        The text; a dash for None.
    """
    return "–" if score is None else f"{float(score):.3f}"


def miou_curve(workspace: Workspace) -> tuple[list[float], list[float], str]:
    """List the mIoU of the rounds over a person's work.

    Args:
        workspace: the workspace.

    Returns:
        For each round that has an mIoU: the answers given before it, or its number where a round has not
        counted them; the mIoU; and the name of the former.
    """
    scored = [item for item in workspace.metrics if item.get("miou") is not None]
    answers = [item.get("answers") for item in scored]
    counted = all(each is not None for each in answers) and len(set(answers)) == len(answers)
    along = [float(each) for each in (answers if counted else [item.get("round") or 0 for item in scored])]
    return along, miou_history(workspace), tr("answers") if counted else tr("round")


def miou_history(workspace: Workspace) -> list[float]:
    """List the mIoU of the rounds.

    Args:
        workspace: the workspace.

    Returns:
        The mIoU of each round that has one, oldest first.
    """
    return [float(item["miou"]) for item in workspace.metrics if item.get("miou") is not None]


def _table(name: str, titles: Sequence[str]) -> QTableWidget:
    table = QTableWidget(0, len(titles))
    table.setObjectName(name)
    table.setHorizontalHeaderLabels(titles)
    table.setEditTriggers(QTableWidget.EditTrigger.NoEditTriggers)
    table.verticalHeader().hide()
    table.horizontalHeader().setStretchLastSection(True)
    return table


def _fill(table: QTableWidget, rows: Sequence[Sequence[str]]) -> None:
    table.setRowCount(len(rows))
    for row, texts in enumerate(rows):
        for column, text in enumerate(texts):
            table.setItem(row, column, QTableWidgetItem(text))
    table.resizeColumnsToContents()


def _number(value: Any, decimals: int) -> str:
    return "–" if value is None else f"{float(value):.{decimals}f}"


def _change(before: Any, now: Any) -> str:
    return "–" if before is None or now is None else f"{float(now) - float(before):+.3f}"
