"""Mean Teacher (Tarvainen and Valpola 2017): consistency between a student and its moving average."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tsfal_geo.training.losses import ramp_up
from tsfal_geo.training.methods.base import WithTeacher
from tsfal_geo.training.methods.targets import soft_targets, squared_error
from tsfal_geo.training.module import Losses
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views

# The segmentation baseline of CPS's authors (TorchSemiSeg): squared error of softmax outputs, EMA 0.99.
WEIGHT = 100.0
# The ramp of PixelSSL, 5 of 45 epochs.
RAMP = 5 / 45
# Tarvainen and Valpola's standard deviation of the input's Gaussian noise, in units of normalised pixels.
NOISE = 0.15


@register("mean_teacher")
class MeanTeacher(WithTeacher):
    """Mean Teacher: student and teacher see the same unlabelled images, the student's perturbed."""

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build student and teacher."""
        super().__init__(inputs)
        self.bands = inputs.bands

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """Compute L_sup + w(t) · 100 · MSE(student, teacher)."""
        target = soft_targets(self.teach(unlabelled).logits, unlabelled)
        images = self.perturbed(unlabelled.images, unlabelled.valid, rng)
        joint = self.joint(self.student, labelled, images)
        weight = WEIGHT * ramp_up(self.since_warmup, RAMP)
        losses = {
            "labelled": self.supervised(joint, labelled),
            "consistency": weight * squared_error(joint.unlabelled.exp(), target, unlabelled.valid),
        }
        self.update_bank(joint, labelled)
        return losses

    def perturbed(self, images: Tensor, valid: Tensor, rng: np.random.Generator) -> Tensor:
        """Perturb the student's images: colour jitter, or noise on the bands where ``augment.colour`` is 0.

        Without a perturbation student and teacher would differ by the averaging alone.

        Args:
            images: (B, C, H, W) float, normalised.
            valid: (B, H, W) bool; other pixels stay unchanged.
            rng: the step's random numbers. The noise comes from PyTorch's generator, seeded for the step.

        Returns:
            As ``images``.
        """
        if self.jitter.strength:
            return self.strong(images, valid, rng)
        noise = NOISE * torch.randn_like(images) * valid[:, None]
        noise[:, self.bands :] = 0
        return images + noise
