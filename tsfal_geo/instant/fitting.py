"""The fit of the instant model's head: seconds from any number of labels, calibrated by cross-fitting."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from tsfal_geo.errors import Cancelled
from tsfal_geo.instant.classifier import CellClassifier, HeldOut, LabelledCells
from tsfal_geo.models.head import FEATURES

STEPS = 400
"""Steps of a fit."""
_FOLD_STEPS = 100
_BATCH = 512
_RATE = 3e-3
_DECAY = 5e-2
_NOISE = 0.3
_DROPOUT = 0.3
_MASKS = 4096
"""Masks of dropout that a fit draws from: to draw a new one for each row and step takes half of the time."""
_FOLDS = 3
_MOST = 60_000
_SURE = 0.8
"""Confidence above which a prediction on an unlabelled cell teaches."""
_DRAWN = 20_000
_NEVER = -1e4
"""Logit of a class without a label."""
_TEMPERATURES = np.geomspace(0.5, 4.0, 25)


def fit_classifier(
    cells: LabelledCells,
    classes: int,
    seed: int,
    unlabelled: NDArray[np.float32] | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> CellClassifier:
    """Fit the head, and calibrate it by cross-fitting over answers.

    The loss weighs classes by one over the root of their share. Noise on the components, dropout and weight
    decay keep a head of few labels smooth. The temperature makes the held-out cells most probable (Guo et al.
    2017, "On Calibration of Modern Neural Networks").

    With unlabelled cells the head is fitted twice (self-training; Lee 2013, "Pseudo-Label"): the second time
    on the labelled cells, and on the unlabelled ones with their predicted classes, which together weigh as
    much. A prediction weighs by how far its confidence is above 0.8.

    No global random state is read or changed, so that a fit in a background thread is the same.

    Args:
        cells: at least one.
        classes: C.
        seed: of the weights, the batches and the folds.
        unlabelled: (m, K) components of cells of the scenes; None: the head is fitted once.
        stop: looked at before each step.

    Raises:
        Cancelled: asked to stop.
    """
    rng = np.random.default_rng(seed)
    weights = cells.weights()
    if len(cells) > _MOST:
        kept = np.sort(rng.choice(len(cells), _MOST, replace=False))
        cells = LabelledCells(cells.features[kept], cells.classes[kept], cells.answers[kept])
        weights = weights[kept]
    sample = _Sample(
        torch.from_numpy(cells.features), torch.from_numpy(cells.classes), torch.from_numpy(weights)
    )
    pool = None if unlabelled is None else torch.from_numpy(unlabelled)
    temperature, judged = _calibrate(sample, pool, cells.answers, classes, rng, stop)
    return _fit_twice(sample, pool, classes, seed, STEPS, stop).calibrated(sample.y, temperature, judged)


def continue_fit(
    classifier: CellClassifier | None, cells: LabelledCells, classes: int, seed: int, newest: int, steps: int
) -> CellClassifier:
    """Fit a head a few steps further, so that new answers show at once; the next fit replaces it.

    Half of each batch are cells of the newest answers: an answer that people just gave must show on the map.

    Args:
        classifier: the head to go on from, which keeps its temperature; None: random weights.
        cells: all labelled cells, the newest last.
        classes: C.
        seed: of the batches.
        newest: number of cells at the end that are new.
        steps: of the optimiser.
    """
    sample = _Sample.of(cells, cells.weights())
    generator = torch.Generator().manual_seed(seed)
    start = None if classifier is None else _Net.of(classifier)
    net = _fit(sample, classes, generator, steps, start=start, newest=newest)
    if classifier is None:
        return net.calibrated(sample.y)
    return net.calibrated(sample.y, classifier.temperature, classifier.judged)


@dataclass(frozen=True)
class _Sample:
    """Cells to fit on: (n, K) components, (n,) class indices, (n,) float64 weights."""

    x: Tensor
    y: Tensor
    weights: Tensor

    @classmethod
    def of(cls, cells: LabelledCells, weights: NDArray[np.float64]) -> _Sample:
        return cls(
            torch.from_numpy(cells.features), torch.from_numpy(cells.classes), torch.from_numpy(weights)
        )

    def part(self, chosen: Tensor) -> _Sample:
        return _Sample(self.x[chosen], self.y[chosen], self.weights[chosen])


@dataclass(frozen=True)
class _Net:
    """Weights of the head before its temperature: W, b, V and c."""

    weights: tuple[Tensor, Tensor, Tensor, Tensor]

    @classmethod
    def of(cls, classifier: CellClassifier) -> _Net:
        t = classifier.temperature
        own = (
            classifier.hidden,
            classifier.hidden_bias,
            classifier.classifier * t,
            torch.where(classifier.classifier_bias > _NEVER / 2, classifier.classifier_bias * t, 0.0),
        )
        return cls(tuple(each.clone() for each in own))  # type: ignore[arg-type]

    @classmethod
    def random(cls, inputs: int, classes: int, generator: torch.Generator) -> _Net:
        """Draw weights as `torch.nn.Linear` does: uniform within one over the root of the inputs."""

        def draw(*shape: int, fan_in: int) -> Tensor:
            bound = fan_in**-0.5
            return torch.empty(shape).uniform_(-bound, bound, generator=generator)

        return cls(
            (
                draw(FEATURES, inputs, fan_in=inputs),
                draw(FEATURES, fan_in=inputs),
                draw(classes, FEATURES, fan_in=FEATURES),
                draw(classes, fan_in=FEATURES),
            )
        )

    def logits(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        hidden, hidden_bias, last, last_bias = self.weights
        f2 = torch.relu(F.linear(x, hidden, hidden_bias))
        return F.linear(f2 if mask is None else f2 * mask, last, last_bias)

    def calibrated(
        self, classes: Tensor, temperature: float = 1.0, judged: HeldOut | None = None
    ) -> CellClassifier:
        """Return the head; a class that none of the labels has is never predicted.

        Args:
            classes: (n,) class indices of the labels.
            temperature: divides the logits.
            judged: predictions of cross-fitted heads.
        """
        hidden, hidden_bias, last, last_bias = (each.detach() for each in self.weights)
        shift = torch.full_like(last_bias, _NEVER).index_fill_(0, torch.unique(classes), 0.0)
        return CellClassifier(
            hidden, hidden_bias, last / temperature, last_bias / temperature + shift, temperature, judged
        )


def _fit_twice(
    sample: _Sample, pool: Tensor | None, classes: int, seed: int, steps: int, stop: Callable[[], bool]
) -> _Net:
    generator = torch.Generator().manual_seed(seed)
    net = _fit(sample, classes, generator, steps, stop)
    if pool is None:
        return net
    with torch.no_grad():
        confidence, predicted = net.logits(pool).softmax(1).max(1)
    sure = confidence > _SURE
    if not sure.any():
        return net
    own = (confidence[sure] - _SURE).double()
    odds = torch.cat([sample.weights / sample.weights.sum(), own / own.sum()])
    drawn = torch.multinomial(odds, _DRAWN, replacement=True, generator=generator)
    x, y = torch.cat([sample.x, pool[sure]])[drawn], torch.cat([sample.y, predicted[sure]])[drawn]
    return _fit(_Sample(x, y, torch.ones(_DRAWN, dtype=torch.float64)), classes, generator, steps, stop)


def _fit(
    sample: _Sample,
    classes: int,
    generator: torch.Generator,
    steps: int,
    stop: Callable[[], bool] = lambda: False,
    *,
    start: _Net | None = None,
    newest: int = 0,
) -> _Net:
    x, y, w = sample.x, sample.y, _balanced(sample, classes)
    batch = min(_BATCH, len(x))
    net = start or _Net.random(x.shape[1], classes, generator)
    for each in net.weights:
        each.requires_grad_(True)
    drawn = min(_MASKS, steps * batch)
    masks = (torch.rand(drawn, FEATURES, generator=generator) >= _DROPOUT).float() / (1 - _DROPOUT)
    rate = _RATE / 3 if start else _RATE
    optimiser = torch.optim.AdamW(net.weights, rate, weight_decay=_DECAY, fused=True)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps)
    with torch.enable_grad():
        for _ in range(steps):
            if stop():
                raise Cancelled
            chosen = torch.randint(len(x), (batch,), generator=generator)
            if newest:
                chosen[::2] = len(x) - 1 - chosen[::2] % newest
            noise = _NOISE * torch.randn(batch, x.shape[1], generator=generator)
            mask = masks[torch.randint(drawn, (batch,), generator=generator)]
            logits = net.logits(x[chosen] + noise, mask)
            loss = (F.cross_entropy(logits, y[chosen], reduction="none") * w[chosen]).mean()
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimiser.step()
            schedule.step()
    for each in net.weights:
        each.requires_grad_(False)
    return net


def _balanced(sample: _Sample, classes: int) -> Tensor:
    """Return the cells' weights times one over the root of their class's share, (n,) float32."""
    counts = torch.zeros(classes, dtype=torch.float64).index_add_(0, sample.y, sample.weights.double())
    share = counts / counts.sum()
    by_class = torch.where(share > 0, share.clamp_min(1e-6) ** -0.5, 0.0)
    by_class = (by_class / (by_class * share).sum()).float()
    return sample.weights.float() * by_class[sample.y]


def _calibrate(
    sample: _Sample,
    pool: Tensor | None,
    answers: NDArray[np.int64],
    classes: int,
    rng: np.random.Generator,
    stop: Callable[[], bool],
) -> tuple[float, HeldOut | None]:
    """Return the temperature, and the predictions of cross-fitted heads."""
    numbers = np.unique(answers)
    if len(numbers) < 10 * _FOLDS:
        return 1.0, None
    fold_of = np.zeros(answers.max() + 1, np.int64)
    fold_of[rng.permutation(numbers)] = np.arange(len(numbers)) % _FOLDS
    fold = torch.from_numpy(fold_of[answers])
    logits = torch.zeros(len(sample.x), classes)
    for number in range(_FOLDS):
        out = fold == number
        net = _fit_twice(sample.part(~out), pool, classes, number, _FOLD_STEPS, stop)
        logits[out] = net.logits(sample.x[out])
    losses = [
        float((F.cross_entropy(logits / t, sample.y, reduction="none") * sample.weights).mean())
        for t in _TEMPERATURES
    ]
    temperature = float(_TEMPERATURES[int(np.argmin(losses))])
    confidence, predicted = (logits / temperature).softmax(1).max(1)
    judged = HeldOut(sample.y.numpy(), predicted.numpy(), confidence.numpy(), sample.weights.numpy(), answers)
    return temperature, judged
