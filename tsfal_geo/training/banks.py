"""What TSF remembers between steps: how well each class is known, and which chips show which class."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE
from tsfal_geo.models.segmenter import Segmenter


class ConfidenceBank(nn.Module):
    """Running mean probability of each class on its own labelled pixels (AEL's confidence bank).

    Attributes:
        confidence: (C,) float32 in [0, 1]; starts uniformly random.
    """

    confidence: Tensor

    def __init__(self, classes: int, momentum: float, absent_as_zero: bool, seed: int) -> None:
        """Make a bank.

        Args:
            classes: number of classes.
            momentum: share of the old value that an update keeps.
            absent_as_zero: a class that a batch lacks counts as known with probability 0 (AEL's code, which
                pushes rare classes down); else it keeps its value.
            seed: of the first values.
        """
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("confidence", torch.rand(classes, generator=generator))
        self.momentum = momentum
        self.absent_as_zero = absent_as_zero

    @torch.no_grad()
    def update(self, log_p: Tensor, target: Tensor) -> None:
        """Move to conf ← m·conf + (1-m)·v, v_c the mean probability of class c where the truth is c.

        Args:
            log_p: (N, C, H, W) log-probabilities of the student on labelled images.
            target: (N, H, W) int64 class indices, 255 ignored.
        """
        valid = target != IGNORE
        truth = torch.where(valid, target, 0)
        of_truth = log_p.gather(1, truth[:, None])[:, 0].exp() * valid
        sums = log_p.new_zeros((2, len(self.confidence)))
        sums[0].scatter_add_(0, truth.flatten(), of_truth.flatten())
        sums[1].scatter_add_(0, truth.flatten(), valid.flatten().float())
        if _distributed():
            torch.distributed.all_reduce(sums)
        value = sums[0] / sums[1].clamp_min(1)
        if not self.absent_as_zero:
            value = torch.where(sums[1] > 0, value, self.confidence)
        self.confidence.lerp_(value, 1 - self.momentum)

    def mixing_probabilities(self) -> NDArray[np.float64]:
        """(C,) chance of each class to choose a CutMix partner: softmax(1 - conf)."""
        weights = np.exp(1 - self._values())
        return weights / weights.sum()

    def pasting_probabilities(self, tail: tuple[int, ...]) -> NDArray[np.float64]:
        """(len(tail),) chance of each tail class to be pasted: ∝ exp((1 - conf)^0.5)."""
        weights = np.exp(np.sqrt(1 - self._values()[list(tail)]))
        return weights / weights.sum()

    def keep_probabilities(self) -> Tensor:
        """ρ (C,): (1 - conf_c) / max_k (1 - conf_k), how often pixels of a class teach in ``ael``."""
        doubt = 1 - self.confidence
        return doubt / doubt.max().clamp_min(1e-12)

    def _values(self) -> NDArray[np.float64]:
        return self.confidence.double().clamp(0, 1).cpu().numpy()


class PresenceBank(nn.Module):
    """Which unlabelled chips have shown which class in the teacher's predictions.

    Attributes:
        present: (C, chips) uint8, 0 at the start; a chip's entries are set and never cleared.
    """

    present: Tensor

    def __init__(self, classes: int, chips: int, min_area: float) -> None:
        """Make an empty bank; ``min_area`` is the share of a chip from which on a class is present."""
        super().__init__()
        self.register_buffer("present", torch.zeros((classes, chips), dtype=torch.uint8))
        self.min_area = min_area

    def mark(self, index: Tensor, classes: Tensor) -> None:
        """Note the classes that predictions show.

        Args:
            index: (N,) int64 numbers of the chips.
            classes: (N, h, w) predicted class indices, 255 where there is nothing.
        """
        count = len(self.present)
        cells = classes.flatten(1)
        shares = torch.stack([(cells == c).sum(1) for c in range(count)], dim=1) / cells.shape[1]
        found = torch.zeros_like(self.present)
        # Chips may repeat within a batch, so the marks are accumulated, not assigned.
        found.T.index_add_(0, index, (shares >= self.min_area).to(torch.uint8))
        found = found.clamp_max(1)
        if _distributed():
            torch.distributed.all_reduce(found, op=torch.distributed.ReduceOp.MAX)
        self.present |= found

    def draw(self, class_index: int, rng: np.random.Generator) -> int:
        """A random chip that shows the class; any chip if none does."""
        chips = self.present[class_index].nonzero().flatten().tolist()
        return int(chips[rng.integers(len(chips))]) if chips else int(rng.integers(self.present.shape[1]))


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()


MOMENTUM = 0.99


# A class that a network hardly sees yet gets at most this much more, or less.
MOST = 10.0


class Alignment(nn.Module):
    """Shifts logits by log(share among the labels / running share among the predictions).

    Attributes:
        prior: (C,) float32 shares of the classes among the labelled pixels.
        seen: (networks, C) float32 running mean probabilities of each network on unlabelled images.
    """

    prior: Tensor
    seen: Tensor

    def __init__(self, counts: Sequence[int], networks: int) -> None:
        """Begin with predictions that are taken to be as frequent as labels.

        Args:
            counts: (C,) labelled pixels of each class.
            networks: whose predictions are aligned.
        """
        super().__init__()
        pixels = torch.tensor(counts, dtype=torch.float64) + 1
        prior = (pixels / pixels.sum()).float()
        self.register_buffer("prior", prior)
        self.register_buffer("seen", prior.repeat(networks, 1))

    @torch.no_grad()
    def forward(self, network: int, logits: Tensor, valid: Tensor) -> Tensor:
        """Note what a network predicts, and align it.

        Args:
            network: which, from 0.
            logits: (N, C, h4, w4), any precision.
            valid: (N, H, W) bool.

        Returns:
            (N, C, h4, w4) float32.
        """
        logits = logits.float()
        stride = Segmenter.LOGIT_STRIDE
        inside = valid[:, None, stride // 2 :: stride, stride // 2 :: stride].to(logits.dtype)
        sums = (logits.softmax(dim=1) * inside).sum((0, 2, 3))
        if torch.distributed.is_available() and torch.distributed.is_initialized():
            torch.distributed.all_reduce(sums)
        whole = sums.sum()
        # No branch on the sum: it would wait for the device in every step.
        weight = (1 - MOMENTUM) * (whole > 0).to(sums.dtype)
        self.seen[network].lerp_(sums / whole.clamp_min(1), weight)
        shift = (self.prior / self.seen[network]).log().clamp(-math.log(MOST), math.log(MOST))
        return logits + shift[:, None, None]
