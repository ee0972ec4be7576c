"""Accuracy from one confusion matrix of all pixels, filled block by block."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE, confusion_matrix
from tsfal_geo.plots import plot_confusion

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from rich.table import Table


@dataclass(frozen=True)
class ClassScore:
    """The scores of one class; None where the class occurs neither in the truth nor in the prediction.

    Attributes:
        name: the class's name.
        iou: TP / (TP + FP + FN).
        precision: TP / (TP + FP), the user's accuracy; None where the class was never predicted.
        recall: TP / (TP + FN), the producer's accuracy; None where the truth holds none.
        f1: 2 TP / (2 TP + FP + FN).
        truth: pixels of the class in the truth.
        predicted: pixels predicted as the class.
    """

    name: str
    iou: float | None
    precision: float | None
    recall: float | None
    f1: float | None
    truth: int
    predicted: int


@dataclass(frozen=True)
class Scores:
    """The scores of a map against its truth.

    Attributes:
        classes: one entry a class, in the class map's order.
        miou: mean IoU over the classes that occur in truth or prediction; None without any pixel.
        accuracy: share of the pixels whose class is right; None without any pixel.
        pixels: pixels that were compared.
        matrix: (C, C) pixel counts, rows the truth, columns the prediction; see `confusion`.
        scenes: names of the scenes that were compared.
    """

    classes: tuple[ClassScore, ...]
    miou: float | None
    accuracy: float | None
    pixels: int
    matrix: tuple[tuple[int, ...], ...]
    scenes: tuple[str, ...] = ()

    @property
    def class_iou(self) -> dict[str, float | None]:
        """IoU of each class, by name; None where the class does not occur."""
        return {score.name: score.iou for score in self.classes}

    @property
    def confusion(self) -> NDArray[np.int64]:
        """The matrix as an array (C, C)."""
        return np.array(self.matrix, np.int64)

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the confusion matrix in shares of its rows.

        Args:
            ax: axes of Matplotlib to draw on; None: new ones.

        Returns:
            The axes.
        """
        return plot_confusion(self.confusion, tuple(score.name for score in self.classes), ax)

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><td>{escape(score.name)}</td><td>{_percent(score.iou)}</td></tr>" for score in self.classes
        )
        head = f"<caption>mIoU {_percent(self.miou)} %</caption><tr><th>class</th><th>IoU</th></tr>"
        return f"<table>{head}{rows}</table>"

    def to_json(self) -> dict[str, Any]:
        """Give the values for JSON: ``miou``, ``accuracy``, ``pixels``, ``classes`` and ``confusion``."""
        return {
            "miou": self.miou,
            "accuracy": self.accuracy,
            "pixels": self.pixels,
            "classes": [vars(score) for score in self.classes],
            "confusion": [list(row) for row in self.matrix],
        }

    def table(self) -> Table:
        """Make a table of the scores in percent, a class a row, mean IoU and overall accuracy last."""
        from rich.table import Table

        table = Table("class", *(_right(name) for name in ("IoU", "precision", "recall", "F1", "pixels")))
        for score in self.classes:
            cells = (_percent(v) for v in (score.iou, score.precision, score.recall, score.f1))
            table.add_row(score.name, *cells, f"{score.truth:,}")
        table.add_section()
        table.add_row("mean IoU", _percent(self.miou), "", "", "", f"{self.pixels:,}")
        table.add_row("overall accuracy", _percent(self.accuracy))
        return table

    def confusion_table(self) -> Table:
        """Make a table of the confusion matrix in percent of its rows, with the truth in rows."""
        from rich.table import Table

        table = Table("truth \\ predicted", *(_right(score.name) for score in self.classes))
        for score, row in zip(self.classes, self.matrix, strict=True):
            shares = (_percent(count / score.truth if score.truth else None) for count in row)
            table.add_row(score.name, *shares)
        return table


class Confusion:
    """A confusion matrix that grows block by block.

    Attributes:
        classes: number of classes C.
        matrix: (C, C) int64 pixel counts, rows the truth, columns the prediction.
    """

    def __init__(self, classes: int) -> None:
        """Start with no pixel.

        Args:
            classes: number of classes C.
        """
        self.classes = classes
        self.matrix: NDArray[np.int64] = np.zeros((classes, classes), np.int64)

    def add(self, truth: NDArray[np.uint8], predicted: NDArray[np.uint8]) -> None:
        """Count the pixels that have both a truth and a prediction.

        Args:
            truth: uint8 class indices of any shape, 255 where the truth is unknown.
            predicted: uint8 class indices of the same shape, 255 where nodata.

        Raises:
            ValueError: the shapes differ, or an index is neither a class nor 255.
        """
        if truth.shape != predicted.shape:
            raise ValueError(f"the prediction is {predicted.shape}, expected {truth.shape} as the truth")
        kept = (truth != IGNORE) & (predicted != IGNORE)
        rows, columns = truth[kept], predicted[kept]
        if rows.size and max(int(rows.max()), int(columns.max())) >= self.classes:
            raise ValueError(f"class index {max(rows.max(), columns.max())}, expected below {self.classes}")
        self.matrix += confusion_matrix(rows, columns, self.classes)

    def scores(self, names: Sequence[str]) -> Scores:
        """Compute the scores of all pixels so far.

        Args:
            names: names of the classes, in the order of class indices.
        """
        hits, truth, predicted = np.diag(self.matrix), self.matrix.sum(1), self.matrix.sum(0)
        classes = tuple(
            ClassScore(
                name=name,
                iou=_ratio(hit, rows + columns - hit),
                precision=_ratio(hit, columns),
                recall=_ratio(hit, rows),
                f1=_ratio(2 * hit, rows + columns),
                truth=int(rows),
                predicted=int(columns),
            )
            for name, hit, rows, columns in zip(names, hits, truth, predicted, strict=True)
        )
        ious = [score.iou for score in classes if score.iou is not None]
        pixels = int(self.matrix.sum())
        return Scores(
            classes=classes,
            miou=sum(ious) / len(ious) if ious else None,
            accuracy=_ratio(hits.sum(), pixels),
            pixels=pixels,
            matrix=tuple(tuple(int(count) for count in row) for row in self.matrix),
        )


def _ratio(part: int | np.integer, total: int | np.integer) -> float | None:
    return float(part) / float(total) if total else None


def _percent(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.2f}"


def _right(name: str) -> Any:
    from rich.table import Column

    return Column(name, justify="right")
