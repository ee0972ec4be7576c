"""Teacher-Student-Friend (TSF; Ma, Karakus, Rosin 2025, arXiv 2501.19227, eqs. 1 to 3).

Student and friend learn from each other (cross pseudo supervision, eq. 3). The student also learns from the
teacher (eq. 2), its own moving average. The teacher never teaches the friend.
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
from tsfal_geo.training.methods.adaptive import AdaptiveTeacher, UnlabelledTargets
from tsfal_geo.training.methods.targets import override_with_manual
from tsfal_geo.training.module import Losses
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import PseudoLabels, Views, pixel_labels, pseudo_labels


@dataclass(frozen=True)
class TsfTargets(UnlabelledTargets):
    """The unlabelled images of a step with the labels of teacher (after PLAR), student and friend.

    Attributes:
        peers: labels (int64) and confidence (float32) of the student, then of the friend, (B, H, W) each,
            predicted on unmixed views; None: the losses predict them on the mixed images.
        refiner_loss: the refiner's own loss; None without a refiner, or while it does not train.
    """

    peers: tuple[Tensor, ...] | None
    refiner_loss: Tensor | None


@register("tsf")
class Tsf(AdaptiveTeacher):
    """TSF: student, friend and teacher, adaptive augmentation, and the refiner of active learning if any.

    Attributes:
        friend: a network with another random head than the student's.
        refiner: error mask decoder and PLAR; None: manual labels override pseudo-labels, and that is all.
        alignment: distribution alignment of teacher (0), student (1) and friend (2); None: off.
    """

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build the three networks."""
        super().__init__(inputs)
        self.friend = inputs.network(1)
        self.refiner = inputs.refiner
        aligns = inputs.config.tsf.align and inputs.unlabelled_chips
        self.alignment = Alignment(inputs.class_counts, networks=3) if aligns else None

    def learners(self) -> dict[str, Segmenter]:
        """Return student and friend."""
        return {"student": self.student, "friend": self.friend}

    def evaluated(self) -> dict[str, nn.Module]:
        """Return all three networks."""
        return {"teacher": self.teacher, "student": self.student, "friend": self.friend}

    def slow_groups(self) -> list[dict[str, Any]]:
        """Return the refiner's groups."""
        return self.refiner.parameters_to_train() if self.refiner is not None else []

    @property
    def has_idle_parameters(self) -> bool:
        """True with a refiner, which starts to train later than the networks."""
        return self.refiner is not None

    def losses(self, batch: dict[str, Any], rng: np.random.Generator) -> Losses:
        """Compute L_sup + L_t + L_f and the refiner's loss.

        The teacher, PLAR and the manual override work on unmixed images, because mixing would destroy the
        statistics of an image that PLAR relies on. Boxes then mix images and labels. Student and friend see
        labelled and mixed images as one batch each.
        """
        plain = self.branch.views(batch["labelled"])
        labelled = self.branch.paste(plain, rng)
        targets = None
        if self.warm and "unlabelled" in batch:
            if "held_out" in batch:
                plain = self.branch.views(batch["held_out"])
            targets = self._unlabelled(self.views(batch["unlabelled"]), plain, rng)
        images = labelled.images if targets is None else torch.cat((labelled.images, targets.images))
        outputs = [network(self.prepared(images)) for network in (self.student, self.friend)]
        log_s, log_f = (log_probabilities(output.logits, labelled.size) for output in outputs)
        count = len(labelled.images)
        losses = {
            "student": self.branch.loss(outputs[0], log_s[:count], labelled.labels),
            "friend": self.branch.loss(outputs[1], log_f[:count], labelled.labels),
        }
        if targets is not None:
            losses |= self._unlabelled_losses(log_s[count:], log_f[count:], targets)
        # The bank is updated after its last use in this step; the optimisers do not depend on it.
        self.branch.bank.update(log_s[:count].detach(), labelled.labels)
        return {"total": torch.stack(list(losses.values())).sum(), **losses}

    def _unlabelled(self, base: Views, labelled: Views, rng: np.random.Generator) -> TsfTargets:
        """Label, refine and mix unlabelled images; the refiner learns on ``labelled`` without copy-paste."""
        drawn_classes, views = self.with_partners(base, rng)
        output, refiner_loss = self._teach(views, labelled)
        pseudo = pseudo_labels(self._aligned(0, output.logits, views), views.valid)
        peers = self._peer_logits(views) if self.config.tsf.cps_view == "unmixed" else None
        teacher, confidence, refined = self._refine(output, pseudo, views)
        self.presence.mark(views.index, pseudo.cells)
        maps = [views.images, views.valid, teacher, confidence, views.labels, refined]
        if peers is not None:
            aligned = (self._aligned(number, logits, views) for number, logits in enumerate(peers, start=1))
            maps += [part for logits in aligned for part in pixel_labels(logits, views.valid)]
        mixed = self.mixed(maps, drawn_classes, pseudo.cells, rng)
        images, valid, teacher, confidence, manual, refined, *peer_labels = mixed
        images = self.strong(images, valid, rng)
        return TsfTargets(
            images, valid, teacher, confidence, manual, refined, tuple(peer_labels) or None, refiner_loss
        )

    def _teach(self, views: Views, labelled: Views) -> tuple[SegmenterOutput, Tensor | None]:
        """Return the teacher's output on unmixed views, and the refiner's loss on images with labels."""
        if self.refiner is None:
            with torch.no_grad():
                return self.teacher(self.prepared(views.images)), None
        with torch.no_grad():
            output = self.teacher(self.prepared(torch.cat((views.images, labelled.images))), features=True)
        with torch.autocast(self.device.type, enabled=False):
            output = _each(output, lambda part: part.float())
            split = len(views.images)
            with_labels = list(range(split, split + len(labelled.images)))
            if self.config.emd.manual_pixels:
                with_labels += (views.labels != IGNORE).flatten(1).any(1).nonzero().flatten().tolist()
            target = torch.cat((views.labels, labelled.labels)).to(torch.uint8)
            loss = self.refiner.training_loss(_take(output, with_labels), target[with_labels], self.progress)
            return _take(output, slice(split)), loss

    def _aligned(self, network: int, logits: Tensor, views: Views) -> Tensor:
        return logits if self.alignment is None else self.alignment(network, logits, views.valid)

    @torch.no_grad()
    def _peer_logits(self, views: Views) -> tuple[Tensor, Tensor]:
        """Compute stride-4 logits of student and friend on unmixed views, in train mode as in CPS."""
        images = self.prepared(views.images)
        logits = self.student(images).logits.float(), self.friend(images).logits.float()
        # Autocast of PyTorch 2.10 caches the weights that it has cast. Those cast here carry no gradient, and
        # the training passes would reuse them.
        torch.clear_autocast_cache()
        return logits

    @torch.no_grad()
    def _refine(
        self,
        output: SegmenterOutput,
        pseudo: PseudoLabels,
        views: Views,
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the teacher's labels after PLAR and manual override, their confidence, and PLAR's votes."""
        if self.refiner is None:
            labels, confidence = override_with_manual(pseudo.labels, pseudo.confidence, views)
            return labels, confidence, torch.zeros_like(views.valid)
        with torch.autocast(self.device.type, enabled=False):
            labels, confidence, refined = self.refiner.refine(
                output, pseudo.labels, pseudo.confidence, views.labels.to(torch.uint8), self.progress
            )
        return labels.masked_fill(~views.valid, IGNORE), confidence, refined

    def _unlabelled_losses(self, log_s: Tensor, log_f: Tensor, targets: TsfTargets) -> Losses:
        """Compute L_t of the student and L_f of both, and add the refiner's loss if there is one."""
        tsf = self.config.tsf
        manual = targets.manual != IGNORE
        top_s, predicted = log_s.detach().max(1)
        if targets.peers is None:
            top_f, by_friend = log_f.detach().max(1)
            by_student, sure_student, sure_friend = predicted, top_s.exp(), top_f.exp()
        else:
            by_student, sure_student, by_friend, sure_friend = targets.peers
        if tsf.manual_to_friend:
            by_student, by_friend = (torch.where(manual, targets.manual, y) for y in (by_student, by_friend))
        by_student, by_friend = (y.masked_fill(~targets.valid, IGNORE) for y in (by_student, by_friend))
        weight = ramp_up(self.since_warmup, tsf.ramp or 0.0)
        share = 1.0 if tsf.pseudo_weight is None else tsf.pseudo_weight
        by_teacher = self.teacher_loss(log_s, predicted, targets, share)
        weighting = tsf.peer_weighting or "none"
        by_peers = peer_loss(log_s, by_friend, sure_friend, manual, weighting, share) + peer_loss(
            log_f, by_student, sure_student, manual, weighting, share
        )
        losses = {"teacher": weight * by_teacher, "peers": weight * by_peers}
        return losses if targets.refiner_loss is None else {**losses, "refiner": targets.refiner_loss}


def _take(output: SegmenterOutput, which: slice | list[int]) -> SegmenterOutput:
    return _each(output, lambda part: part[which])


def _each(output: SegmenterOutput, change: Callable[[Tensor], Tensor]) -> SegmenterOutput:
    logits, *rest = output
    return SegmenterOutput(change(logits), *(None if part is None else change(part) for part in rest))
