"""PS-MT (Liu et al., CVPR 2022): two alternating teachers, adversarial feature noise, strict labels.

Two things differ from the authors' code. Our teachers follow the student through the warm-up, theirs are
trained by themselves. Our noise is on the deepest features of unlabelled images, theirs on the decoder's
input of all images.
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
from tsfal_geo.training.methods.base import JointOutput, SemiSupervised
from tsfal_geo.training.methods.features import head_logits
from tsfal_geo.training.methods.mixing import three_boxes
from tsfal_geo.training.methods.perturbations import adversarial
from tsfal_geo.training.methods.targets import hard_targets
from tsfal_geo.training.module import Losses
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views

# The authors' constants for Cityscapes, where they train for 450 epochs.
DECAY = 0.996
THRESHOLD = 0.6
WEIGHT = 3.0
RAMP = 12 / 450


@register("ps_mt")
class PsMt(SemiSupervised):
    """PS-MT: a student and two teachers, the first of which makes the map.

    Attributes:
        student: trained by ``train.optimiser``.
        teachers: moving averages of the student; each is updated in every other pass over the unlabelled
            chips.
    """

    WARMUP: ClassVar[float] = 5 / 450

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build all three networks with the same weights."""
        super().__init__(inputs)
        self.student = inputs.network(0)
        self.teachers = nn.ModuleList(EmaTeacher(self.student, DECAY) for _ in range(2))

    def begin(self, total_steps: int) -> None:
        """Start a training; a teacher's memory is at most a tenth of the schedule."""
        super().begin(total_steps)
        for teacher in self.teachers:
            teacher.decay = bounded_decay(DECAY, self.schedule_steps)  # type: ignore[assignment]

    @property
    def predictor(self) -> Segmenter:
        """The first teacher's network."""
        model: Segmenter = self.teachers[0].model  # type: ignore[assignment]
        return model

    def learners(self) -> dict[str, Segmenter]:
        """Return the student."""
        return {"student": self.student}

    def evaluated(self) -> dict[str, nn.Module]:
        """Return all three networks."""
        return {"teacher": self.teachers[0], "second_teacher": self.teachers[1], "student": self.student}

    @property
    def warmup_steps(self) -> int:
        """Steps that use labelled images alone; at least one, so that teachers are not random networks."""
        return max(1, super().warmup_steps)

    @property
    def active_teacher(self) -> int:
        """Index of the teacher that follows the student, 0 or 1; it changes with each pass over the chips."""
        distributed = torch.distributed.is_available() and torch.distributed.is_initialized()
        world = torch.distributed.get_world_size() if distributed else 1
        batch = self.config.train.batch_unlabelled * world
        return active_teacher_at(self._step, math.ceil(self.unlabelled_chips / batch))

    def after_step(self) -> None:
        """Move one teacher towards the student; in the warm-up move both."""
        alternating = self.warm and self.unlabelled_chips
        for teacher in [self.teachers[self.active_teacher]] if alternating else self.teachers:
            teacher.update(self.student)  # type: ignore[operator]

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """Compute L_sup + 3 w(t) L_u."""
        views, mixing = self.mixing(unlabelled, three_boxes, rng)
        with torch.no_grad():
            images = self.prepared(views.images)
            logits = ensemble([teacher(images).logits for teacher in self.teachers])
        labels, confidence = (mixing(values) for values in hard_targets(logits, views))
        mixed = mixing.views(views)
        images = torch.cat((labelled.images, self.strong(mixed.images, mixed.valid, rng)))
        count = len(labelled.images)
        output = self.student(self.prepared(images), perturb=lambda stages: self._disturbed(stages, count))
        log_p = log_probabilities(output.logits, labelled.size)
        joint = JointOutput(output, log_p[:count], log_p[count:])
        weight = WEIGHT * cosine_ramp_up(self.since_warmup, RAMP)
        losses = {
            "labelled_student": self.supervised(joint, labelled),
            "teachers": weight * strict_loss(joint.unlabelled, labels, confidence),
        }
        self.update_bank(joint, labelled)
        return losses

    def _disturbed(self, stages: EncoderFeatures, labelled: int) -> EncoderFeatures:
        """Add adversarial noise against the teachers to the deepest features of unlabelled images."""
        heads = [teacher.model for teacher in self.teachers]
        unlabelled = [part[labelled:].detach().float() for part in stages]
        features_of: Callable[..., EncoderFeatures] = type(stages)

        def teachers_logits(deepest: Tensor) -> Tensor:
            features = features_of(*unlabelled[:-1], deepest)
            return ensemble([head_logits(head, features) for head in heads])  # type: ignore[arg-type]

        own, others = stages[-1][:labelled], stages[-1][labelled:]
        with torch.autocast(self.device.type, enabled=False):
            disturbed = adversarial(others.float(), teachers_logits)
        return features_of(*stages[:-1], torch.cat((own, disturbed.to(own.dtype))))


def active_teacher_at(step: int, epoch: int) -> int:
    """Return the index of the teacher that is updated at a step.

    Args:
        step: number of the step, from 0.
        epoch: steps of a pass over the unlabelled chips.

    Returns:
        0 in the first pass, 1 in the second, and so on in alternation.
    """
    return step // max(1, epoch) % 2


def ensemble(logits: list[Tensor]) -> Tensor:
    """Average the teachers' logits.

    Args:
        logits: (N, C, h4, w4) a teacher, any precision.

    Returns:
        (N, C, h4, w4) float32.
    """
    return torch.stack([part.float() for part in logits]).mean(dim=0)


def strict_loss(log_p: Tensor, labels: Tensor, confidence: Tensor) -> Tensor:
    """Average confidence times cross-entropy over the pixels whose confidence reaches the threshold.

    Args:
        log_p: (N, C, H, W) the student's log-probabilities.
        labels: (N, H, W) int64 the teachers' labels, 255 ignored.
        confidence: (N, H, W) float32 of the labels; 0 where ignored.

    Returns:
        A scalar; 0 where no pixel is sure.
    """
    sure = confidence >= THRESHOLD
    return weighted_cross_entropy(log_p, labels, confidence * sure, sure.sum().float())


def cosine_ramp_up(progress: float, share: float) -> float:
    """Compute the weight (1 − cos πt) / 2 of a loss that rises from 0 to 1 over the first part of a training.

    Args:
        progress: share of the training that is done, in [0, 1].
        share: share of the training at which the weight reaches 1.

    Returns:
        The weight, 0 to 1.
    """
    return (1 - math.cos(math.pi * min(1.0, progress / share))) / 2
