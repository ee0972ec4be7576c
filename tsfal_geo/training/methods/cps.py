"""Cross Pseudo Supervision with CutMix (Chen et al. 2021): two networks learn each other's labels."""

from __future__ import annotations

import numpy as np
from torch import nn

from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.training.losses import cross_entropy
from tsfal_geo.training.methods.base import SemiSupervised
from tsfal_geo.training.methods.mixing import three_boxes
from tsfal_geo.training.methods.targets import hard_targets
from tsfal_geo.training.module import Losses
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views

# The authors' weight on Cityscapes; on VOC it is 1.5.
WEIGHT = 5.0


@register("cps")
class Cps(SemiSupervised):
    """CPS: two networks with differently initialised heads; the first makes the map, as the authors' does."""

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build both networks."""
        super().__init__(inputs)
        self.left, self.right = inputs.network(0), inputs.network(1)

    @property
    def predictor(self) -> Segmenter:
        """The first network."""
        return self.left

    def learners(self) -> dict[str, Segmenter]:
        """Return both networks."""
        return {"left": self.left, "right": self.right}

    def evaluated(self) -> dict[str, nn.Module]:
        """Return both networks."""
        return {"left": self.left, "right": self.right}

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """Compute L_sup of both + 5 · (CE(left, labels of right) + CE(right, labels of left)).

        The labels are predicted on unmixed images, in train mode and without gradients, and then mixed.
        """
        views, mixing = self.mixing(unlabelled, three_boxes, rng)
        by_left, by_right = (
            mixing(hard_targets(logits, views)[0])
            for logits in self.label_logits(views.images, self.left, self.right)
        )
        mixed = mixing(views.images)
        left, right = (self.joint(network, labelled, mixed) for network in (self.left, self.right))
        losses = {
            "labelled_left": self.supervised(left, labelled),
            "labelled_right": self.supervised(right, labelled),
            "left": WEIGHT * cross_entropy(left.unlabelled, by_right),
            "right": WEIGHT * cross_entropy(right.unlabelled, by_left),
        }
        self.update_bank(left, labelled)
        return losses
