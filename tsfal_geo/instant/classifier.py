"""The head of the instant model, a hidden layer on cells, and the labelled cells that it is fitted on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

_CHUNK = 2048


@dataclass(frozen=True)
class LabelledCells:
    """Cells with a class.

    Attributes:
        features: (n, K) float32 components.
        classes: (n,) int64 class indices.
        answers: (n,) int64, number of the connected label that a cell belongs to.
    """

    features: NDArray[np.float32]
    classes: NDArray[np.int64]
    answers: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.classes)

    def weights(self) -> NDArray[np.float64]:
        """Weigh each cell by one over the root of the cells of its answer, on average 1.

        Cells of one answer resemble each other: an answer of a hundred cells tells more than one of a single
        cell, but not a hundred times as much.
        """
        count = np.bincount(self.answers)
        weights = count[self.answers] ** -0.5
        return np.asarray(weights / weights.mean())


@dataclass(frozen=True)
class HeldOut:
    """Predictions of heads that did not see the answers that they are judged by.

    Attributes:
        classes: (n,) int64 class indices that people gave.
        predicted: (n,) int64 class indices of the cross-fitted heads.
        confidence: (n,) float32, calibrated probability of the predicted class.
        weights: (n,) float64 of the cells.
        answers: (n,) int64, number of the answer that a cell belongs to.
    """

    classes: NDArray[np.int64]
    predicted: NDArray[np.int64]
    confidence: NDArray[np.float32]
    weights: NDArray[np.float64]
    answers: NDArray[np.int64]

    @property
    def accuracy(self) -> float:
        """Share of the weight on rightly predicted cells, 0 to 1."""
        return float((self.weights * (self.classes == self.predicted)).sum() / self.weights.sum())


@dataclass(frozen=True)
class CellClassifier:
    """A fitted head: softmax(V ReLU(W x + b) + c) / T on a cell's components x.

    Attributes:
        hidden: (256, K) float32 W.
        hidden_bias: (256,) float32 b.
        classifier: (C, 256) float32 V / T.
        classifier_bias: (C,) float32 c / T.
        temperature: T.
        judged: predictions of cross-fitted heads; None where there were too few answers.
    """

    hidden: Tensor
    hidden_bias: Tensor
    classifier: Tensor
    classifier_bias: Tensor
    temperature: float = 1.0
    judged: HeldOut | None = None

    def probabilities(self, cells: NDArray[np.floating]) -> NDArray[np.float32]:
        """Compute class probabilities.

        Args:
            cells: (..., K) components.

        Returns:
            (..., C) float32; NaN where a cell is.
        """
        x = torch.from_numpy(np.asarray(cells, np.float32)).reshape(-1, cells.shape[-1])
        found = torch.empty(len(x), len(self.classifier_bias))
        # The hidden layer of some thousand cells stays in the cache.
        for first in range(0, len(x), _CHUNK):
            f2 = F.linear(x[first : first + _CHUNK], self.hidden, self.hidden_bias).relu_()
            found[first : first + _CHUNK] = F.linear(f2, self.classifier, self.classifier_bias).softmax(1)
        shaped: NDArray[np.float32] = found.reshape(*cells.shape[:-1], -1).numpy()
        return shaped
