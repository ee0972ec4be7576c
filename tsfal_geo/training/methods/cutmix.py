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

# PixelSSL's, whose error is the mean over classes; the authors' is the sum, with weight 1.
WEIGHT = 20.0
CONFIDENCE = 0.97


@register("cutmix")
class CutMix(WithTeacher):
    """The student sees mixed images; its target is the teacher's probabilities of both, mixed alike."""

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """L_sup + 20 · share of confident pixels · MSE(student, mixed teacher)."""
        views, mixing = self.mixing(unlabelled, half_box, rng)
        target = mixing(soft_targets(self.teach(views).logits, views))
        mixed = mixing.views(views)
        joint = self.joint(self.student, labelled, mixed.images)
        error = squared_error(joint.rest.exp(), target, mixed.valid)
        losses = {
            "labelled": self.supervised(joint, labelled),
            "consistency": WEIGHT * confident_share(target, mixed.valid) * error,
        }
        self.update_bank(joint, labelled)
        return losses


def confident_share(target: Tensor, valid: Tensor) -> Tensor:
    """Share of the batch's valid pixels whose largest probability exceeds 0.97, one number for all of them.

    Args:
        target: (B, C, H, W) probabilities.
        valid: (B, H, W) bool.
    """
    confident = (target.amax(dim=1) > CONFIDENCE) & valid
    return confident.sum() / valid.sum().clamp_min(1)
