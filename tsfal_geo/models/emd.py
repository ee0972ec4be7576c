"""Error mask decoder: where is the teacher's pseudo-label wrong? (method, section 3)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tsfal_geo.models.head import FEATURES, alike, upsample_to
from tsfal_geo.models.layers import halve

_HIDDEN = 64


class ErrorMaskDecoder(nn.Module):
    """Three convolutions on [F1↑, F2, P] to one logit a stride-4 cell: k×k → 256, 3×3 → 64, 1×1 → 1.

    With a 1×1 first layer F1's share is computed on F1's own coarse grid and enlarged afterwards: the two are
    linear and commute, so the sum is the same at a sixteenth of that work.
    """

    def __init__(self, classes: int, first_kernel: int = 3) -> None:
        """Build the decoder.

        Args:
            classes: channels of the probabilities.
            first_kernel: 3 (most literal), or 1: six times less work, context from the second layer alone.
        """
        super().__init__()
        fine = FEATURES + classes
        self.coarse = nn.Conv2d(FEATURES, FEATURES, 1, bias=False) if first_kernel == 1 else None
        inputs = fine if first_kernel == 1 else FEATURES + fine
        self.first = nn.Conv2d(inputs, FEATURES, first_kernel, padding=first_kernel // 2, bias=False)
        self.rest = nn.Sequential(
            nn.BatchNorm2d(FEATURES),
            nn.ReLU(inplace=True),
            nn.Conv2d(FEATURES, _HIDDEN, 3, padding=1, bias=False),
            nn.BatchNorm2d(_HIDDEN),
            nn.ReLU(inplace=True),
            nn.Conv2d(_HIDDEN, 1, 1),
        )

    @torch.no_grad()
    def fold_batch_norms(self, dtype: torch.dtype | None) -> None:
        """Take the batch norms into the convolutions before them, once, in place: for inference on a CPU.

        Args:
            dtype: bfloat16: these convolutions compute in it from then on; None: in float32.
        """
        self.eval()
        norm, second, second_norm = self.rest[0], self.rest[2], self.rest[3]
        assert isinstance(norm, nn.BatchNorm2d)
        assert isinstance(second, nn.Conv2d)
        assert isinstance(second_norm, nn.BatchNorm2d)
        assert norm.running_var is not None
        if self.coarse is not None:
            scale = norm.weight * (norm.running_var + norm.eps).rsqrt()
            self.coarse.weight.mul_(scale[:, None, None, None])
        self.first = fuse_conv_bn_eval(self.first, norm)
        self.rest[2] = second = fuse_conv_bn_eval(second, second_norm)
        if dtype is not None:
            halve(self.first)
            halve(second)
        self.rest[0] = self.rest[3] = nn.Identity()

    def forward(self, f1: Tensor, f2: Tensor, probabilities: Tensor) -> Tensor:
        """Logits of "the pseudo-label is wrong", (N, 1, h4, w4).

        No gradient flows into the inputs: the teacher is an average and could not use it.

        Args:
            f1: (N, 256, h, w) on the teacher's coarse grid.
            f2: (N, 256, h4, w4).
            probabilities: (N, C, h4, w4), the teacher's softmax.
        """
        fine = [f2.detach(), alike(probabilities.detach(), f2)]
        f1, size = f1.detach(), f2.shape[-2:]
        if self.coarse is None:
            return self.rest(self.first(torch.cat([upsample_to(f1, size), *fine], dim=1)))
        first = self.first(torch.cat(fine, dim=1))
        first += upsample_to(self.coarse(f1), size)
        return self.rest(first)


def emd_loss(logit: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Class-balanced binary cross-entropy, Σ_k w_k · mean_k over k ∈ {correct, wrong}.

    w_k ∝ 1/√(n_k + 1), normalised to sum 1 (the weighted variant of DEAL). The paper's eq. 5 lacks the
    leading minus; this is −[y log x + (1 − y) log(1 − x)]. Finite also where a class, or every cell, is
    absent.

    Args:
        logit: (N, 1, h, w).
        target: (N, h, w) bool, True where the pseudo-label is wrong.
        valid: (N, h, w) bool, False where the truth is unknown.
    """
    logit = logit.squeeze(1).float()
    cells = F.binary_cross_entropy_with_logits(logit, target.to(logit.dtype), reduction="none")
    groups = torch.stack([valid & ~target, valid & target]).flatten(1).to(logit.dtype)
    counts = groups.sum(1)
    means = (groups * cells.flatten()).sum(1) / counts.clamp(min=1)
    weights = (counts + 1).rsqrt()
    return (weights / weights.sum() * means).sum()
