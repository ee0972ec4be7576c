"""Mean Teacher (Tarvainen and Valpola 2017): the student's probabilities follow its moving average's."""

from __future__ import annotations

import numpy as np

from tsfal_geo.ssl.base import Losses
from tsfal_geo.ssl.losses import rise
from tsfal_geo.ssl.parts import register
from tsfal_geo.ssl.systems.base import WithTeacher
from tsfal_geo.ssl.systems.targets import soft_targets, squared_error
from tsfal_geo.ssl.views import Views

# The segmentation baseline of CPS's authors (TorchSemiSeg): squared error of softmax outputs, EMA 0.99.
WEIGHT = 100.0
# PixelSSL's: 5 of 45 epochs.
RAMP = 5 / 45


@register("mean_teacher")
class MeanTeacher(WithTeacher):
    """Student and teacher see the same unlabelled images, the student's colours jittered."""

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """L_sup + w(t) · 100 · MSE(student, teacher)."""
        target = soft_targets(self.teach(unlabelled).logits, unlabelled)
        images = self.strong(unlabelled.images, unlabelled.valid, rng)
        joint = self.joint(self.student, labelled, images)
        weight = WEIGHT * rise(self.since_warmup, RAMP)
        losses = {
            "labelled": self.supervised(joint, labelled),
            "consistency": weight * squared_error(joint.rest.exp(), target, unlabelled.valid),
        }
        self.remember(joint, labelled)
        return losses
