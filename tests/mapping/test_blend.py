import numpy as np
import pytest
import torch
from torch.nn.functional import interpolate

from tsfal_geo.mapping.blend import Blender
from tsfal_geo.mapping.windows import window_starts, window_weights

WINDOW = 32
HEIGHT, WIDTH = 120, 72


def at_once(outputs, stride, starts):
    """The blend of all windows in float64 in one piece."""
    cells = WINDOW // stride
    weights = window_weights(cells).astype(np.float64)
    total = np.zeros((HEIGHT // stride, WIDTH // stride))
    sums = np.zeros((outputs.shape[1], *total.shape))
    for values, (y, x) in zip(outputs.double().numpy(), starts, strict=True):
        place = slice(y // stride, y // stride + cells), slice(x // stride, x // stride + cells)
        sums[:, *place] += values * weights
        total[place] += weights
    blended = torch.from_numpy(sums / total)[None]
    if stride > 1:
        blended = interpolate(blended, scale_factor=stride, mode="bilinear", align_corners=False)
    return blended[0].numpy()


@pytest.mark.parametrize("stride", [1, 2, 4])
def test_streamed_rows_equal_the_blend_in_one_piece(stride):
    rows = window_starts(HEIGHT, WINDOW, 0.25)
    columns = window_starts(WIDTH, WINDOW, 0.25)
    starts = [(y, x) for y in rows for x in columns]
    generator = torch.Generator().manual_seed(1)
    outputs = torch.rand(len(starts), 3, WINDOW // stride, WINDOW // stride, generator=generator)
    blender = Blender({"a": 2, "b": 1}, WINDOW, 0, WIDTH, HEIGHT)
    found = np.full((3, HEIGHT, WIDTH), np.nan, np.float32)
    y = 0
    for number, start in enumerate(starts):
        window = outputs[number : number + 1]
        blender.add({"a": window[:, :2], "b": window[:, 2:]}, [start])
        done = starts[number + 1][0] if number + 1 < len(starts) else HEIGHT
        while y < blender.ready(done):
            end = min(y + 7, blender.ready(done))
            for x0, x1 in ((0, 13), (13, WIDTH)):
                layers = blender.rows(y, end, x0, x1)
                found[:2, y:end, x0:x1], found[2:, y:end, x0:x1] = layers["a"], layers["b"]
            y = end
        blender.discard_above(y)
    assert np.abs(found - at_once(outputs, stride, starts)).max() < 2e-6


def test_only_growing_rows_are_held():
    blender = Blender({"a": 1}, 32, 0, 32, 32 * 1000)
    for y in range(0, 32 * 999, 16):
        blender.add({"a": torch.ones(1, 1, 8, 8)}, [(y, 0)])
        blender.discard_above(blender.ready(y + 16))
    assert blender._total.shape[1] <= 16


def test_rows_before_the_first_window_cost_nothing():
    blender = Blender({"a": 1}, 32, 0, 32, 32 * 100_000)
    blender.discard_above(32 * 99_000)
    blender.add({"a": torch.ones(1, 1, 8, 8)}, [(32 * 99_000, 0)])
    assert blender._total.shape[1] <= 16
    y = 32 * 99_000 + 2
    assert torch.equal(blender.rows(y, y + 8, 0, 32)["a"], torch.ones(1, 8, 32))


@pytest.mark.parametrize(
    "outputs",
    [
        {"b": torch.ones(1, 1, 8, 8)},
        {"a": torch.ones(1, 2, 8, 8)},
        {"a": torch.ones(2, 1, 8, 8)},
        {"a": torch.ones(1, 1, 7, 7)},
        {"a": torch.ones(1, 1, 4, 4)},
    ],
)
def test_other_layers_than_announced_are_refused(outputs):
    with pytest.raises(ValueError, match="expected"):
        Blender({"a": 1}, 32, 0, 32, 32).add(outputs, [(0, 0)])
