"""Quality of votes and error masks, counted against the truth where a simulation has it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tsfal_geo.classes import IGNORE, confusion_matrix
from tsfal_geo.refinement.plar import PlarResult


@dataclass(frozen=True)
class VoteCounts:
    """Confusion counts on the cells of error masks that have a true class; they add up over images.

    Rows are true classes, columns assigned ones, (C, C) int64 each.

    Attributes:
        before: pseudo-labels of all cells of the mask.
        pseudo_voted: pseudo-labels of cells with a vote.
        voted: refined labels of cells with a vote.
    """

    before: NDArray[np.int64]
    pseudo_voted: NDArray[np.int64]
    voted: NDArray[np.int64]

    @classmethod
    def empty(cls, classes: int) -> VoteCounts:
        """Return counts of zero.

        Args:
            classes: C.
        """
        zero = np.zeros((classes, classes), np.int64)
        return cls(zero, zero, zero)

    @classmethod
    def of(cls, result: PlarResult, pseudo: Tensor, truth: Tensor, mask: Tensor, classes: int) -> VoteCounts:
        """Count one image or batch.

        Args:
            result: PLAR's votes.
            pseudo: uint8 pseudo-labels, 255 outside the image; all arguments have one shape.
            truth: uint8 true classes, 255 where unknown.
            mask: bool, the error mask.
            classes: C.
        """
        counted = mask & (truth != IGNORE) & (pseudo != IGNORE)
        voted = counted & (result.refined != IGNORE)
        return cls(
            _confusion(truth[counted], pseudo[counted], classes),
            _confusion(truth[voted], pseudo[voted], classes),
            _confusion(truth[voted], result.refined[voted], classes),
        )

    def __add__(self, other: VoteCounts) -> VoteCounts:
        return VoteCounts(
            self.before + other.before,
            self.pseudo_voted + other.pseudo_voted,
            self.voted + other.voted,
        )

    def to_dict(self) -> dict[str, Any]:
        """Compute the figures of a round's metrics.

        Lists are per class, with None where a class has no cell.

        - ``precision``: correct share of the votes (per class: by assigned class).
        - ``precision_before``: correct share of the pseudo-labels of the same cells.
        - ``coverage``: share of the mask with a vote (per class: by true class).
        - ``accuracy_before``, ``accuracy_after``: correct share of all cells of the mask, before and after
          votes replace pseudo-labels.
        """
        after = self.before - self.pseudo_voted + self.voted
        voted, mask = self.voted.sum(1), self.before.sum(1)
        return {
            "cells": int(self.before.sum()),
            "precision": _overall(self.voted, self.voted.sum()),
            "precision_before": _overall(self.pseudo_voted, self.voted.sum()),
            "coverage": _ratio(voted.sum(), mask.sum()),
            "accuracy_before": _overall(self.before, mask.sum()),
            "accuracy_after": _overall(after, mask.sum()),
            "class_precision": _ratios(self.voted.diagonal(), self.voted.sum(0)),
            "class_precision_before": _ratios(self.pseudo_voted.diagonal(), self.pseudo_voted.sum(0)),
            "class_coverage": _ratios(voted, mask),
            "class_accuracy_before": _ratios(self.before.diagonal(), mask),
            "class_accuracy_after": _ratios(after.diagonal(), mask),
        }


def _confusion(truth: Tensor, predicted: Tensor, classes: int) -> NDArray[np.int64]:
    return confusion_matrix(truth.cpu().numpy(), predicted.cpu().numpy(), classes)


def _overall(confusion: NDArray[np.int64], total: np.int64) -> float | None:
    return _ratio(confusion.trace(), total)


def _ratio(part: np.int64, total: np.int64) -> float | None:
    return float(part / total) if total else None


def _ratios(parts: NDArray[np.int64], totals: NDArray[np.int64]) -> list[float | None]:
    return [_ratio(part, total) for part, total in zip(parts, totals, strict=True)]


@dataclass(frozen=True)
class MaskCounts:
    """Counts of cells or pixels by error mask and error; they add up over images.

    Attributes:
        hits: wrong and in the mask.
        false_alarms: right and in the mask.
        misses: wrong and not in the mask.
    """

    hits: int = 0
    false_alarms: int = 0
    misses: int = 0

    @classmethod
    def of(cls, mask: Tensor, wrong: Tensor, valid: Tensor) -> MaskCounts:
        """Count one image or batch.

        Args:
            mask: bool, the error mask; all arguments have one shape.
            wrong: bool, from ``emd_target``.
            valid: bool, the positions that count.
        """
        mask, wrong = mask & valid, wrong & valid
        hits, flagged, errors = (int(m.sum()) for m in (mask & wrong, mask, wrong))
        return cls(hits, flagged - hits, errors - hits)

    def __add__(self, other: MaskCounts) -> MaskCounts:
        return MaskCounts(
            self.hits + other.hits,
            self.false_alarms + other.false_alarms,
            self.misses + other.misses,
        )

    @property
    def precision(self) -> float:
        """Share of the mask that is wrong; NaN for an empty mask."""
        flagged = self.hits + self.false_alarms
        return self.hits / flagged if flagged else float("nan")

    @property
    def recall(self) -> float:
        """Share of the errors that are in the mask; NaN without errors."""
        wrong = self.hits + self.misses
        return self.hits / wrong if wrong else float("nan")
