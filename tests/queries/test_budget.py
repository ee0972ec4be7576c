"""Budget: each pixel counts once, and the allowance is never exceeded."""

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
    """Askable pixels of all chips are the valid, unlabelled pixels that no annotator skipped, each once."""
    rng = np.random.default_rng(0)
    valid = rng.random((150, 200)) < 0.9
    labels = np.where(rng.random((150, 200)) < 0.3, rng.integers(0, 6, (150, 200)), 255).astype(np.uint8)
    skipped = np.where(rng.random((150, 200)) < 0.1, 0, 255).astype(np.uint8)
    askable = np.zeros((150, 200), int)
    for chip in chips(150, 200, "shift"):
        window = np.s_[chip.y : chip.y + 64, chip.x : chip.x + 64]
        own = owned_part(chip, 150, 200)
        askable[window] += askable_pixels(valid[window], labels[window], skipped[window], own)
    assert np.array_equal(askable, valid & (labels == 255) & (skipped == 255))


def greedy(pixels, allowance):
    """Choose each query in turn if it still fits."""
    chosen = []
    for i, count in enumerate(pixels):
        if 0 < count <= allowance:
            chosen.append(i)
            allowance -= count
    return chosen


@pytest.mark.parametrize("seed", range(20))
def test_the_choice_is_greedy_and_never_exceeds_the_allowance(seed):
    rng = np.random.default_rng(seed)
    pixels = rng.integers(0, 100, rng.integers(0, 200))
    for allowance in (0, 5, 333, 10**6):
        chosen = affordable(pixels, allowance)
        assert chosen.tolist() == greedy(pixels, allowance)
        assert pixels[chosen].sum() <= allowance
