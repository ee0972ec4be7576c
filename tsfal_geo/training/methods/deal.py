"""DEAL: supervised training with a branch that learns how difficult each place is (Xie et al. 2020)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tsfal_geo.classes import IGNORE
from tsfal_geo.models.emd import emd_loss
from tsfal_geo.models.segmenter import Segmenter, upsample
from tsfal_geo.training.losses import log_probabilities
from tsfal_geo.training.methods.supervised import Supervised
from tsfal_geo.training.module import Losses
from tsfal_geo.training.module_inputs import ModuleInputs
from tsfal_geo.training.registry import register

_POOL = 2
STRIDE = Segmenter.LOGIT_STRIDE * _POOL
"""Pixels a cell of the branch: 86² cells at 688², as the authors have."""


class DifficultyBranch(nn.Module):
    """Probabilities gathered from like places (probability attention), then a 1×1 convolution.

    Attributes:
        gamma: share of what is gathered, learnt from 0.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.zeros(1))
        self.score = nn.Conv2d(classes, 1, 1)

    def forward(self, logits: Tensor) -> Tensor:
        """Logits of difficulty (N, 1, ⌈h4/2⌉, ⌈w4/2⌉) of the segmenter's logits (N, C, h4, w4)."""
        coarse = F.avg_pool2d(logits.float(), _POOL, ceil_mode=True).softmax(1)
        places = coarse.flatten(2).transpose(1, 2)
        # Query, key and value are the probabilities themselves; the sums are not scaled.
        gathered = F.scaled_dot_product_attention(places, places, places, scale=1.0)
        return self.score(self.gamma * gathered.transpose(1, 2).view_as(coarse) + coarse)


@register("deal")
class Deal(Supervised):
    """L_sup plus the branch's balanced cross-entropy to the error mask, weight 1."""

    def __init__(self, inputs: ModuleInputs) -> None:
        """Build network and branch; the branch is drawn from the training's seed."""
        super().__init__(inputs)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(inputs.config.train.seed)
            self.hard = DifficultyBranch(len(inputs.class_names))

    def extra_groups(self) -> list[dict[str, Any]]:
        """The branch learns at the head's rate."""
        return [{"params": list(self.hard.parameters()), "factor": self.config.train.head_lr_mult}]

    def losses(self, batch: dict[str, Any], rng: np.random.Generator) -> Losses:
        """L_sup + L_dif; both teach the segmenter."""
        views = self.branch.paste(self.branch.views(batch["labelled"]), rng)
        output = self.network(self.prepared(views.images))
        log_p = log_probabilities(output.logits, views.size)
        known = self.branch.loss(output, log_p, views.labels)
        with torch.autocast(self.device.type, enabled=False):
            hard = upsample(self.hard(output.logits), STRIDE, views.size)
        wrong = log_p.detach().argmax(1) != views.labels
        difficulty = emd_loss(hard, wrong, views.labels != IGNORE)
        self.branch.bank.update(log_p.detach(), views.labels)
        return {"total": known + difficulty, "labelled": known, "labelled_difficulty": difficulty}

    def difficulty(self, logits: Tensor) -> Tensor:
        """Difficulty in 0..1 on the cells of the logits: (N, C, h4, w4) to (N, h4, w4)."""
        size = (logits.shape[-2], logits.shape[-1])
        return upsample(self.hard(logits), _POOL, size)[:, 0].sigmoid()
