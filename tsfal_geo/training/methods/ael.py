"""AEL (Hu et al., NeurIPS 2021): TSF without the friend.

The confidence bank steers copy-paste, CutMix and the choice of the teacher's pixels. As in TSF the teacher's
loss ramps up over ``tsf.ramp`` and is not applied to labelled images, so that the two methods differ by the
friend alone.
"""

from __future__ import annotations

import numpy as np

from tsfal_geo.training.losses import ramp_up
from tsfal_geo.training.methods.adaptive import AdaptiveTeacher, UnlabelledTargets
from tsfal_geo.training.methods.targets import override_with_manual
from tsfal_geo.training.module import Losses
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views, pseudo_labels


@register("ael")
class Ael(AdaptiveTeacher):
    """AEL: student and teacher on adaptively mixed images."""

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """Compute L_sup + L_t."""
        targets = self._targets(unlabelled, rng)
        joint = self.joint(self.student, labelled, targets.images)
        predicted = joint.unlabelled.detach().argmax(dim=1)
        weight = ramp_up(self.since_warmup, self.config.tsf.ramp or 0.0)
        losses = {
            "labelled_student": self.supervised(joint, labelled),
            "teacher": weight * self.teacher_loss(joint.unlabelled, predicted, targets),
        }
        self.update_bank(joint, labelled)
        return losses

    def _targets(self, base: Views, rng: np.random.Generator) -> UnlabelledTargets:
        drawn_classes, views = self.with_partners(base, rng)
        pseudo = pseudo_labels(self.teach(views).logits, views.valid)
        self.presence.mark(views.index, pseudo.cells)
        labels, confidence = override_with_manual(pseudo.labels, pseudo.confidence, views)
        maps = [views.images, views.valid, labels, confidence, views.labels]
        images, valid, labels, confidence, manual = self.mixed(maps, drawn_classes, pseudo.cells, rng)
        return UnlabelledTargets(self.strong(images, valid, rng), valid, labels, confidence, manual, None)
