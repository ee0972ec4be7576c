import numpy as np
import pytest

from tsfal_geo.datasets.vaihingen import SPLITS
from tsfal_geo.datasets.vaihingen_fixture import SIZES
from tsfal_geo.raster.chips import chip_grid


@pytest.mark.parametrize(
    ("height", "width", "count"),
    [(2569, 1919, 24), (512, 512, 1), (513, 512, 2), (1024, 1025, 6), (300, 200, 1), (300, 1500, 3)],
)
@pytest.mark.parametrize("edge", ["shift", "pad"])
def test_number_of_chips_is_that_of_the_papers_rule(height, width, count, edge):
    assert len(chip_grid(height, width, 512, edge)) == count


@pytest.mark.parametrize("edge", ["shift", "pad"])
@pytest.mark.parametrize("shape", [(2569, 1919), (1024, 512), (300, 1500), (7, 5)])
def test_chips_cover_every_pixel_once_but_for_the_overlap_of_shifted_ones(shape, edge):
    hits = np.zeros(shape, int)
    for _, _, y, x in chip_grid(*shape, 512, edge):
        assert y >= 0
        assert x >= 0
        hits[y : y + 512, x : x + 512] += 1
    assert hits.min() == 1
    assert edge == "shift" or hits.max() == 1


def test_shifted_chips_end_at_the_edge_and_others_start_on_multiples():
    chips = chip_grid(2569, 1919, 512, "shift")
    assert chips[0] == (0, 0, 0, 0)
    assert chips[-1] == (5, 3, 2569 - 512, 1919 - 512)
    assert all(y == row * 512 for row, _, y, _ in chips if row < 5)


def test_vaihingen_gives_the_papers_233_111_and_398_chips():
    counts = {area: len(chip_grid(h, w, 512, "shift")) for area, (w, h) in SIZES.items()}
    assert [sum(counts[area] for area in split) for split in SPLITS.values()] == [233, 111, 398]
    assert np.mean(list(SIZES.values()), axis=0).round().tolist() == [2064, 2494]
