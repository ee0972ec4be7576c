"""What the active loop puts into TSF's step: refined pseudo-labels, and the training of what refines them."""

from __future__ import annotations

from typing import Any, Protocol

from torch import Tensor

from tsfal_geo.models.segmenter import SegmenterOutput


class Refiner(Protocol):
    """Error mask, PLAR and manual override on the teacher's output (method, sections 3 and 4).

    An implementation that is an ``nn.Module`` is checkpointed and moved with the networks.
    """

    def parameters_to_train(self) -> list[dict[str, Any]]:
        """AdamW's parameter groups, each with its ``lr`` and ``weight_decay``."""

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
            conf: (B, H, W) float32 their confidence, 0 where not valid.
            manual: (B, H, W) uint8 what people said, 255 where nothing.
            step_fraction: share of the training that is done, 0 to 1.

        Returns:
            Labels (B, H, W) int64, 255 ignored; their weight (B, H, W) float32 in [0, 1], which takes the
            confidence's place in L_t: 1 for manual labels, ``conf`` where the pseudo-label stays as it was, 0
            to leave a pixel out (``ael`` squares it); and where votes stand that rest on people's labels of
            the image (B, H, W) bool.
        """

    def training_loss(self, teacher: SegmenterOutput, target: Tensor, step_fraction: float) -> Tensor | None:
        """The loss of what refines, on images whose labels are known; None while it does not train.

        Args:
            teacher: the teacher's output with F1 and F2, float32, without gradients.
            target: (B, H, W) uint8 true class indices, 255 unknown.
            step_fraction: share of the training that is done, 0 to 1.
        """
