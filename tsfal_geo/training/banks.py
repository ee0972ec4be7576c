"""Running statistics of the classes, which steer the training from step to step.

The confidence bank holds how well the student knows each class. The presence bank holds which chip shows
which class. The alignment holds how often each network predicts each class.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE
from tsfal_geo.models.segmenter import Segmenter

_ALIGNMENT_MOMENTUM = 0.99
# Bound of the alignment's factor on a class's odds, in either direction: a class that a network hardly ever
# predicts would otherwise gain without limit.
_LARGEST_FACTOR = 10.0


class ConfidenceBank(nn.Module):
    """Running mean probability of each class on its own labelled pixels (AEL, Hu et al. 2021).

    Attributes:
        confidence: (C,) float32 in [0, 1], uniformly random at the start.
    """

    confidence: Tensor

    def __init__(self, classes: int, momentum: float, absent_as_zero: bool, seed: int) -> None:
        """Draw the first values.

        Args:
            classes: number of classes C.
            momentum: share of the old value that an update keeps.
            absent_as_zero: True as in AEL's code: a class without pixels in a batch counts as known with
                probability 0, which lowers rare classes. False: such a class keeps its value.
            seed: of the first values.
        """
        super().__init__()
        generator = torch.Generator().manual_seed(seed)
        self.register_buffer("confidence", torch.rand(classes, generator=generator))
        self.momentum = momentum
        self.absent_as_zero = absent_as_zero

    @torch.no_grad()
    def update(self, log_p: Tensor, target: Tensor) -> None:
        """Set conf ← m · conf + (1 − m) · v, with v_c the mean probability of class c where the truth is c.

        Several processes sum their probabilities and counts first, so that their banks stay equal.

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
        """Return each class's probability (C,) of choosing a CutMix partner: softmax(1 − conf)."""
        weights: NDArray[np.float64] = np.exp(1 - self._values())
        return weights / weights.sum()

    def pasting_probabilities(self, tail: tuple[int, ...]) -> NDArray[np.float64]:
        """Return each tail class's probability of being pasted, proportional to exp((1 − conf)^0.5).

        Args:
            tail: indices of the rare classes.

        Returns:
            (len(tail),) float64, with sum 1.
        """
        weights: NDArray[np.float64] = np.exp(np.sqrt(1 - self._values()[list(tail)]))
        return weights / weights.sum()

    def keep_probabilities(self) -> Tensor:
        """Return (C,) ρ_c = (1 − conf_c) / max_k (1 − conf_k), the probability that ``ael`` keeps a pixel.

        The least known class keeps all of its pixels, a class of confidence 1 keeps none.
        """
        doubt = 1 - self.confidence
        return doubt / doubt.max().clamp_min(1e-12)

    def _values(self) -> NDArray[np.float64]:
        values: NDArray[np.float64] = self.confidence.double().clamp(0, 1).cpu().numpy()
        return values


class PresenceBank(nn.Module):
    """Record of the classes that the teacher has predicted on each unlabelled chip (AEL).

    Attributes:
        present: (C, chips) uint8, zeros at the start; entries are set to 1 and never cleared.
    """

    present: Tensor

    def __init__(self, classes: int, chips: int, min_area: float) -> None:
        """Create an empty bank.

        Args:
            classes: number of classes C.
            chips: number of unlabelled chips.
            min_area: share of a chip from which a class is present.
        """
        super().__init__()
        self.register_buffer("present", torch.zeros((classes, chips), dtype=torch.uint8))
        self.min_area = min_area

    def mark(self, index: Tensor, classes: Tensor) -> None:
        """Record the classes of new predictions.

        Args:
            index: (N,) int64 numbers of the chips.
            classes: (N, h, w) predicted class indices, 255 where not valid.
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
        """Draw a chip that shows a class, or any chip if none does.

        Args:
            class_index: the class.
            rng: the step's random numbers.

        Returns:
            The number of the chip.
        """
        chips = self.present[class_index].nonzero().flatten().tolist()
        return int(chips[rng.integers(len(chips))]) if chips else int(rng.integers(self.present.shape[1]))


class Alignment(nn.Module):
    """Distribution alignment: shifts logits until predictions are as frequent as labels, class by class.

    Adding log(prior_c / seen_c) to the logits multiplies the odds of class c by the ratio of its share among
    the labels to its share among the predictions (ReMixMatch, Berthelot et al. 2020, on logits).

    Attributes:
        prior: (C,) float32 shares of the classes among the labelled pixels.
        seen: (networks, C) float32 running mean probabilities of each network on unlabelled images. The name
            is a key of checkpoints.
    """

    prior: Tensor
    seen: Tensor

    def __init__(self, counts: Sequence[int], networks: int) -> None:
        """Start with predictions as frequent as labels.

        Args:
            counts: (C,) labelled pixels of each class.
            networks: number of networks whose predictions are aligned.
        """
        super().__init__()
        pixels = torch.tensor(counts, dtype=torch.float64) + 1
        prior = (pixels / pixels.sum()).float()
        self.register_buffer("prior", prior)
        self.register_buffer("seen", prior.repeat(networks, 1))

    @torch.no_grad()
    def forward(self, network: int, logits: Tensor, valid: Tensor) -> Tensor:
        """Update a network's running mean with its predictions and align them.

        Args:
            network: number of the network, from 0.
            logits: (N, C, h4, w4), any precision.
            valid: (N, H, W) bool.

        Returns:
            (N, C, h4, w4) float32.
        """
        logits = logits.float()
        stride = Segmenter.LOGIT_STRIDE
        inside = valid[:, None, stride // 2 :: stride, stride // 2 :: stride].to(logits.dtype)
        sums = (logits.softmax(dim=1) * inside).sum((0, 2, 3))
        if _distributed():
            torch.distributed.all_reduce(sums)
        total = sums.sum()
        # A batch without valid cells gets weight 0 instead of a branch, which would wait for the device.
        weight = (1 - _ALIGNMENT_MOMENTUM) * (total > 0).to(sums.dtype)
        self.seen[network].lerp_(sums / total.clamp_min(1), weight)
        bound = math.log(_LARGEST_FACTOR)
        shift = (self.prior / self.seen[network]).log().clamp(-bound, bound)
        return logits + shift[:, None, None]


def _distributed() -> bool:
    return torch.distributed.is_available() and torch.distributed.is_initialized()
