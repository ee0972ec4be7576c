"""UniMatch (Yang et al., CVPR 2023): weak views supervise two strong views and perturbed features.

The network itself labels the weak views, in the same pass. CutMix takes partners from the batch, as in the
authors' UniMatch V2. Their first version draws a second batch of partners, which costs another pass.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from tsfal_geo.data.strong import StrongAugment
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.training.losses import log_probabilities, teacher_loss
from tsfal_geo.training.methods.base import JointOutput, SemiSupervised, item_seeds
from tsfal_geo.training.methods.features import dropped
from tsfal_geo.training.methods.mixing import Mixing, draw_mixing, sometimes_box
from tsfal_geo.training.methods.targets import hard_targets
from tsfal_geo.training.module import Losses
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views

# The authors' constants on Cityscapes.
THRESHOLD = 0.0
DROPOUT = 0.5
# The authors' total is (L_x + s1/4 + s2/4 + fp/2) / 2.
LABELLED_WEIGHT, STRONG_WEIGHT, FEATURE_WEIGHT = 1 / 2, 1 / 8, 1 / 4


@register("unimatch")
class UniMatch(SemiSupervised):
    """UniMatch: one network on weak views, two strong views and perturbed features."""

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
        """Return the network."""
        return {"network": self.network}

    def evaluated(self) -> dict[str, nn.Module]:
        """Return the network."""
        return {"network": self.network}

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """Compute (L_x + s1/4 + s2/4 + fp/2) / 2 from one pass of the network."""
        first_weak, count = len(labelled.images), len(unlabelled.images)
        views, first = self.mixing(unlabelled, sometimes_box, rng)
        mixings = first, draw_mixing(count, views.size, sometimes_box, rng, self.device)
        strong = strong_views(views, mixings, self.augment, rng)
        images = torch.cat((labelled.images, views.images, *strong))
        weak = slice(first_weak, first_weak + count)
        output = self.network(self.prepared(images), perturb=lambda stages: dropped(stages, weak, DROPOUT))
        end = first_weak + len(views.images)
        labels, confidence = hard_targets(output.logits[first_weak:end].detach(), views)
        supervised = torch.cat((output.logits[:first_weak], output.logits[end:]))
        log_p = log_probabilities(supervised, labelled.size)
        joint = JointOutput(output, log_p[:first_weak], log_p[first_weak:])
        *strong, perturbed = torch.split(joint.unlabelled, count)
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
    """Make two strong views of each base image, with independent colours of base and partner, then mixed.

    Args:
        views: base images first, then their partners.
        mixings: one for each strong view.
        augment: the strong augmentation of colours.
        rng: the step's random numbers.

    Returns:
        Two tensors (B, C, H, W).
    """
    return [
        mixing(augment(views.images, views.valid, generator=item_seeds(rng, len(views.images))))
        for mixing in mixings
    ]


def confident_loss(log_p: Tensor, labels: Tensor, confidence: Tensor, threshold: float = THRESHOLD) -> Tensor:
    """Sum the cross-entropy of labels of sufficient confidence and divide by all valid pixels.

    Args:
        log_p: (N, C, H, W) log-probabilities.
        labels: (N, H, W) int64, 255 where not valid.
        confidence: (N, H, W) float32 of the labels.
        threshold: sufficient confidence.

    Returns:
        A scalar.
    """
    keep = torch.ones_like(labels, dtype=torch.bool)
    return teacher_loss(log_p, labels, confidence, keep, "threshold", threshold)
