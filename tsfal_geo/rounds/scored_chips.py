"""Inspected chips as query strategies score them and as a round's rasters show them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from tsfal_geo.classes import IGNORE
from tsfal_geo.queries.chip_outputs import ChipOutputs
from tsfal_geo.raster.chips import Chip
from tsfal_geo.refinement.error_mask import emd_pixels
from tsfal_geo.refinement.plar import PlarResult
from tsfal_geo.refinement.refined_labels import LabelSource
from tsfal_geo.refinement.refiner import ActiveRefiner
from tsfal_geo.refinement.support import pixels_by_cell
from tsfal_geo.rounds.inspection import ChipBatch


@dataclass(frozen=True)
class ScoredChip:
    """One inspected chip.

    Attributes:
        position: in ``Inputs.chips``.
        chip: the chip.
        outputs: what a strategy scores.
        askable: (H, W) bool, pixels that a query may hold.
        layers: (H, W) uint8 for each of the round's rasters.
    """

    position: int
    chip: Chip
    outputs: ChipOutputs
    askable: NDArray[np.bool_]
    layers: dict[str, NDArray[np.uint8]]


def scored_chips(
    batch: ChipBatch, refiner: ActiveRefiner | None, doubt: float, *, plar: bool
) -> list[ScoredChip]:
    """Take a batch apart into its chips.

    Args:
        batch: from the inspector.
        refiner: whose masks and votes the batch holds; None without one.
        doubt: confidence below which a pixel is in the error mask where there is no refiner.
        plar: whether strategies get PLAR's votes.
    """
    layers = chip_layers(batch, refiner, doubt)
    return [
        ScoredChip(
            position,
            chip,
            chip_outputs(batch, i, doubt, plar=plar),
            batch.askable[i],
            {name: values[i] for name, values in layers.items()},
        )
        for i, (position, chip) in enumerate(zip(batch.positions, batch.chips, strict=True))
    ]


def chip_outputs(batch: ChipBatch, i: int, doubt: float, *, plar: bool) -> ChipOutputs:
    """Return what a strategy scores of the i-th chip of a batch.

    Args:
        batch: from the inspector.
        i: the chip's place in the batch.
        doubt: as for `scored_chips`.
        plar: as for `scored_chips`.
    """
    teacher, probs, refinement, chip = batch.teacher, batch.probs, batch.refinement, batch.chips[i]
    assert teacher.f1 is not None
    assert teacher.f2 is not None
    return ChipOutputs(
        key=(chip.scene, chip.row, chip.col),
        probs=probs[i],
        f1=teacher.f1[i],
        f2=teacher.f2[i],
        emd=None if refinement is None or refinement.emd is None else refinement.emd[i, 0].sigmoid(),
        mask=probs[i].amax(0) < doubt if refinement is None else refinement.mask[i],
        plar=None if refinement is None or not plar else votes_of(refinement.votes, i),
        askable=pixels_by_cell(torch.from_numpy(batch.askable[i]).to(probs.device)).sum(-1),
        votes=None if batch.votes is None else batch.votes[i],
        pooled=None if batch.pooled is None else batch.pooled[i],
        difficulty=None if batch.difficulty is None else batch.difficulty[i],
    )


def chip_layers(
    batch: ChipBatch, refiner: ActiveRefiner | None, doubt: float
) -> dict[str, NDArray[np.uint8]]:
    """Return the layers of a round's rasters for a batch.

    Args:
        batch: from the inspector.
        refiner: as for `scored_chips`.
        doubt: as for `scored_chips`.

    Returns:
        (N, H, W) uint8 arrays: ``prediction`` and ``refined`` in class indices, ``confidence`` and
        ``error_mask`` in percent; 255 where there is no data.
    """
    pixels, refinement, valid, manual = batch.pixels, batch.refinement, batch.valid, batch.manual
    found = {"prediction": pixels.pseudo, "confidence": (pixels.conf * 100).round().to(torch.uint8)}
    error = 1 - pixels.conf
    mask = (pixels.conf < doubt) & (manual == IGNORE)
    if refinement is not None and refiner is not None:
        mask = refinement.pixel_mask
        if refinement.emd is not None:
            error = emd_pixels(refinement.emd, (valid.shape[1], valid.shape[2]))
        written = refiner.merge(refinement, pixels, manual)
        is_refined = written.source == int(LabelSource.REFINED)
        found["refined"] = torch.where(is_refined, written.labels, IGNORE).to(torch.uint8)
    found["error_mask"] = torch.where(mask, (error * 100).round().clamp(1, 100), 0).to(torch.uint8)
    return {
        name: torch.where(valid, values, IGNORE).to(torch.uint8).cpu().numpy()
        for name, values in found.items()
    }


def votes_of(votes: PlarResult, i: int) -> PlarResult:
    """Return PLAR's result for the i-th image of a batch."""
    return PlarResult(*(getattr(votes, name)[i] for name in PlarResult.__dataclass_fields__))
