"""Mean Teacher with CutMix (French et al. 2020): consistency on images mixed along one box."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from tsfal_geo.training.methods.base import WithTeacher
from tsfal_geo.training.methods.mixing import half_box
from tsfal_geo.training.methods.targets import soft_targets, squared_error
from tsfal_geo.training.module import Losses
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views

# The weight of PixelSSL, whose error is the mean over classes; the authors use the sum, with weight 1.
WEIGHT = 20.0
CONFIDENCE = 0.97


@register("cutmix")
class CutMix(WithTeacher):
    """CutMix: the student's target on mixed images is the teacher's probabilities, mixed in the same way."""

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """Compute L_sup + 20 · share of confident pixels · MSE(student, mixed teacher)."""
        views, mixing = self.mixing(unlabelled, half_box, rng)
        target = mixing(soft_targets(self.teach(views).logits, views))
        mixed = mixing.views(views)
        joint = self.joint(self.student, labelled, mixed.images)
        error = squared_error(joint.unlabelled.exp(), target, mixed.valid)
        losses = {
            "labelled": self.supervised(joint, labelled),
            "consistency": WEIGHT * confident_share(target, mixed.valid) * error,
        }
        self.update_bank(joint, labelled)
        return losses


def confident_share(target: Tensor, valid: Tensor) -> Tensor:
    """Compute the share of the batch's valid pixels whose largest probability exceeds 0.97.

    Args:
        target: (B, C, H, W) probabilities.
        valid: (B, H, W) bool.

    Returns:
        A scalar, one for the whole batch.
    """
    confident = (target.amax(dim=1) > CONFIDENCE) & valid
    return confident.sum() / valid.sum().clamp_min(1)
