"""Teacher-Student-Friend (Ma, Karakus, Rosin, arXiv 2501.19227; method, section 2).

The friend learns from the student and the student from the friend (cross pseudo supervision), the student
from the teacher too. The teacher is the student's moving average; it never teaches the friend.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE
from tsfal_geo.models.segmenter import Segmenter, SegmenterOutput
from tsfal_geo.training.banks import Alignment
from tsfal_geo.training.losses import log_probabilities, peer_loss, ramp_up
from tsfal_geo.training.methods.adaptive import AdaptiveTeacher, Taught
from tsfal_geo.training.methods.targets import override_with_manual
from tsfal_geo.training.module import Losses
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import PseudoLabels, Views, pixel_labels, pseudo_labels


@dataclass(frozen=True)
class Unlabelled(Taught):
    """Everything that the losses need of a step's unlabelled images; labels are those after PLAR.

    Attributes:
        peers: labels (int64) and their confidence (float32) of the student, then of the friend, from unmixed
            views; None: made from the mixed images.
        refiner_loss: loss of what refines; None without.
    """

    peers: tuple[Tensor, ...] | None
    refiner_loss: Tensor | None


@register("tsf")
class Tsf(AdaptiveTeacher):
    """Three networks, their losses, adaptive augmentation, and the active loop's refiner if there is one."""

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build the networks; without unlabelled chips only L_sup is there.

        Without a refiner manual labels override pseudo-labels, nothing else.
        """
        super().__init__(inputs)
        self.friend = inputs.network(1)
        self.refiner = inputs.refiner
        aligns = inputs.config.tsf.align and inputs.unlabelled_chips
        self.alignment = Alignment(inputs.class_counts, networks=3) if aligns else None

    def learners(self) -> dict[str, Segmenter]:
        """Student and friend."""
        return {"student": self.student, "friend": self.friend}

    def evaluated(self) -> dict[str, nn.Module]:
        """All three."""
        return {"teacher": self.teacher, "student": self.student, "friend": self.friend}

    def slow_groups(self) -> list[dict[str, Any]]:
        """The refiner's."""
        return self.refiner.parameters_to_train() if self.refiner is not None else []

    @property
    def has_idle_parameters(self) -> bool:
        """The refiner starts later than the networks."""
        return self.refiner is not None

    def losses(self, batch: dict[str, Any], rng: np.random.Generator) -> Losses:
        """L_sup + L_t + L_f, in the order of method, section 2.4."""
        known = self.branch.views(batch["labelled"])
        labelled = self.branch.paste(known, rng)
        extra = None
        if self.warm and "unlabelled" in batch:
            if "held_out" in batch:
                known = self.branch.views(batch["held_out"])
            extra = self._unlabelled(self.views(batch["unlabelled"]), known, rng)
        images = labelled.images if extra is None else torch.cat((labelled.images, extra.images))
        outputs = [network(self.prepared(images)) for network in (self.student, self.friend)]
        log_s, log_f = (log_probabilities(output.logits, labelled.size) for output in outputs)
        count = len(labelled.images)
        losses = {
            "student": self.branch.loss(outputs[0], log_s[:count], labelled.labels),
            "friend": self.branch.loss(outputs[1], log_f[:count], labelled.labels),
        }
        if extra is not None:
            losses |= self._unlabelled_losses(log_s[count:], log_f[count:], extra)
        # After its last use in this step, though before the optimisers: neither depends on the other.
        self.branch.bank.update(log_s[:count].detach(), labelled.labels)
        return {"total": torch.stack(list(losses.values())).sum(), **losses}

    def _unlabelled(self, base: Views, known: Views, rng: np.random.Generator) -> Unlabelled:
        """Teacher, refinement and mixing; ``known`` are labelled images on which the refiner learns."""
        wanted, views = self.with_partners(base, rng)
        output, refiner_loss = self._teach(views, known)
        pseudo = pseudo_labels(self._aligned(0, output.logits, views), views.valid)
        peers = self._peer_logits(views) if self.config.tsf.cps_view == "unmixed" else None
        teacher, confidence, refined = self._refine(output, pseudo, views)
        self.presence.mark(views.index, pseudo.cells)
        maps = [views.images, views.valid, teacher, confidence, views.labels, refined]
        if peers is not None:
            aligned = (self._aligned(number, logits, views) for number, logits in enumerate(peers, start=1))
            maps += [part for logits in aligned for part in pixel_labels(logits, views.valid)]
        mixed = self.mixed(maps, wanted, pseudo.cells, rng)
        images, valid, teacher, confidence, manual, refined, *peer_labels = mixed
        images = self.strong(images, valid, rng)
        return Unlabelled(
            images, valid, teacher, confidence, manual, refined, tuple(peer_labels) or None, refiner_loss
        )

    def _teach(self, views: Views, known: Views) -> tuple[SegmenterOutput, Tensor | None]:
        """The teacher's output on the unmixed views, and the refiner's loss on the known images."""
        if self.refiner is None:
            with torch.no_grad():
                return self.teacher(self.prepared(views.images)), None
        with torch.no_grad():
            output = self.teacher(self.prepared(torch.cat((views.images, known.images))), features=True)
        with torch.autocast(self.device.type, enabled=False):
            output = _each(output, lambda part: part.float())
            split = len(views.images)
            taught = list(range(split, split + len(known.images)))
            if self.config.emd.manual_pixels:
                taught += (views.labels != IGNORE).flatten(1).any(1).nonzero().flatten().tolist()
            target = torch.cat((views.labels, known.labels)).to(torch.uint8)
            loss = self.refiner.training_loss(_take(output, taught), target[taught], self.progress)
            return _take(output, slice(split)), loss

    def _aligned(self, network: int, logits: Tensor, views: Views) -> Tensor:
        return logits if self.alignment is None else self.alignment(network, logits, views.valid)

    @torch.no_grad()
    def _peer_logits(self, views: Views) -> tuple[Tensor, Tensor]:
        """Student's and friend's stride-4 logits of the unmixed views, in train mode like CPS with CutMix."""
        images = self.prepared(views.images)
        logits = self.student(images).logits.float(), self.friend(images).logits.float()
        # PyTorch 2.10 would reuse weights cast without gradients, and the training passes got none.
        torch.clear_autocast_cache()
        return logits

    @torch.no_grad()
    def _refine(
        self,
        output: SegmenterOutput,
        pseudo: PseudoLabels,
        views: Views,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The teacher's labels after PLAR and manual override, their confidence, and where people voted."""
        if self.refiner is None:
            return *override_with_manual(pseudo.labels, pseudo.confidence, views), torch.zeros_like(
                views.valid
            )
        with torch.autocast(self.device.type, enabled=False):
            labels, confidence, refined = self.refiner.refine(
                output, pseudo.labels, pseudo.confidence, views.labels.to(torch.uint8), self.progress
            )
        return labels.masked_fill(~views.valid, IGNORE), confidence, refined

    def _unlabelled_losses(self, log_s: Tensor, log_f: Tensor, extra: Unlabelled) -> Losses:
        """L_t (student) and L_f (both), plus the refiner's loss where there is one."""
        tsf = self.config.tsf
        said = extra.manual != IGNORE
        top_s, seen = log_s.detach().max(1)
        if extra.peers is None:
            top_f, by_friend = log_f.detach().max(1)
            by_student, sure_student, sure_friend = seen, top_s.exp(), top_f.exp()
        else:
            by_student, sure_student, by_friend, sure_friend = extra.peers
        if self.config.preset == "strong":
            by_student, by_friend = (torch.where(said, extra.manual, y) for y in (by_student, by_friend))
        by_student, by_friend = (y.masked_fill(~extra.valid, IGNORE) for y in (by_student, by_friend))
        weight = ramp_up(self.since_warmup, tsf.ramp or 0.0)
        share = 1.0 if tsf.pseudo_weight is None else tsf.pseudo_weight
        by_teacher = self.teacher_loss(log_s, seen, extra, share)
        weighting = tsf.peer_weighting or "none"
        by_peers = peer_loss(log_s, by_friend, sure_friend, said, weighting, share) + peer_loss(
            log_f, by_student, sure_student, said, weighting, share
        )
        losses = {"teacher": weight * by_teacher, "peers": weight * by_peers}
        return losses if extra.refiner_loss is None else {**losses, "refiner": extra.refiner_loss}


def _take(output: SegmenterOutput, which: slice | list[int]) -> SegmenterOutput:
    return _each(output, lambda part: part[which])


def _each(output: SegmenterOutput, change: Callable[[Tensor], Tensor]) -> SegmenterOutput:
    logits, *rest = output
    return SegmenterOutput(change(logits), *(None if part is None else change(part) for part in rest))
