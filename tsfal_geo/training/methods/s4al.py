"""S4AL's training (Rangnekar, Kanan, Hoffman 2023): EMA teacher, ClassMix, weights by image confidence.

From the second generation on, when annotators have labelled regions, a second mix pastes rare classes from
earlier images. A replay buffer holds the numbers of those images.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE
from tsfal_geo.data.augment import ColourJitter
from tsfal_geo.models.ema import EmaTeacher, bounded_decay
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.training.adaptive_augmentation import mix, tail_classes
from tsfal_geo.training.losses import log_probabilities, weighted_cross_entropy
from tsfal_geo.training.methods.base import item_seeds
from tsfal_geo.training.methods.targets import hard_targets
from tsfal_geo.training.module import Losses, SegmentationModule
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views, collate, make_views

# The authors' constants; the two starts are shares of the training (their epochs 10 and 30 of 100).
DECAY = 0.99
CONFIDENT = 0.97
COLD_START = 0.1
COLD_WEIGHT = 1.5
REPLAY_START = 0.3
REPLAY = 500
PASTED = 3
Maps = tuple[Tensor, Tensor, Tensor]
"""Images (B, C, H, W), labels (B, H, W) int64 with 255 ignored, and their confidence (B, H, W)."""


@register("s4al")
class S4al(SegmentationModule):
    """S4AL: student and teacher; manual labels on unlabelled images replace pseudo-labels there.

    Attributes:
        student: trained by ``train.optimiser``; makes the map.
        teacher: its moving average, which labels unlabelled images.
        tail: indices of the rare classes.
        adaptive: True from the second generation on; then images of the replay buffer are used.
        replay: (REPLAY,) int64 numbers of unlabelled chips, -1 where empty.
    """

    replay: Tensor

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build student and teacher, and an empty replay buffer."""
        super().__init__(inputs)
        self.student = inputs.network(0)
        self.teacher = EmaTeacher(self.student, DECAY)
        # The supervised branch has no tail classes here, because the authors do not use copy-paste.
        self.tail = tail_classes(inputs.class_counts)
        self.jitter = ColourJitter(inputs.config.augment.colour or 0.0, inputs.bands)
        self.adaptive = inputs.generation > 0
        self.unlabelled_chips = inputs.unlabelled_chips
        self.register_buffer("replay", torch.full((REPLAY,), -1, dtype=torch.int64))

    def begin(self, total_steps: int) -> None:
        """Start a training with an empty buffer; the teacher's memory is at most a tenth of the schedule."""
        super().begin(total_steps)
        self.teacher.decay = bounded_decay(DECAY, self.schedule_steps)
        self.replay.fill_(-1)

    @property
    def predictor(self) -> Segmenter:
        """The student, which the authors evaluate and query with."""
        return self.student

    def learners(self) -> dict[str, Segmenter]:
        """Return the student."""
        return {"student": self.student}

    def evaluated(self) -> dict[str, nn.Module]:
        """Return student and teacher."""
        return {"student": self.student, "teacher": self.teacher}

    def losses(self, batch: dict[str, Any], rng: np.random.Generator) -> Losses:
        """Compute 1.5 L_sup in the cold start, later L_sup + L_u, with L_u of replayed images as well."""
        labelled = self.branch.views(batch["labelled"])
        extra: dict[str, Maps] = {}
        cold = self.progress < COLD_START
        if not cold and "unlabelled" in batch:
            extra = self._mixtures(make_views(batch["unlabelled"], self.normaliser, self.branch.augment), rng)
        images = torch.cat((labelled.images, *(maps[0] for maps in extra.values())))
        output = self.student(self.prepared(images))
        counts = [len(labelled.images), *(len(maps[0]) for maps in extra.values())]
        log_p, *others = torch.split(log_probabilities(output.logits, labelled.size), counts)
        supervised = self.branch.loss(output, log_p, labelled.labels)
        losses = {"labelled": COLD_WEIGHT * supervised if cold else supervised}
        for (name, (_, labels, confidence)), mixed in zip(extra.items(), others, strict=True):
            losses[name] = confident_loss(mixed, labels, confidence)
        self.branch.bank.update(log_p.detach(), labelled.labels)
        return {"total": torch.stack(list(losses.values())).sum(), **losses}

    def after_step(self) -> None:
        """Move the teacher towards the student."""
        self.teacher.update(self.student)

    def _mixtures(self, base: Views, rng: np.random.Generator) -> dict[str, Maps]:
        own = self._teacher_labels(base)
        extra = {"classmix": self._jittered(class_mix(own, rng), rng)}
        if self.adaptive:
            if self.progress >= REPLAY_START:
                older = self._teacher_labels(self._from_buffer(len(base.images), rng))
                pasted = paste_rare(own, older, self.tail, len(self.class_names), rng)
                extra["replay"] = self._jittered(pasted, rng)
            self._add_to_buffer(base.index.tolist(), rng)
        return extra

    @torch.no_grad()
    def _teacher_labels(self, views: Views) -> Maps:
        """Label images with the teacher; manual labels replace its labels, with confidence 1."""
        return views.images, *hard_targets(self.teacher(self.prepared(views.images)).logits, views)

    def _jittered(self, maps: Maps, rng: np.random.Generator) -> Maps:
        images, labels, confidence = maps
        jittered = self.jitter(images, labels != IGNORE, generator=item_seeds(rng, len(images)))
        return jittered, labels, confidence

    def _from_buffer(self, count: int, rng: np.random.Generator) -> Views:
        """Remove images from the buffer; while it holds too few, draw others at random."""
        stored = self.replay[self.replay >= 0].tolist()
        chosen = [stored.pop() for _ in range(min(count, len(stored)))]
        self._fill_buffer(stored)
        missing = rng.integers(self.unlabelled_chips, size=count - len(chosen)).tolist()
        samples = [self.branch.source.partner(index) for index in chosen + missing]
        return make_views(collate(samples, rng, self.device), self.normaliser, self.branch.augment)

    def _add_to_buffer(self, index: Sequence[int], rng: np.random.Generator) -> None:
        """Add images; of too many, those that a shuffle puts last are dropped."""
        stored = self.replay[self.replay >= 0].tolist() + list(index)
        self._fill_buffer(rng.permutation(stored).tolist()[:REPLAY])

    def _fill_buffer(self, index: Sequence[int]) -> None:
        self.replay.fill_(-1)
        self.replay[: len(index)] = torch.tensor(index, dtype=torch.int64)


def confident_loss(log_p: Tensor, target: Tensor, confidence: Tensor) -> Tensor:
    """Average the cross-entropy, weighted by confidence and by each image's share of confident pixels.

    Pixels of confidence 0.97 or more are confident.

    Args:
        log_p: (N, C, H, W) log-probabilities of the student on mixed images.
        target: (N, H, W) int64 labels, 255 ignored.
        confidence: (N, H, W) of the labels, in [0, 1].

    Returns:
        A scalar, the mean over all pixels that are not ignored; 0 where there is none.
    """
    valid = target != IGNORE
    sure = ((confidence >= CONFIDENT) & valid).flatten(1).sum(1) / valid.flatten(1).sum(1).clamp_min(1)
    return weighted_cross_entropy(log_p, target, sure[:, None, None] * confidence, valid.sum().float())


def class_mix(maps: Maps, rng: np.random.Generator) -> Maps:
    """Paste half of each image's classes over the next image (ClassMix, Olsson et al. 2021).

    Args:
        maps: of B images.
        rng: chooses the classes.

    Returns:
        The mixed maps of B images.
    """
    labels = maps[1]
    following = torch.arange(1, len(labels) + 1, device=labels.device) % len(labels)
    chosen = [rng.permutation(found)[: len(found) // 2] for found in _classes(labels)]
    inside = _where(labels, chosen)
    return _mix(tuple(part[following] for part in maps), maps, inside)


def paste_rare(base: Maps, donors: Maps, tail: Sequence[int], classes: int, rng: np.random.Generator) -> Maps:
    """Paste 3 frequent and 3 rare classes of each donor over the base images.

    Args:
        base: maps of B images, which are overwritten.
        donors: maps of B images.
        tail: indices of the rare classes.
        classes: number of classes C.
        rng: chooses the classes.

    Returns:
        The mixed maps of B images.
    """
    head = [c for c in range(classes) if c not in tail]
    chosen = [
        np.concatenate([rng.permutation(group)[:PASTED] for group in (head, list(tail))]) for _ in base[1]
    ]
    return _mix(base, donors, _where(donors[1], chosen))


def _classes(labels: Tensor) -> list[NDArray[np.int64]]:
    return [np.setdiff1d(image.unique().cpu().numpy(), [IGNORE]) for image in labels]


def _where(labels: Tensor, chosen: Sequence[NDArray[np.int64]]) -> Tensor:
    classes = [torch.from_numpy(np.asarray(c, np.int64)).to(labels.device) for c in chosen]
    return torch.stack([torch.isin(image, c) for image, c in zip(labels, classes, strict=True)])


def _mix(base: Sequence[Tensor], partner: Sequence[Tensor], inside: Tensor) -> Maps:
    images, labels, confidence = (mix(a, b, inside) for a, b in zip(base, partner, strict=True))
    return images, labels, confidence
