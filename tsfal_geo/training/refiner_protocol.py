"""The interface through which active learning enters TSF's training step."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from tsfal_geo.models.segmenter import SegmenterOutput


class Refiner(Protocol):
    """Error mask, PLAR and manual override on the teacher's output (Ma, Karakus, Rosin 2025, eqs. 5 to 9).

    An implementation that is an ``nn.Module`` is checkpointed and moved with the networks.
    """

    def parameters_to_train(self) -> list[dict[str, Any]]:
        """Return AdamW's parameter groups, each with its ``lr`` and ``weight_decay``."""

    def refine(
        self,
        teacher: SegmenterOutput,
        pseudo: Tensor,
        conf: Tensor,
        manual: Tensor,
        step_fraction: float,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Refine the pseudo-labels of unmixed images; called without gradients and without autocast.

        Args:
            teacher: the teacher's output with F1 and F2, float32.
            pseudo: (B, H, W) int64 pseudo-labels, 255 where the image is not valid.
            conf: (B, H, W) float32 confidence of the pseudo-labels in [0, 1], 0 where not valid.
            manual: (B, H, W) uint8 manual labels, 255 where the annotators gave none.
            step_fraction: share of the training that is done, 0 to 1.

        Returns:
            Labels (B, H, W) int64, 255 ignored. Their weight (B, H, W) float32 in [0, 1], which replaces the
            confidence in L_t (eq. 2): 1 for manual labels, ``conf`` for unchanged pseudo-labels, 0 to leave a
            pixel out; the weighting ``ael`` squares it. Votes (B, H, W) bool: True where PLAR's vote is
            supported by manual labels of the same image.
        """

    def training_loss(self, teacher: SegmenterOutput, target: Tensor, step_fraction: float) -> Tensor | None:
        """Compute the refiner's own loss on images with labels; None while the refiner does not train.

        Args:
            teacher: the teacher's output with F1 and F2, float32, without gradients.
            target: (B, H, W) uint8 true class indices, 255 unlabelled.
            step_fraction: share of the training that is done, 0 to 1.
        """
