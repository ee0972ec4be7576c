"""Fixtures that several packages of tests import into their conftest."""

from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.helpers.loop_case import write_scenes


@pytest.fixture(scope="session", autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Scenes with labels that no test changes."""
    return write_scenes(tmp_path_factory.mktemp("rasters"))


@dataclass(frozen=True)
class Town:
    """One image: F1 at a quarter of F2's grid, classes in blocks of 4 x 4 cells."""

    f1: Tensor
    f2: Tensor
    truth: Tensor
    classes: int

    def empty(self) -> Tensor:
        return torch.full_like(self.truth, 255)


@pytest.fixture
def make_town():
    def make(classes=4, size=32, channels=24, spread=0.05, seed=0, shares=None) -> Town:
        rng = np.random.default_rng(seed)
        blocks = rng.choice(classes, (size // 4, size // 4), p=shares)
        truth = np.kron(blocks, np.ones((4, 4), int))
        means = rng.normal(size=(2, classes, channels))
        mix = rng.normal(size=(2, channels, channels)) / np.sqrt(channels)
        coarse = means[0][blocks] + spread * rng.normal(size=(*blocks.shape, channels)) @ mix[0]
        fine = means[1][truth] + spread * rng.normal(size=(*truth.shape, channels)) @ mix[1]
        return Town(
            torch.from_numpy(coarse).permute(2, 0, 1).float(),
            torch.from_numpy(fine).permute(2, 0, 1).float(),
            torch.from_numpy(truth).to(torch.uint8),
            classes,
        )

    return make


@pytest.fixture
def towns(make_town):
    return [make_town(4, channels=256, spread=0.02, seed=seed) for seed in (0, 1)]
