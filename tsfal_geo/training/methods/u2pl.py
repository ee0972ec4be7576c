"""U2PL (Wang et al., CVPR 2022): reliable pixels teach their label, unreliable ones the classes they are not.

As in Table 1 of Ma, Karakus, Rosin 2025 it uses AEL's augmentation: adaptive CutMix and copy-paste. Two
things differ from the authors' code. Our teacher sees the unmixed images once, and its maps are mixed like
the images; theirs sees the mixed images in a second pass, in train mode. Our vectors come from two 1×1
convolutions on F2; theirs come from three convolutions beside the decoder, which cost as much as the decoder.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE
from tsfal_geo.models.ema import EmaTeacher
from tsfal_geo.models.head import FEATURES
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.training.losses import cross_entropy, log_probabilities
from tsfal_geo.training.methods.adaptive import AdaptiveTeacher
from tsfal_geo.training.methods.contrast import Cells, ClassQueues, contrast
from tsfal_geo.training.methods.targets import override_with_manual
from tsfal_geo.training.module import Losses
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views, pseudo_labels

# The authors' share of unreliable pixels at the start; it falls linearly to 0 at the end of the training.
UNRELIABLE = 0.2
CONTRAST_WEIGHT = 1.0
_CERTAIN = -1.0  # below any entropy


@register("u2pl")
class U2pl(AdaptiveTeacher):
    """U2PL: student and teacher, each with a projector to the vectors of the contrastive loss.

    Attributes:
        projector: of the student.
        teacher_projector: the projector's moving average.
        queues: for each class, vectors of cells that are surely not of it.
    """

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build the networks, the projectors and empty queues."""
        super().__init__(inputs)
        width = self.student.head.classifier.in_channels
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(inputs.config.train.seed)
            self.projector = nn.Sequential(
                nn.Conv2d(width, FEATURES, 1),
                nn.BatchNorm2d(FEATURES),
                nn.ReLU(),
                nn.Conv2d(FEATURES, FEATURES, 1),
            )
        self.teacher_projector = EmaTeacher(self.projector, self.teacher.decay)
        self.queues = ClassQueues(len(self.class_names), FEATURES)

    def begin(self, total_steps: int) -> None:
        """Start a training; the teacher's projector has the teacher's decay."""
        super().begin(total_steps)
        self.teacher_projector.decay = self.teacher.decay

    def extra_groups(self) -> list[dict[str, Any]]:
        """Return the projector's parameters at the heads' rate."""
        return [{"params": list(self.projector.parameters()), "factor": self.config.train.head_lr_mult}]

    @property
    def has_idle_parameters(self) -> bool:
        """Always True: the projector needs unlabelled images, and classes with negatives."""
        return True

    def after_step(self) -> None:
        """Move teacher and projector towards the student's."""
        super().after_step()
        self.teacher_projector.update(self.projector)

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """Compute L_sup + L_u (reliable pixels) + L_c (contrast)."""
        count = len(labelled.images)
        drawn_classes, views = self.with_partners(unlabelled, rng)
        with torch.no_grad():
            output = self.teacher(self.prepared(torch.cat((labelled.images, views.images))), features=True)
            vectors = self.teacher_projector(output.f2).float()
        pseudo = pseudo_labels(output.logits[count:], views.valid)
        self.presence.mark(views.index, pseudo.cells)
        labels, _ = override_with_manual(pseudo.labels, pseudo.confidence, views)
        doubt = entropy(log_probabilities(output.logits[count:], views.size))
        # A manual label is always reliable.
        doubt = doubt.masked_fill(views.labels != IGNORE, _CERTAIN)
        log_p = output.logits.float().log_softmax(dim=1)
        maps = [views.images, views.valid, labels, doubt, log_p[count:], vectors[count:]]
        images, valid, labels, doubt, *small = self.mixed(maps, drawn_classes, pseudo.cells, rng)
        joint = self.joint(self.student, labelled, self.strong(images, valid, rng), features=True)
        bounds = entropy_bounds(doubt, valid, UNRELIABLE * (1 - self.progress))
        reliable = valid & (doubt < bounds[1])
        student = self.projector(joint.output.f2).float()
        losses = {
            "labelled_student": self.supervised(joint, labelled),
            "reliable": reliable_loss(joint.unlabelled, labels, reliable, valid),
        }
        with torch.autocast(self.device.type, enabled=False):
            cells = _cells(labelled, labels, doubt, valid, bounds, torch.cat((log_p[:count], small[0])))
            teacher = torch.cat((vectors[:count], small[1]))
            losses["contrast"] = CONTRAST_WEIGHT * contrast(student, teacher, cells, self.queues)
        self.update_bank(joint, labelled)
        return losses


def entropy(log_p: Tensor) -> Tensor:
    """Compute −Σ_c p_c log p_c.

    Args:
        log_p: (N, C, H, W) log-probabilities.

    Returns:
        (N, H, W) in nats.
    """
    return -(log_p.exp() * log_p).sum(dim=1)


def entropy_bounds(doubt: Tensor, valid: Tensor, share: float) -> tuple[Tensor, Tensor]:
    """Compute the quantiles α and 1 − α of the entropy over valid pixels.

    Args:
        doubt: (N, H, W) entropies.
        valid: (N, H, W) bool.
        share: α, from 0 to 0.5.

    Returns:
        Two scalars, interpolated between neighbours; 0 where no pixel is valid.
    """
    ordered = doubt[valid].sort().values
    if not len(ordered):
        return doubt.new_zeros(()), doubt.new_zeros(())
    last = len(ordered) - 1

    def at(rank: float) -> Tensor:
        return ordered[int(rank)].lerp(ordered[min(int(rank) + 1, last)], rank % 1)

    return at(share * last), at((1 - share) * last).clamp_min(0)


def reliable_loss(log_p: Tensor, labels: Tensor, reliable: Tensor, valid: Tensor) -> Tensor:
    """Compute the mean cross-entropy of reliable pixels, times the ratio of valid to reliable pixels.

    Args:
        log_p: (N, C, H, W) the student's log-probabilities.
        labels: (N, H, W) int64 the teacher's labels.
        reliable: (N, H, W) bool.
        valid: (N, H, W) bool.

    Returns:
        A scalar.
    """
    mean = cross_entropy(log_p, labels.masked_fill(~reliable, IGNORE))
    return mean * valid.sum() / reliable.sum().clamp_min(1)


def _cells(
    labelled: Views,
    labels: Tensor,
    doubt: Tensor,
    valid: Tensor,
    bounds: tuple[Tensor, Tensor],
    log_p: Tensor,
) -> Cells:
    """Sample labelled and mixed images at the centres of cells and mark reliable and unreliable ones."""
    true, labels, doubt, valid = (_centres(x) for x in (labelled.labels, labels, doubt, valid))
    sure = true != IGNORE
    return Cells(
        labels=torch.cat((true, labels)),
        log_p=log_p,
        reliable=torch.cat((sure, valid & (doubt <= bounds[0]))),
        unreliable=torch.cat((torch.zeros_like(sure), valid & (doubt >= bounds[1]))),
        labelled_images=len(true),
    )


def _centres(maps: Tensor) -> Tensor:
    """Sample maps (N, H, W) at the centres of the stride-4 cells, (N, h4, w4)."""
    stride = Segmenter.LOGIT_STRIDE
    return maps[:, stride // 2 :: stride, stride // 2 :: stride]
