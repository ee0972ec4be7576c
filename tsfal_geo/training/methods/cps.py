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

# The authors' on Cityscapes (1.5 on VOC).
WEIGHT = 5.0


@register("cps")
class Cps(SemiSupervised):
    """Two networks with differently initialised heads; the first makes the map, as the authors report."""

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build both."""
        super().__init__(inputs)
        self.left, self.right = inputs.network(0), inputs.network(1)

    @property
    def predictor(self) -> Segmenter:
        """The first network."""
        return self.left

    def learners(self) -> dict[str, Segmenter]:
        """Both."""
        return {"left": self.left, "right": self.right}

    def evaluated(self) -> dict[str, nn.Module]:
        """Both."""
        return {"left": self.left, "right": self.right}

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """L_sup of both + 5 · (CE(left, labels of right) + CE(right, labels of left)).

        Labels are made from unmixed images, in train mode, and mixed; no gradient flows through them.
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
            "left": WEIGHT * cross_entropy(left.rest, by_right),
            "right": WEIGHT * cross_entropy(right.rest, by_left),
        }
        self.update_bank(left, labelled)
        return losses
