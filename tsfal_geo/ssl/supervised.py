"""The supervised baseline: one network on the labelled chips."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import nn

from tsfal_geo.config import Config
from tsfal_geo.data.normalise import Normaliser
from tsfal_geo.models.segmenter import Segmenter
from tsfal_geo.ssl.base import Losses, SegmentationModule
from tsfal_geo.ssl.labelled import LabelledBranch
from tsfal_geo.ssl.losses import log_probabilities


class Supervised(SegmentationModule):
    """TSF's supervised branch alone: same views, copy-paste, loss and schedule; only the rest differs."""

    def __init__(
        self,
        config: Config,
        network: Segmenter,
        normaliser: Normaliser,
        class_names: Sequence[str],
        branch: LabelledBranch,
    ) -> None:
        """Put the parts together.

        Args:
            config: the whole configuration.
            network: what is trained.
            normaliser: makes network input of batches.
            class_names: in index order.
            branch: the labelled chips' views and loss.
        """
        super().__init__(config, normaliser, class_names)
        self.network = network
        self.branch = branch

    @property
    def predictor(self) -> Segmenter:
        """The network."""
        return self.network

    def learners(self) -> dict[str, Segmenter]:
        """The network."""
        return {"network": self.network}

    def evaluated(self) -> dict[str, nn.Module]:
        """The network."""
        return {"network": self.network}

    def losses(self, batch: dict[str, Any], rng: np.random.Generator) -> Losses:
        """L_sup of one network."""
        views = self.branch.paste(self.branch.views(batch["labelled"]), rng)
        output = self.network(self.prepared(views.images))
        log_p = log_probabilities(output.logits, views.size)
        loss = self.branch.loss(output, log_p, views.labels)
        self.branch.bank.update(log_p.detach(), views.labels)
        return {"total": loss}
