"""A student and its moving average on adaptively mixed images: what TSF, AEL and U2PL share.

Source: Hu et al. 2021 (AEL, arXiv 2110.05474); method, sections 2.1 to 2.3.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE
from tsfal_geo.data.augment import ColourJitter
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.models.ema import EmaTeacher
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.ssl.banks import PresenceBank
from tsfal_geo.ssl.base import SegmentationModule
from tsfal_geo.ssl.cutmix import box_mask, draw_boxes, mix
from tsfal_geo.ssl.losses import teacher_loss
from tsfal_geo.ssl.parts import Parts
from tsfal_geo.ssl.views import PseudoLabels, Views, collate, make_views

_WARMUP = 0.05
_MEMORY = 0.1


@dataclass(frozen=True)
class Taught:
    """A step's unlabelled images with what the teacher says about them; all maps are (B, H, W).

    Attributes:
        images: (B, C, H, W) what the student sees: mixed, colour-jittered.
        valid: bool.
        teacher: int64 the teacher's labels (ŷ^t) after manual override, 255 ignored.
        confidence: float32 of ``teacher``.
        manual: int64 what people said, 255 where nothing.
    """

    images: Tensor
    valid: Tensor
    teacher: Tensor
    confidence: Tensor
    manual: Tensor


class AdaptiveTeacher(SegmentationModule):
    """Student, EMA teacher and adaptive CutMix; subclasses have the losses.

    Attributes:
        student: learns.
        teacher: the student's moving average.
        presence: which unlabelled chips show which class.
    """

    def __init__(self, parts: Parts) -> None:
        """Build the student from the run's first network, and its teacher."""
        super().__init__(parts)
        config = parts.config
        self.student = parts.network(0)
        self.teacher = EmaTeacher(self.student, config.tsf.ema_decay)
        self.presence = PresenceBank(
            len(self.class_names), parts.unlabelled_chips, config.tsf.presence_min_area
        )
        self.jitter = ColourJitter(config.augment.colour or 0.0, parts.bands)

    def begin(self, total_steps: int) -> None:
        """Start anew; the teacher's memory is at most a tenth of the training.

        A decay of 0.99 remembers a hundred steps: in a training of a few hundred the teacher would lag behind
        its student to the end.
        """
        super().begin(total_steps)
        self.teacher.decay = min(self.config.tsf.ema_decay, max(0.0, 1 - 1 / (_MEMORY * total_steps)))

    @property
    def predictor(self) -> Segmenter:
        """The teacher."""
        model: Segmenter = self.teacher.model  # type: ignore[assignment]
        return model

    def learners(self) -> dict[str, Segmenter]:
        """The student."""
        return {"student": self.student}

    def evaluated(self) -> dict[str, nn.Module]:
        """Both."""
        return {"teacher": self.teacher, "student": self.student}

    @property
    def warmup_steps(self) -> int:
        """Steps before unlabelled images count."""
        given = self.config.tsf.warmup_steps
        return round(_WARMUP * self.total_steps) if given is None else given

    def after_step(self) -> None:
        """The teacher follows the student."""
        self.teacher.update(self.student)

    def unlabelled_views(self, batch: dict[str, Any]) -> Views | None:
        """The step's unlabelled images, weakly augmented; None in the warm-up and where there are none."""
        if self._step < self.warmup_steps or "unlabelled" not in batch:
            return None
        return make_views(batch["unlabelled"], *self._maker)

    def with_partners(self, base: Views, rng: np.random.Generator) -> tuple[list[int], Views]:
        """The base images, then a partner each, and the classes that chose them; none without CutMix."""
        if not self.config.tsf.cutmix:
            return [], base
        probabilities = self.branch.bank.mixing_probabilities()
        wanted = rng.choice(len(probabilities), size=len(base.images), p=probabilities).tolist()
        samples = [self.branch.source.partner(self.presence.draw(c, rng)) for c in wanted]
        return wanted, base + make_views(collate(samples, rng, self.device), *self._maker)

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

    def jittered(self, images: Tensor, valid: Tensor, rng: np.random.Generator) -> Tensor:
        """Mixed images with the colours that the student sees."""
        seeds = torch.from_numpy(rng.integers(2**62, size=len(images)))
        return self.jitter(images, valid, generator=seeds)

    def teacher_loss(self, log_p: Tensor, seen: Tensor, taught: Taught) -> Tensor:
        """L_t, in ``ael`` on pixels drawn by how well the student knows the class it sees (``seen``)."""
        keep = torch.rand_like(taught.confidence) < self.branch.bank.keep_probabilities()[seen]
        return teacher_loss(
            log_p,
            taught.teacher,
            taught.confidence,
            keep | (taught.manual != IGNORE),
            self.config.tsf.teacher_weighting,
            self.config.tsf.confidence_threshold,
        )

    @property
    def _maker(self) -> tuple[Normaliser, Any]:
        return self.normaliser, self.branch.augment


def overridden(pseudo: PseudoLabels, views: Views) -> tuple[Tensor, Tensor]:
    """Pseudo-labels and their confidence after manual override: what a person said has confidence 1."""
    manual = views.labels != IGNORE
    labels = torch.where(manual, views.labels, pseudo.labels)
    return labels.masked_fill(~views.valid, IGNORE), pseudo.confidence.masked_fill(manual, 1.0)
