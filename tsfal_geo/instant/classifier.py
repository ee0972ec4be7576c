"""The head of the instant model: a hidden layer on cells, fitted in seconds from any number of labels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from tsfal_geo.models.head import FEATURES

STEPS = 400
"""Steps of a fit."""
_FOLD_STEPS = 100
_BATCH = 512
_RATE = 3e-3
_DECAY = 5e-2
_NOISE = 0.3
_DROPOUT = 0.3
_FOLDS = 3
_MOST = 60_000
_SURE = 0.8
"""Confidence above which a prediction on an unlabelled cell teaches."""
_DRAWN = 20_000
_TEMPERATURES = np.geomspace(0.5, 4.0, 25)


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
class CellClassifier:
    """A fitted head: softmax(V ReLU(W x + b) + c) / T on a cell's components x.

    Attributes:
        hidden: (256, K) float32 W.
        hidden_bias: (256,) float32 b.
        classifier: (C, 256) float32 V / T.
        classifier_bias: (C,) float32 c / T.
        held_out: accuracy on cells of answers that a cross-fitted head did not see, 0 to 1; NaN where there
            were too few answers.
    """

    hidden: Tensor
    hidden_bias: Tensor
    classifier: Tensor
    classifier_bias: Tensor
    held_out: float

    def probabilities(self, cells: NDArray[np.floating]) -> NDArray[np.float32]:
        """Compute class probabilities.

        Args:
            cells: (..., K) components.

        Returns:
            (..., C) float32; NaN where a cell is.
        """
        x = torch.from_numpy(np.asarray(cells, np.float32))
        f2 = torch.relu(x @ self.hidden.T + self.hidden_bias)
        found: NDArray[np.float32] = (f2 @ self.classifier.T + self.classifier_bias).softmax(-1).numpy()
        return found


def fit_classifier(
    cells: LabelledCells, classes: int, seed: int, unlabelled: NDArray[np.float32] | None = None
) -> CellClassifier:
    """Fit the head, and calibrate it by cross-fitting over answers.

    The loss weighs classes by one over the root of their share. Noise on the components, dropout and weight
    decay keep a head of few labels smooth. The temperature makes the held-out cells most probable (Guo et al.
    2017, "On Calibration of Modern Neural Networks").

    With unlabelled cells the head is fitted twice (self-training; Lee 2013, "Pseudo-Label"): the second time
    on the labelled cells, and on the unlabelled ones with their predicted classes, which together weigh as
    much. A prediction weighs by how far its confidence is above 0.8.

    Args:
        cells: at least one.
        classes: C.
        seed: of the weights, the batches and the folds.
        unlabelled: (m, K) components of cells of the scenes; None: the head is fitted once.
    """
    rng = np.random.default_rng(seed)
    weights = cells.weights()
    if len(cells) > _MOST:
        kept = np.sort(rng.choice(len(cells), _MOST, replace=False))
        cells = LabelledCells(cells.features[kept], cells.classes[kept], cells.answers[kept])
        weights = weights[kept]
    x, y, w = torch.from_numpy(cells.features), torch.from_numpy(cells.classes), torch.from_numpy(weights)
    pool = None if unlabelled is None else torch.from_numpy(unlabelled)
    temperature, held_out = _calibrate(x, y, w, pool, cells.answers, classes, rng)
    net = _fit_twice(x, y, w, pool, classes, seed, STEPS)
    first, last = net[0], net[3]
    assert isinstance(first, nn.Linear)
    assert isinstance(last, nn.Linear)
    return CellClassifier(
        first.weight.detach(),
        first.bias.detach(),
        last.weight.detach() / temperature,
        last.bias.detach() / temperature,
        held_out,
    )


def _fit_twice(
    x: Tensor, y: Tensor, weights: Tensor, pool: Tensor | None, classes: int, seed: int, steps: int
) -> nn.Sequential:
    net = _fit(x, y, weights, classes, seed, steps)
    if pool is None:
        return net
    with torch.no_grad():
        confidence, predicted = net(pool).softmax(1).max(1)
    sure = confidence > _SURE
    if not sure.any():
        return net
    own = (confidence[sure] - _SURE).double()
    odds = torch.cat([weights / weights.sum(), own / own.sum()])
    drawn = torch.multinomial(odds, _DRAWN, replacement=True, generator=torch.Generator().manual_seed(seed))
    x, y = torch.cat([x, pool[sure]])[drawn], torch.cat([y, predicted[sure]])[drawn]
    return _fit(x, y, torch.ones(_DRAWN, dtype=torch.float64), classes, seed, steps)


def _fit(x: Tensor, y: Tensor, weights: Tensor, classes: int, seed: int, steps: int) -> nn.Sequential:
    counts = torch.zeros(classes, dtype=torch.float64).index_add_(0, y, weights.double())
    share = counts / counts.sum()
    by_class = torch.where(share > 0, share.clamp_min(1e-6) ** -0.5, 0.0)
    by_class = (by_class / (by_class * share).sum()).float()
    w = weights.float() * by_class[y]
    batch = min(_BATCH, len(x))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        net = nn.Sequential(
            nn.Linear(x.shape[1], FEATURES), nn.ReLU(), nn.Dropout(_DROPOUT), nn.Linear(FEATURES, classes)
        )
        optimiser = torch.optim.AdamW(net.parameters(), _RATE, weight_decay=_DECAY)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, _RATE, total_steps=steps)
        for _ in range(steps):
            chosen = torch.randint(len(x), (batch,))
            logits = net(x[chosen] + _NOISE * torch.randn(batch, x.shape[1]))
            loss = (F.cross_entropy(logits, y[chosen], reduction="none") * w[chosen]).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    return net.eval()


@torch.no_grad()
def _calibrate(
    x: Tensor,
    y: Tensor,
    weights: Tensor,
    pool: Tensor | None,
    answers: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
) -> tuple[float, float]:
    """Return the temperature, and the weighted accuracy of cross-fitted heads."""
    numbers = np.unique(answers)
    if len(numbers) < 10 * _FOLDS:
        return 1.0, float("nan")
    fold_of = np.zeros(answers.max() + 1, np.int64)
    fold_of[rng.permutation(numbers)] = np.arange(len(numbers)) % _FOLDS
    fold = torch.from_numpy(fold_of[answers])
    logits = torch.zeros(len(x), classes)
    for number in range(_FOLDS):
        out = fold == number
        with torch.enable_grad():
            net = _fit_twice(x[~out], y[~out], weights[~out], pool, classes, number, _FOLD_STEPS)
        logits[out] = net(x[out])
    losses = [
        float((F.cross_entropy(logits / t, y, reduction="none") * weights).mean()) for t in _TEMPERATURES
    ]
    right = (logits.argmax(1) == y).double()
    return float(_TEMPERATURES[int(np.argmin(losses))]), float((right * weights).sum() / weights.sum())
