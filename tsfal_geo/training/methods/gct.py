"""Guided Collaborative Training (Ke et al. 2020): two networks learn from each other by predicted flaws."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call

from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.training.losses import ramp_up
from tsfal_geo.training.methods.base import SemiSupervised
from tsfal_geo.training.methods.flaws import FlawDetector, better_predictions, flaw_target, smooth_flaws
from tsfal_geo.training.methods.targets import squared_error, with_manual
from tsfal_geo.training.module import Losses
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views

# The authors' constants on VOC (PixelSSL). The ramp is 3 of 20 epochs.
CONSISTENCY = 100.0
RAMP = 3 / 20
CORRECTION = 1.0
DETECTION = 10.0
DETECTOR_LR = 1e-4
DETECTOR_BETAS = (0.9, 0.99)


@register("gct")
class Gct(SemiSupervised):
    """GCT: two networks and a flaw detector; the first network makes the map.

    The detector learns on labelled images at a constant rate and judges unlabelled ones with fixed weights.
    The authors' detector also judges labelled images. Ours does not, because that second pass would cost as
    much as a network.
    """

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build the networks, and the detector from the run's seed."""
        super().__init__(inputs)
        self.left, self.right = inputs.network(0), inputs.network(1)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(inputs.config.train.seed)
            self.detector = FlawDetector(self.normaliser.mean.shape[0] + len(self.class_names))

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

    def slow_groups(self) -> list[dict[str, Any]]:
        """Return the detector's parameters for Adam, which is AdamW without decay."""
        return [
            {
                "params": list(self.detector.parameters()),
                "lr": DETECTOR_LR,
                "betas": DETECTOR_BETAS,
                "weight_decay": 0.0,
            }
        ]

    @property
    def has_idle_parameters(self) -> bool:
        """True if some steps have no unlabelled images, and so no use for the detector."""
        return self.unlabelled_chips == 0 or self.warmup_steps > 0

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """Compute L_sup of both + 100 w(t) · consistency + flaw correction + 10 · detector's error."""
        joints = [self.joint(network, labelled, unlabelled.images) for network in (self.left, self.right)]
        left, right = (joint.unlabelled.exp() for joint in joints)
        flaws = self._judge(unlabelled.images, torch.cat((left, right)))
        *targets, bad = better_predictions(left.detach(), right.detach(), *smooth_flaws(flaws).chunk(2))
        ramp = CONSISTENCY * ramp_up(self.since_warmup, RAMP)
        consistency = [
            squared_error(p, with_manual(target, unlabelled.labels), unlabelled.valid)
            for p, target in zip((left, right), targets, strict=True)
        ]
        where = (bad & unlabelled.valid).repeat(2, 1, 1)
        losses = {
            "labelled_left": self.supervised(joints[0], labelled),
            "labelled_right": self.supervised(joints[1], labelled),
            "consistency": ramp * torch.stack(consistency).sum(),
            # `flaws` holds both networks: twice the mean over both is the sum of the two means.
            "correction": CORRECTION * 2 * (flaws.square() * where).mean(),
            "detector": DETECTION * self._detector_error(labelled, [joint.labelled for joint in joints]),
        }
        self.update_bank(joints[0], labelled)
        return losses

    def _judge(self, images: Tensor, probabilities: Tensor) -> Tensor:
        """Detect flaws (2N, H, W) of both networks; gradients reach the probabilities, not the detector."""
        fixed = {name: value.detach() for name, value in self.detector.named_parameters()}
        flaws: Tensor = functional_call(self.detector, fixed, (images.repeat(2, 1, 1, 1), probabilities))
        return flaws

    def _detector_error(self, labelled: Views, log_ps: list[Tensor]) -> Tensor:
        """Compute the mean squared error of the detector's maps of both networks' predictions."""
        probabilities = torch.cat([log_p.detach().exp() for log_p in log_ps])
        flaws = self.detector(labelled.images.repeat(2, 1, 1, 1), probabilities)
        target = flaw_target(probabilities, labelled.labels.repeat(2, 1, 1))
        error: Tensor = (flaws - target).square().mean()
        return error
