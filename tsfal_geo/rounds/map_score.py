"""The accuracy of the training scenes' own map, where an oracle knows the truth."""

from __future__ import annotations

import numpy as np

from tsfal_geo.assess.metrics import Confusion
from tsfal_geo.classes import IGNORE
from tsfal_geo.config import PlarConfig
from tsfal_geo.raster.chips import owned_part
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.rounds.inputs import Inputs
from tsfal_geo.rounds.label_overlay import supported_votes
from tsfal_geo.rounds.scored_chips import ScoredChip


class MapScore:
    """mIoU of the map that ``export`` would write of the training scenes: labels over votes over predictions.

    Whoever labels the very scenes that are to be mapped labels for this figure: the map shows the label
    wherever a query corrected an error, whatever the network predicts there.

    Args:
        inputs: of a run with an oracle.
        labels: of the round.
        plar: says how many labelled cells a chip's votes need.
    """

    def __init__(self, inputs: Inputs, labels: LabelReader, plar: PlarConfig) -> None:
        self._inputs, self._labels, self._plar = inputs, labels, plar
        self._confusion = Confusion(len(inputs.classes))

    def add(self, scored: ScoredChip) -> None:
        """Count the part of a chip that no other chip counts."""
        chip, predicted = scored.chip, scored.layers["prediction"]
        mapped, labels = predicted, self._labels.read(chip.window)
        if "refined" in scored.layers:
            votes = supported_votes(scored.layers["refined"], labels, self._plar)
            mapped = np.where(votes != IGNORE, votes, mapped)
        mapped = np.where(labels != IGNORE, labels, mapped)
        truth = np.where(predicted != IGNORE, self._inputs.truth.read(chip.window), np.uint8(IGNORE))
        scene = self._inputs.scenes[chip.scene]
        part = owned_part(chip, scene.height, scene.width)
        self._confusion.add(truth[part], mapped[part])

    @property
    def miou(self) -> float | None:
        """Mean IoU over the classes that occur, 0 to 1."""
        return self._confusion.scores(self._inputs.classes.names).miou
