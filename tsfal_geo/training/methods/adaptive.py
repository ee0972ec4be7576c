"""A student and its moving average on adaptively mixed images: what TSF, AEL and U2PL share.

Source: Hu et al. 2021 (AEL, arXiv 2110.05474); method, sections 2.1 to 2.3.
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
class Taught:
    """A step's unlabelled images with what the teacher says about them; all maps are (B, H, W).

    Attributes:
        images: (B, C, H, W) what the student sees: mixed, colour-jittered.
        valid: bool.
        teacher: int64 the teacher's labels (ŷ^t) after manual override, 255 ignored.
        confidence: float32 of ``teacher``.
        manual: int64 what people said, 255 where nothing.
        refined: bool, where ``teacher`` is a vote of people's labels in the same image; None: nowhere.
    """

    images: Tensor
    valid: Tensor
    teacher: Tensor
    confidence: Tensor
    manual: Tensor
    refined: Tensor | None


class AdaptiveTeacher(WithTeacher):
    """Student, EMA teacher and adaptive CutMix, as ``config.tsf`` says.

    Attributes:
        presence: which unlabelled chips show which class.
    """

    WARMUP: ClassVar[float] = 0.05

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build student, teacher and an empty presence bank."""
        super().__init__(inputs)
        tsf = inputs.config.tsf
        self.teacher.decay = tsf.ema_decay
        self.presence = PresenceBank(len(self.class_names), inputs.unlabelled_chips, tsf.presence_min_area)

    def begin(self, total_steps: int) -> None:
        """Start anew; the teacher's memory is at most a tenth of the training."""
        super().begin(total_steps)
        self.teacher.decay = bounded_decay(self.config.tsf.ema_decay, self.schedule_steps)

    def with_partners(self, base: Views, rng: np.random.Generator) -> tuple[list[int], Views]:
        """The base images, then a partner each, and the classes that chose them; none without CutMix."""
        if not self.config.tsf.cutmix:
            return [], base
        probabilities = self.branch.bank.mixing_probabilities()
        wanted = rng.choice(len(probabilities), size=len(base.images), p=probabilities).tolist()
        samples = [self.branch.source.partner(self.presence.draw(c, rng)) for c in wanted]
        return wanted, base + self.views(collate(samples, rng, self.device))

    def mixed(
        self, maps: Sequence[Tensor], wanted: Sequence[int], cells: Tensor, rng: np.random.Generator
    ) -> list[Tensor]:
        """Paste an object of each partner onto its base image, in all maps alike.

        Args:
            maps: each (2B, …, H, W), base images first; the first is the images, the others may also be on
                the stride-4 grid.
            wanted: (B,) the class that chose each partner; none: nothing is mixed.
            cells: (2B, h4, w4) uint8 the teacher's classes.
            rng: the step's random numbers.

        Returns:
            (B, …) each.
        """
        if not wanted:
            return list(maps)
        count, size = len(wanted), (maps[0].shape[-2], maps[0].shape[-1])
        stride = Segmenter.LOGIT_STRIDE
        boxes = draw_boxes(
            cells[count:].cpu().numpy(), wanted, self.config.tsf.component_min_area, stride, size, rng
        )
        fine = box_mask(boxes, size, self.device)
        coarse = fine[:, stride // 2 :: stride, stride // 2 :: stride]
        return [
            mix(values[:count], values[count:], fine if values.shape[-2:] == size else coarse)
            for values in maps
        ]

    def teacher_loss(self, log_p: Tensor, seen: Tensor, taught: Taught, share: float = 1.0) -> Tensor:
        """L_t, in ``ael`` on pixels drawn by how well the student knows the class it sees (``seen``).

        Pseudo-labels count ``share``. What people said counts 1, and so do the votes of PLAR that it carries.
        """
        said = taught.manual != IGNORE
        known = said if taught.refined is None else said | taught.refined
        keep = torch.rand_like(taught.confidence) < self.branch.bank.keep_probabilities()[seen]
        return teacher_loss(
            log_p,
            taught.teacher,
            taught.confidence,
            keep | said,
            self.config.tsf.teacher_weighting,
            self.config.tsf.confidence_threshold,
            known,
            share,
        )
