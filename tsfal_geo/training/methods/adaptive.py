"""The common base of TSF, AEL and U2PL: student and EMA teacher on adaptively mixed images.

Sources: Hu et al. 2021 (AEL, arXiv 2110.05474); Ma, Karakus, Rosin 2025 (TSF), which adopts AEL's
augmentation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from tsfal_geo.classes import IGNORE
from tsfal_geo.models.ema import bounded_decay
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.training.adaptive_augmentation import box_mask, draw_boxes, mix
from tsfal_geo.training.banks import PresenceBank
from tsfal_geo.training.losses import teacher_loss
from tsfal_geo.training.methods.base import WithTeacher
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.views import Views, collate


@dataclass(frozen=True)
class UnlabelledTargets:
    """The unlabelled images of a step with the teacher's labels; all maps are (B, H, W).

    Attributes:
        images: (B, C, H, W) the student's input: mixed and colour-jittered.
        valid: bool.
        teacher: int64 the teacher's labels (ŷ^t) after manual override, 255 ignored.
        confidence: float32 confidence of ``teacher``, 0 to 1.
        manual: int64 manual labels, 255 where there is none.
        refined: bool, True where ``teacher`` is a vote of PLAR that manual labels of the same image support;
            None: nowhere.
    """

    images: Tensor
    valid: Tensor
    teacher: Tensor
    confidence: Tensor
    manual: Tensor
    refined: Tensor | None


class AdaptiveTeacher(WithTeacher):
    """Student, EMA teacher and adaptive CutMix, configured by ``config.tsf``.

    Attributes:
        presence: the classes that the teacher has predicted on each unlabelled chip.
    """

    WARMUP: ClassVar[float] = 0.05

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build student, teacher and an empty presence bank."""
        super().__init__(inputs)
        tsf = inputs.config.tsf
        self.teacher.decay = tsf.ema_decay
        self.presence = PresenceBank(len(self.class_names), inputs.unlabelled_chips, tsf.presence_min_area)

    def begin(self, total_steps: int) -> None:
        """Start a training; the teacher's memory is at most a tenth of the schedule."""
        super().begin(total_steps)
        self.teacher.decay = bounded_decay(self.config.tsf.ema_decay, self.schedule_steps)

    def with_partners(self, base: Views, rng: np.random.Generator) -> tuple[list[int], Views]:
        """Draw a partner for each base image (AEL).

        A class is drawn by the confidence bank, badly known classes more often, and a chip that shows it by
        the presence bank.

        Args:
            base: B views.
            rng: the step's random numbers.

        Returns:
            The B drawn classes, and the views: base images first, then their partners. Without CutMix no
            classes and the base images alone.
        """
        if not self.config.tsf.cutmix:
            return [], base
        probabilities = self.branch.bank.mixing_probabilities()
        drawn_classes = rng.choice(len(probabilities), size=len(base.images), p=probabilities).tolist()
        samples = [self.branch.source.partner(self.presence.draw(c, rng)) for c in drawn_classes]
        return drawn_classes, base + self.views(collate(samples, rng, self.device))

    def mixed(
        self, maps: Sequence[Tensor], drawn_classes: Sequence[int], cells: Tensor, rng: np.random.Generator
    ) -> list[Tensor]:
        """Paste an object of each partner onto its base image, in all maps alike.

        Args:
            maps: each (2B, …, H, W), base images first. The first map is the images; the others may be on the
                stride-4 grid instead.
            drawn_classes: B class indices, each of which chose its partner; empty: nothing is mixed.
            cells: (2B, h4, w4) uint8 the teacher's classes.
            rng: the step's random numbers.

        Returns:
            The maps, (B, …) each.
        """
        if not drawn_classes:
            return list(maps)
        count, size = len(drawn_classes), (maps[0].shape[-2], maps[0].shape[-1])
        stride = Segmenter.LOGIT_STRIDE
        boxes = draw_boxes(
            cells[count:].cpu().numpy(), drawn_classes, self.config.tsf.component_min_area, stride, size, rng
        )
        fine = box_mask(boxes, size, self.device)
        coarse = fine[:, stride // 2 :: stride, stride // 2 :: stride]
        return [
            mix(values[:count], values[count:], fine if values.shape[-2:] == size else coarse)
            for values in maps
        ]

    def teacher_loss(
        self, log_p: Tensor, predicted: Tensor, targets: UnlabelledTargets, share: float = 1.0
    ) -> Tensor:
        """Compute L_t (Ma, Karakus, Rosin 2025, eq. 2) on the mixed images.

        With the weighting ``ael`` a pixel takes part with the probability ρ of the class that the student
        predicts there; pixels with manual labels always do. Manual labels, and votes of PLAR that they
        support, have weight 1.

        Args:
            log_p: (B, C, H, W) the student's log-probabilities.
            predicted: (B, H, W) int64 the student's classes.
            targets: the teacher's labels.
            share: factor on the weight of pseudo-labels.

        Returns:
            A scalar.
        """
        manual = targets.manual != IGNORE
        trusted = manual if targets.refined is None else manual | targets.refined
        keep = torch.rand_like(targets.confidence) < self.branch.bank.keep_probabilities()[predicted]
        return teacher_loss(
            log_p,
            targets.teacher,
            targets.confidence,
            keep | manual,
            self.config.tsf.teacher_weighting,
            self.config.tsf.confidence_threshold,
            trusted,
            share,
        )
