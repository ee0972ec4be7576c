"""The supervised baseline: one network that learns from the labelled chips alone."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import nn

from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.training.losses import log_probabilities
from tsfal_geo.training.module import Losses, SegmentationModule
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register


@register("supervised")
class Supervised(SegmentationModule):
    """TSF without unlabelled images: the same views, copy-paste, loss and schedule."""

    uses_unlabelled = False

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build the network."""
        super().__init__(inputs)
        self.network = inputs.network(0)

    @property
    def predictor(self) -> Segmenter:
        """The network."""
        return self.network

    def learners(self) -> dict[str, Segmenter]:
        """Return the network."""
        return {"network": self.network}

    def evaluated(self) -> dict[str, nn.Module]:
        """Return the network."""
        return {"network": self.network}

    def losses(self, batch: dict[str, Any], rng: np.random.Generator) -> Losses:
        """Compute L_sup of the network (eq. 1)."""
        views = self.branch.paste(self.branch.views(batch["labelled"]), rng)
        output = self.network(self.prepared(views.images))
        log_p = log_probabilities(output.logits, views.size)
        loss = self.branch.loss(output, log_p, views.labels)
        self.branch.bank.update(log_p.detach(), views.labels)
        return {"total": loss}
