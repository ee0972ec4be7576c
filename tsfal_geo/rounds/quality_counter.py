"""The worth of error masks and votes, counted over inspected chips whose truth is known."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.config import PlarConfig
from tsfal_geo.raster.chips import Chip
from tsfal_geo.raster.label_reader import LabelReader
from tsfal_geo.refinement.error_mask import emd_target
from tsfal_geo.refinement.quality import MaskCounts, VoteCounts
from tsfal_geo.refinement.refined_labels import RefinerOutput
from tsfal_geo.refinement.support import label_cells
from tsfal_geo.rounds.inspection import ChipBatch
from tsfal_geo.rounds.scored_chips import votes_of


class QualityCounter:
    """Counts precision and recall of error masks, precision and coverage of votes.

    Args:
        truth: the labels to compare with.
        config: says when a cell is pure and when a prediction is in doubt.
        threshold: of the decoder's error probability.
        classes: number of classes.
    """

    def __init__(self, truth: LabelReader, config: PlarConfig, threshold: float, classes: int) -> None:
        self._truth, self._config, self._threshold = truth, config, threshold
        self._classes = classes
        self._masks = {name: MaskCounts() for name in ("confidence", "emd", "either")}
        self._votes = VoteCounts.empty(classes)

    def add(self, batch: ChipBatch) -> None:
        """Count the chips of a batch.

        Args:
            batch: inspected with a refiner.
        """
        assert batch.refinement is not None
        for i, (chip, askable) in enumerate(zip(batch.chips, batch.askable, strict=True)):
            self.count(chip, i, batch.refinement, askable)

    def count(self, chip: Chip, i: int, refinement: RefinerOutput, askable: NDArray[np.bool_]) -> None:
        """Count one chip.

        Args:
            chip: the chip.
            i: its place in the batch.
            refinement: error masks and votes of the batch.
            askable: (H, W) bool, the pixels that count.
        """
        truth = np.where(askable, self._truth.read(chip.window), np.uint8(IGNORE))
        cells = label_cells(torch.from_numpy(truth), self._config.purity).to(refinement.mask.device)
        pseudo, conf = refinement.cells.pseudo[i], refinement.cells.conf[i]
        wrong, known = emd_target(pseudo, cells)
        doubtful = conf < self._config.confidence
        marked = torch.zeros_like(doubtful)
        if refinement.emd is not None:
            marked = refinement.emd[i, 0].sigmoid() > self._threshold
        for name, mask in (("confidence", doubtful), ("emd", marked), ("either", doubtful | marked)):
            self._masks[name] += MaskCounts.of(mask, wrong, known)
        self._votes += VoteCounts.of(
            votes_of(refinement.votes, i), pseudo, cells, refinement.mask[i], self._classes
        )

    def diagnostics(self) -> dict[str, Any]:
        """Return the figures as a round's ``metrics.json`` holds them."""
        masks = {
            name: {"precision": _number(counts.precision), "recall": _number(counts.recall)}
            for name, counts in self._masks.items()
        }
        return {"error_mask": masks, "votes": self._votes.to_dict()}


def _number(value: float) -> float | None:
    return None if value != value else value
