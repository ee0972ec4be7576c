"""The error mask decoder (EMD): it predicts the cells where the teacher's pseudo-label is wrong."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from tsfal_geo.models.head import FEATURES, alike, upsample_to
from tsfal_geo.models.layers import to_bfloat16

_HIDDEN = 64


class ErrorMaskDecoder(nn.Module):
    """Three convolutions on [F1↑, F2, P] to one logit a stride-4 cell (Ma, Karakus, Rosin 2025).

    The paper gives the three convolutions. Their kernels and widths are our choice: k×k to 256, 3×3 to 64 and
    1×1 to 1 channel.

    With k = 1 the first layer's weights split into W₁ for F1↑ and W₂ for [F2, P]. A 1×1 convolution commutes
    with bilinear upsampling, so that W₁(F1↑) + W₂[F2, P] = (W₁F1)↑ + W₂[F2, P]. The first term is computed on
    F1's grid, which has 16 times fewer cells at output stride 16.

    Attributes:
        coarse: W₁; None with k = 3.
        first: the first layer, or W₂.
        rest: the other layers, each with its batch norm.
    """

    def __init__(self, classes: int, first_kernel: int = 3) -> None:
        """Build the decoder.

        Args:
            classes: channels of the probabilities.
            first_kernel: 3, or 1 for six times less work; the context of a cell then comes from the second
                layer alone.
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
        """Fold the batch norms into the convolutions before them, in place, for inference on a CPU.

        In eval mode a batch norm is y = s · (x − μ) + β with s = γ / √(σ² + ε). Its input is a convolution
        W·z, so y = (sW)·z + (β − sμ). With k = 1 the first norm's input is the sum of two convolutions: both
        get the factor s and one of them the bias.

        Args:
            dtype: bfloat16 if the convolutions are to compute in it; None for float32.
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
            to_bfloat16(self.first)
            to_bfloat16(second)
        self.rest[0] = self.rest[3] = nn.Identity()

    def forward(self, f1: Tensor, f2: Tensor, probabilities: Tensor) -> Tensor:
        """Compute the logit of "the pseudo-label is wrong" for each cell.

        The inputs are detached, because the teacher is an average and takes no gradients.

        Args:
            f1: (N, 256, h, w) of the teacher, on its coarse grid.
            f2: (N, 256, h4, w4) of the teacher.
            probabilities: (N, C, h4, w4), the teacher's softmax.

        Returns:
            (N, 1, h4, w4).
        """
        fine = [f2.detach(), alike(probabilities.detach(), f2)]
        f1, size = f1.detach(), f2.shape[-2:]
        if self.coarse is None:
            first = self.first(torch.cat([upsample_to(f1, size), *fine], dim=1))
        else:
            first = self.first(torch.cat(fine, dim=1))
            first += upsample_to(self.coarse(f1), size)
        logits: Tensor = self.rest(first)
        return logits


def emd_loss(logit: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Compute the class-balanced binary cross-entropy Σ_k w_k · mean_k over k ∈ {correct, wrong}.

    The weights w_k ∝ 1/√(n_k + 1) sum to 1 (the weighted variant of DEAL, Xie et al. 2020). The cross-entropy
    is −[y log x + (1 − y) log(1 − x)]; Ma, Karakus, Rosin (2025), eq. 5, prints it without the leading minus.
    The loss is finite also where a class, or every cell, is absent.

    Args:
        logit: (N, 1, h, w).
        target: (N, h, w) bool, True where the pseudo-label is wrong.
        valid: (N, h, w) bool, False where the truth is unknown.

    Returns:
        A scalar float32.
    """
    logit = logit.squeeze(1).float()
    cells = F.binary_cross_entropy_with_logits(logit, target.to(logit.dtype), reduction="none")
    groups = torch.stack([valid & ~target, valid & target]).flatten(1).to(logit.dtype)
    counts = groups.sum(1)
    means = (groups * cells.flatten()).sum(1) / counts.clamp(min=1)
    weights = (counts + 1).rsqrt()
    return (weights / weights.sum() * means).sum()


def plain_emd_loss(logit: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Compute the plain binary cross-entropy of eq. 5, with the minus that its print lacks.

    Args:
        logit: (N, 1, H, W) float32, on pixels.
        target: (N, H, W) bool, True where the pseudo-label is wrong.
        valid: (N, H, W) bool, False where the truth is unknown.

    Returns:
        A scalar float32, the mean over all valid pixels; 0 without any.
    """
    pixels = F.binary_cross_entropy_with_logits(logit[:, 0], target.to(logit.dtype), reduction="none")
    return (pixels * valid).sum() / valid.sum().clamp_min(1)
