"""UniMatch V2 (Yang et al., TPAMI 2025): an EMA teacher, two strong views with complementary channel dropout.

The authors train DINOv2 with AdamW; here all methods have the same networks and optimiser.
"""

from __future__ import annotations

import numpy as np
import torch

from tsfal_geo.data.strong import StrongAugment
from tsfal_geo.training.losses import log_probabilities
from tsfal_geo.training.methods.base import JointOutput, WithTeacher
from tsfal_geo.training.methods.features import complementary
from tsfal_geo.training.methods.mixing import draw_mixing, sometimes_box
from tsfal_geo.training.methods.targets import hard_targets
from tsfal_geo.training.methods.unimatch import confident_loss, strong_views
from tsfal_geo.training.module import Losses
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views

# The authors' constants.
THRESHOLD = 0.95
UNTOUCHED = 0.5
# The authors' total is (L_x + (s1 + s2) / 2) / 2.
LABELLED_WEIGHT, STRONG_WEIGHT = 1 / 2, 1 / 4


@register("unimatch_v2")
class UniMatchV2(WithTeacher):
    """UniMatch V2: the teacher labels weak views, the student learns two strong views."""

    DECAY = 0.996

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build student and teacher."""
        super().__init__(inputs)
        self.augment = StrongAugment(inputs.bands)

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """Compute (L_x + (s1 + s2) / 2) / 2."""
        first_strong, count = len(labelled.images), len(unlabelled.images)
        views, first = self.mixing(unlabelled, sometimes_box, rng)
        mixings = first, draw_mixing(count, views.size, sometimes_box, rng, self.device)
        labels, confidence = hard_targets(self.teach(views).logits, views)
        images = torch.cat((labelled.images, *strong_views(views, mixings, self.augment, rng)))
        output = self.student(
            self.prepared(images), perturb=lambda stages: complementary(stages, first_strong, UNTOUCHED)
        )
        log_p = log_probabilities(output.logits, labelled.size)
        joint = JointOutput(output, log_p[:first_strong], log_p[first_strong:])
        by_strong = [
            confident_loss(part, mixing(labels), mixing(confidence), THRESHOLD)
            for part, mixing in zip(torch.split(joint.unlabelled, count), mixings, strict=True)
        ]
        self.update_bank(joint, labelled)
        return {
            "labelled": LABELLED_WEIGHT * self.supervised(joint, labelled),
            "strong": STRONG_WEIGHT * torch.stack(by_strong).sum(),
        }
