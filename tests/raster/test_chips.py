import numpy as np
import pytest

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


# Width and height of ISPRS Vaihingen's 33 areas, in pixels; their mean and chip counts are the paper's.
VAIHINGEN = {
    1: (1919, 2569), 2: (2428, 2767), 3: (2006, 3007), 4: (1887, 2557), 5: (1887, 2557),
    6: (1887, 2557), 7: (1887, 2557), 8: (1887, 2557), 10: (1887, 2557), 11: (1893, 2566),
    12: (1922, 2575), 13: (2818, 2558), 14: (1919, 2565), 15: (1919, 2565), 16: (1919, 2565),
    17: (2336, 1281), 20: (1866, 2315), 21: (1903, 2546), 22: (1903, 2546), 23: (1903, 2546),
    24: (1903, 2546), 26: (2995, 1783), 27: (1917, 3313), 28: (1917, 2567), 29: (1917, 2563),
    30: (1934, 2563), 31: (1980, 2555), 32: (1980, 2555), 33: (1581, 2555), 34: (1388, 2555),
    35: (2805, 1884), 37: (1996, 1995), 38: (3816, 2550),
}  # fmt: skip
TRAIN = {1, 3, 5, 7, 13, 17, 21, 23, 26, 32, 37}
VAL = {11, 15, 28, 30, 34}


def test_vaihingen_gives_the_papers_233_111_and_398_chips():
    counts = {area: len(chip_grid(h, w, 512, "shift")) for area, (w, h) in VAIHINGEN.items()}
    splits = (TRAIN, VAL, VAIHINGEN.keys() - TRAIN - VAL)
    assert [sum(counts[area] for area in split) for split in splits] == [233, 111, 398]
    assert np.mean(list(VAIHINGEN.values()), axis=0).round().tolist() == [2064, 2494]
