"""AEL (Hu et al., NeurIPS 2021): TSF without the friend (method, section 2).

The confidence bank chooses what is pasted and mixed, and which of the teacher's pixels count. As in TSF the
teacher's loss rises over ``tsf.ramp`` and is not applied to labelled images, so that the two differ by the
friend alone.
"""

from __future__ import annotations

import numpy as np

from tsfal_geo.training.losses import ramp_up
from tsfal_geo.training.methods.adaptive import AdaptiveTeacher, Taught
from tsfal_geo.training.methods.targets import override_with_manual
from tsfal_geo.training.module import Losses
from tsfal_geo.training.registry import register
from tsfal_geo.training.views import Views, pseudo_labels


@register("ael")
class Ael(AdaptiveTeacher):
    """Student and teacher."""

    def step_losses(self, labelled: Views, unlabelled: Views, rng: np.random.Generator) -> Losses:
        """L_sup + L_t."""
        taught = self._taught(unlabelled, rng)
        joint = self.joint(self.student, labelled, taught.images)
        seen = joint.rest.detach().argmax(dim=1)
        weight = ramp_up(self.since_warmup, self.config.tsf.ramp or 0.0)
        losses = {
            "labelled_student": self.supervised(joint, labelled),
            "teacher": weight * self.teacher_loss(joint.rest, seen, taught),
        }
        self.update_bank(joint, labelled)
        return losses

    def _taught(self, base: Views, rng: np.random.Generator) -> Taught:
        wanted, views = self.with_partners(base, rng)
        pseudo = pseudo_labels(self.teach(views).logits, views.valid)
        self.presence.mark(views.index, pseudo.cells)
        labels, confidence = override_with_manual(pseudo.labels, pseudo.confidence, views)
        maps = [views.images, views.valid, labels, confidence, views.labels]
        images, valid, labels, confidence, manual = self.mixed(maps, wanted, pseudo.cells, rng)
        return Taught(self.strong(images, valid, rng), valid, labels, confidence, manual, None)
