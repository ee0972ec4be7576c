"""A segmenter of a few hundred parameters, with the interface of the real one."""

import torch
from torch import nn

from tsfal_geo.models.encoders import EncoderFeatures
from tsfal_geo.models.segmenter import SegmenterOutput, upsample_to

WIDTH = 8


class TinyEncoder(nn.Module):
    stride = 8
    channels = (WIDTH, WIDTH, WIDTH)

    def __init__(self, bands):
        super().__init__()
        self.low = nn.Sequential(
            nn.Conv2d(bands, WIDTH, 4, stride=4, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU()
        )
        self.high = nn.Sequential(
            nn.Conv2d(WIDTH, WIDTH, 2, stride=2, bias=False), nn.BatchNorm2d(WIDTH), nn.ReLU()
        )

    def forward(self, x):
        low = self.low(x)
        high = self.high(low)
        return EncoderFeatures(low, high, high)


class TinyHead(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.project = nn.Sequential(nn.Conv2d(WIDTH, WIDTH, 1), nn.ReLU())
        self.classifier = nn.Conv2d(WIDTH, classes, 1)

    def forward(self, stages):
        f1 = self.project(stages.high)
        f2 = stages.low + upsample_to(f1, stages.low.shape[-2:])
        return self.classifier(f2), f1, f2


class TinyNetwork(nn.Module):
    def __init__(self, classes=3, bands=3, seed=0):
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.encoder = TinyEncoder(bands)
            torch.manual_seed(seed)
            self.head = TinyHead(classes)

    def forward(self, x, features=False, perturb=None):
        stages = self.encoder(x) if perturb is None else perturb(self.encoder(x))
        logits, f1, f2 = self.head(stages)
        return SegmenterOutput(logits, f1 if features else None, f2 if features else None)
