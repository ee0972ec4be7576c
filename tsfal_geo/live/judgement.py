"""Conclusions from labelled cells: the rule for doubtful ones, the confidence that settles, the accuracy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.instant.classifier import CellClassifier, HeldOut, LabelledCells
from tsfal_geo.live.statistics import ClassDistances

RIGHT = 0.95
"""Share of the held-out cells that must be right above the confidence that settles a query."""

_LEVELS = (0.8, 0.85, 0.9, 0.95, 0.98)
_ENOUGH = 30

Rule = Literal["head", "distance"]


@dataclass(frozen=True)
class Score:
    """Accuracy of the map, estimated on answers that the judged heads did not see.

    The answers were chosen by their doubt, not at random: the figure is lower than the map's accuracy where
    queries ask the doubtful places. `tsfal-geo assess` measures the map itself.

    Attributes:
        accuracy: share of the answers, 0 to 1, each weighed by the root of its cells.
        error: standard error of it over the answers.
        answers: number of answers.
        class_accuracy: of each class with an answer, by name, with its standard error.
    """

    accuracy: float
    error: float
    answers: int
    class_accuracy: dict[str, tuple[float, float]]

    def to_json(self) -> dict[str, Any]:
        """Return the values of the event ``score``."""
        return {
            "accuracy": round(self.accuracy, 4),
            "error": round(self.error, 4),
            "answers": self.answers,
            "class_accuracy": {
                name: {"accuracy": round(value, 4), "error": round(error, 4)}
                for name, (value, error) in self.class_accuracy.items()
            },
        }


@dataclass(frozen=True)
class Judgement:
    """Conclusions from the labelled cells about a fitted head and the class means.

    Attributes:
        rule: for cells in the error mask: the head's class, or the nearest class mean's.
        settled: confidence from which on the held-out cells are right by 95 %; None: no such level.
    """

    rule: Rule = "head"
    settled: float | None = None


def judge(
    classifier: CellClassifier, distances: ClassDistances | None, cells: LabelledCells, doubt: float
) -> Judgement:
    """Judge by cross-validation on the labelled cells.

    Args:
        classifier: the head, with the predictions of its cross-fitted likes.
        distances: to the class means; None without two classes.
        cells: that the head was fitted on.
        doubt: confidence below which a cell is in the error mask.
    """
    held = classifier.judged
    if held is None or len(held.classes) != len(cells):
        return Judgement()
    right = held.predicted == held.classes
    settled = next(
        (level for level in _LEVELS if _share(held, right, held.confidence >= level) >= RIGHT), None
    )
    if distances is None:
        return Judgement("head", settled)
    doubtful = held.confidence < doubt
    if len(np.unique(held.answers[doubtful])) < _ENOUGH:
        return Judgement("head", settled)
    nearest = distances.nearest_without(cells.features, cells.classes, cells.answers) == held.classes
    better = _share(held, nearest, doubtful) > _share(held, right, doubtful)
    return Judgement("distance" if better else "head", settled)


def score(held: HeldOut, names: tuple[str, ...]) -> Score:
    """Estimate the accuracy from held-out predictions.

    Args:
        held: predictions of the cross-fitted heads.
        names: of the classes.
    """
    right = (held.predicted == held.classes).astype(np.float64)
    numbers, own = np.unique(held.answers, return_inverse=True)
    weight = np.bincount(own, held.weights)
    value = np.bincount(own, held.weights * right) / weight
    classes = np.zeros(len(numbers), np.int64)
    classes[own] = held.classes
    whole = _mean(value, weight)
    by_class = {
        name: _mean(value[classes == index], weight[classes == index])
        for index, name in enumerate(names)
        if (classes == index).any()
    }
    return Score(*whole, len(numbers), by_class)


def _mean(value: NDArray[np.float64], weight: NDArray[np.float64]) -> tuple[float, float]:
    """Return a weighted mean and its standard error (of a ratio)."""
    mean = float((value * weight).sum() / weight.sum())
    if len(value) < 2:
        return mean, float("nan")
    residual = weight * (value - mean)
    return mean, float(np.sqrt((residual**2).sum() * len(value) / (len(value) - 1)) / weight.sum())


def _share(held: HeldOut, right: NDArray[np.bool_], chosen: NDArray[np.bool_]) -> float:
    weights = held.weights[chosen]
    return float((weights * right[chosen]).sum() / weights.sum()) if len(weights) else 0.0
