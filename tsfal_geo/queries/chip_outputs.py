"""What a strategy gets to see of a chip."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from tsfal_geo.refinement.plar import PlarResult

ChipKey = tuple[int, int, int]


@dataclass(frozen=True)
class ChipOutputs:
    """The teacher's output on one unlabelled chip; h, w: cells. Lives while its chip is looked at, no longer.

    Attributes:
        key: (scene, row, col) of the chip.
        probs: (C, h, w) float32.
        f1: (D₁, h₁, w₁).
        f2: (D₂, h, w).
        emd: (h, w) error probability; None where no decoder is trained.
        mask: (h, w) bool, the error mask without manual cells and padding.
        plar: votes; None where PLAR is off.
        askable: (h, w) int64, pixels of each cell that are valid, unlabelled and owned by this chip.
        votes: (C, h, w) hard votes of a committee; None unless the strategy asked for passes.
        pooled: (D,) mean of what enters the decoder; None unless the strategy wants it.
        difficulty: (h, w) in 0..1, of DEAL's branch; None where none is trained.
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
