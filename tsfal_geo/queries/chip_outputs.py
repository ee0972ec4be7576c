"""Outputs of the networks on one chip, the input of every query strategy."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tsfal_geo.refinement.plar import PlarResult

ChipKey = tuple[int, int, int]


@dataclass(frozen=True)
class ChipOutputs:
    """The teacher's outputs on one unlabelled chip of (h, w) cells.

    The scorer makes them chip by chip and keeps none, so that memory does not grow with the number of chips.

    Attributes:
        key: (scene, row, col) of the chip.
        probs: (C, h, w) float32, class probabilities.
        f1: (D₁, h₁, w₁), features of the coarse level.
        f2: (D₂, h, w), features of the fine level.
        emd: (h, w) float32, error probability; None without a trained error mask decoder.
        mask: (h, w) bool, the error mask without manual cells and padding.
        plar: PLAR's votes; None where PLAR is off.
        askable: (h, w) int64, pixels of each cell that are valid, unlabelled and owned by this chip.
        votes: (C, h, w) uint8, hard votes of a committee; None for strategies without ``passes``.
        pooled: (D,) float32, mean of the decoder's input; None for strategies without ``needs_pooled``.
        difficulty: (h, w) float32 in 0..1, from DEAL's branch; None without one.
    """

    key: ChipKey
    probs: Tensor
    f1: Tensor
    f2: Tensor
    emd: Tensor | None
    mask: Tensor
    plar: PlarResult | None
    askable: Tensor
    votes: Tensor | None = None
    pooled: Tensor | None = None
    difficulty: Tensor | None = None
