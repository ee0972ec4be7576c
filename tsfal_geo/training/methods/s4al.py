"""S4AL's training (Rangnekar, Kanan, Hoffman 2023): averaged teacher, ClassMix, doubtful images count less.

From the second generation on (when regions have been bought) a second mix pastes rare classes from images
seen a while ago: a replay buffer holds their numbers.
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
from tsfal_geo.models.ema import EmaTeacher
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.training import adaptive_augmentation as copypaste
from tsfal_geo.training.adaptive_augmentation import mix
from tsfal_geo.training.losses import log_probabilities, weighted_cross_entropy
from tsfal_geo.training.module import Losses, SegmentationModule
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views, collate, make_views, pixel_labels

DECAY = 0.99
CONFIDENT = 0.97
COLD_START = 0.1
COLD_WEIGHT = 1.5
REPLAY_START = 0.3
REPLAY = 500
PASTED = 3
_MEMORY = 0.1
Maps = tuple[Tensor, Tensor, Tensor]
"""Images (B, C, H, W), labels (B, H, W) int64 with 255 ignored, and their confidence (B, H, W)."""


@register("s4al")
class S4al(SegmentationModule):
    """Student and teacher; what people said of unlabelled images takes the place of pseudo-labels there."""

    replay: Tensor

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build the networks."""
        super().__init__(inputs)
        self.student = inputs.network(0)
        self.teacher = EmaTeacher(self.student, DECAY)
        # Not the labelled branch's: that has none without copy-paste, which the authors do not use.
        self.tail = copypaste.tail_classes(inputs.class_counts)
        self.jitter = ColourJitter(inputs.config.augment.colour or 0.0, inputs.bands)
        self.adaptive = inputs.generation > 0
        self.unlabelled_chips = inputs.unlabelled_chips
        self.register_buffer("replay", torch.full((REPLAY,), -1, dtype=torch.int64))

    def begin(self, total_steps: int) -> None:
        """Start anew, the replay buffer empty; the teacher's memory is at most a tenth of the training."""
        super().begin(total_steps)
        self.teacher.decay = min(DECAY, max(0.0, 1 - 1 / (_MEMORY * self.schedule_steps)))
        self.replay.fill_(-1)

    @property
    def predictor(self) -> Segmenter:
        """The student, which the authors evaluate and ask."""
        return self.student

    def learners(self) -> dict[str, Segmenter]:
        """The student."""
        return {"student": self.student}

    def evaluated(self) -> dict[str, nn.Module]:
        """Both."""
        return {"student": self.student, "teacher": self.teacher}

    def losses(self, batch: dict[str, Any], rng: np.random.Generator) -> Losses:
        """1.5 L_sup in the cold start; then L_sup + L_u, and L_u of the replayed images as well."""
        known = self.branch.views(batch["labelled"])
        extra: dict[str, Maps] = {}
        cold = self.progress < COLD_START
        if not cold and "unlabelled" in batch:
            extra = self._mixtures(make_views(batch["unlabelled"], self.normaliser, self.branch.augment), rng)
        images = torch.cat((known.images, *(maps[0] for maps in extra.values())))
        output = self.student(self.prepared(images))
        log_p, *others = log_probabilities(output.logits, known.size).split(
            [len(known.images), *(len(maps[0]) for maps in extra.values())]
        )
        supervised = self.branch.loss(output, log_p, known.labels)
        losses = {"labelled": COLD_WEIGHT * supervised if cold else supervised}
        for (name, (_, labels, confidence)), mixed in zip(extra.items(), others, strict=True):
            losses[name] = confident_loss(mixed, labels, confidence)
        self.branch.bank.update(log_p.detach(), known.labels)
        return {"total": torch.stack(list(losses.values())).sum(), **losses}

    def after_step(self) -> None:
        """The teacher follows the student."""
        self.teacher.update(self.student)

    def _mixtures(self, base: Views, rng: np.random.Generator) -> dict[str, Maps]:
        own = self._taught(base)
        extra = {"classmix": self._jittered(class_mix(own, rng), rng)}
        if self.adaptive:
            if self.progress >= REPLAY_START:
                older = self._taught(self._replayed(len(base.images), rng))
                pasted = paste_rare(own, older, self.tail, len(self.class_names), rng)
                extra["replay"] = self._jittered(pasted, rng)
            self._remember(base.index.tolist(), rng)
        return extra

    @torch.no_grad()
    def _taught(self, views: Views) -> Maps:
        """The teacher's labels, and what people said in their place with confidence 1."""
        labels, confidence = pixel_labels(self.teacher(self.prepared(views.images)).logits, views.valid)
        said = (views.labels != IGNORE) & views.valid
        return views.images, torch.where(said, views.labels, labels), confidence.masked_fill(said, 1.0)

    def _jittered(self, maps: Maps, rng: np.random.Generator) -> Maps:
        images, labels, confidence = maps
        seeds = torch.from_numpy(rng.integers(2**62, size=len(images)))
        return self.jitter(images, labels != IGNORE, generator=seeds), labels, confidence

    def _replayed(self, count: int, rng: np.random.Generator) -> Views:
        """Images taken out of the buffer; while it holds too few, any."""
        stored = self.replay[self.replay >= 0].tolist()
        chosen = [stored.pop() for _ in range(min(count, len(stored)))]
        self._store(stored)
        missing = rng.integers(self.unlabelled_chips, size=count - len(chosen)).tolist()
        samples = [self.branch.source.partner(index) for index in chosen + missing]
        return make_views(collate(samples, rng, self.device), self.normaliser, self.branch.augment)

    def _remember(self, index: Sequence[int], rng: np.random.Generator) -> None:
        """Add images; where that is too many, some go, whichever the shuffle puts last."""
        stored = self.replay[self.replay >= 0].tolist() + list(index)
        self._store(rng.permutation(stored).tolist()[:REPLAY])

    def _store(self, index: Sequence[int]) -> None:
        self.replay.fill_(-1)
        self.replay[: len(index)] = torch.tensor(index, dtype=torch.int64)


def confident_loss(log_p: Tensor, target: Tensor, confidence: Tensor) -> Tensor:
    """Cross-entropy times confidence, times each image's share of pixels with confidence of at least 0.97.

    Args:
        log_p: (N, C, H, W) log-probabilities of the student on mixed images.
        target: (N, H, W) int64 labels, 255 ignored.
        confidence: (N, H, W) of the labels, in [0, 1].

    Returns:
        The mean over all pixels that are not ignored; 0 where there is none.
    """
    valid = target != IGNORE
    sure = ((confidence >= CONFIDENT) & valid).flatten(1).sum(1) / valid.flatten(1).sum(1).clamp_min(1)
    return weighted_cross_entropy(log_p, target, sure[:, None, None] * confidence, valid.sum().float())


def class_mix(maps: Maps, rng: np.random.Generator) -> Maps:
    """Paste half of each image's classes over the next image (Olsson et al. 2021)."""
    labels = maps[1]
    following = torch.arange(1, len(labels) + 1, device=labels.device) % len(labels)
    chosen = [rng.permutation(found)[: len(found) // 2] for found in _classes(labels)]
    inside = _where(labels, chosen)
    return _mix(tuple(part[following] for part in maps), maps, inside)


def paste_rare(base: Maps, donors: Maps, tail: Sequence[int], classes: int, rng: np.random.Generator) -> Maps:
    """Paste 3 frequent and 3 rare classes of each donor over the base images.

    Args:
        base: what is pasted over.
        donors: as many.
        tail: the rare classes.
        classes: C.
        rng: the step's random numbers.
    """
    head = [c for c in range(classes) if c not in tail]
    chosen = [
        np.concatenate([rng.permutation(group)[:PASTED] for group in (head, list(tail))]) for _ in base[1]
    ]
    return _mix(base, donors, _where(donors[1], chosen))


def _classes(labels: Tensor) -> list[NDArray[np.int64]]:
    return [np.setdiff1d(image.unique().cpu().numpy(), [IGNORE]) for image in labels]


def _where(labels: Tensor, chosen: Sequence[NDArray[np.int64]]) -> Tensor:
    wanted = [torch.from_numpy(np.asarray(c, np.int64)).to(labels.device) for c in chosen]
    return torch.stack([torch.isin(image, c) for image, c in zip(labels, wanted, strict=True)])


def _mix(base: Sequence[Tensor], partner: Sequence[Tensor], inside: Tensor) -> Maps:
    images, labels, confidence = (mix(a, b, inside) for a, b in zip(base, partner, strict=True))
    return images, labels, confidence
