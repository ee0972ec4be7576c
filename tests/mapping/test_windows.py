import itertools

import numpy as np
import pytest

from tsfal_geo.mapping.windows import ALIGN, strips, window_starts, window_weights


@pytest.mark.parametrize("length", [1, 3, 63, 64, 65, 127, 128, 129, 1000, 2494, 2497])
@pytest.mark.parametrize("overlap", [0.0, 0.25, 0.5, 0.74])
def test_windows_cover_the_axis_and_little_more(length, overlap):
    window = 64
    starts = window_starts(length, window, overlap)
    covered = np.zeros(max(length, window) + ALIGN, int)
    for start in starts:
        assert start % ALIGN == 0
        covered[start : start + window] += 1
    assert (covered[:length] > 0).all()
    assert starts[0] == 0 and list(starts) == sorted(set(starts))
    assert starts[-1] + window < max(length + ALIGN, window + 1)
    shared = [a + window - b for a, b in itertools.pairwise(starts)]
    assert all(pixels >= max(overlap * window, 2 * ALIGN) for pixels in shared)


def test_steps_are_as_long_as_the_overlap_allows():
    assert window_starts(2048, 512, 0.25) == (0, 384, 768, 1152, 1536)
    assert window_starts(2494, 512, 0.25) == (0, 384, 768, 1152, 1536, 1920, 1984)


@pytest.mark.parametrize("window", [0, 8, 510])
def test_windows_off_the_networks_cells_are_refused(window):
    with pytest.raises(ValueError, match="multiple"):
        window_starts(1000, window, 0.25)


@pytest.mark.parametrize("width", [5, 100, 333, 1000])
def test_strips_share_the_full_rasters_windows(width):
    window, overlap = 64, 0.25
    full = window_starts(width, window, overlap)
    cut = list(strips(width, window, overlap, widest=128, tile=32))
    assert cut[0].x0 == 0 and cut[-1].x1 == width
    assert all(a.x1 == b.x0 and b.x0 % 32 == 0 for a, b in itertools.pairwise(cut))
    assert max(strip.x1 - strip.x0 for strip in cut) <= 128
    for strip in cut:
        # a pixel beside the strip takes part in the upsampling of its rim
        reach = range(max(strip.x0 - ALIGN, 0), min(strip.x1 + ALIGN, width))
        needed = {x for x in full if any(x <= pixel < x + window for pixel in reach)}
        assert needed <= set(strip.starts) <= set(full)


def test_weights_are_smooth_symmetric_and_positive():
    weights = window_weights(128)
    assert weights.dtype == np.float32 and weights.min() > 0
    assert np.array_equal(weights, weights.T) and np.allclose(weights, weights[::-1, ::-1], rtol=1e-5)
    assert weights.argmax() in (63 * 128 + 63, 63 * 128 + 64, 64 * 128 + 63, 64 * 128 + 64)
    assert np.abs(np.diff(weights, axis=0)).max() < 0.03
