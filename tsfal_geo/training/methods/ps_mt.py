"""PS-MT (Liu et al., CVPR 2022): two teachers that take turns, adversarial feature noise, strict labels.

Two things differ from the authors' code. The networks start alike: teachers follow the student through the
warm-up, where theirs are trained on their own. And the noise is on the deepest features of unlabelled images,
theirs on the decoder's input of all images.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from tsfal_geo.models.ema import EmaTeacher, bounded_decay
from tsfal_geo.models.encoders import EncoderFeatures
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.training.losses import log_probabilities, weighted_cross_entropy
from tsfal_geo.training.methods.base import Joint, SemiSupervised
from tsfal_geo.training.methods.features import head_logits
from tsfal_geo.training.methods.mixing import three_boxes
from tsfal_geo.training.methods.perturbations import adversarial
from tsfal_geo.training.methods.targets import hard_targets
from tsfal_geo.training.module import Losses
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views

# The authors' for Cityscapes; lengths of 450 epochs.
DECAY = 0.996
THRESHOLD = 0.6
WEIGHT = 3.0
RAMP = 12 / 450


@register("ps_mt")
class PsMt(SemiSupervised):
    """A student and two teachers.

    Attributes:
        student: trained by SGD.
        teachers: its moving averages, each updated in every other pass over the unlabelled chips. The first
            one makes the map.
    """

    WARMUP: ClassVar[float] = 5 / 450

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build all three."""
        super().__init__(inputs)
        self.student = inputs.network(0)
        self.teachers = nn.ModuleList(EmaTeacher(self.student, DECAY) for _ in range(2))

    def begin(self, total_steps: int) -> None:
        """Start anew; a teacher's memory is at most a tenth of the training."""
        super().begin(total_steps)
        for teacher in self.teachers:
            teacher.decay = bounded_decay(DECAY, self.schedule_steps)  # type: ignore[assignment]

    @property
    def predictor(self) -> Segmenter:
        """The first teacher."""
        model: Segmenter = self.teachers[0].model  # type: ignore[assignment]
        return model

    def learners(self) -> dict[str, Segmenter]:
        """The student."""
        return {"student": self.student}

    def evaluated(self) -> dict[str, nn.Module]:
        """All three."""
        return {"teacher": self.teachers[0], "second_teacher": self.teachers[1], "student": self.student}

    @property
    def warmup_steps(self) -> int:
        """Steps on labelled images alone, one at least: then the teachers are no beginners."""
        return max(1, super().warmup_steps)

    @property
    def turn(self) -> int:
        """The teacher that follows the student now, 0 or 1: it changes with the pass over the chips."""
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        world = torch.distributed.get_world_size() if distributed else 1
        batch = self.config.train.batch_unlabelled * world
        return active_teacher_at(self._step, math.ceil(self.unlabelled_chips / batch))

    def after_step(self) -> None:
        """One teacher follows the student, in the warm-up both."""
        taught = self.warm and self.unlabelled_chips
        for teacher in [self.teachers[self.turn]] if taught else self.teachers:
            teacher.update(self.student)  # type: ignore[operator]

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """L_sup + 3 w(t) L_u."""
        views, mixing = self.mixing(unlabelled, three_boxes, rng)
        with torch.no_grad():
            images = self.prepared(views.images)
            logits = ensemble([teacher(images).logits for teacher in self.teachers])
        labels, confidence = (mixing(values) for values in hard_targets(logits, views))
        mixed = mixing.views(views)
        images = torch.cat((labelled.images, self.strong(mixed.images, mixed.valid, rng)))
        known = len(labelled.images)
        output = self.student(self.prepared(images), perturb=lambda stages: self._disturbed(stages, known))
        log_p = log_probabilities(output.logits, labelled.size)
        joint = Joint(output, log_p[:known], log_p[known:])
        weight = WEIGHT * cosine_ramp_up(self.since_warmup, RAMP)
        losses = {
            "labelled_student": self.supervised(joint, labelled),
            "teachers": weight * strict_loss(joint.rest, labels, confidence),
        }
        self.update_bank(joint, labelled)
        return losses

    def _disturbed(self, stages: EncoderFeatures, known: int) -> EncoderFeatures:
        """The student's features, the deepest ones of unlabelled images with the noise that teachers fear."""
        heads = [teacher.model for teacher in self.teachers]
        rest = [part[known:].detach().float() for part in stages]
        again: Callable[..., EncoderFeatures] = type(stages)

        def said(deepest: Tensor) -> Tensor:
            features = again(*rest[:-1], deepest)
            return ensemble([head_logits(head, features) for head in heads])  # type: ignore[arg-type]

        own, others = stages[-1][:known], stages[-1][known:]
        with torch.autocast(self.device.type, enabled=False):
            disturbed = adversarial(others.float(), said)
        return again(*stages[:-1], torch.cat((own, disturbed.to(own.dtype))))


def active_teacher_at(step: int, epoch: int) -> int:
    """Whose turn it is at a step: the first teacher's in the first pass of ``epoch`` steps, then in turn."""
    return step // max(1, epoch) % 2


def ensemble(logits: list[Tensor]) -> Tensor:
    """The teachers' mean logits."""
    return torch.stack([part.float() for part in logits]).mean(dim=0)


def strict_loss(log_p: Tensor, labels: Tensor, confidence: Tensor) -> Tensor:
    """Mean of cross-entropy times confidence over the pixels whose label is sure enough.

    Args:
        log_p: (N, C, H, W) the student's log-probabilities.
        labels: (N, H, W) int64 the teachers' labels, 255 ignored.
        confidence: (N, H, W) float32 of the labels; 0 where ignored.
    """
    sure = confidence >= THRESHOLD
    return weighted_cross_entropy(log_p, labels, confidence * sure, sure.sum().float())


def cosine_ramp_up(progress: float, share: float) -> float:
    """Weight of a loss that rises from 0 to 1 over the first ``share`` of a training, as half a cosine."""
    return (1 - math.cos(math.pi * min(1.0, progress / share))) / 2
