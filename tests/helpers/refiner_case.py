"""A refiner, and teachers whose word, doubt and features are known."""

import torch
from torch import nn

from tsfal_geo.config import Config
from tsfal_geo.models.segmenter import SegmenterOutput
from tsfal_geo.refinement.refiner import ActiveRefiner

CLASSES = 4
SURE, DOUBTFUL = 0.95, 0.5


def make_refiner(refining=True, preset="strong", **sections):
    """Votes are by F2 unless said otherwise, since F1 is blurred where classes meet."""
    sections["plar"] = {"lambda_init": 0.001, "min_margin": 0.0, **sections.get("plar", {})}
    config = Config.model_validate({"preset": preset, **sections})
    return ActiveRefiner(config, CLASSES, refining=refining)


def teacher_of(towns, said, sure):
    """The output of a teacher that gives the classes ``said`` the probability ``sure``, on cells."""
    probs = ((1 - sure) / (CLASSES - 1))[:, None].repeat(1, CLASSES, 1, 1)
    probs.scatter_(1, said[:, None].long(), sure[:, None])
    return SegmenterOutput(
        probs.log(), torch.stack([town.f1 for town in towns]), torch.stack([town.f2 for town in towns])
    )


def pixels(cells):
    return cells.repeat_interleave(4, -2).repeat_interleave(4, -1)


def draw(share, *shape, seed):
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) < share


class Says(nn.Module):
    """A decoder that says the same of every image."""

    def __init__(self, logit):
        super().__init__()
        self.logit = logit

    def forward(self, f1, f2, probs):
        return self.logit.expand(len(f2), 1, -1, -1)
