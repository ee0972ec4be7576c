"""The budget: each pixel once, never more than allowed."""

from pathlib import Path

import numpy as np
import pytest
from affine import Affine
from odc.geo.geobox import GeoBox

from tsfal_geo.queries.budget import affordable, askable_pixels
from tsfal_geo.raster.chips import owned_part, scene_chips
from tsfal_geo.raster.scene import Scene


def chips(height, width, edge):
    grid = GeoBox((height, width), Affine.identity(), None)
    scene = Scene("a", Path("a.tif"), grid, 3, "uint8", None, None, None)
    return scene_chips([scene], 64, edge)


@pytest.mark.parametrize("edge", ["shift", "pad"])
@pytest.mark.parametrize(("height", "width"), [(150, 200), (64, 128), (40, 100), (65, 30)])
def test_chips_own_every_pixel_once(height, width, edge):
    owners = np.zeros((height, width), int)
    for chip in chips(height, width, edge):
        rows, cols = owned_part(chip, height, width)
        owners[chip.y :, chip.x :][rows, cols] += 1
    assert (owners == 1).all()


def test_overlapping_chips_ask_a_pixel_once():
    """What the chips may ask adds up to all valid pixels without a label that nobody put aside, each once."""
    rng = np.random.default_rng(0)
    valid = rng.random((150, 200)) < 0.9
    labels = np.where(rng.random((150, 200)) < 0.3, rng.integers(0, 6, (150, 200)), 255).astype(np.uint8)
    aside = np.where(rng.random((150, 200)) < 0.1, 0, 255).astype(np.uint8)
    asked = np.zeros((150, 200), int)
    for chip in chips(150, 200, "shift"):
        window = np.s_[chip.y : chip.y + 64, chip.x : chip.x + 64]
        own = owned_part(chip, 150, 200)
        asked[window] += askable_pixels(valid[window], labels[window], aside[window], own)
    assert np.array_equal(asked, valid & (labels == 255) & (aside == 255))


def greedy(pixels, allowance):
    """The rule as one would say it."""
    taken = []
    for i, count in enumerate(pixels):
        if 0 < count <= allowance:
            taken.append(i)
            allowance -= count
    return taken


@pytest.mark.parametrize("seed", range(20))
def test_taking_is_greedy_and_never_exceeds(seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 100, rng.integers(0, 200))
    for allowance in (0, 5, 333, 10**6):
        chosen = affordable(pixels, allowance)
        assert chosen.tolist() == greedy(pixels, allowance)
        assert pixels[chosen].sum() <= allowance
