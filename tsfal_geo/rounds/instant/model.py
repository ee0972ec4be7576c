"""The instant model of a round: features from the cache, and a head that fits in seconds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tsfal_geo.assess.metrics import Confusion
from tsfal_geo.classes import IGNORE
from tsfal_geo.instant.cells import CellCache
from tsfal_geo.instant.classifier import CellClassifier
from tsfal_geo.instant.fitting import STEPS, fit_classifier
from tsfal_geo.instant.network import put_into
from tsfal_geo.models.io import save_model
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.rounds.context import RoundContext
from tsfal_geo.rounds.instant.cells import (
    CachedCells,
    cache_key,
    fill_cells,
    labelled_cells,
    network_of,
    open_cells,
)
from tsfal_geo.rounds.instant.rasters import bands_of
from tsfal_geo.rounds.model_record import model_card
from tsfal_geo.rounds.pools import RoundLabels


@dataclass(frozen=True)
class InstantModel:
    """The instant model of a round.

    Attributes:
        segmenter: the network, with the fitted head in it.
        cache: the cells of the training scenes.
        sample: (m, K) float32, components of cells drawn from all training scenes.
        classifier: the head; None before the first label.
        labelled: (n, K) float32, components of the labelled cells; None before the first label.
    """

    segmenter: Segmenter
    cache: CellCache
    sample: NDArray[np.float32]
    classifier: CellClassifier | None
    labelled: NDArray[np.float32] | None = None


@dataclass(frozen=True)
class SceneCells(CachedCells):
    """The cells of a workspace's scenes, and the network that made them.

    Attributes:
        segmenter: the network whose encoder gives the features; its head is random.
    """

    segmenter: Segmenter


def read_cells(context: RoundContext, number: int) -> SceneCells:
    """Compute what is missing of the cells.

    Args:
        context: the workspace.
        number: of the round, which draws the sample.
    """
    segmenter = network_of(context)
    cached = open_cells(context, number, segmenter)
    return SceneCells(cached.cache, cached.sample, segmenter)


def fit_instant(
    context: RoundContext, number: int, labels: RoundLabels
) -> tuple[InstantModel, dict[str, Any]]:
    """Compute what is missing of the cells, fit the head on the labelled ones, and save the model.

    Args:
        context: the workspace.
        number: of the round.
        labels: of the round.

    Returns:
        The model, and its metrics; without labels neither a head nor metrics.

    Raises:
        LabelError: there are labels, but no cell has a class.
    """
    inputs, config = context.inputs, context.config
    scene_cells = read_cells(context, number)
    segmenter, cache, sample = scene_cells.segmenter, scene_cells.cache, scene_cells.sample
    if labels.spent == 0:
        return InstantModel(segmenter, cache, sample, None), {}
    cells = labelled_cells(context, cache, labels.every)
    classifier = fit_classifier(cells, len(inputs.classes), config.train.seed + number, sample)
    assert cache.basis is not None
    put_into(segmenter, cache.basis, classifier)
    model = InstantModel(segmenter, cache, sample, classifier, cells.features)
    held_out = None if classifier.judged is None else round(classifier.judged.accuracy, 4)
    metrics = {"steps": STEPS, "labelled_cells": len(cells), "held_out_accuracy": held_out}
    metrics |= validate(context, model)
    card = model_card(context, config.model, number, metrics)
    save_model(context.workspace.round_dir(number), segmenter, card)
    return model, metrics


def validate(context: RoundContext, model: InstantModel) -> dict[str, Any]:
    """Compute the mIoU on the validation scenes; their cells are cached as well.

    Args:
        context: the workspace.
        model: with a fitted head.

    Returns:
        ``miou``, None without validation scenes, and ``class_iou``.
    """
    validation, classes = context.validation, context.inputs.classes
    if validation is None:
        return {"miou": None}
    scenes = validation.reader.scenes
    folder = context.workspace.features / "validation"
    cache = CellCache(folder, cache_key(context), scenes, model.cache.basis)
    fill_cells(context, cache, model.segmenter, validation.reader, "reading features of the validation")
    confusion = Confusion(len(classes))
    for position, scene in enumerate(scenes):
        for band in bands_of(model.classifier, cache.scene(position), position, scene):
            assert band.pixels is not None
            valid = validation.reader.read(band.window).valid
            truth = np.where(valid, validation.labels.read(band.window), np.uint8(IGNORE))
            confusion.add(truth, band.pixels.argmax(0).astype(np.uint8))
    scores = confusion.scores(classes.names)
    return {"miou": scores.miou, "class_iou": scores.class_iou}
