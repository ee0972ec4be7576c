"""UniMatch (Yang et al., CVPR 2023): weak views teach two strong views and perturbed features.

Labels come online from the network itself, on the weak views of the same pass. Partners of CutMix are the
batch's own images, as in the authors' UniMatch V2: their first version draws a second batch for them, which
costs a pass more.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tsfal_geo.data.strong import StrongAugment
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.training.losses import log_probabilities, teacher_loss
from tsfal_geo.training.methods.base import Joint, SemiSupervised, item_seeds
from tsfal_geo.training.methods.features import dropped
from tsfal_geo.training.methods.mixing import Mixing, draw_mixing, sometimes_box
from tsfal_geo.training.methods.targets import hard_targets
from tsfal_geo.training.module import Losses
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views

# The authors' on Cityscapes.
THRESHOLD = 0.0
DROPOUT = 0.5


# Their sum is (L_x + s1/4 + s2/4 + fp/2) / 2.
LABELLED_WEIGHT, STRONG_WEIGHT, FEATURE_WEIGHT = 1 / 2, 1 / 8, 1 / 4


@register("unimatch")
class UniMatch(SemiSupervised):
    """One network."""

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build the network."""
        super().__init__(inputs)
        self.network = inputs.network(0)
        self.augment = StrongAugment(inputs.bands)

    @property
    def predictor(self) -> Segmenter:
        """The network."""
        return self.network

    def learners(self) -> dict[str, Segmenter]:
        """The network."""
        return {"network": self.network}

    def evaluated(self) -> dict[str, nn.Module]:
        """The network."""
        return {"network": self.network}

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """(L_x + s1/4 + s2/4 + fp/2) / 2, all from one pass."""
        known, count = len(labelled.images), len(unlabelled.images)
        views, first = self.mixing(unlabelled, sometimes_box, rng)
        mixings = first, draw_mixing(count, views.size, sometimes_box, rng, self.device)
        strong = strong_views(views, mixings, self.augment, rng)
        images = torch.cat((labelled.images, views.images, *strong))
        weak = slice(known, known + count)
        output = self.network(self.prepared(images), perturb=lambda stages: dropped(stages, weak, DROPOUT))
        end = known + len(views.images)
        labels, confidence = hard_targets(output.logits[known:end].detach(), views)
        learnt = torch.cat((output.logits[:known], output.logits[end:]))
        log_p = log_probabilities(learnt, labelled.size)
        joint = Joint(output, log_p[:known], log_p[known:])
        *strong, perturbed = joint.rest.split(count)
        by_strong = [
            confident_loss(part, mixing(labels), mixing(confidence))
            for part, mixing in zip(strong, mixings, strict=True)
        ]
        by_features = confident_loss(perturbed, labels[:count], confidence[:count])
        self.update_bank(joint, labelled)
        return {
            "labelled": LABELLED_WEIGHT * self.supervised(joint, labelled),
            "strong": STRONG_WEIGHT * torch.stack(by_strong).sum(),
            "features": FEATURE_WEIGHT * by_features,
        }


def strong_views(
    views: Views, mixings: tuple[Mixing, Mixing], augment: StrongAugment, rng: np.random.Generator
) -> list[Tensor]:
    """Two strong views of each base image, the colours of base and partner drawn apart, then mixed."""
    return [
        mixing(augment(views.images, views.valid, generator=item_seeds(rng, len(views.images))))
        for mixing in mixings
    ]


def confident_loss(log_p: Tensor, labels: Tensor, confidence: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """Cross-entropy of the labels of enough confidence, over all valid pixels.

    Args:
        log_p: (N, C, H, W) log-probabilities.
        labels: (N, H, W) int64, 255 where not valid.
        confidence: (N, H, W) float32 of the labels.
        threshold: confidence that is enough.
    """
    keep = torch.ones_like(labels, dtype=torch.bool)
    return teacher_loss(log_p, labels, confidence, keep, "threshold", threshold)
