"""A refiner, and teachers whose classes, confidence and features are known."""

import torch
from torch import nn

from tsfal_geo.config import Config
from tsfal_geo.models.segmenter import SegmenterOutput
from tsfal_geo.refinement.refiner import ActiveRefiner

CLASSES = 4
SURE, DOUBTFUL = 0.95, 0.5


def make_refiner(refining=True, preset="strong", **sections):
    """Build a refiner; its votes are by F2 unless the caller says otherwise, since F1 blurs class borders."""
    sections["plar"] = {"lambda_init": 0.001, "min_margin": 0.0, **sections.get("plar", {})}
    config = Config.model_validate({"preset": preset, **sections})
    return ActiveRefiner(
        config.emd,
        config.plar,
        CLASSES,
        refining=refining,
        squared_weights=config.tsf.teacher_weighting == "ael",
        seed=config.train.seed,
    )


def teacher_of(towns, predicted, confidence):
    """Build the output of a teacher that gives the cells' ``predicted`` classes this probability."""
    probs = ((1 - confidence) / (CLASSES - 1))[:, None].repeat(1, CLASSES, 1, 1)
    probs.scatter_(1, predicted[:, None].long(), confidence[:, None])
    return SegmenterOutput(
        probs.log(), torch.stack([town.f1 for town in towns]), torch.stack([town.f2 for town in towns])
    )


def pixels(cells):
    return cells.repeat_interleave(4, -2).repeat_interleave(4, -1)


def draw(share, *shape, seed):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share


class FixedDecoder(nn.Module):
    """A decoder that gives every image the same logits."""

    def __init__(self, logit):
        super().__init__()
        self.logit = logit

    def forward(self, f1, f2, probs):
        return self.logit.expand(len(f2), 1, -1, -1)
