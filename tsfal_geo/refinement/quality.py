"""What the votes are worth, measured against the truth (simulations only: nobody has it otherwise)."""

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
    """Confusion counts on cells of the error mask whose truth is known; they add up over images.

    Rows are the truth, columns what is said, (C, C) int64 each.

    Attributes:
        before: pseudo-labels, all cells of the mask.
        pseudo_voted: pseudo-labels, cells with a vote.
        voted: refined labels, cells with a vote.
    """

    before: NDArray[np.int64]
    pseudo_voted: NDArray[np.int64]
    voted: NDArray[np.int64]

    @classmethod
    def empty(cls, classes: int) -> VoteCounts:
        """Nothing counted yet."""
        zero = np.zeros((classes, classes), np.int64)
        return cls(zero, zero, zero)

    @classmethod
    def of(cls, result: PlarResult, pseudo: Tensor, truth: Tensor, mask: Tensor, classes: int) -> VoteCounts:
        """Count one image or batch; all of one shape, ``truth`` uint8 cells with 255 unknown."""
        known = mask & (truth != IGNORE) & (pseudo != IGNORE)
        voted = known & (result.refined != IGNORE)
        return cls(
            _confusion(truth[known], pseudo[known], classes),
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
        """Figures for a round's metrics; lists are per class, None where a class has no cell.

        ``precision``: correct among votes (per class: by the class voted for); ``precision_before``: of the
        pseudo-labels at the same cells; ``coverage``: share of the mask with a vote (per class: by truth);
        ``accuracy_before`` and ``accuracy_after``: of the whole mask, votes written over pseudo-labels.
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


def _ratio(part: np.int64, whole: np.int64) -> float | None:
    return float(part / whole) if whole else None


def _ratios(parts: NDArray[np.int64], wholes: NDArray[np.int64]) -> list[float | None]:
    return [_ratio(part, whole) for part, whole in zip(parts, wholes, strict=True)]


@dataclass(frozen=True)
class MaskCounts:
    """How well a mask finds errors, as pixel counts that add up over images."""

    hits: int = 0
    false_alarms: int = 0
    misses: int = 0

    @classmethod
    def of(cls, mask: Tensor, wrong: Tensor, valid: Tensor) -> MaskCounts:
        """Count over valid pixels; all bool of one shape, ``wrong`` as of ``emd_target``."""
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
        """Share of flagged pixels that are wrong; nan if none is flagged."""
        flagged = self.hits + self.false_alarms
        return self.hits / flagged if flagged else float("nan")

    @property
    def recall(self) -> float:
        """Share of wrong pixels that are flagged; nan if none is wrong."""
        wrong = self.hits + self.misses
        return self.hits / wrong if wrong else float("nan")
