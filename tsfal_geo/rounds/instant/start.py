"""A training that starts from the instant model, and the choice of the network that makes the map.

Weights that were fine-tuned from one start can be averaged: between start and teacher the mean of the weights
is often better than both (Wortsman et al. 2022, "Robust fine-tuning of zero-shot models").
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor, nn

from tsfal_geo.assess.metrics import Confusion, Scores
from tsfal_geo.classes import IGNORE
from tsfal_geo.data.dataset import OrthoDataset
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.inference.compute import choose_compute
from tsfal_geo.inference.network import make_predict_fn
from tsfal_geo.inference.outputs import PROBABILITIES
from tsfal_geo.instant.blocks import blocks
from tsfal_geo.instant.extract import read_block
from tsfal_geo.instant.fitting import fit_classifier
from tsfal_geo.instant.network import put_into
from tsfal_geo.models.ema import EmaTeacher
from tsfal_geo.models.head import upsample
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.raster.chips import Window
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.raster.reader import SceneReader
from tsfal_geo.refinement.support import CELL
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.instant.cells import labelled_cells
from tsfal_geo.rounds.instant.model import SceneCells, read_cells
from tsfal_geo.rounds.pools import Pools, RoundLabels
from tsfal_geo.training.module import SegmentationModule

INSTANT, MEAN = "instant", "mean"
"""Names of the instant model and of the mean of its weights and the teacher's, in the metrics."""

_JUDGED_PIXELS = 1_500_000

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class InstantStart:
    """Networks with heads that were fitted to a round's labels.

    Attributes:
        cells: of the scenes.
        heads: weights of a network a learner; heads of different seeds.
        whole: weights of a network whose head also learnt the held-out chips.
    """

    cells: SceneCells
    heads: tuple[Weights, ...]
    whole: Weights


def fit_start(
    context: RoundContext, number: int, labels: RoundLabels, pools: Pools, learners: int
) -> InstantStart:
    """Fit heads to a round's labels.

    Args:
        context: the workspace.
        number: of the round.
        labels: of the round.
        pools: the chips by their part in training; held-out ones teach no learner.
        learners: number of networks that the training begins with.
    """
    chips, classes = context.inputs.chips, len(context.inputs.classes)
    cells = read_cells(context, number)
    held_out = [chips[position].window for position in pools.held_out]
    seed = context.config.train.seed + number

    def fitted(without: list[Window], offset: int) -> Weights:
        own = labelled_cells(context, cells.cache, labels.every, without)
        classifier = fit_classifier(own, classes, seed + offset, cells.sample)
        assert cells.cache.basis is not None
        put_into(cells.segmenter, cells.cache.basis, classifier)
        return copy.deepcopy(cells.segmenter.state_dict())

    heads = tuple(fitted(held_out, offset) for offset in range(learners))
    return InstantStart(cells, heads, fitted([], 0) if held_out else heads[0])


def begin_from(module: SegmentationModule, start: InstantStart) -> None:
    """Give the networks of a training the weights of a start; teachers follow their first learner.

    Args:
        module: changed in place.
        start: has weights for each learner.
    """
    for network, weights in zip(module.learners().values(), start.heads, strict=True):
        network.load_state_dict(weights)
    for evaluated in module.evaluated().values():
        if isinstance(evaluated, EmaTeacher):
            evaluated.model.load_state_dict(start.heads[0])


def choose_network(
    context: RoundContext, labels: RoundLabels, pools: Pools, module: SegmentationModule, start: InstantStart
) -> dict[str, Any]:
    """Let the best of instant model, trained networks and mean make the map.

    Validation scenes decide, or without them the held-out chips. The module's predictor takes the weights of
    the best; the instant model where nothing is better.

    Args:
        context: the workspace.
        labels: of the round.
        pools: the chips by their part in training.
        module: after its training; its predictor is changed in place.
        start: that the training began with, or could have.

    Returns:
        ``network``, the name of the best, and ``network_miou``, the mIoU of each, 0 to 1; with validation
        scenes also ``miou`` and ``class_iou`` of the best. Empty where nothing can decide.
    """
    judge = _Judge(context, labels, pools)
    if not judge.windows:
        return {}
    network = copy.deepcopy(start.cells.segmenter)
    candidates: dict[str, Weights] = {INSTANT: start.heads[0]}
    for name, trained in module.evaluated().items():
        own: nn.Module = trained.model if isinstance(trained, EmaTeacher) else trained
        candidates[name] = copy.deepcopy(own.state_dict())
    candidates[MEAN] = mean_weights(start.heads[0], copy.deepcopy(module.predictor.state_dict()))
    scores = {}
    some = _spread(judge.windows)
    for name, weights in candidates.items():
        network.load_state_dict(weights)
        scores[name] = judge.scores(network, some).miou or 0.0
    best = max(scores, key=lambda name: scores[name])
    module.predictor.load_state_dict(start.whole if best == INSTANT else candidates[best])
    found: dict[str, Any] = {"network": best, "network_miou": scores}
    if context.validation is not None:
        every = judge.scores(module.predictor, judge.windows)
        found |= {"miou": every.miou, "class_iou": every.class_iou}
    return found


def mean_weights(first: Weights, second: Weights) -> Weights:
    """Average the weights of two networks of one structure; integers are the second's.

    Args:
        first: weights by name.
        second: weights by name.
    """
    return {
        name: (first[name].to(value) + value) / 2 if value.is_floating_point() else value
        for name, value in second.items()
    }


class _Judge:
    """Computes the mIoU of networks on windows that they did not learn."""

    def __init__(self, context: RoundContext, labels: RoundLabels, pools: Pools) -> None:
        self._names = context.inputs.classes.names
        self._normaliser = Normaliser(context.inputs.normalisation)
        self._reader: SceneReader = context.inputs.reader
        self._labels: LabelReader = labels.every
        if context.validation is not None:
            self._reader, self._labels = context.validation.reader, context.validation.labels
            self.windows = [w for i, scene in enumerate(self._reader.scenes) for w in blocks(i, *scene.shape)]
        else:
            self.windows = [context.inputs.chips[position].window for position in pools.held_out]
        self._dataset = OrthoDataset(self._reader)

    def scores(self, segmenter: Segmenter, windows: Sequence[Window]) -> Scores:
        """Compare a network, which stays as it is, with the labels of some windows."""
        predict = make_predict_fn(copy.deepcopy(segmenter), self._normaliser, choose_compute())
        confusion = Confusion(len(self._names))
        for window in windows:
            block = read_block(self._dataset, window, segmenter.encoder.multiple)
            coarse = predict(block.batch)[PROBABILITIES].float().cpu()
            fine = upsample(coarse, CELL, (coarse.shape[-2] * CELL, coarse.shape[-1] * CELL))[0].argmax(0)
            own = fine[block.y : block.y + window.height, block.x : block.x + window.width]
            valid = block.batch["valid"][
                0, block.y : block.y + window.height, block.x : block.x + window.width
            ]
            truth = np.where(valid.numpy(), self._labels.read(window), np.uint8(IGNORE))
            confusion.add(truth, own.numpy().astype(np.uint8))
        return confusion.scores(self._names)


def _spread(windows: Sequence[Window]) -> list[Window]:
    """Choose windows all over the scenes, of about a million pixels together."""
    pixels = sum(window.height * window.width for window in windows)
    step = max(1.0, pixels / _JUDGED_PIXELS)
    places = np.unique(np.arange(0, len(windows), step).astype(int))
    return [windows[place] for place in places.tolist()]
